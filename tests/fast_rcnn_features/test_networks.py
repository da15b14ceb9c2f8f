"""Tests of the convolution layers, against plain TensorFlow operations."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from fast_rcnn_features import networks


def _caffe_pool_size(size):
    """Windows of 3 at stride 2 with pad 1, in Caffe's arithmetic."""
    pooled = math.ceil((size + 2 * 1 - 3) / 2) + 1
    if (pooled - 1) * 2 >= size + 1:
        pooled -= 1
    return pooled


def _pooled_sizes(size):
    conv1 = (size + 2 * 5 - 11) // 4 + 1
    pool1 = _caffe_pool_size(conv1)
    return conv1, pool1, _caffe_pool_size(pool1)


def _conv(x, layer, stride, pad, groups):
    padding = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    inputs = tf.split(x, groups, axis=-1)
    kernels = tf.split(tf.constant(layer.kernel.numpy()), groups, axis=-1)
    outputs = [
        tf.nn.conv2d(i, k, stride, padding)
        for i, k in zip(inputs, kernels, strict=True)
    ]
    return tf.nn.relu(tf.concat(outputs, -1) + layer.bias.numpy())


def _caffe_max_pool(x):
    """Pads with -inf as far as Caffe's last window reaches."""
    pads = [[0, 0]]
    for size in x.shape[1:3]:
        end = (_caffe_pool_size(size) - 1) * 2 + 3
        pads.append([1, end - 1 - size])
    x = tf.pad(x, [*pads, [0, 0]], constant_values=-np.inf)
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def _lrn(x):
    return tf.nn.local_response_normalization(x, 2, 1.0, 1e-4 / 5, 0.75)


def _slow_caffenet(model, x):
    """Fast R-CNN's models/CaffeNet/test.prototxt, line by line."""
    layer = model.get_layer
    x = _lrn(_caffe_max_pool(_conv(x, layer("conv1"), 4, 5, groups=1)))
    x = _lrn(_caffe_max_pool(_conv(x, layer("conv2"), 1, 2, groups=2)))
    x = _conv(x, layer("conv3"), 1, 1, groups=1)
    x = _conv(x, layer("conv4"), 1, 1, groups=2)
    return _conv(x, layer("conv5"), 1, 1, groups=2)


def _slow_alexnet(model, x):
    layer = model.get_layer
    x = _caffe_max_pool(_conv(x, layer("conv1"), 4, 5, groups=1))
    x = _caffe_max_pool(_conv(x, layer("conv2"), 1, 2, groups=1))
    for name in ("conv3", "conv4", "conv5"):
        x = _conv(x, layer(name), 1, 1, groups=1)
    return x


_SLOW = {"caffenet": _slow_caffenet, "alexnet": _slow_alexnet}


@pytest.fixture(scope="module", params=networks.NAMES)
def model(request):
    """A network with random kernels and biases."""
    model = networks.build(request.param)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(rng.normal(size=layer.bias.shape))
    return model


def _image(height, width, batch=1):
    rng = np.random.default_rng(height)
    return rng.uniform(-120, 150, (batch, height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(67, 90), (64, 33), (100, 81)])
def test_parity_with_tensorflow(model, size):
    image = _image(*size)
    expected = _SLOW[model.name](model, tf.constant(image)).numpy()
    found = model(image).numpy()
    assert found.shape == expected.shape
    assert expected.std() > 0
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-4 * expected.max()
    )


@pytest.mark.parametrize(
    ("size", "cells"), [(600, 39), (800, 51), (1000, 64), (562, 36)]
)
def test_sizes_of_fast_rcnn(model, size, cells):
    assert model(_image(size, 16)).shape == (1, cells, 2, 256)
    assert model(_image(16, size)).shape == (1, 2, cells, 256)


@pytest.mark.parametrize("size", [1, 2, 15, 17, 21, 25, 29, 33, 37, 70, 71])
def test_sizes_are_caffes(model, size):
    assert model(_image(size, size)).shape[1] == _pooled_sizes(size)[-1]


def test_known_sizes_of_caffes_arithmetic():
    assert _pooled_sizes(600) == (150, 76, 39)
    assert _pooled_sizes(1000) == (250, 126, 64)
    assert _pooled_sizes(800) == (200, 101, 51)


def test_cells_are_centred_on_multiples_of_sixteen(model):
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
