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
        image_rgb: uint8 [H, W, 3].
        network: `"caffenet"` (BGR, mean subtracted) or `"alexnet"` (RGB,
            standardized).
        short_side_px: Wanted length of the shorter side.
        long_side_px: Limit of the longer side, which goes first.

    Returns:
        float32 [h, w, 3], and the factor from pixels of the frame to pixels
        of the result.

    Raises:
        ValueError: `network` is unknown, or `image_rgb` is not uint8 [H, W, 3].
    """
    if network not in _NORMALIZERS:
        raise ValueError(
            f"Expected network to be one of {sorted(_NORMALIZERS)}, received "
            f"{network!r}."
        )
    check_image(image_rgb)
    scale = image_scale(image_rgb.shape[:2], short_side_px, long_side_px)
    # Before the resize, and by factor instead of by size, as in Fast R-CNN:
    # both change the interpolated values.
    image = cv2.resize(
        _NORMALIZERS[network](image_rgb),
        dsize=None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_LINEAR,
    )
    return image, scale


def image_scale(
    size_px: tuple[int, int], short_side_px: int, long_side_px: int
) -> float:
    """Factor that brings the shorter side to its length, the longer in limits.

    Args:
        size_px: Height and width of the frame.
        short_side_px: Wanted length of the shorter side.
        long_side_px: Limit of the longer side.

    Returns:
        The factor, the same for both sides.
    """
    scale = short_side_px / min(size_px)
    if round(scale * max(size_px)) > long_side_px:
        scale = long_side_px / max(size_px)
    return scale


def check_image(image_rgb: np.ndarray) -> None:
    """Raises ValueError if `image_rgb` is not uint8 [H, W, 3]."""
    if image_rgb.dtype != np.uint8 or image_rgb.shape[2:] != (3,):
        raise ValueError(
            "Expected image_rgb as uint8 [H, W, 3], received "
            f"{image_rgb.dtype} {list(image_rgb.shape)}."
        )


def _normalize_caffenet(image_rgb: np.ndarray) -> np.ndarray:
    return image_rgb[..., ::-1].astype(np.float32) - _CAFFENET_MEAN_BGR


def _normalize_alexnet(image_rgb: np.ndarray) -> np.ndarray:
    image = image_rgb.astype(np.float32) / 255
    return (image - _ALEXNET_MEAN_RGB) / _ALEXNET_STD_RGB


_NORMALIZERS = {
    "caffenet": _normalize_caffenet,
    "alexnet": _normalize_alexnet,
}
