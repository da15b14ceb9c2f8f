"""YAMNet, another base audio network: MobileNet v1 on VGGish's patches.

Source: `yamnet.py` and `params.py` in tensorflow/models, research/audioset.
"""

from __future__ import annotations

import functools

import keras

# sqrt(variance + this) divides; loading folded weights has to make up for it.
BATCH_NORM_EPSILON = 1e-4

# Stride and filters of the separable blocks, with the shapes of their outputs.
_SEPARABLE_BLOCKS = (
    (1, 64),  # [T, 48, 32, 64]
    (2, 128),  # [T, 24, 16, 128]
    (1, 128),  # [T, 24, 16, 128]
    (2, 256),  # [T, 12, 8, 256]
    (1, 256),  # [T, 12, 8, 256]
    (2, 512),  # [T, 6, 4, 512]
    *[(1, 512)] * 5,  # [T, 6, 4, 512]
    (2, 1024),  # [T, 3, 2, 1024]
    (1, 1024),  # [T, 3, 2, 1024]
)


def build_yamnet(seed: int = 0) -> keras.Model:
    """YAMNet with random weights, as those of `network.build_vggish`.

    The layers have their official names, with a dot where those have a slash,
    which Keras 3 does not allow: `layer2.depthwise_conv.bn`.

    Returns:
        A model from log-mel patches [T, 96, 64], made with a log offset of
        0.001, to `embeddings` [T, 1024] and `scores` [T, 521], the
        probabilities of AudioSet's classes.
    """
    seeds = keras.random.SeedGenerator(seed)
    he_normal = keras.initializers.HeNormal(seeds)
    options = {"padding": "same", "use_bias": False}
    convolve = functools.partial(
        keras.layers.Conv2D, kernel_initializer=he_normal, **options
    )
    convolutions = [convolve(32, 3, 2, name="layer1.conv")]  # [T, 48, 32, 32]
    for number, (stride, filters) in enumerate(_SEPARABLE_BLOCKS, start=2):
        depthwise = keras.layers.DepthwiseConv2D(
            3,
            stride,
            # HeNormal takes all channels for inputs of each output, which here
            # has one: the signal would fade from layer to layer.
            depthwise_initializer=keras.initializers.RandomNormal(
                stddev=(2 / 9) ** 0.5, seed=seeds
            ),
            name=f"layer{number}.depthwise_conv",
            **options,
        )
        pointwise = convolve(filters, 1, name=f"layer{number}.pointwise_conv")
        convolutions += [depthwise, pointwise]

    inputs = keras.Input((96, 64), name="log_mel_patches")
    outputs = keras.layers.Reshape((96, 64, 1))(inputs)
    for convolution in convolutions:
        outputs = convolution(outputs)
        outputs = keras.layers.BatchNormalization(
            epsilon=BATCH_NORM_EPSILON,
            scale=False,
            name=f"{convolution.name}.bn",
        )(outputs)
        outputs = keras.layers.ReLU()(outputs)
    embeddings = keras.layers.GlobalAveragePooling2D()(outputs)  # [T, 1024]
    scores = keras.layers.Dense(
        521, "sigmoid", kernel_initializer=he_normal, name="logits"
    )(embeddings)
    return keras.Model(
        inputs, {"embeddings": embeddings, "scores": scores}, name="yamnet"
    )
