"""The base visual networks, from frames to feature maps.

`get(name)` is the one registry of them: `caffenet` (the paper's), `alexnet`,
and `keras:NAME`, a convolutional backbone of keras.applications.

CaffeNet and AlexNet have Fast R-CNN's padding (5 around conv1, 1 around the
pools), so that cell i of the feature map is centered on pixel 16 i of the
input: 600 pixels give 39 cells, 800 give 51 and 1000 give 64. Sources: Fast
R-CNN, models/CaffeNet/test.prototxt and lib/fast_rcnn/config.py; torchvision,
models/alexnet.py.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import os
import random
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from fast_rcnn_features.weights import load_conv_weights

KERAS_PREFIX = "keras:"
# Side of the input by which the strides in a keras.applications backbone are
# found; paddings before a strided layer are no feature maps.
_PROBE_PX = 1024
_NO_CUTS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)

# Fast R-CNN's PIXEL_MEANS, in the order blue, green, red.
_CAFFENET_MEAN_BGR = np.array([102.9801, 115.9465, 122.7717], np.float32)
# torchvision's ImageNet statistics, of RGB values in [0, 1].
_ALEXNET_MEAN_RGB = np.array([0.485, 0.456, 0.406], np.float32)
_ALEXNET_STD_RGB = np.array([0.229, 0.224, 0.225], np.float32)


@dataclasses.dataclass(frozen=True)
class RegionNetwork:
    """A base visual network, as the registry knows it.

    Attributes:
        build: Makes the model, float [B, H, W, 3] to [B, h, w, channels] for
            any H and W, of its weights (a file or another name that it knows;
            None for random ones) and the seed of random ones.
        normalize: Turns a frame, uint8 RGB [H, W, 3], into the network's
            values, float32.
        channels: Depth of the feature map.
        stride_px: Pixels of the input from one cell to the next.
        multiple_px: What both sides of the input have to be a multiple of.
    """

    build: Callable[[str | os.PathLike[str] | None, int], keras.Model]
    normalize: Callable[[np.ndarray], np.ndarray]
    channels: int
    stride_px: int
    multiple_px: int = 1


@functools.lru_cache
def get(name: str) -> RegionNetwork:
    """Looks a network up.

    Args:
        name: `caffenet`, `alexnet`, or `keras:NAME` (`keras:ResNet50`), which
            is cut behind the last operation of stride 16, or behind the layer
            of `keras:NAME/LAYER` (`keras:ResNet50/conv5_block3_out`).

    Raises:
        ValueError: for an unknown name, and for a backbone without such a
            layer of stride 16 or 32.
    """
    if name.startswith(KERAS_PREFIX):
        return _keras_network(*name.removeprefix(KERAS_PREFIX).split("/", 1))
    if name not in _NETWORKS:
        raise ValueError(
            f"Expected name to be one of {NAMES} or keras:NAME, a backbone of "
            f"keras.applications, received {name!r}."
        )
    return _NETWORKS[name]


def build(
    name: str, seed: int = 0, weights: str | os.PathLike[str] | None = None
) -> keras.Model:
    """Builds the model of a network; arguments and errors as of its entry."""
    return get(name).build(weights, seed)


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


class LocalResponseNormalization(keras.layers.Layer):
    """Divides by the energy of the neighboring channels, as CaffeNet does.

    x / (1 + 1e-4 / 5 * sum of x**2 over 5 channels) ** 0.75 of
    `[..., channels]` (Krizhevsky et al., NIPS 2012, Sec. 3.3).
    """

    def build(self, input_shape) -> None:  # noqa: ANN001, D102
        channel = np.arange(input_shape[-1])
        distance = np.abs(channel[:, None] - channel)
        self._neighbors = 1e-4 / 5 * (distance <= 2).astype("float32")

    def call(self, inputs):  # noqa: ANN001, ANN201, D102
        energy = ops.matmul(ops.square(inputs), self._neighbors)
        root = ops.rsqrt(1.0 + energy)
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


def _build_caffe(
    name: str, weights: str | os.PathLike[str] | None, seed: int
) -> keras.Model:
    """The convolution layers of a network, else with He-normal weights."""
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
            if layer.stride > 1:  # "same" would be no symmetric padding.
                layers.append(keras.layers.ZeroPadding2D(layer.kernel_px // 2))
            convolution = GroupedConv2D(
                layer.filters,
                layer.kernel_px,
                strides=layer.stride,
                padding="same" if layer.stride == 1 else "valid",
                groups=layer.groups,
                activation="relu",
                kernel_initializer=initializer,
                name=layer.name,
            )
            layers.append(convolution)
    model = keras.Sequential(layers, name=name)
    if weights is not None:
        load_conv_weights(model, weights)
    return model


def _normalize_caffenet(image_rgb: np.ndarray) -> np.ndarray:
    return image_rgb[..., ::-1].astype(np.float32) - _CAFFENET_MEAN_BGR


def _normalize_alexnet(image_rgb: np.ndarray) -> np.ndarray:
    image = image_rgb.astype(np.float32) / 255
    return (image - _ALEXNET_MEAN_RGB) / _ALEXNET_STD_RGB


_NETWORKS = {
    name: RegionNetwork(
        functools.partial(_build_caffe, name),
        normalize,
        channels=256,
        stride_px=16,
    )
    for name, normalize in (
        ("caffenet", _normalize_caffenet),
        ("alexnet", _normalize_alexnet),
    )
}
NAMES = tuple(_NETWORKS)


def _keras_network(name: str, layer: str = "") -> RegionNetwork:
    """A backbone of keras.applications, with random, own or ImageNet weights.

    Its cells count as centered like CaffeNet's, as Fast R-CNN has it of any
    network; the padding of some centers them up to a cell farther.
    """
    constructor = getattr(keras.applications, name, None)
    if not name[:1].isupper() or not callable(constructor):
        raise ValueError(
            "Expected keras:NAME with a backbone of keras.applications, as "
            f"keras:ResNet50, received keras:{name}."
        )
    number, channels, stride_px = _find_cut(constructor, layer)
    module = importlib.import_module(constructor.__module__)
    return RegionNetwork(
        build=functools.partial(_build_cut, constructor, number, channels),
        normalize=lambda image: module.preprocess_input(
            image.astype(np.float32)
        ),
        channels=channels,
        stride_px=stride_px,
        multiple_px=32,  # Odd sizes of maps would be padded on other sides.
    )


def _find_cut(
    constructor: Callable[..., keras.Model], layer: str
) -> tuple[int, int, int]:
    """Where a backbone is cut: number of the operation, channels, stride.

    Behind the named layer, or the last operation of stride 16.
    """
    cuts = []
    probe_shape = (_PROBE_PX, _PROBE_PX, 3)
    probe = constructor(
        include_top=False, weights=None, input_shape=probe_shape
    )
    for number, operation in enumerate(probe.operations):
        shape = operation.output.shape
        if len(shape) == 4 and not isinstance(operation, _NO_CUTS):
            # Without padding at the borders there are a few cells less.
            stride_px = 2 ** round(math.log2(_PROBE_PX / shape[1]))
            wanted = operation.name == layer if layer else stride_px == 16
            if wanted and stride_px in (16, 32):
                cuts.append((number, shape[-1], stride_px))
    if not cuts:
        name = constructor.__name__
        raise ValueError(
            f"Expected a layer of keras:{name} with a stride of 16 or 32 px, "
            f"received {layer or 'a backbone without one'}. "
            f"keras.applications.{name}(include_top=False).summary() lists "
            "its layers; keras:NAME/LAYER names one."
        )
    return cuts[-1]


def _build_cut(
    constructor: Callable[..., keras.Model],
    number: int,
    channels: int,
    weights: str | os.PathLike[str] | None,
    seed: int,
) -> keras.Model:
    """A backbone up to one of its operations."""
    name = constructor.__name__
    # Initializers without a seed take one from Python's generator.
    state = random.getstate()
    random.seed(seed)
    try:
        whole = constructor(
            include_top=False,
            weights=None if weights is None else os.fspath(weights),
            input_shape=(None, None, 3),
        )
    except Exception as error:
        if weights in (None, "imagenet"):
            raise
        reason, *_ = str(error).splitlines()  # All numbers follow.
        raise ValueError(
            f"Expected weights of keras:{name} without its top in "
            f"{weights}, received others: {reason}"
        ) from error
    finally:
        random.setstate(state)
    cut = whole.operations[number].output
    if cut.shape[-1] != channels:  # So of NASNetMobile.
        raise ValueError(
            "Expected a backbone with one order of layers for all sizes of "
            f"frames, received keras:{name}, which cannot be cut. Choose "
            "another one."
        )
    return keras.Model(whole.input, cut)
