"""VGGish, the base audio network (paper, section 3.1; Hershey et al. 2017)."""

from __future__ import annotations

import keras

# Name and width of each layer, with the shape of its output. The names are
# the innermost scopes of `vggish_slim.py` in tensorflow/models.
_LAYERS = (
    ("conv1", 64),  # [T, 96, 64, 64]
    ("pool1", None),  # [T, 48, 32, 64]
    ("conv2", 128),  # [T, 48, 32, 128]
    ("pool2", None),  # [T, 24, 16, 128]
    ("conv3_1", 256),  # [T, 24, 16, 256]
    ("conv3_2", 256),  # [T, 24, 16, 256]
    ("pool3", None),  # [T, 12, 8, 256]
    ("conv4_1", 512),  # [T, 12, 8, 512]
    ("conv4_2", 512),  # [T, 12, 8, 512]
    ("pool4", None),  # [T, 6, 4, 512]
    ("flatten", None),  # [T, 12288]
    ("fc1_1", 4096),  # [T, 4096]
    ("fc1_2", 4096),  # [T, 4096]
    ("fc2", 128),  # [T, 128]
)


def build_vggish(
    embedding_activation: str | None = "relu", seed: int | None = 0
) -> keras.Model:
    """VGGish with random weights; `checkpoint.load` reads the published ones.

    They are He-normal, which keeps the scale of the signal from layer to layer;
    the published initializer (deviation 0.01) would shrink it to nothing.

    Args:
        embedding_activation: "relu" as in the code of 2017 to 2020, hence of
            the paper, or None for the pre-activation published since then.
        seed: Seed of the random weights; None for zeros, where weights are
            read anyway, since drawing them takes up to 0.5 GB.

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
    outputs = keras.layers.Reshape((96, 64, 1))(inputs)
    initializer = "zeros"
    if seed is not None:
        seeds = keras.random.SeedGenerator(seed)
        initializer = keras.initializers.HeNormal(seeds)
    for name, width in _LAYERS:
        options = {
            "activation": embedding_activation if name == "fc2" else "relu",
            "kernel_initializer": initializer,
            "name": name,
        }
        if name.startswith("conv"):
            layer = keras.layers.Conv2D(width, 3, padding="same", **options)
        elif name.startswith("pool"):
            layer = keras.layers.MaxPooling2D(2, name=name)
        elif name == "flatten":
            layer = keras.layers.Flatten(name=name)
        else:
            layer = keras.layers.Dense(width, **options)
        outputs = layer(outputs)
    return keras.Model(inputs, outputs, name="vggish")
