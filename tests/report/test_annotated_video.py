"""Frames of the annotated video, pixel by pixel."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from avmil.evaluation.clip_localization import ClassLocalization
from avmil.report.annotated_video import (
    COLORS_RGB,
    FramePainter,
    Strips,
    draw_strips,
    empty_canvas,
    place_labels,
)
from tests.localized_clips import make_clip, overlapping

YELLOW, CYAN, _ = COLORS_RGB
SIZE_PX = (480, 320)


def localized(names=("bus", "train"), num_segments=4):
    """Two frames; `train` scores 1 and 0.5 in the first, 0 in the second."""
    region_scores = np.zeros((3, len(names)))
    region_scores[:, 1] = [1, 0.5, 0]
    region_scores[:, 0] = [0, 0, 1]
    return make_clip(
        boxes=[[100, 100, 199, 179], [300, 200, 399, 299], [20, 200, 119, 299]],
        region_times_s=[0.5, 0.5, 1.5],
        region_scores=region_scores,
        segment_times_s=overlapping(num_segments),
        segment_scores=np.outer(np.arange(num_segments), np.ones(len(names))),
        duration_s=2.0,
        class_names=tuple(names),
        scores=np.arange(len(names), dtype=float),
        frame_size_px=SIZE_PX,
    )


def found(clip, name="train", regions=(0, 1, 2), events=((0.5, 1.0, 1.0),)):
    facts = {"is_predicted": bool(regions or events), "threshold": 0.0}
    regions = frozenset(regions)
    return ClassLocalization(
        clip, name, found_regions=regions, events=events, **facts
    )


def paint(time_s=0.5, shown=("train",), gray=0, size_px=SIZE_PX, **changes):
    clip = localized(**changes)
    painter = FramePainter([found(clip, n) for n in shown], size_px)
    image = np.full((size_px[1], size_px[0], 3), gray, np.uint8)
    painted = painter(image, time_s)
    assert painted.shape == (painter.size_px[1], painter.size_px[0], 3)
    assert painted.dtype == np.uint8
    return painter, painted


def test_best_box_of_a_frame_has_an_opaque_border():
    _, painted = paint()
    # The border is 2 px wide and lies inside: columns 100 to 199.
    for y, x in [(150, 100), (150, 101), (150, 199), (100, 180), (179, 150)]:
        assert painted[y, x].tolist() == list(YELLOW)
    for y, x in [(150, 99), (150, 102), (150, 200), (180, 150), (150, 150)]:
        assert painted[y, x].tolist() == [0, 0, 0]
    assert not painted[200:300, 300:400].any()  # The second best.


def test_classes_have_colors_and_boxes_where_they_are_found():
    clip = localized()
    image = np.zeros((320, 480, 3), np.uint8)
    both = [found(clip, regions=[0]), found(clip, "bus")]
    painted = FramePainter(both, SIZE_PX)(image, 1.2)
    assert painted[210, 20].tolist() == list(CYAN)
    seen = FramePainter([found(clip, regions=[0])], SIZE_PX)
    assert seen(image, 0.5)[:320].any()
    assert not seen(image, 1.5)[:320].any()
    heard = FramePainter([found(clip, regions=[])], SIZE_PX)
    assert not heard(image, 0.5)[:320].any()


def test_what_is_not_found_is_faded():
    absent = FramePainter([found(localized(), regions=[], events=[])], SIZE_PX)
    painted = absent(np.zeros((320, 480, 3), np.uint8), 0.5)
    assert 40 < painted[:320].max() < 100
    row = absent.strips.image_rgb[absent.strips.bottom_px - 8]
    inside = row[round(absent.strips.left_px) + 3 : -30].astype(int)
    assert np.ptp(inside.reshape(-1, 3), axis=0).max() < 90


def test_bars_above_the_heat_maps_are_where_a_class_is_found():
    clip = localized()
    strips = draw_strips([found(clip, regions=[2], events=[(0.5, 1, 1)])], 640)
    is_bar = (strips.image_rgb == YELLOW).all(axis=-1)
    rows = np.flatnonzero(is_bar.sum(axis=1) > 120)
    expected = [(1, 2), (0.5, 1)]  # Second frame above, event below.
    for row, times_s in zip(rows[[0, -1]], expected, strict=True):
        ends = np.flatnonzero(is_bar[row])[[0, -1]]
        want = [strips.cursor_px(time_s) for time_s in times_s]
        np.testing.assert_allclose(ends, want, atol=2)


def test_labels_never_overlap_and_lie_inside():
    generator = np.random.default_rng(0)
    for _ in range(500):
        picture_px = generator.integers(20, 200, 2)
        corners = generator.integers(-5, picture_px, (4, 2))
        sizes_px = generator.integers(5, 80, (4, 2))
        places = place_labels(corners, sizes_px, picture_px)
        boxes = [
            (*place, *(place + size_px))
            for place, size_px in zip(places, sizes_px, strict=True)
            if place
        ]
        for x1, y1, x2, y2 in boxes:
            assert min(x1, y1) >= 0
            assert (np.array([x2, y2]) <= picture_px).all()
        for a, b in itertools.combinations(boxes, 2):
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart


def test_labels_have_the_next_free_place():
    def places(*corners, height_px=100):
        sizes_px = [(30, 10)] * len(corners)
        return place_labels(corners, sizes_px, (200, height_px))

    assert places((20, 50)) == [(20, 40)]  # Above its box,
    assert places((190, 3)) == [(170, 0)]  # or where the picture begins.
    assert places((20, 50), (60, 50)) == [(20, 40), (60, 40)]
    assert places((20, 50), (40, 52)) == [(20, 40), (40, 50)]
    assert places((0, 10), (5, 10), height_px=15) == [(0, 0), None]


def test_best_box_is_labeled_above_it():
    _, painted = paint()
    label = painted[88:98, 104:120]
    assert (label == YELLOW).all(axis=-1).any()  # Background of the name,
    assert (label < 60).all(axis=-1).any()  # and its letters.


@pytest.mark.parametrize(
    ("time_s", "share"), [(0, 0), (0.5, 0.25), (2, 1), (9, 1), (-1, 0)]
)
def test_cursor_follows_the_time(time_s, share):
    painter, painted = paint(time_s)
    plain = painter.strips.image_rgb
    below = painted[SIZE_PX[1] :]
    changed = np.flatnonzero((below != plain).any(axis=(0, 2)))
    left, right = painter.strips.left_px, painter.strips.right_px
    expected = left + share * (right - left)
    assert abs(changed.mean() - expected) <= 1
    assert len(changed) <= 5


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [
        ((479, 321), (480, 322)),  # 480 / 479 * 321 = 321.7
        ((240, 160), (480, 320)),
        ((641, 359), (640, 360)),
        ((3840, 2160), (1920, 1080)),
        ((144, 256), (480, 854)),
        ((2, 2), (480, 480)),
    ],
)
def test_pictures_have_an_even_size(size_px, expected):
    painter, painted = paint(size_px=size_px)
    assert painter.picture_px == expected
    assert painter.size_px[1] % 2 == 0
    assert painter.size_px[1] > expected[1]
    if size_px == (240, 160):
        assert painted[250, 200].tolist() == list(YELLOW)  # 2 * column 100.
        assert painted[250, 199].tolist() == [0, 0, 0]
    # Frames may change their size within a video.
    painted = painter(np.zeros((90, 70, 3), np.uint8), 0.5)
    assert painted.shape[1::-1] == painter.size_px


@pytest.mark.parametrize("size_px", [(64, 1600), (1, 1080), (100, 1600)])
def test_black_lies_beside_narrow_pictures(size_px):
    painter, painted = paint(size_px=size_px, gray=100)
    picture_px, height_px = painter.picture_px
    assert picture_px < 200
    assert painter.size_px[0] == 480
    row = painted[height_px // 3].max(axis=1)
    expected = np.zeros(480, int)
    left_px = (480 - picture_px) // 2
    expected[left_px : left_px + picture_px] = 100
    assert np.flatnonzero(row).tolist() == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize(
    ("size_px", "num_segments"),
    [((320, 240), 4), ((502, 300), 0), ((640, 360), 4), ((1280, 720), 4)],
)
def test_two_and_three_classes_fit_below_any_width(size_px, num_segments):
    names = ("bus", "$x_1^{" + "W" * 200, "dog")
    for count in (2, 3):
        painter, painted = paint(
            shown=names[:count],
            size_px=size_px,
            names=names,
            num_segments=num_segments,
        )
        assert painted.shape[1] == painter.picture_px[0]
        assert painted.shape[0] % 2 == 0


def test_without_regions_or_segments_frames_are_painted():
    nothing = ClassLocalization(make_clip(frame_size_px=SIZE_PX), "dog")
    painter = FramePainter([nothing], SIZE_PX)
    painted = painter(np.zeros((320, 480, 3), np.uint8), 0.5)
    assert not painted[:320].any()


def test_canvas_has_the_videos_width_and_an_even_height():
    contents = itertools.cycle(itertools.product((1, 2, 3), (0, 1, 2)))
    for width_px in range(480, 1922, 2):
        received_px, height_px = empty_canvas(
            width_px, *next(contents)
        ).get_width_height()
        assert received_px == width_px
        assert height_px % 2 == 0


def test_sound_that_was_not_scored_is_of_no_color_of_the_map():
    clip = localized()
    long = dataclasses.replace(
        clip, duration_s=2 * clip.segment_times_s[-1, 1], class_names=("a", "b")
    )
    strips = draw_strips([found(long, "a")], 640)
    row = strips.image_rgb[strips.bottom_px - 8].astype(int)
    middle = strips.cursor_px(long.duration_s / 2)
    assert (row[middle - 8 : middle - 3] > 250).all()  # The highest score.
    rest = row[middle + 3 : round(strips.right_px) - 3]
    assert np.ptp(rest, axis=1).max() == 0  # Grays.
    assert rest.min() > 100
    assert rest.max() < 230


def test_cursor_at_the_border_stays_inside():
    image = np.full((4, 20, 3), 90, np.uint8)
    strips = Strips(image, 0.0, 19.0, 0, 4, duration_s=1.0)
    cursor = [64, 224, 255]
    expected = [cursor, cursor, [0] * 3, [90] * 3]
    assert strips.at(0.0)[2, :4].tolist() == expected
    assert strips.at(1.0)[2, 18:].tolist() == [cursor, cursor]
