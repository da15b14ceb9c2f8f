"""Tests of the preparation of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fast_rcnn_features.preprocessing import prepare_image


@pytest.mark.parametrize(
    ("size", "prepared", "expected_scale"),
    [
        ((480, 640), (600, 800), 600 / 480),  # 4:3.
        ((360, 640), (562, 1000), 1000 / 640),  # 16:9 meets the limit.
        ((1280, 720), (1000, 562), 1000 / 1280),
        ((600, 1000), (600, 1000), 1),
        ((1200, 1600), (600, 800), 0.5),
        ((1, 1), (600, 600), 600),
        # 600 / 1199 * 1999 = 1000.33 rounds to 1000: no second limit.
        ((1199, 1999), (600, 1000), 600 / 1199),
        # 600 / 1198 * 1999 = 1001.17.
        ((1198, 1999), (599, 1000), 1000 / 1999),
    ],
)
def test_sizes(size, prepared, expected_scale):
    image, scale = prepare_image(np.zeros((*size, 3), np.uint8), "caffenet")
    assert image.shape == (*prepared, 3)
    assert image.dtype == np.float32
    assert scale == expected_scale


def test_alexnet_pixels_are_standardized_red_green_blue():
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:] = [255, 102, 0]
    image, _ = prepare_image(frame, "alexnet", 2, 2)
    expected = [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(image[0, 0], expected, rtol=1e-5)


def test_caffenet_parity_with_fast_rcnn():
    """The order of steps of Fast R-CNN: float, mean, resize by factor."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (77, 123, 3)).astype(np.uint8)
    image, scale = prepare_image(frame, "caffenet", 100, 140)
    expected = frame[:, :, ::-1].astype(np.float32)
    expected -= np.array([102.9801, 115.9465, 122.7717], np.float32)
    expected = cv2.resize(
        expected, None, fx=140 / 123, fy=140 / 123, interpolation=1
    )
    assert scale == 140 / 123
    np.testing.assert_array_equal(image, expected)
