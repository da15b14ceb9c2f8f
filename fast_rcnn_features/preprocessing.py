"""From a decoded frame to the input of a convolution network.

Source: Fast R-CNN, lib/fast_rcnn/test.py (`_get_image_blob`) and
lib/fast_rcnn/config.py, with one scale, as at test time.
"""

from __future__ import annotations

import cv2
import numpy as np

# Fast R-CNN's PIXEL_MEANS, in the order blue, green, red.
_CAFFENET_MEAN_BGR = np.array([102.9801, 115.9465, 122.7717], np.float32)
# torchvision's ImageNet statistics, of RGB values in [0, 1].
_ALEXNET_MEAN_RGB = np.array([0.485, 0.456, 0.406], np.float32)
_ALEXNET_STD_RGB = np.array([0.229, 0.224, 0.225], np.float32)


def prepare_image(
    image_rgb: np.ndarray,
    network: str,
    short_side_px: int = 600,
    long_side_px: int = 1000,
) -> tuple[np.ndarray, float]:
    """Normalizes and then resizes a frame as the network was trained.

    Args:
        image_rgb: uint8 [H, W, 3], else a ValueError.
        network: `"caffenet"` (BGR, mean subtracted) or `"alexnet"` (RGB,
            standardized).
        short_side_px: Wanted length of the shorter side.
        long_side_px: Limit of the longer side, which goes first.

    Returns:
        float32 [h, w, 3], and the factor from pixels of the frame to pixels
        of the result, the same for both sides.
    """
    check_image(image_rgb)
    if network == "caffenet":
        image = image_rgb[..., ::-1].astype(np.float32) - _CAFFENET_MEAN_BGR
    else:
        image = image_rgb.astype(np.float32) / 255
        image = (image - _ALEXNET_MEAN_RGB) / _ALEXNET_STD_RGB
    short_side, long_side = sorted(image.shape[:2])
    scale = short_side_px / short_side
    if round(scale * long_side) > long_side_px:
        scale = long_side_px / long_side
    # After the normalization, and by factor instead of by size, as in Fast
    # R-CNN: both change the interpolated values.
    image = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR
    )
    return image, scale


def check_image(image_rgb: np.ndarray) -> None:
    """Raises ValueError if `image_rgb` is not uint8 [H, W, 3]."""
    if image_rgb.dtype != np.uint8 or image_rgb.shape[2:] != (3,):
        raise ValueError(
            "Expected image_rgb as uint8 [H, W, 3], received "
            f"{image_rgb.dtype} {list(image_rgb.shape)}."
        )
