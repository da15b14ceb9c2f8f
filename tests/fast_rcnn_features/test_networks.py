"""The convolution layers, against OpenCV's importer of Caffe networks."""

from __future__ import annotations

import math

import cv2
import keras
import numpy as np
import pytest

from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights
from tests.fast_rcnn_features.caffemodel_files import (
    KERNEL_SHAPES,
    caffemodel_bytes,
    random_blobs,
)


def _conv(name, pad, stride=1):
    return name, "Convolution", f"pad: {pad} stride: {stride}"


_POOL = ("pool", "Pooling", "pool: MAX kernel_size: 3 pad: 1 stride: 2")
_LRN = ("norm", "LRN", "local_size: 5 alpha: 0.0001 beta: 0.75")
_LAST = [_conv("conv3", 1), _conv("conv4", 1), _conv("conv5", 1)]
# Up to conv5 of Fast R-CNN's models/CaffeNet/test.prototxt, and its paddings
# for torchvision's AlexNet.
_LAYERS = {
    "caffenet": [
        _conv("conv1", 5, 4),
        _POOL,
        _LRN,
        _conv("conv2", 2),
        _POOL,
        _LRN,
        *_LAST,
    ],
    "alexnet": [_conv("conv1", 5, 4), _POOL, _conv("conv2", 2), _POOL, *_LAST],
}


def _prototxt(network, height, width):
    lines = ["input: 'data'"]
    lines += [f"input_dim: {size}" for size in (1, 3, height, width)]
    bottom, depth = "data", 3
    layers = []
    for index, (name, kind, parameters) in enumerate(_LAYERS[network]):
        if kind == "Convolution":
            outputs, inputs, kernel, _ = KERNEL_SHAPES[network][name]
            parameters += f" num_output: {outputs} kernel_size: {kernel}"
            parameters += f" group: {depth // inputs}"
            depth = outputs
            layers.append((name, kind, parameters))
            layers.append((f"relu{index}", "ReLU", ""))
        else:
            layers.append((f"{name}{index}", kind, parameters))
    groups = {"Convolution": "convolution", "Pooling": "pooling", "LRN": "lrn"}
    for name, kind, parameters in layers:
        if kind in groups:
            parameters = f"{groups[kind]}_param {{ {parameters} }}"
        lines.append(
            f"layer {{ name: '{name}' type: '{kind}' bottom: '{bottom}' "
            f"top: '{name}' {parameters} }}"
        )
        bottom = name
    return "\n".join(lines)


def _caffe_pool_size(size):
    """Windows of 3 at stride 2 with pad 1, in Caffe's arithmetic."""
    pooled = math.ceil((size + 2 * 1 - 3) / 2) + 1
    if (pooled - 1) * 2 >= size + 1:
        pooled -= 1
    return pooled


@pytest.fixture(scope="module", params=networks.NAMES)
def model_and_file(request, tmp_path_factory):
    """A network with random kernels and biases, and their .caffemodel."""
    model = networks.build(request.param)
    path = tmp_path_factory.mktemp("weights") / "net.caffemodel"
    blobs = random_blobs(KERNEL_SHAPES[request.param])
    path.write_bytes(caffemodel_bytes(blobs))
    load_conv_weights(model, path)
    return model, path


@pytest.fixture
def model(model_and_file):
    return model_and_file[0]


def _image(height, width):
    rng = np.random.default_rng(height)
    return rng.uniform(-120, 150, (1, height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(113, 118), (66, 139), (64, 33)])
def test_parity_with_opencvs_caffe(model_and_file, size):
    model, path = model_and_file
    image = _image(*size)
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(_prototxt(model.name, *size).encode(), np.uint8),
        np.frombuffer(path.read_bytes(), np.uint8),
    )
    net.setInput(image.transpose(0, 3, 1, 2))
    expected = net.forward().transpose(0, 2, 3, 1)
    assert expected.std() > 0
    np.testing.assert_allclose(
        model(image).numpy(), expected, rtol=1e-3, atol=1e-3 * expected.max()
    )


@pytest.mark.parametrize(
    ("size", "cells"), [(600, 39), (800, 51), (1000, 64), (562, 36)]
)
def test_sizes_of_fast_rcnn(model, size, cells):
    assert model(_image(size, 16)).shape == (1, cells, 2, 256)
    assert model(_image(16, size)).shape == (1, 2, cells, 256)


@pytest.mark.parametrize("size", [1, 2, 15, 17, 21, 25, 29, 33, 37, 70, 71])
def test_sizes_are_caffes(model, size):
    conv1 = (size + 2 * 5 - 11) // 4 + 1
    cells = _caffe_pool_size(_caffe_pool_size(conv1))
    assert model(_image(size, size)).shape[1] == cells


def test_cells_are_centered_on_multiples_of_sixteen(model):
    """With symmetric kernels, a mirrored input gives a mirrored output.

    113 pixels have 8 cells; pixel 16 i mirrors to pixel 16 (7 - i).
    """
    symmetric = keras.models.clone_model(model)
    for layer, original in zip(symmetric.layers, model.layers, strict=True):
        if layer.weights:
            kernel = original.kernel.numpy()
            layer.kernel.assign(kernel + kernel[:, ::-1])
    image = _image(20, 113)
    expected = symmetric(image).numpy()
    np.testing.assert_allclose(
        symmetric(image[:, :, ::-1]).numpy()[:, :, ::-1],
        expected,
        rtol=1e-4,
        atol=1e-4 * expected.max(),
    )


def test_local_response_normalization_by_hand():
    """One pixel of three channels, all within two of each other."""
    x = np.array([[100.0, 200.0, -300.0]], np.float32)
    divisor = (1 + 1e-4 / 5 * (100**2 + 200**2 + 300**2)) ** 0.75
    found = networks.LocalResponseNormalization()(x).numpy()
    np.testing.assert_allclose(found, x / divisor, rtol=1e-5)
