"""Features of frames' proposals: feature maps, max-pooled in each box.

Source: paper, Sec. 3.1 (the base visual network) and Sec. 4; Girshick, "Fast
R-CNN", ICCV 2015.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import keras
import numpy as np

from fast_rcnn_features import networks
from fast_rcnn_features.preprocessing import prepare_image
from fast_rcnn_features.roi_pooling import roi_max_pool

# Frames in a call of the network: on a processor more are no faster, and of
# CaffeNet each takes 0.07 GB.
_CPU_FRAMES = 2


class RegionFeatures:
    """Computes the features of boxes in frames.

    Args:
        network: Name of a network of `networks.get`.
        weights: `.caffemodel` or `.npz` file for CaffeNet and AlexNet; for a
            backbone of keras.applications a file of its weights without the
            top, or `imagenet`, which Keras fetches; None for random weights.
        short_side_px: Frames are scaled to this shorter side,
        long_side_px: unless their longer side would pass this one.
        seed: Decides the random weights.
        num_bins: Bins along each side of a box.

    Attributes:
        size: Features of a box.

    Raises:
        FileNotFoundError: `weights` is not there.
        ValueError: `network` is unknown, or `weights` does not fit it.
    """

    def __init__(
        self,
        network: str,
        weights: str | os.PathLike[str] | None = None,
        short_side_px: int = 600,
        long_side_px: int = 1000,
        seed: int = 0,
        num_bins: int = 6,
    ):
        self._network = network
        self._num_bins = num_bins
        self.size = region_size(network, num_bins)
        self._short_side_px = short_side_px
        self._long_side_px = long_side_px
        model = networks.build(network, seed, weights)
        # TensorFlow's XLA would compile again for each size of frames, and JAX
        # without it would not compile at all.
        model.jit_compile = keras.backend.backend() == "jax"
        self._model = model
        devices = keras.distribution.list_devices()
        self._on_cpu = all(name.startswith("cpu") for name in devices)
        self._lock = threading.Lock()

    def __call__(
        self, images_rgb: Sequence[np.ndarray], boxes: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Computes the features of the boxes of frames of one size.

        Args:
            images_rgb: uint8 [H, W, 3] each.
            boxes: [R, 4] for each frame, `[x1, y1, x2, y2]` in pixels of the
                frame, 0-based and inclusive.

        Returns:
            float32 [R, size] for each frame: for each box the channels, each
            with its rows of columns of bins, the order of CaffeNet's fc6.

        Raises:
            ValueError: for other shapes or types.
        """
        found = [np.zeros((0, self.size), np.float32) for _ in boxes]
        wanted = [index for index, rows in enumerate(boxes) if len(rows)]
        step = _CPU_FRAMES if self._on_cpu else max(1, len(wanted))
        for start in range(0, len(wanted), step):
            part = wanted[start : start + step]
            frames = [images_rgb[index] for index in part]
            described = self._describe(frames, [boxes[index] for index in part])
            for index, features in zip(part, described, strict=True):
                found[index] = features
        return found

    def _describe(
        self, images_rgb: list[np.ndarray], boxes: list[np.ndarray]
    ) -> list[np.ndarray]:
        """Describes frames in one call; each has boxes."""
        sides_px = self._short_side_px, self._long_side_px
        prepared = [
            prepare_image(image_rgb, self._network, *sides_px)
            for image_rgb in images_rgb
        ]
        images = np.stack([image for image, _ in prepared])
        scale = prepared[0][1]
        with self._lock:  # Keras' models serve one thread at a time.
            feature_maps = self._model.predict_on_batch(images)  # [F, h, w, D]
        stride_px = networks.get(self._network).stride_px
        found = []
        for feature_map, rows in zip(feature_maps, boxes, strict=True):
            pooled = roi_max_pool(
                feature_map,
                rows.astype(np.float64) * scale,
                1 / stride_px,
                self._num_bins,
            )  # [R, P, P, D]
            channel_major = pooled.transpose(0, 3, 1, 2)
            found.append(channel_major.reshape(len(pooled), self.size))
        return found


def region_size(network: str, num_bins: int) -> int:
    """Features of a box: 9216 of CaffeNet with the paper's 6 x 6 bins."""
    return networks.get(network).channels * num_bins**2
