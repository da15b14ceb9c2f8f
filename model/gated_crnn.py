"""The gated CRNN of CVSSP, the audio baseline of the paper's Table 1.

Source: `main_crnn_at.py` (audio tagging) and `main_crnn_sed.py` (attention)
in yongxuUSTC/dcase2017_task4_cvssp, written for Keras 2. Shapes: `B` clips,
`F` frames, `K` mel bands, `N` time steps, `C` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
from keras import ops

from model.layers import child_seeds

NUM_FRAMES = 240
NUM_MEL_BINS = 64


@keras.saving.register_keras_serializable(package="avmil")
class GatedConvolution(keras.layers.Layer):
    """Convolution whose one half of maps gates the other (GLU).

    Call arguments:
        maps: `[B, F, K, D]`.

    Output shape: `[B, F, K, 64]`.
    """

    def __init__(self, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv2D(
            128,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.normalization = keras.layers.BatchNormalization(
            dtype=self.dtype_policy, name="normalization"
        )

    def build(self, maps_shape) -> None:
        self.convolution.build(maps_shape)
        self.normalization.build(
            self.convolution.compute_output_shape(maps_shape)
        )

    def call(self, maps, training=None):
        maps = self.normalization(self.convolution(maps), training=training)
        linear, gate = ops.split(maps, 2, axis=-1)  # [B, F, K, 64] each
        return linear * ops.sigmoid(gate)


@keras.saving.register_keras_serializable(package="avmil")
class ClassAttention(keras.layers.Layer):
    """Mean over time of the steps' scores, weighted by their attention.

    As in the published code the attention of a step is a softmax over the
    classes of its own scores, not over time.

    Call arguments:
        step_scores: `[B, N, C]`.

    Output shape: `[B, C]`.
    """

    def __init__(self, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, scores_shape) -> None:
        self.attention = keras.layers.Dense(
            scores_shape[-1],
            activation="softmax",
            kernel_initializer=keras.initializers.GlorotUniform(self.seed),
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention.build(scores_shape)

    def call(self, step_scores):
        weights = self.attention(step_scores)  # [B, N, C]
        # Clipped before their sum divides.
        total = ops.sum(ops.clip(weights, 1e-7, 1.0), axis=1)
        return ops.sum(step_scores * weights, axis=1) / total  # [B, C]


@keras.saving.register_keras_serializable(package="avmil")
def keras_2_hard_sigmoid(inputs):
    """The gates' activation in Keras 2; in Keras 3 its slope is 1/6."""
    return ops.clip(0.2 * inputs + 0.5, 0.0, 1.0)


def build(
    name: str,
    num_classes: int,
    attention: bool,
    bin_means: Sequence[float],
    bin_stds: Sequence[float],
    seed: int,
) -> keras.Model:
    """Builds a gated CRNN.

    The second convolution block after the third pooling, whose output the
    original overwrites unused, is left out.

    Args:
        name: Name of the model.
        num_classes: Number of classes C.
        attention: Weights the steps as the detection script does, and keeps
            all 240 steps instead of pooling them to 30.
        bin_means: Mean of each mel band on the training frames.
        bin_stds: Standard deviation of each mel band there.
        seed: Seed of the initial weights.

    Returns:
        A model from `cvssp_log_mel` [B, 240, 64] to `scores` [B, C] and
        `step_scores` [B, N, C], probabilities; N is 30, or 240 with attention.
    """
    seeds = iter(child_seeds(seed, 18))
    log_mel = keras.Input((NUM_FRAMES, NUM_MEL_BINS), name="cvssp_log_mel")
    standardized = keras.layers.Normalization(
        axis=-1,
        mean=list(bin_means),
        variance=[std**2 for std in bin_stds],
        dtype="float32",
        name="standardization",
    )(log_mel)
    steps = _gated_convolutions(standardized, attention, seeds)  # [B, N, 256]
    steps = _gated_gru(steps, seeds)  # [B, N, 256]
    step_scores = keras.layers.Dense(
        num_classes,
        activation="sigmoid",
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        dtype="float32",
        name="localization_layer",
    )(steps)  # [B, N, C]
    if attention:
        pooling = ClassAttention(next(seeds), dtype="float32", name="attention")
    else:
        pooling = keras.layers.GlobalAveragePooling1D(
            dtype="float32", name="mean"
        )
    outputs = {"scores": pooling(step_scores), "step_scores": step_scores}
    return keras.Model({"cvssp_log_mel": log_mel}, outputs, name=name)


def _gated_convolutions(
    log_mel: keras.KerasTensor, all_steps: bool, seeds: Iterator[int]
) -> keras.KerasTensor:
    """[B, 240, 64] -> [B, N, 256] of all steps, or of 30."""
    maps = keras.layers.Reshape((NUM_FRAMES, NUM_MEL_BINS, 1))(log_mel)
    pool = (1, 2) if all_steps else (2, 2)
    poolings = (None, pool, None, pool, None, pool, (1, 2))
    for number, pooling in enumerate(poolings):
        maps = GatedConvolution(
            next(seeds), name=f"gated_convolution_{number + 1}"
        )(maps)
        if pooling:
            maps = keras.layers.MaxPooling2D(pooling)(maps)
    maps = keras.layers.Conv2D(
        256,
        3,
        padding="same",
        activation="relu",
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name="convolution",
    )(maps)  # [B, N, 4, 256]
    maps = keras.layers.MaxPooling2D((1, 4))(maps)  # [B, N, 1, 256]
    return keras.layers.Reshape((-1, 256))(maps)


def _gated_gru(
    steps: keras.KerasTensor, seeds: Iterator[int]
) -> keras.KerasTensor:
    """[B, N, 256] -> [B, N, 256], one recurrent layer gating another."""
    outputs = []
    for activation in ("linear", "sigmoid"):
        # Both are given, since Keras would start them with equal weights.
        forward, backward = (
            keras.layers.GRU(
                128,
                activation=activation,
                # What Keras 2 does unless told otherwise.
                recurrent_activation=keras_2_hard_sigmoid,
                reset_after=False,
                kernel_initializer=keras.initializers.GlorotUniform(
                    next(seeds)
                ),
                recurrent_initializer=keras.initializers.Orthogonal(
                    seed=next(seeds)
                ),
                return_sequences=True,
                go_backwards=go_backwards,
            )
            for go_backwards in (False, True)
        )
        gru = keras.layers.Bidirectional(
            forward, backward_layer=backward, name=f"gru_{activation}"
        )
        outputs.append(gru(steps))
    return keras.layers.Multiply(name="gated_gru")(outputs)
