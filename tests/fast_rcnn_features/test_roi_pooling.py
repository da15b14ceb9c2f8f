"""Tests of RoI max pooling: typed-out cases, and parity with slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fast_rcnn_features.roi_pooling import roi_max_pool


def _ramp(height, width):
    """Cell (y, x) holds 10 y + x; [height, width, 1]."""
    y, x = np.mgrid[:height, :width]
    return (10 * y + x)[..., None].astype(np.float32)


def _pool_one(feature_map, box, output_size):
    boxes = np.array([box], np.float32)
    return roi_max_pool(feature_map, boxes, 1.0, output_size)[0, ..., 0]


def _c_round(value):
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def _bins(first, last, scale, size, output_size):
    start, end = _c_round(first * scale), _c_round(last * scale)
    bin_size = np.float32(max(end - start + 1, 1)) / np.float32(output_size)
    for i in range(output_size):
        low = math.floor(np.float32(i) * bin_size) + start
        high = math.ceil(np.float32(i + 1) * bin_size) + start
        yield min(max(low, 0), size), min(max(high, 0), size)


def _slow_roi_max_pool(feature_map, boxes, scale, size):
    """Written from the Fast R-CNN layer, one output cell after another."""
    height, width, depth = feature_map.shape
    pooled = np.zeros((len(boxes), size, size, depth), feature_map.dtype)
    for r, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        for i, (top, bottom) in enumerate(_bins(y1, y2, scale, height, size)):
            for j, (left, right) in enumerate(
                _bins(x1, x2, scale, width, size)
            ):
                values = feature_map[top:bottom, left:right]
                if values.size:
                    pooled[r, i, j] = values.max(axis=(0, 1))
    return pooled


def test_even_bins():
    pooled = _pool_one(_ramp(8, 8), [0, 0, 3, 3], 2)
    np.testing.assert_array_equal(pooled, [[11, 13], [31, 33]])


def test_bins_overlap_where_cells_do_not_divide():
    """Five cells in two bins: cells 0 to 2 and 2 to 4."""
    pooled = _pool_one(-_ramp(8, 8), [0, 0, 4, 4], 2)
    np.testing.assert_array_equal(pooled, [[0, -2], [-20, -22]])


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [
        (0.5, 2.5, [2, 3]),  # Cells 1 to 3; half to even would give 0 to 2.
        (-0.5, 2.0, [0, 2]),  # Cells -1 to 2: bins -1 to 0 and 1 to 2.
        (1.49, 2.49, [1, 2]),
        (0.49999997, 0.49999997, [0, 0]),
    ],
)
def test_corners_round_half_away_from_zero(x1, x2, expected):
    pooled = _pool_one(_ramp(1, 8), [x1, 0, x2, 0], 2)
    np.testing.assert_array_equal(pooled[0], expected)


def test_small_and_inverted_boxes_have_one_cell():
    feature_map = _ramp(8, 8)
    for box in ([5, 4, 5, 4], [5, 4, 2, 1]):
        pooled = _pool_one(feature_map, box, 6)
        np.testing.assert_array_equal(pooled, np.full((6, 6), 45))


def test_bins_outside_the_map_are_zero():
    feature_map = _ramp(8, 8) - 100  # All negative, so that 0 stands out.
    pooled = _pool_one(feature_map, [4, 6, 11, 7], 2)
    np.testing.assert_array_equal(pooled, [[-33, 0], [-23, 0]])
    pooled = _pool_one(feature_map, [20, 20, 30, 30], 6)
    np.testing.assert_array_equal(pooled, np.zeros((6, 6)))


@pytest.mark.parametrize(("num_cells", "reaches"), [(57, True), (29, False)])
def test_bin_edges_are_computed_in_float32(num_cells, reaches):
    """The 7th bin of 57 cells ends at 58 in float32, at 57 in float64.

    For 29 cells it is the other way round: 29 in float32, 30 in float64.
    """
    feature_map = np.zeros((1, 60, 1), np.float32)
    feature_map[0, num_cells] = 9  # The cell after the box.
    pooled = _pool_one(feature_map, [0, 0, num_cells - 1, 0], 7)
    np.testing.assert_array_equal(pooled[0], [0, 0, 0, 0, 0, 0, 9 * reaches])


@pytest.mark.parametrize("spatial_scale", [1 / 16, 0.3])
@pytest.mark.parametrize("output_size", [1, 6, 7])
def test_parity_with_slow_loops(spatial_scale, output_size):
    rng = np.random.default_rng(1)
    feature_map = rng.normal(size=(13, 17, 3)).astype(np.float32)
    extent = np.array([17, 13, 17, 13]) / spatial_scale
    # Boxes inside, partly and wholly outside, inverted, and of one pixel.
    boxes = rng.uniform(-0.5, 1.5, size=(150, 4)) * extent
    boxes[:20, 2:] = boxes[:20, :2]
    boxes[20:40] = boxes[20:40].round()
    boxes = boxes.astype(np.float32)
    np.testing.assert_array_equal(
        roi_max_pool(feature_map, boxes, spatial_scale, output_size),
        _slow_roi_max_pool(feature_map, boxes, spatial_scale, output_size),
    )


def test_default_is_six_bins_of_sixteen_pixels():
    feature_map = _ramp(39, 64)
    boxes = np.array([[0, 0, 1023, 623], [160, 160, 250, 250]], np.float32)
    pooled = roi_max_pool(feature_map, boxes)
    assert pooled.shape == (2, 6, 6, 1)
    # Pixels 160 and 250 are cells 10 and 15.625, hence 16: 7 cells.
    np.testing.assert_array_equal(
        pooled[1, 0, :, 0], 110 + np.array([11, 12, 13, 14, 15, 16])
    )


def test_no_boxes():
    pooled = roi_max_pool(_ramp(8, 8), np.zeros((0, 4), np.float32))
    assert pooled.shape == (0, 6, 6, 1)
    assert pooled.dtype == np.float32


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"feature_map.*\[1, 8, 8, 1\]"):
        roi_max_pool(_ramp(8, 8)[None], np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"boxes.*\[4\]"):
        roi_max_pool(_ramp(8, 8), np.zeros(4))
    with pytest.raises(ValueError, match=r"boxes.*\[1, 5\]"):
        roi_max_pool(_ramp(8, 8), np.zeros((1, 5)))
