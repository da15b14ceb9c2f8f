"""The systems of the paper's Table 1, composed of the same parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from model import layers

REGION_SIZE = 9216


@dataclasses.dataclass(frozen=True)
class SystemConfig:
    """Sizes and choices of a system; the defaults are the paper's.

    Attributes:
        fc_units: Neurons of fc6 and of fc7.
        audio_units: Neurons of the audio layer that is learnt from scratch.
        dropout: Share of fc6's and fc7's outputs dropped in training.
        seed: Seed of the initial weights and of dropout.
        segment_size: Size D of a segment's embedding.
    """

    fc_units: int = 4096
    audio_units: int = 128
    dropout: float = 0.5
    seed: int = 0
    segment_size: int = 128

    def __post_init__(self) -> None:
        for name in ("fc_units", "audio_units", "segment_size"):
            if (size := getattr(self, name)) < 1:
                raise ValueError(f"Expected {name} above 0, received {size}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"Expected dropout in [0, 1), received {self.dropout}."
            )


def build(
    name: str, num_classes: int, config: SystemConfig | None = None
) -> keras.Model:
    """Builds a system.

    Args:
        name: One of `names()`.
        num_classes: Number of classes C.
        config: Sizes and choices; the paper's by default.

    Returns:
        A model from `regions` [B, M, 9216], `region_mask` bool [B, M],
        `segments` [B, T, D] and `segment_mask` bool [B, T], those that the
        system uses, to `scores` [B, C], `region_scores` [B, M, C] and
        `segment_scores` [B, T, C].

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _SYSTEMS:
        raise ValueError(
            f"Expected a system of {', '.join(_SYSTEMS)}, received {name!r}."
        )
    if num_classes < 2:
        raise ValueError(
            "Expected two classes or more, since a single score divided by "
            f"its norm is 1 or -1, received {num_classes}."
        )
    return _SYSTEMS[name](num_classes, config or SystemConfig())


def names() -> tuple[str, ...]:
    """The systems that `build` knows, in the paper's order."""
    return tuple(_SYSTEMS)


def _av_two_stream(num_classes: int, config: SystemConfig) -> keras.Model:
    """Row (a): both modalities, two streams each, l2-normalised and added."""
    regions, segments = _region_bag(), _segment_bag(config)
    visual, region_scores = layers.TwoStreamScoring(
        num_classes, config.seed + 10, dtype="float32", name="visual_scoring"
    )(
        _visual_representation(regions["regions"], config),
        mask=regions["region_mask"],
    )
    audio, segment_scores = layers.TwoStreamScoring(
        num_classes, config.seed + 20, dtype="float32", name="audio_scoring"
    )(
        _audio_representation(segments["segments"], config),
        mask=segments["segment_mask"],
    )
    scores = keras.layers.Add(dtype="float32", name="scores")(
        [_normalised(visual, "visual"), _normalised(audio, "audio")]
    )  # [B, C]
    return keras.Model(
        {**regions, **segments},
        {
            "scores": scores,
            "region_scores": region_scores,
            "segment_scores": segment_scores,
        },
        name="av_two_stream",
    )


def _region_bag() -> dict[str, keras.KerasTensor]:
    return {
        # Stored and sent as float16; the first layer casts.
        "regions": keras.Input(
            (None, REGION_SIZE), dtype="float16", name="regions"
        ),
        "region_mask": keras.Input((None,), dtype="bool", name="region_mask"),
    }


def _segment_bag(config: SystemConfig) -> dict[str, keras.KerasTensor]:
    return {
        "segments": keras.Input((None, config.segment_size), name="segments"),
        "segment_mask": keras.Input((None,), dtype="bool", name="segment_mask"),
    }


def _visual_representation(
    regions: keras.KerasTensor, config: SystemConfig
) -> keras.KerasTensor:
    """CaffeNet's fc6 and fc7, fine-tuned: [B, M, 9216] -> [B, M, fc_units]."""
    outputs = regions
    for number, name in enumerate(("fc6", "fc7")):
        outputs = keras.layers.Dense(
            config.fc_units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(
                seed=config.seed + number
            ),
            name=name,
        )(outputs)
        outputs = keras.layers.Dropout(
            config.dropout, seed=config.seed + number, name=f"drop_{name}"
        )(outputs)
    return outputs


def _audio_representation(
    segments: keras.KerasTensor, config: SystemConfig
) -> keras.KerasTensor:
    """The layer learnt from scratch: [B, T, D] -> [B, T, audio_units]."""
    return keras.layers.Dense(
        config.audio_units,
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(
            seed=config.seed + 2
        ),
        name="audio_fc",
    )(segments)


def _normalised(scores: keras.KerasTensor, modality: str) -> keras.KerasTensor:
    return layers.ScoreNormalization(
        dtype="float32", name=f"{modality}_normalization"
    )(scores)


def set_fc_weights(
    model: keras.Model, weights: dict[str, keras.KerasTensor]
) -> None:
    """Initialises fc6 and fc7, for example from CaffeNet.

    Args:
        model: A system with a visual module.
        weights: `fc6_kernel` [9216, 4096], `fc6_bias`, `fc7_kernel` [4096,
            4096] and `fc7_bias`.

    Raises:
        ValueError: if a shape is not the layer's.
    """
    for name in ("fc6", "fc7"):
        layer = model.get_layer(name)
        values = [weights[f"{name}_{kind}"] for kind in ("kernel", "bias")]
        for value, variable in zip(values, layer.weights, strict=True):
            if ops.shape(value) != tuple(variable.shape):
                raise ValueError(
                    f"Expected {variable.path} of shape "
                    f"{tuple(variable.shape)}, received {ops.shape(value)}. "
                    "Pretrained layers need --fc_units=4096."
                )
        layer.set_weights(values)


_SYSTEMS: dict[str, Callable[[int, SystemConfig], keras.Model]] = {
    "av_two_stream": _av_two_stream,
}
