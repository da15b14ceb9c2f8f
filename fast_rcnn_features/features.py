"""Features of a frame's proposals: its feature map, max-pooled in each box.

Source: paper, Sec. 3.1 (the base visual network) and Sec. 4; Girshick, "Fast
R-CNN", ICCV 2015.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import tensorflow as tf

from fast_rcnn_features import networks
from fast_rcnn_features.preprocessing import prepare_image
from fast_rcnn_features.roi_pooling import roi_max_pool
from fast_rcnn_features.weights import load_conv_weights


class RegionFeatures:
    """Computes the features of boxes in a frame.

    Args:
        network: `"caffenet"` (the paper's) or `"alexnet"`.
        weights: `.caffemodel` or `.npz` file for the network, or None for
            random weights.
        short_side_px: Frames are scaled to this shorter side,
        long_side_px: unless their longer side would pass this one.
        seed: Decides the random weights.

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
    ):
        self._network = network
        self._short_side_px = short_side_px
        self._long_side_px = long_side_px
        model = networks.build(network, seed)
        if weights is not None:
            load_conv_weights(model, weights)
        # One trace serves frames of any size.
        self._feature_maps = tf.function(
            functools.partial(model, training=False),
            input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
        )

    def __call__(self, image_rgb: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Computes the features of one frame's boxes.

        Args:
            image_rgb: uint8 [H, W, 3].
            boxes: [R, 4], `[x1, y1, x2, y2]` in pixels of the frame, 0-based
                and inclusive.

        Returns:
            float32 [R, 9216]: for each box 256 channels of 6 rows of 6 columns,
            the order of CaffeNet's fc6.

        Raises:
            ValueError: `image_rgb` is not uint8 [H, W, 3], or `boxes` is not
                [R, 4].
        """
        if not len(boxes):
            return np.zeros((0, networks.NUM_FEATURES), np.float32)
        image, scale = prepare_image(
            image_rgb, self._network, self._short_side_px, self._long_side_px
        )
        feature_map = self._feature_maps(image[None])[0].numpy()  # [h, w, D]
        pooled = roi_max_pool(
            feature_map,
            boxes.astype(np.float64) * scale,
            1 / networks.FEATURE_STRIDE_PX,
            networks.NUM_BINS,
        )  # [R, 6, 6, D]
        return pooled.transpose(0, 3, 1, 2).reshape(len(boxes), -1)
