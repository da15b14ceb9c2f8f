"""YAMNet, another base audio network: MobileNet v1 on VGGish's patches.

Source: `yamnet.py` and `params.py` in tensorflow/models, research/audioset.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import keras

NUM_CLASSES = 521
# sqrt(variance + this) divides; loading folded weights has to make up for it.
BATCH_NORM_EPSILON = 1e-4


class _Block(NamedTuple):
    kind: str
    kernel: int
    stride: int
    filters: int


# The shapes of the outputs are beside the blocks.
_BLOCKS = (
    _Block("convolution", 3, 2, 32),  # [T, 48, 32, 32]
    _Block("separable", 3, 1, 64),  # [T, 48, 32, 64]
    _Block("separable", 3, 2, 128),  # [T, 24, 16, 128]
    _Block("separable", 3, 1, 128),  # [T, 24, 16, 128]
    _Block("separable", 3, 2, 256),  # [T, 12, 8, 256]
    _Block("separable", 3, 1, 256),  # [T, 12, 8, 256]
    _Block("separable", 3, 2, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 1, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 1, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 1, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 1, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 1, 512),  # [T, 6, 4, 512]
    _Block("separable", 3, 2, 1024),  # [T, 3, 2, 1024]
    _Block("separable", 3, 1, 1024),  # [T, 3, 2, 1024]
)


def build_yamnet(seed: int = 0) -> keras.Model:
    """YAMNet with random weights; `checkpoint.load` has the real ones.

    The random weights are He-normal, as those of `network.build_vggish`.

    The layers have their official names, with a dot where those have a slash,
    which Keras 3 does not allow: `layer2.depthwise_conv.bn`.

    Args:
        seed: Seed of the random weights.

    Returns:
        A model from log-mel patches [T, 96, 64], made with a log offset of
        0.001, to `embeddings` [T, 1024] and `scores` [T, 521], the
        probabilities of AudioSet's classes.
    """
    # Equal seeds would give equal streams of weights to all layers.
    seeds = itertools.count(seed)
    inputs = keras.Input((96, 64), name="log_mel_patches")
    outputs = keras.layers.Reshape((96, 64, 1), name="channel")(inputs)
    for number, block in enumerate(_BLOCKS, start=1):
        outputs = _apply_block(f"layer{number}", block, outputs, seeds)
    embeddings = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", name="embeddings"
    )(outputs)  # [T, 1024]
    scores = keras.layers.Dense(
        NUM_CLASSES,
        "sigmoid",
        kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        name="logits",
    )(embeddings)  # [T, 521]
    return keras.Model(
        inputs, {"embeddings": embeddings, "scores": scores}, name="yamnet"
    )


def _apply_block(
    name: str,
    block: _Block,
    inputs: keras.KerasTensor,
    seeds: Iterator[int],
) -> keras.KerasTensor:
    if block.kind == "convolution":
        convolution = _convolution(
            f"{name}.conv", block.filters, block.kernel, block.stride, seeds
        )
        return _normalized_relu(convolution, inputs)
    depthwise = keras.layers.DepthwiseConv2D(
        block.kernel,
        block.stride,
        padding="same",
        data_format="channels_last",
        use_bias=False,
        # HeNormal takes all channels for inputs of each output, which here
        # has one: the signal would fade from layer to layer.
        depthwise_initializer=keras.initializers.RandomNormal(
            stddev=(2.0 / block.kernel**2) ** 0.5, seed=next(seeds)
        ),
        name=f"{name}.depthwise_conv",
    )
    pointwise = _convolution(
        f"{name}.pointwise_conv", block.filters, 1, 1, seeds
    )
    return _normalized_relu(pointwise, _normalized_relu(depthwise, inputs))


def _convolution(
    name: str, filters: int, kernel: int, stride: int, seeds: Iterator[int]
) -> keras.Layer:
    return keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        # The weights expect this order whatever Keras is configured to.
        data_format="channels_last",
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        name=name,
    )


def _normalized_relu(
    convolution: keras.Layer, inputs: keras.KerasTensor
) -> keras.KerasTensor:
    normalization = keras.layers.BatchNormalization(
        axis=-1,
        epsilon=BATCH_NORM_EPSILON,
        scale=False,
        name=f"{convolution.name}.bn",
    )
    relu = keras.layers.ReLU(name=f"{convolution.name}.relu")
    return relu(normalization(convolution(inputs)))
