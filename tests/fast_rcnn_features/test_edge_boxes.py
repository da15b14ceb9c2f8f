"""Tests of EdgeBoxes."""

from __future__ import annotations

import functools
import pickle

import cv2
import numpy as np
import pytest

from fast_rcnn_features.edge_boxes import EDGE_SOURCES, EdgeBoxes

_RECTANGLE = np.array([100, 60, 219, 159])


@pytest.fixture(scope="module", params=EDGE_SOURCES)
def make(request):
    """Makes an EdgeBoxes object of the edge source under test, once each."""

    @functools.cache
    def make(**kwargs):
        if request.param == "structured_forest":
            data = request.getfixturevalue("shared_data")
            kwargs["forest_path"] = data / "weights/structured_forest.yml.gz"
        return EdgeBoxes(request.param, **kwargs)

    return make


def _rectangle_image(x1, y1, x2, y2, height=240, width=320):
    image = np.full((height, width, 3), 40, np.uint8)
    image[y1 : y2 + 1, x1 : x2 + 1] = 200
    return image


def _noise_image(seed, height=120, width=160):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def test_best_box_is_the_drawn_rectangle(make):
    """EdgeBoxes refines a box to within a few pixels around the contour."""
    rectangle = np.array([100, 60, 219, 159])
    boxes, scores = make()(_rectangle_image(*rectangle))
    outward = (boxes[0] - rectangle) * [-1, -1, 1, 1]
    assert outward.min() >= 0
    assert outward.max() <= 5
    assert scores[0] > 0.3


def test_mirrored_image_gives_mirrored_boxes(make):
    """A box that began or ended one pixel off would not be symmetric."""
    find, boxes = make(max_boxes=1), []
    rng = np.random.default_rng(0)
    for _ in range(9):
        x1, y1 = rng.integers(20, 60, 2)
        x2, y2 = x1 + rng.integers(40, 80), y1 + rng.integers(40, 50)
        image = _rectangle_image(x1, y1, x2, y2, 130, 160)
        for flipped in (image, image[:, ::-1], image[::-1]):
            boxes.append(find(np.ascontiguousarray(flipped))[0][0])
    boxes = np.array(boxes).reshape(9, 3, 4)
    x_shift = boxes[:, 0, [0, 2]] - (159 - boxes[:, 1, [2, 0]])
    y_shift = boxes[:, 0, [1, 3]] - (129 - boxes[:, 2, [3, 1]])
    assert np.abs(np.median(x_shift)) <= 1
    assert np.abs(np.median(y_shift)) <= 1


def test_boxes_fill_the_frame_but_do_not_leave_it(make):
    boxes, _ = make(max_boxes=10_000)(_noise_image(0))
    np.testing.assert_array_equal(boxes[:, :2].min(axis=0), [0, 0])
    np.testing.assert_array_equal(boxes[:, 2:].max(axis=0), [159, 119])


def test_default_is_the_top_ten_of_all_in_order(make):
    image = _noise_image(2)
    boxes, scores = make()(image)
    assert boxes.dtype == scores.dtype == np.float32
    assert (np.diff(scores) <= 0).all()
    assert scores[-1] > 0
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    all_boxes, all_scores = make(max_boxes=10_000)(image)
    assert len(boxes) == 10 < len(all_boxes)
    np.testing.assert_array_equal(boxes, all_boxes[:10])
    np.testing.assert_array_equal(scores, all_scores[:10])


def test_an_image_does_not_change_the_next_ones_boxes(make):
    find, image = make(), _noise_image(4)
    expected = find(image)
    find(_noise_image(3))
    for _ in range(2):
        for found, same in zip(find(image), expected, strict=True):
            np.testing.assert_array_equal(found, same)


def test_usable_in_a_worker_process(make):
    """A worker gets it pickled."""
    find, image = make(), _noise_image(5)
    in_worker = pickle.loads(pickle.dumps(find))  # noqa: S301
    for found, same in zip(in_worker(image), find(image), strict=True):
        np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize(
    "image",
    [
        np.full((100, 100, 3), 200, np.uint8),
        _noise_image(6, height=14, width=200),
        _noise_image(7, height=200, width=14),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_flat_and_tiny_images_have_no_boxes(make, image):
    boxes, scores = make()(image)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
    assert boxes.dtype == scores.dtype == np.float32


def test_smallest_image(make):
    boxes, _ = make()(_noise_image(8, height=15, width=15))
    assert boxes.shape[1] == 4


def test_opencv_has_the_published_parameters():
    search = cv2.ximgproc.createEdgeBoxes()
    published = {
        "Alpha": 0.65,
        "Beta": 0.75,
        "Eta": 1,
        "MinScore": 0.01,
        "MaxBoxes": 10_000,
        "EdgeMinMag": 0.1,
        "EdgeMergeThr": 0.5,
        "ClusterMinMag": 0.5,
        "MaxAspectRatio": 3,
        "MinBoxArea": 1000,
        "Gamma": 2,
        "Kappa": 1.5,
    }
    found = {name: getattr(search, f"get{name}")() for name in published}
    assert found == pytest.approx(published)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((50, 50), np.uint8),
        np.zeros((50, 50, 4), np.uint8),
        np.zeros((50, 50, 3), np.float32),
    ],
)
def test_wrong_image(image):
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\], received"):
        EdgeBoxes()(image)


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match=r"edges.*'canny'"):
        EdgeBoxes("canny")
    with pytest.raises(ValueError, match=r"max_boxes.*0"):
        EdgeBoxes(max_boxes=0)
    with pytest.raises(ValueError, match=r"forest_path.*None"):
        EdgeBoxes("structured_forest")
    with pytest.raises(ValueError, match=r"forest_path.*model\.yml"):
        EdgeBoxes("gradient", forest_path="model.yml")
    with pytest.raises(FileNotFoundError, match=r"forest_path.*no\.yml\.gz"):
        EdgeBoxes("structured_forest", forest_path=tmp_path / "no.yml.gz")
