"""Edge maps, the input of EdgeBoxes.

An edge source maps an RGB frame to thinned edge magnitudes in [0, 1] and edge
orientations in radians, both float32 [H, W]. An orientation is the direction
across the edge (the gradient's), modulo pi, with y pointing down.

Sources: Dollar and Zitnick, "Fast edge detection using structured forests",
PAMI 2015; pdollar/edges, edgeBoxesImg.m; OpenCV contrib, ximgproc.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib

import cv2
import numpy as np

_SMOOTHING_RADIUS_PX = 4
# Of a forest: the published one has options up to 32 and 16 MB.
_MAX_OPTION = 64
_MAX_FOREST_BYTES = 1 << 28
_EDGES = ("edgeBoundaries", "edgeBins")


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
        except (cv2.error, OSError, EOFError, ValueError, zlib.error) as error:
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
    """Raises ValueError for numbers that OpenCV uses unchecked."""
    storage = cv2.FileStorage()
    storage.open(path, cv2.FILE_STORAGE_READ)
    node = storage.getNode("options")
    if not node.isMap():
        raise ValueError("it has no entry 'options'")
    options = {key: node.getNode(key).real() for key in node.keys()}  # noqa: SIM118
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
        if not 0 < options.get(key, 0) <= _MAX_OPTION:
            raise ValueError(f"option {key} is not in (0, {_MAX_OPTION}]")
    if not all(0 <= value <= _MAX_OPTION for value in options.values()):
        raise ValueError(f"an option is not in [0, {_MAX_OPTION}]")
    num_trees = int(options["numberOfTrees"])
    patch, inner = options["patchSize"], options["patchInnerSize"]
    shrink, grid = options["shrinkNumber"], options["selfsimilarityGridSize"]
    if patch % shrink or options["stride"] % shrink or inner > patch:
        raise ValueError("its sizes of patches do not fit together")
    # As in OpenCV's predictEdges: features of a patch, then pairs of cells.
    num_channels = 2 * (options["numberOfGradientOrientations"] + 1) + 3
    num_features = num_channels * (
        (patch / shrink) ** 2 + grid**2 * (grid**2 - 1) / 2
    )
    trees = _read_trees(path, num_trees)
    sizes = {len(tree) for tree in trees["childs"]}
    if len(sizes) > 1:
        raise ValueError("its trees are not of one size")
    childs = np.stack(trees.pop("childs"))  # [trees, nodes]
    tables = {key: np.concatenate(table) for key, table in trees.items()}
    boundaries, bins = tables["edgeBoundaries"], tables["edgeBins"]
    # A node's children, child - 1 and child, lie behind it: no way is endless.
    is_leaf, nodes = childs == 0, np.arange(childs.shape[1])
    is_child = (childs - 1 > nodes) & (childs < childs.shape[1])
    for key, fits in {
        "childs": (is_leaf | is_child).all(),
        "featureIds": len(tables["featureIds"]) == childs.size
        and _lie_within(tables["featureIds"], num_features),
        "thresholds": len(tables["thresholds"]) == childs.size
        and np.isfinite(tables["thresholds"]).all(),
        "edgeBoundaries": len(boundaries) > childs.size
        and boundaries[0] >= 0
        and (np.diff(boundaries) >= 0).all()
        and boundaries[-1] <= len(bins),
        "edgeBins": _lie_within(bins, inner**2),
    }.items():
        if not fits:
            raise ValueError(f"{key} has numbers that fit no such forest")


def _lie_within(values: np.ndarray, stop: float) -> bool:
    return bool(((values >= 0) & (values < stop)).all())


def _read_trees(path: str, num_trees: int) -> dict[str, list[np.ndarray]]:
    """The forest's tables, tree by tree; OpenCV's nodes would take a minute."""
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(_MAX_FOREST_BYTES)
    text = content.decode("ascii")
    tables = {}
    for key in ("childs", "featureIds", "thresholds", *_EDGES):
        _, _, rest = text.partition(f"\n{key}:")
        table = re.match(r"(\s*-\s*\[[^\]]*\])*", rest)[0]
        trees = re.findall(r"\[([^\]]*)\]", table)
        if len(trees) != num_trees:
            raise ValueError(f"{key} does not hold {num_trees} trees")
        tables[key] = [np.array(tree.split(","), np.float64) for tree in trees]
    return tables
