"""The five convolution layers that turn a frame into a feature map.

Both networks have Fast R-CNN's padding (5 around conv1, 1 around the pools),
so that cell i of the feature map is centered on pixel 16 i of the input: 600
pixels give 39 cells, 800 give 51 and 1000 give 64. Sources: Fast R-CNN,
models/CaffeNet/test.prototxt; torchvision, models/alexnet.py.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

FEATURE_STRIDE_PX = 16
# Bins along each side of a box, and the features that they hold.
NUM_BINS = 6
NUM_FEATURES = 256 * NUM_BINS**2  # 9216


class _Conv(NamedTuple):
    name: str
    filters: int
    kernel_px: int
    stride: int = 1
    groups: int = 1


_POOL = "pool"
_LRN = "lrn"

_LAYERS = {
    "caffenet": (
        _Conv("conv1", filters=96, kernel_px=11, stride=4),
        _POOL,
        _LRN,
        _Conv("conv2", filters=256, kernel_px=5, groups=2),
        _POOL,
        _LRN,
        _Conv("conv3", filters=384, kernel_px=3),
        _Conv("conv4", filters=384, kernel_px=3, groups=2),
        _Conv("conv5", filters=256, kernel_px=3, groups=2),
    ),
    "alexnet": (
        _Conv("conv1", filters=64, kernel_px=11, stride=4),
        _POOL,
        _Conv("conv2", filters=192, kernel_px=5),
        _POOL,
        _Conv("conv3", filters=384, kernel_px=3),
        _Conv("conv4", filters=256, kernel_px=3),
        _Conv("conv5", filters=256, kernel_px=3),
    ),
}

NAMES = tuple(_LAYERS)


class LocalResponseNormalization(keras.layers.Layer):
    """Divides by the energy of the neighboring channels, as CaffeNet does.

    x / (1 + 1e-4 / 5 * sum of x**2 over 5 channels) ** 0.75 of
    `[..., channels]` (Krizhevsky et al., NIPS 2012, Sec. 3.3).
    """

    def build(self, input_shape) -> None:  # noqa: ANN001, D102
        channel = np.arange(input_shape[-1])
        distance = np.abs(channel[:, None] - channel)
        self._is_neighbor = (distance <= 2).astype("float32")

    def call(self, inputs):  # noqa: ANN001, ANN201, D102
        energy = ops.matmul(ops.square(inputs), self._is_neighbor)
        root = ops.rsqrt(1.0 + 1e-4 / 5 * energy)
        # s ** -0.75, seven times as fast as ops.power.
        return inputs * root * ops.sqrt(root)


class GroupedConv2D(keras.layers.Conv2D):
    """Conv2D that convolves its groups one by one.

    TensorFlow under Keras compiles a grouped convolution with XLA, again for
    each frame size, and the result is slower than two plain convolutions.
    """

    def convolution_op(self, inputs, kernel):  # noqa: ANN001, ANN201, D102
        convolve = super().convolution_op
        groups = zip(
            ops.split(inputs, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return ops.concatenate([convolve(x, k) for x, k in groups], axis=-1)


def build(name: str, seed: int = 0) -> keras.Model:
    """Builds the convolution layers of a network with He-normal weights.

    Args:
        name: `"caffenet"` (the paper's) or `"alexnet"`.
        seed: Decides the random weights.

    Returns:
        A model from float [batch, H, W, 3] to [batch, h, w, 256], for any H
        and W; h and w are about a 16th.

    Raises:
        ValueError: `name` is unknown.
    """
    if name not in _LAYERS:
        raise ValueError(
            f"Expected name to be one of {NAMES}, received {name!r}."
        )
    initializer = keras.initializers.HeNormal(keras.random.SeedGenerator(seed))
    layers = [keras.Input((None, None, 3))]
    for layer in _LAYERS[name]:
        if layer == _LRN:
            layers.append(LocalResponseNormalization())
        elif layer == _POOL:
            # Caffe rounds the number of windows up, so that the last one may
            # end 2 cells past the input. (It drops a window that starts there;
            # none does.) After a ReLU, padding with 0 is as good as with -inf.
            layers.append(keras.layers.ZeroPadding2D(((1, 2), (1, 2))))
            layers.append(keras.layers.MaxPooling2D(pool_size=3, strides=2))
        else:
            layers.append(keras.layers.ZeroPadding2D(layer.kernel_px // 2))
            convolution = GroupedConv2D(
                layer.filters,
                layer.kernel_px,
                strides=layer.stride,
                groups=layer.groups,
                activation="relu",
                kernel_initializer=initializer,
                name=layer.name,
            )
            layers.append(convolution)
    return keras.Sequential(layers, name=name)
