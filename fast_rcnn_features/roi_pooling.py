"""RoI max pooling: features of one size from boxes of any size.

Source: Girshick, "Fast R-CNN", ICCV 2015, Sec. 2.1, with the arithmetic of its
roi_pooling_layer.cpp, which torchvision.ops.roi_pool shares.
"""

from __future__ import annotations

import numpy as np


def roi_max_pool(
    feature_map: np.ndarray,
    boxes: np.ndarray,
    spatial_scale: float = 1 / 16,
    output_size: int = 6,
) -> np.ndarray:
    """Divides every box into bins and takes the maximum of each bin.

    Box corners are rounded to cells of the feature map, half away from zero,
    and belong to the box. A box has at least one cell on each side. Bins
    overlap where the cells do not divide evenly, and are cut at the border of
    the map; a bin with no cell left is 0.

    Args:
        feature_map: float [H, W, D].
        boxes: [R, 4], `[x1, y1, x2, y2]` in pixels of the network's input,
            inclusive.
        spatial_scale: Feature map cells per pixel.
        output_size: Bins along each side, P.

    Returns:
        [R, P, P, D], rows first, of the type of `feature_map`.

    Raises:
        ValueError: The shape of an argument is not as expected.
    """
    if feature_map.ndim != 3:
        raise ValueError(
            "Expected feature_map of shape [H, W, D], received "
            f"{list(feature_map.shape)}."
        )
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"Expected boxes of shape [R, 4], received {list(boxes.shape)}."
        )
    height, width, depth = feature_map.shape
    corners = boxes.T.astype(np.float32) * np.float32(spatial_scale)  # [4, R]
    corners = corners.astype(np.float64)
    # np.round would round half to even.
    x1, y1, x2, y2 = np.trunc(corners + np.copysign(0.5, corners))
    top, bottom = _bin_edges(y1, y2, height, output_size)  # [R, P]
    left, right = _bin_edges(x1, x2, width, output_size)
    cells = feature_map.reshape(-1, depth)  # [H * W, D]
    shape = (len(boxes), output_size, output_size, depth)
    pooled = np.full(shape, -np.inf, feature_map.dtype)
    values = np.empty_like(pooled)
    # One step for each place in the largest bin. Smaller bins repeat their
    # last row or column, which leaves a maximum as it is.
    extent = (np.max(bottom - top, initial=0), np.max(right - left, initial=0))
    for dy, dx in np.ndindex(extent):
        y = np.minimum(top + dy, bottom - 1)
        x = np.minimum(left + dx, right - 1)
        index = y[:, :, None] * width + x[:, None, :]  # [R, P, P]
        # mode="clip": empty bins may point outside of the map.
        np.take(cells, index, axis=0, mode="clip", out=values)
        np.maximum(pooled, values, out=pooled)
    pooled[(top >= bottom)[:, :, None] | (left >= right)[:, None, :]] = 0
    return pooled


def _bin_edges(
    first: np.ndarray, last: np.ndarray, size: int, output_size: int
) -> np.ndarray:
    """First cell and cell after the last of every bin along one side.

    Of the first and last cells of each box, [R]; [2, R, P] in [0, size].
    """
    num_cells = np.maximum(last - first + 1, 1)
    # In float32 like the original, whose bins depend on it: 57 cells in 7
    # bins reach cell 58.
    bin_size = np.float32(num_cells)[:, None] / np.float32(output_size)
    bins = np.arange(output_size, dtype=np.float32)
    start = first[:, None] + np.floor(bins * bin_size)
    stop = first[:, None] + np.ceil((bins + 1) * bin_size)
    return np.clip([start, stop], 0, size).astype(np.intp)
