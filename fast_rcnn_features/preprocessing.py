"""From a decoded frame to the input of a convolution network.

Source: Fast R-CNN, lib/fast_rcnn/test.py (`_get_image_blob`) and
lib/fast_rcnn/config.py, with one scale, as at test time.
"""

from __future__ import annotations

import cv2
import numpy as np

from fast_rcnn_features import networks


def prepare_image(
    image_rgb: np.ndarray,
    network: str,
    short_side_px: int = 600,
    long_side_px: int = 1000,
) -> tuple[np.ndarray, float]:
    """Normalizes and then resizes a frame as the network was trained.

    Args:
        image_rgb: uint8 [H, W, 3], else a ValueError.
        network: Name of a network of `networks.get`, whose normalization is
            applied.
        short_side_px: Wanted length of the shorter side.
        long_side_px: Limit of the longer side, which goes first.

    Returns:
        float32 [h, w, 3], filled up with zeros at the right and at the bottom
        to the multiple that the network asks for; and the factor from pixels
        of the frame to pixels of the result, the same for both sides.
    """
    check_image(image_rgb)
    image = networks.get(network).normalize(image_rgb)
    short_side, long_side = sorted(image.shape[:2])
    scale = short_side_px / short_side
    if round(scale * long_side) > long_side_px:
        scale = long_side_px / long_side
    # After the normalization, and by factor instead of by size, as in Fast
    # R-CNN: both change the interpolated values.
    image = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR
    )
    multiple_px = networks.get(network).multiple_px
    missing = [-side % multiple_px for side in image.shape[:2]]
    if any(missing):
        image = np.pad(image, [*((0, count) for count in missing), (0, 0)])
    return image, scale


def check_image(image_rgb: np.ndarray) -> None:
    """Raises ValueError if `image_rgb` is not uint8 [H, W, 3]."""
    if image_rgb.dtype != np.uint8 or image_rgb.shape[2:] != (3,):
        raise ValueError(
            "Expected image_rgb as uint8 [H, W, 3], received "
            f"{image_rgb.dtype} {list(image_rgb.shape)}."
        )
