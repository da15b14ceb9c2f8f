"""Tests of the preparation of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fast_rcnn_features.preprocessing import image_scale, prepare_image


@pytest.mark.parametrize(
    ("height", "width", "prepared"),
    [
        (480, 640, (600, 800)),  # 4:3.
        (360, 640, (562, 1000)),  # 16:9 meets the limit of the long side.
        (1280, 720, (1000, 562)),
        (600, 1000, (600, 1000)),
        (300, 500, (600, 1000)),
        (1200, 1600, (600, 800)),
        (1, 1, (600, 600)),
    ],
)
def test_sizes(height, width, prepared):
    image, scale = prepare_image(
        np.zeros((height, width, 3), np.uint8), "caffenet"
    )
    assert image.shape == (*prepared, 3)
    assert image.dtype == np.float32
    assert scale == pytest.approx(max(prepared) / max(height, width))


def test_scale_keeps_a_long_side_that_rounds_to_the_limit():
    """600 / 1199 * 1999 = 1000.33 rounds to 1000: no second limit."""
    assert image_scale((1199, 1999), 600, 1000) == 600 / 1199
    # 600 / 1198 * 1999 = 1001.17.
    assert image_scale((1198, 1999), 600, 1000) == 1000 / 1999


def test_sides_are_parameters():
    image, scale = prepare_image(
        np.zeros((100, 200, 3), np.uint8), "alexnet", 50, 80
    )
    assert image.shape == (40, 80, 3)
    assert scale == 0.4


def test_caffenet_pixels_are_blue_green_red_less_mean():
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:] = [200, 100, 50]
    image, _ = prepare_image(frame, "caffenet", 2, 2)
    np.testing.assert_allclose(
        image[0, 0], [50 - 102.9801, 100 - 115.9465, 200 - 122.7717], rtol=1e-6
    )


def test_alexnet_pixels_are_standardized_red_green_blue():
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:] = [255, 102, 0]
    image, _ = prepare_image(frame, "alexnet", 2, 2)
    expected = [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(image[0, 0], expected, rtol=1e-5)


def test_parity_with_fast_rcnn():
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


def test_unknown_network():
    with pytest.raises(ValueError, match=r"alexnet.*caffenet.*'vgg'"):
        prepare_image(np.zeros((9, 9, 3), np.uint8), "vgg")


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9, 3), np.float32),
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((1, 9, 9, 3), np.uint8),
    ],
)
def test_wrong_image(image):
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\], received"):
        prepare_image(image, "caffenet")
