"""Parity of CaffeNet, weights file included, with OpenCV's Caffe importer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights
from tests.fast_rcnn_features.caffemodel_files import caffemodel_bytes

_KERNEL_SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
}

_POOL = "pooling_param { pool: MAX kernel_size: 3 pad: 1 stride: 2 }"
_LRN = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"


def _conv(parameters):
    return f"convolution_param {{ {parameters} }}"


# Up to conv5 of Fast R-CNN's models/CaffeNet/test.prototxt.
_LAYERS = (
    (
        "conv1",
        "Convolution",
        _conv("num_output: 96 kernel_size: 11 pad: 5 stride: 4"),
    ),
    ("relu1", "ReLU", ""),
    ("pool1", "Pooling", _POOL),
    ("norm1", "LRN", _LRN),
    (
        "conv2",
        "Convolution",
        _conv("num_output: 256 kernel_size: 5 pad: 2 group: 2"),
    ),
    ("relu2", "ReLU", ""),
    ("pool2", "Pooling", _POOL),
    ("norm2", "LRN", _LRN),
    ("conv3", "Convolution", _conv("num_output: 384 kernel_size: 3 pad: 1")),
    ("relu3", "ReLU", ""),
    (
        "conv4",
        "Convolution",
        _conv("num_output: 384 kernel_size: 3 pad: 1 group: 2"),
    ),
    ("relu4", "ReLU", ""),
    (
        "conv5",
        "Convolution",
        _conv("num_output: 256 kernel_size: 3 pad: 1 group: 2"),
    ),
    ("relu5", "ReLU", ""),
)


def _prototxt(height, width):
    lines = ['input: "data"']
    lines += [f"input_dim: {size}" for size in (1, 3, height, width)]
    bottom = "data"
    for name, kind, parameters in _LAYERS:
        lines.append(
            f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" '
            f'top: "{name}" {parameters} }}'
        )
        bottom = name
    return "\n".join(lines)


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("size", [(113, 118), (66, 139)])
def test_parity_with_opencvs_caffe(tmp_path, old_format, size):
    rng = np.random.default_rng(0)
    layers = {
        name: (
            "Convolution",
            [
                rng.normal(size=s) * np.sqrt(2 / np.prod(s[1:])),
                rng.normal(size=s[0]),
            ],
        )
        for name, s in _KERNEL_SHAPES.items()
    }
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(caffemodel_bytes(layers, old_format=old_format))
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(_prototxt(*size))
    image = rng.uniform(-120, 150, (1, *size, 3)).astype(np.float32)

    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
    net.setInput(image.transpose(0, 3, 1, 2))
    expected = net.forward().transpose(0, 2, 3, 1)
    model = networks.build("caffenet")
    load_conv_weights(model, weights)
    found = model(image).numpy()

    assert found.shape == expected.shape
    np.testing.assert_allclose(
        found, expected, rtol=1e-3, atol=1e-3 * expected.max()
    )
