"""VGGish, the base audio network (paper, section 3.1; Hershey et al. 2017)."""

from __future__ import annotations

import keras

# Kind, name and width of each layer, with the shape of its output. The names
# are the innermost scopes of `vggish_slim.py` in tensorflow/models.
_LAYERS = (
    ("convolution", "conv1", 64),  # [T, 96, 64, 64]
    ("pooling", "pool1", None),  # [T, 48, 32, 64]
    ("convolution", "conv2", 128),  # [T, 48, 32, 128]
    ("pooling", "pool2", None),  # [T, 24, 16, 128]
    ("convolution", "conv3_1", 256),  # [T, 24, 16, 256]
    ("convolution", "conv3_2", 256),  # [T, 24, 16, 256]
    ("pooling", "pool3", None),  # [T, 12, 8, 256]
    ("convolution", "conv4_1", 512),  # [T, 12, 8, 512]
    ("convolution", "conv4_2", 512),  # [T, 12, 8, 512]
    ("pooling", "pool4", None),  # [T, 6, 4, 512]
    ("flattening", "flatten", None),  # [T, 12288]
    ("dense", "fc1_1", 4096),  # [T, 4096]
    ("dense", "fc1_2", 4096),  # [T, 4096]
    ("dense", "fc2", 128),  # [T, 128]
)
_EMBEDDING_LAYER = "fc2"


def build_vggish(
    embedding_activation: str | None = "relu", seed: int = 0
) -> keras.Model:
    """VGGish with random weights; `checkpoint.load` reads the published ones.

    The random weights are He-normal, which keeps the scale of the signal from
    layer to layer, so that even an untrained network gives embeddings that
    differ between sounds. The published initializer (deviation 0.01) would
    shrink them to almost nothing within nine layers.

    Args:
        embedding_activation: "relu" as in the code of 2017 to 2020, hence of
            the paper, or None for the pre-activation published since then.
        seed: Seed of the random weights.

    Returns:
        A model from log-mel patches [T, 96, 64] to embeddings [T, 128].

    Raises:
        ValueError: for another activation.
    """
    if embedding_activation not in ("relu", None):
        raise ValueError(
            "Expected embedding_activation 'relu' or None, received "
            f"{embedding_activation!r}."
        )
    inputs = keras.Input((96, 64), name="log_mel_patches")
    outputs = keras.layers.Reshape((96, 64, 1), name="channel")(inputs)
    for index, (kind, name, width) in enumerate(_LAYERS):
        is_embedding = name == _EMBEDDING_LAYER
        activation = embedding_activation if is_embedding else "relu"
        # Equal seeds would give equal streams of weights to all layers.
        layer = _make_layer(kind, name, width, activation, seed + index)
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name="vggish")


def _make_layer(
    kind: str, name: str, width: int | None, activation: str | None, seed: int
) -> keras.Layer:
    # The weights expect this order whatever Keras is configured to.
    data_format = "channels_last"
    if kind == "pooling":
        return keras.layers.MaxPooling2D(2, data_format=data_format, name=name)
    if kind == "flattening":
        return keras.layers.Flatten(data_format=data_format, name=name)
    initializer = keras.initializers.HeNormal(seed)
    if kind == "dense":
        return keras.layers.Dense(
            width, activation, kernel_initializer=initializer, name=name
        )
    return keras.layers.Conv2D(
        width,
        kernel_size=3,
        padding="same",
        data_format=data_format,
        activation=activation,
        kernel_initializer=initializer,
        name=name,
    )
