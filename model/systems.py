"""The systems of the paper's Table 1, and one more, of the same parts."""

from __future__ import annotations

import dataclasses

import keras

from model import gated_crnn, layers


@dataclasses.dataclass(frozen=True)
class SystemConfig:
    """Sizes and choices of a system; the defaults are the paper's.

    Attributes:
        fc_units: Neurons of fc6 and of fc7.
        audio_units: Neurons of the audio layer that is learned from scratch.
        dropout: Share of fc6's and fc7's outputs dropped in training.
        seed: Seed of the initial weights and of dropout.
        segment_size: Size D of a segment's embedding.
        one_stream_pooling: `sum` or `mean`, of `layers.OneStreamScoring`.
        bin_means: Mean of each mel band on the training split, for the
            CVSSP systems; nothing is standardized without it.
        bin_stds: Standard deviation of each mel band there.
        region_size: Size D of a region's features, CaffeNet's by default.
        region_dtype: Type that they are stored in.
    """

    fc_units: int = 4096
    audio_units: int = 128
    dropout: float = 0.5
    seed: int = 0
    segment_size: int = 128
    one_stream_pooling: str = "sum"
    bin_means: tuple[float, ...] = (0.0,) * gated_crnn.NUM_MEL_BINS
    bin_stds: tuple[float, ...] = (1.0,) * gated_crnn.NUM_MEL_BINS
    region_size: int = 9216
    region_dtype: str = "float16"


@dataclasses.dataclass(frozen=True)
class _Composition:
    """What tells one system from the others."""

    visual: type[keras.layers.Layer] | None = None  # Scoring of the regions.
    audio: type[keras.layers.Layer] | None = None  # Scoring of the segments.
    normalized: bool = True  # Each modality's scores, by their l2 norm.
    loss: type[keras.losses.Loss] = keras.losses.Hinge  # Eq. 2
    temporal: bool = False  # Segments see their neighbors, with dropout.
    crnn_attention: bool | None = None  # Of a gated CRNN, instead of bags.


_SYSTEMS = {
    "av_two_stream": _Composition(  # (a), the proposed system.
        visual=layers.TwoStreamScoring, audio=layers.TwoStreamScoring
    ),
    "audio_two_stream": _Composition(audio=layers.TwoStreamScoring),  # (b)
    "visual_two_stream": _Composition(visual=layers.TwoStreamScoring),  # (c)
    "visual_wsddn": _Composition(  # (d): scores in [0, 1], hence log-loss.
        visual=layers.WsddnScoring,
        normalized=False,
        loss=keras.losses.BinaryCrossentropy,
    ),
    "av_one_stream": _Composition(  # (e): log-sum-exp, no localization.
        visual=layers.OneStreamScoring, audio=layers.OneStreamScoring
    ),
    # (h), not the paper's: probabilities, and a loss for each modality.
    "av_late_fusion": _Composition(
        visual=layers.WsddnScoring,
        audio=layers.LinearSoftmaxScoring,
        normalized=False,
        loss=keras.losses.BinaryCrossentropy,
        temporal=True,
    ),
    "cvssp_gated_crnn": _Composition(  # (g)
        loss=keras.losses.BinaryCrossentropy, crnn_attention=False
    ),
    "cvssp_gated_crnn_attention": _Composition(
        loss=keras.losses.BinaryCrossentropy, crnn_attention=True
    ),
}


def names() -> tuple[str, ...]:
    """The systems that `build` knows, in the paper's order."""
    return tuple(_SYSTEMS)


def losses(name: str) -> dict[str, keras.losses.Loss]:
    """The losses that a system is trained with; labels are 0 and 1.

    They are named after the output that they are of and add up: each modality
    of `av_late_fusion` learns by itself, else the one that learns faster
    leaves nothing to the other.
    """
    parts = _SYSTEMS[name]
    outputs = ["scores"]
    if parts.visual and parts.audio and not parts.normalized:
        outputs = ["visual_scores", "audio_scores"]
    return {output: parts.loss() for output in outputs}


def gives_probabilities(name: str) -> bool:
    """Whether a system's scores are probabilities, which can be averaged."""
    return _SYSTEMS[name].loss is keras.losses.BinaryCrossentropy


def has_audio(name: str) -> bool:
    """Whether a system has an audio module."""
    return not has_visual(name) or _SYSTEMS[name].audio is not None


def has_visual(name: str) -> bool:
    """Whether a system has a visual module, and with it fc6 and fc7."""
    return _SYSTEMS[name].visual is not None


def needs_standardization(name: str) -> bool:
    """Whether `build` needs the training split's `bin_means`, `bin_stds`."""
    return _SYSTEMS[name].crnn_attention is not None


def build(
    name: str, num_classes: int, config: SystemConfig | None = None
) -> keras.Model:
    """Builds a system.

    Args:
        name: One of `names()`.
        num_classes: Number of classes C.
        config: Sizes and choices; the paper's by default.

    Returns:
        A model from `regions` [B, M, D], `region_mask` bool [B, M],
        `segments` [B, T, D] and `segment_mask` bool [B, T] to `scores` [B, C];
        `visual_scores` and `audio_scores` [B, C], each modality's before the
        normalization; `region_scores` [B, M, C] and `segment_scores`
        [B, T, C]. Of a single modality, only its own. The CVSSP systems are
        those of `model.gated_crnn`.

    Raises:
        ValueError: for an unknown name, and for a single class, which only
            the CVSSP systems can score.
    """
    if name not in names():
        raise ValueError(
            f"Expected a system of {', '.join(names())}, received {name!r}."
        )
    config = config or SystemConfig()
    if needs_standardization(name):
        return gated_crnn.build(
            name,
            num_classes,
            _SYSTEMS[name].crnn_attention,
            config.bin_means,
            config.bin_stds,
            config.seed,
        )
    if num_classes < 2:
        raise ValueError(
            "Expected two classes or more, since a norm or a softmax over "
            f"classes divides a single one by itself, received {num_classes}."
        )
    return _compose(name, _SYSTEMS[name], num_classes, config)


def _compose(
    name: str, parts: _Composition, num_classes: int, config: SystemConfig
) -> keras.Model:
    """Bags -> representations -> scores of each modality -> their sum."""
    inputs, outputs, scores, masks = {}, {}, [], []
    seeds = layers.child_seeds(config.seed, 4)
    for modality, kind, scoring, represent, (bag_seed, scoring_seed) in (
        ("visual", "region", parts.visual, _regions, seeds[:2]),
        ("audio", "segment", parts.audio, _segments, seeds[2:]),
    ):
        if scoring is None:
            continue
        mask = keras.Input((None,), dtype="bool", name=f"{kind}_mask")
        bag, representation = represent(config, bag_seed)
        if parts.temporal and kind == "segment":
            representation = _with_context(
                config, bag_seed, representation, mask
            )
        inputs |= {f"{kind}s": bag, f"{kind}_mask": mask}
        options = {"dtype": "float32", "name": f"{modality}_scoring"}
        if scoring is layers.OneStreamScoring:
            options["pooling"] = config.one_stream_pooling
        clip_scores, outputs[f"{kind}_scores"] = scoring(
            num_classes, scoring_seed, **options
        )(representation, mask=mask)  # [B, C], [B, P, C]
        outputs[f"{modality}_scores"] = clip_scores
        if parts.normalized:
            clip_scores = layers.ScoreNormalization(
                dtype="float32", name=f"{modality}_normalization"
            )(clip_scores)
        scores.append(clip_scores)
        masks.append(mask)
    if len(scores) == 1:
        (outputs["scores"],) = scores
    elif not parts.normalized:
        mean = layers.MeanScores(dtype="float32", name="scores")
        outputs["scores"] = mean(scores, masks)  # [B, C]
    else:
        add = keras.layers.Add(dtype="float32", name="scores")
        outputs["scores"] = add(scores)  # [B, C]
    return keras.Model(inputs, outputs, name=name)


def _regions(
    config: SystemConfig, seed: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Regions, and them after CaffeNet's fc6 and fc7, which are fine-tuned."""
    # Sent as they are stored; the first layer casts.
    regions = keras.Input(
        (None, config.region_size), dtype=config.region_dtype, name="regions"
    )
    outputs = regions
    seeds = iter(layers.child_seeds(seed, 4))
    for name in ("fc6", "fc7"):
        outputs = layers.ProposalDense(
            config.fc_units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            name=name,
        )(outputs)  # [B, M, fc_units]
        outputs = keras.layers.Dropout(
            config.dropout, seed=next(seeds), name=f"drop_{name}"
        )(outputs)
    return regions, outputs


def _segments(
    config: SystemConfig, seed: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Segments, and them after the layer that is learned from scratch."""
    segments = keras.Input((None, config.segment_size), name="segments")
    outputs = layers.ProposalDense(
        config.audio_units,
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name="audio_fc",
    )(segments)  # [B, T, audio_units]
    return segments, outputs


def _with_context(
    config: SystemConfig,
    seed: int,
    segments: keras.KerasTensor,
    mask: keras.KerasTensor,
) -> keras.KerasTensor:
    """Segments [B, T, audio_units] that know those before and behind them."""
    first, second, third = layers.child_seeds(seed, 3)
    segments = keras.layers.Dropout(
        config.dropout, seed=first, name="drop_audio_fc"
    )(segments)
    segments = layers.TemporalContext(
        config.audio_units, second, name="audio_context"
    )(segments, mask=mask)
    return keras.layers.Dropout(
        config.dropout, seed=third, name="drop_audio_context"
    )(segments)


def set_fc_weights(
    model: keras.Model, weights: dict[str, keras.KerasTensor]
) -> None:
    """Initializes fc6 and fc7, for example from CaffeNet.

    Args:
        model: A system with a visual module.
        weights: `fc6_kernel` [D, 4096], `fc6_bias`, `fc7_kernel` [4096,
            4096] and `fc7_bias`.

    Raises:
        ValueError: if a shape is not the layer's.
    """
    if "regions" not in model.input:
        raise ValueError(
            f"Expected a system with a visual module, received {model.name}."
        )
    for name in ("fc6", "fc7"):
        layer = model.get_layer(name)
        try:
            layer.set_weights(
                [weights[f"{name}_kernel"], weights[f"{name}_bias"]]
            )
        except ValueError as error:
            raise ValueError(
                f"Expected weights for --fc_units={layer.units}, received "
                f"others: {error} Pretrained layers need --fc_units=4096."
            ) from error
