"""Edge maps, the input of EdgeBoxes.

An edge source maps an RGB frame to thinned edge magnitudes in [0, 1] and edge
orientations in radians, both float32 [H, W]. An orientation is the direction
across the edge (the gradient's), modulo pi, with y pointing down.

Sources: Dollar and Zitnick, "Fast edge detection using structured forests",
PAMI 2015; pdollar/edges, edgeBoxesImg.m; OpenCV contrib, ximgproc.
"""

from __future__ import annotations

import os

import cv2
import numpy as np

_SMOOTHING_RADIUS_PX = 4


def gradient_edges(image_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Takes the smoothed image gradient as edges; needs no model file.

    The magnitude is the alternative given in edgeBoxesImg.m (triangle filter of
    radius 4, strongest color channel, divided by its maximum); it finds fewer
    objects than the structured forest.

    Of uint8 [H, W, 3] it gives thinned edges in [0, 1] and orientations in
    [0, pi), float32 [H, W].
    """
    box = np.full(_SMOOTHING_RADIUS_PX + 1, 1 / (_SMOOTHING_RADIUS_PX + 1))
    triangle = np.convolve(box, box)
    smooth = cv2.sepFilter2D(
        image_rgb, cv2.CV_32F, triangle, triangle, borderType=cv2.BORDER_REFLECT
    )
    dx, dy = (
        cv2.Sobel(smooth, -1, *order, ksize=1, borderType=cv2.BORDER_REPLICATE)
        for order in ((1, 0), (0, 1))
    )  # [H, W, 3]
    strongest = np.argmax(dx**2 + dy**2, axis=-1, keepdims=True)
    dx = np.take_along_axis(dx, strongest, axis=-1)[..., 0]  # [H, W]
    dy = np.take_along_axis(dy, strongest, axis=-1)[..., 0]
    magnitude = np.hypot(dx, dy)
    magnitude /= max(magnitude.max(), np.finfo(np.float32).tiny)
    orientation = np.mod(np.arctan2(dy, dx), np.float32(np.pi))
    return thin(magnitude, orientation), orientation


def thin(magnitude: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Keeps an edge pixel only where it is the maximum across its edge.

    The same rule as edgesNms of OpenCV and pdollar/edges with r=2, s=0, m=1:
    a pixel is set to 0 if the bilinearly interpolated magnitude 1 or 2 px away
    on either side is larger. All arrays are float32 [H, W].
    """
    height, width = magnitude.shape
    x_px = np.arange(width, dtype=np.float32)
    y_px = np.arange(height, dtype=np.float32)[:, None]
    across_x, across_y = np.cos(orientation), np.sin(orientation)
    is_maximum = np.ones(magnitude.shape, dtype=bool)
    for distance in (-2, -1, 1, 2):
        is_maximum &= magnitude >= cv2.remap(
            magnitude,
            x_px + distance * across_x,
            y_px + distance * across_y,
            interpolation=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return np.where(is_maximum, magnitude, np.float32(0))


class StructuredForest:
    """Edges from a structured forest in OpenCV's format, as in the paper.

    OpenCV has the first version of the detector: no sharpening, and
    orientations from Sobel derivatives (docs/differences.md).

    Raises:
        FileNotFoundError: `forest_path` (`model.yml.gz`) is not there.
        ValueError: `forest_path` does not hold a structured forest.
    """

    def __init__(self, forest_path: str | os.PathLike[str]):
        self._path = path = os.fspath(forest_path)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                "Expected forest_path of a structured edge forest, received "
                f"{path!r}, which is not there. edges='gradient' needs none."
            )
        try:
            _check_forest(path)
            self._detector = cv2.ximgproc.createStructuredEdgeDetection(path)
        except (cv2.error, ValueError) as error:
            raise ValueError(
                "Expected forest_path of a structured edge forest in OpenCV's "
                f"format, received {path!r}: {error}"
            ) from error

    def __reduce__(self):
        # OpenCV's detector cannot be pickled: a worker process reads its own.
        return StructuredForest, (self._path,)

    def __call__(self, image_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Detects edges; arguments and results as for `gradient_edges`.

        OpenCV raises cv2.error for a side of 14 px or less.
        """
        image = image_rgb.astype(np.float32) / 255
        magnitude = self._detector.detectEdges(image)
        orientation = self._detector.computeOrientation(magnitude)
        return self._detector.edgesNms(magnitude, orientation), orientation


def _check_forest(path: str) -> None:
    """Raises ValueError for sizes that OpenCV divides by unchecked."""
    storage = cv2.FileStorage()
    storage.open(path, cv2.FILE_STORAGE_READ)
    options = storage.getNode("options")
    if not options.isMap():
        raise ValueError("it has no entry 'options'")
    for key in (
        "stride",
        "shrinkNumber",
        "patchSize",
        "patchInnerSize",
        "numberOfGradientOrientations",
        "selfsimilarityGridSize",
        "numberOfTrees",
        "numberOfTreesToEvaluate",
    ):
        if not options.getNode(key).real() > 0:
            raise ValueError(f"option {key} is not positive")
    num_trees = options.getNode("numberOfTrees").real()
    tables = ("childs", "featureIds", "thresholds")
    for key in (*tables, "edgeBoundaries", "edgeBins"):
        if storage.getNode(key).size() != num_trees:
            raise ValueError(f"{key} does not hold {num_trees:.0f} trees")
