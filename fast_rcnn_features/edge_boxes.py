"""EdgeBoxes: boxes that wholly contain many edge contours of a frame.

Source: Zitnick and Dollar, "Edge Boxes: locating object proposals from edges",
ECCV 2014, through its port in OpenCV contrib (paper, Sec. 4: 10 proposals from
every frame).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading

import cv2
import numpy as np

from fast_rcnn_features.edges import StructuredForest, gradient_edges
from fast_rcnn_features.preprocessing import check_image

EDGE_SOURCES = ("gradient", "structured_forest")

# The structured forest fails on smaller images.
_MIN_SIDE_PX = 15

# Edges of 1080p need 0.3 GB: those of frames of this size and more are detected
# one after the other, and what each thread keeps in its pool is returned.
_LARGE_PX = 1_000_000
_one_at_a_time = threading.Lock()

_NO_BOXES = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)


class EdgeBoxes:
    """Finds the highest-scoring edge boxes of a frame.

    The parameters other than `max_boxes` are OpenCV's defaults, which are the
    published ones. An instance can be pickled into a worker.

    Args:
        edges: `"structured_forest"` (as in the paper) or `"gradient"`.
        max_boxes: The most boxes to keep for a frame.
        forest_path: Forest file for `"structured_forest"`, else None.

    Raises:
        FileNotFoundError: `forest_path` is not there.
        ValueError: An argument, or the forest file, is not as expected.
    """

    def __init__(
        self,
        edges: str = "gradient",
        max_boxes: int = 10,
        forest_path: str | os.PathLike[str] | None = None,
    ):
        if edges not in EDGE_SOURCES:
            raise ValueError(
                f"Expected edges to be one of {EDGE_SOURCES}, received "
                f"{edges!r}."
            )
        if (edges == "structured_forest") != (forest_path is not None):
            raise ValueError(
                "Expected forest_path with edges='structured_forest' and only "
                f"with it, received {edges=} and {forest_path=}."
            )
        if max_boxes < 1:
            raise ValueError(f"Expected max_boxes >= 1, received {max_boxes}.")
        self._max_boxes = max_boxes
        self._detect_edges = gradient_edges
        if forest_path is not None:
            self._detect_edges = StructuredForest(forest_path)

    def __call__(self, image_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds the boxes of one frame.

        Args:
            image_rgb: uint8 [H, W, 3], else a ValueError.

        Returns:
            Boxes float32 [R, 4], `[x1, y1, x2, y2]` in pixels, 0-based and
            inclusive, and scores float32 [R], descending; 0 <= R <= max_boxes.
            A frame without edges, or with a side under 15 px, has no boxes.
        """
        check_image(image_rgb)
        if min(image_rgb.shape[:2]) < _MIN_SIDE_PX:
            return _NO_BOXES
        if image_rgb[..., 0].size < _LARGE_PX:
            return self._search(*self._detect_edges(image_rgb))
        with _one_at_a_time:
            found = self._detect_edges(image_rgb)
            _return_freed_memory()
        boxes = self._search(*found)
        _return_freed_memory()
        return boxes

    def _search(
        self, edges: np.ndarray, orientation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        # A new object each time: OpenCV's keeps state from the image before.
        search = cv2.ximgproc.createEdgeBoxes(maxBoxes=self._max_boxes)
        rectangles, scores = search.getBoundingBoxes(edges, orientation)
        if scores is None:
            return _NO_BOXES
        # They are [x, y, w, h] with 1-based x, y, and w is x2 - x1, where x2
        # is the last pixel inside the box (edgeBoxesMex.cpp and its port).
        first = rectangles[:, :2] - 1
        boxes = np.hstack([first, first + rectangles[:, 2:]])
        return boxes.astype(np.float32), scores.ravel()


def _return_freed_memory() -> None:
    """Returns to the system what glibc would keep; other libraries keep it."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
