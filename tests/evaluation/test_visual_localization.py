"""Where classes are seen: boxes, best regions and detections."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import visual_localization as visual
from tests.localized_clips import make_clip, seen

# Inclusive pixels: 10 pixels wide and high, 0 to 10 in edges.
TRUE_REGION = (0, 0, 9, 9)
TRUE_BOX = (0, 0, 10, 10)
ELSEWHERE = (50, 50, 59, 59)


def sightings_of(clip, *events):
    return visual.sightings(clip, events)


def test_inclusive_pixels_and_edges_of_the_same_box_agree():
    regions = visual.extents(np.array([TRUE_REGION], np.float32))
    assert visual.iou(regions, np.array([TRUE_BOX])) == pytest.approx([1.0])


def test_iou_by_hand():
    first = np.array([[0, 0, 10, 10]])
    second = np.array([[5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 5, 5]])
    np.testing.assert_allclose(
        visual.iou(first, second), [50 / 150, 0, 25 / 100]
    )


def test_an_iou_of_exactly_a_half_is_enough():
    # 10 by 10 pixels in 10 by 20; one pixel less, read as edges, would fail.
    clip = make_clip(
        boxes=[(0, 0, 9, 9)], region_times_s=[0.5], region_scores=[[1, 0]]
    )
    (sighting,) = sightings_of(clip, seen("bus", 0, 1, (0, 0, 10, 20)))
    assert sighting.ious.tolist() == [[0.5]]
    assert visual.outcomes([clip], [[sighting]]).corloc.tolist() == [True]


def test_a_box_counts_in_its_own_frame_only():
    clip = make_clip(
        boxes=[TRUE_REGION, TRUE_REGION, TRUE_REGION],
        region_times_s=[0.5, 1.5, 2.5],
        region_scores=np.zeros((3, 2)),
    )
    moving = seen("bus", 0.5, 2.5, TRUE_BOX, (40, 0, 50, 10))
    (sighting,) = sightings_of(clip, moving)
    assert sighting.visible.tolist() == [[True, True, False]]
    np.testing.assert_allclose(sighting.ious, [[1, 0, 0]])
    assert sighting.pointed.tolist() == [True, False, False]
    assert sighting.num_boxes == 2


def test_a_box_has_its_left_and_upper_edge_and_not_the_others():
    # The centers lie on (5, 10), (15, 10), (10, 5) and (10, 15).
    clip = make_clip(
        boxes=[(0, 5, 9, 14), (10, 5, 19, 14), (5, 0, 14, 9), (5, 10, 14, 19)],
        region_times_s=[0.5] * 4,
        region_scores=np.zeros((4, 2)),
    )
    (sighting,) = sightings_of(clip, seen("bus", 0, 1, (5, 5, 15, 15)))
    assert sighting.pointed.tolist() == [True, False, True, False]


def test_a_class_visible_in_no_sampled_frame_has_no_sighting():
    clip = make_clip(duration_s=4.0)
    assert not sightings_of(clip, seen("bus", 0.6, 1.4, TRUE_BOX))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([3, 2, 1], (True, True, True)),
        ([2, 3, 1], (False, False, False)),
        # The best of all lies in a frame without the class.
        ([2, 1, 3], (True, False, True)),
    ],
)
def test_the_best_region_decides(scores, expected):
    clip = make_clip(
        boxes=[TRUE_REGION, ELSEWHERE, TRUE_REGION],
        region_times_s=[0.5, 0.5, 2.5],
        region_scores=[[score, 0] for score in scores],
    )
    found = [sightings_of(clip, seen("bus", 0, 2, TRUE_BOX))]
    pairs = visual.outcomes([clip], found)
    assert (
        pairs.corloc[0],
        pairs.clip_corloc[0],
        pairs.pointing[0],
    ) == expected
    assert pairs.reachable.tolist() == [True]


def test_a_pair_without_proposals_is_missed():
    clip = make_clip(duration_s=4.0)
    found = [sightings_of(clip, seen("dog", 0, 2, TRUE_BOX))]
    pairs = visual.outcomes([clip], found)
    assert pairs.class_indices.tolist() == [1]
    assert not any(column.any() for column in pairs[2:])


def greedy(overlapping, scores):
    """The textbook's suppression, of one class."""
    left = list(np.argsort(-scores, kind="stable"))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [other for other in left if not overlapping[best, other]]
    return sorted(kept)


@pytest.mark.parametrize("density", [0.05, 0.3, 0.9])
def test_suppression_is_greedy(density):
    generator = np.random.default_rng(0)
    overlapping = generator.random((40, 40)) < density
    overlapping |= overlapping.T
    scores = generator.integers(0, 30, (40, 5)).astype(float)  # With ties.
    kept = visual.suppress(overlapping, scores)
    for column, expected in zip(kept.T, scores.T, strict=True):
        assert np.flatnonzero(column).tolist() == greedy(overlapping, expected)


def test_regions_of_two_frames_do_not_suppress_each_other():
    clip = make_clip(
        boxes=[TRUE_REGION, TRUE_REGION, TRUE_REGION],
        region_times_s=[0.5, 0.5, 1.5],
        region_scores=[[1, 2], [2, 1], [0, 0]],
    )
    kept = visual.detections([clip], [[]]).kept
    assert kept.T.tolist() == [[False, True, True], [True, False, True]]


def test_average_precision_by_hand():
    # Two frames with a bus; the second's is found third, after two misses.
    clip = make_clip(
        boxes=[TRUE_REGION, ELSEWHERE, (0, 0, 29, 29), TRUE_REGION, ELSEWHERE],
        region_times_s=[0.5, 0.5, 1.5, 1.5, 2.5],
        region_scores=[[9, 0], [8, 0], [7, 0], [6, 0], [5, 0]],
    )
    found = [sightings_of(clip, seen("bus", 0, 2, TRUE_BOX))]
    detected = visual.detections([clip], found)
    assert detected.hits[:, 0].tolist() == [True, False, False, True, False]
    precision = visual.average_precision(detected)
    assert precision[0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert np.isnan(precision[1])
    assert detected.num_reached.tolist() == [[2, 0]]


def test_the_precision_is_the_best_at_no_lower_recall():
    # A miss first: precisions 0, 1/2, 2/3 make 2/3 at either recall.
    clip = make_clip(
        boxes=[ELSEWHERE, TRUE_REGION, TRUE_REGION],
        region_times_s=[0.5, 0.5, 1.5],
        region_scores=[[9, 0], [8, 0], [7, 0]],
    )
    found = [sightings_of(clip, seen("bus", 0, 2, TRUE_BOX))]
    precision = visual.average_precision(visual.detections([clip], found))
    assert precision[0] == pytest.approx(2 / 3)


def test_a_true_box_is_found_once():
    # Two regions that meet it and hardly each other: IoU 1/3 of 0.4 allowed.
    clip = make_clip(
        boxes=[(0, 0, 13, 9), (6, 0, 19, 9)],
        region_times_s=[0.5, 0.5],
        region_scores=[[2, 0], [1, 0]],
    )
    found = [sightings_of(clip, seen("bus", 0, 1, (0, 0, 20, 10)))]
    detected = visual.detections([clip], found)
    assert detected.kept[:, 0].tolist() == [True, True]
    assert detected.hits[:, 0].tolist() == [True, False]


def test_two_objects_of_a_class_are_two_boxes():
    clip = make_clip(
        boxes=[TRUE_REGION, ELSEWHERE],
        region_times_s=[0.5, 0.5],
        region_scores=[[2, 0], [1, 0]],
    )
    two = [
        seen("bus", 0, 1, TRUE_BOX),
        seen("bus", 0, 1, (50, 50, 60, 60)),
    ]
    detected = visual.detections([clip], [sightings_of(clip, *two)])
    assert detected.hits[:, 0].tolist() == [True, True]
    assert detected.num_boxes.tolist() == [[2, 0]]
    assert visual.average_precision(detected)[0] == 1


def test_a_missed_clip_lowers_average_precision():
    hit = make_clip(
        "hit", boxes=[TRUE_REGION], region_times_s=[0.5], region_scores=[[1, 0]]
    )
    clips = [hit, make_clip("without proposals")]
    found = [sightings_of(c, seen("bus", 0, 1, TRUE_BOX)) for c in clips]
    precision = visual.average_precision(visual.detections(clips, found))
    assert precision[0] == pytest.approx(0.5)


def test_within_leaves_only_the_given_pairs():
    clips = [
        make_clip(
            name, boxes=[box], region_times_s=[0.5], region_scores=[[1, 1]]
        )
        for name, box in (("a", TRUE_REGION), ("b", ELSEWHERE))
    ]
    found = [sightings_of(c, seen("bus", 0, 1, TRUE_BOX)) for c in clips]
    pairs = np.array([[False, True], [True, True]])
    assert visual.outcomes(clips, found).within(pairs).clips.tolist() == [1]
    detected = visual.detections(clips, found).within(pairs)
    assert visual.average_precision(detected)[0] == 0
    assert detected.num_boxes.sum() == 1


def test_a_detection_belongs_to_the_object_it_overlaps_most():
    # It meets both (IoU 0.6 and 1) and finds the second only.
    clip = make_clip(
        boxes=[TRUE_REGION], region_times_s=[0.5], region_scores=[[1, 0]]
    )
    two = [seen("bus", 0, 1, (0, 0, 10, 6)), seen("bus", 0, 1, TRUE_BOX)]
    (sighting,) = sightings_of(clip, *two)
    np.testing.assert_allclose(sighting.ious, [[0.6], [1]])
    detected = visual.detections([clip], [[sighting]])
    assert detected.hits[:, 0].tolist() == [True]


def test_a_detection_whose_object_is_taken_finds_no_other():
    # The first meets the large object alone. The second is nearest to it, too,
    # and finds neither, although it meets the small one, which is free.
    clip = make_clip(
        boxes=[(0, 0, 9, 12), (0, 0, 9, 8)],
        region_times_s=[0.5, 0.5],
        region_scores=[[2, 0], [1, 0]],
    )
    large, small = (seen("bus", 0, 1, (0, 0, 10, y2)) for y2 in (10, 6))
    (sighting,) = sightings_of(clip, large, small)
    np.testing.assert_allclose(
        sighting.ious, [[10 / 13, 9 / 10], [6 / 13, 6 / 9]]
    )
    hits = visual._hits(clip, sighting, np.ones(2, bool))
    assert hits.tolist() == [True, False]


def voc_average_precision(found, num_true):
    """VOC's all-point form for ranked hits, step by step."""
    recall, precision = [0.0], [0.0]
    hits = 0
    for rank, hit in enumerate(found, 1):
        hits += hit
        recall.append(hits / num_true)
        precision.append(hits / rank)
    area = 0.0
    for i in range(1, len(recall)):
        area += (recall[i] - recall[i - 1]) * max(precision[i:])
    return area


def voc_hits(clip, event):
    """Scores and hits of the bus in one clip, detection by detection."""
    pixels = [tuple(map(int, box)) for box in clip.boxes]
    areas = [
        {(x, y) for x in range(a, c + 1) for y in range(b, d + 1)}
        for a, b, c, d in pixels
    ]
    truth = {(x, y) for x in range(0, 10) for y in range(0, 10)}
    scores = clip.region_scores[:, 0]
    kept, taken, rows = [], set(), []
    for i in sorted(range(len(areas)), key=lambda i: -scores[i]):
        time_s = clip.region_times_s[i]
        rivals = [k for k in kept if clip.region_times_s[k] == time_s]
        if any(
            len(areas[i] & areas[k]) > 0.4 * len(areas[i] | areas[k])
            for k in rivals
        ):
            continue
        kept.append(i)
        good = len(areas[i] & truth) >= 0.5 * len(areas[i] | truth)
        start_s, end_s = event.sight.interval
        hit = good and start_s <= time_s < end_s and time_s not in taken
        taken |= {time_s} if hit else set()
        rows.append((scores[i], hit))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_voc_s_pixel_by_pixel(seed):
    generator = np.random.default_rng(seed)
    event = seen("bus", 0, 3, TRUE_BOX)
    clips, rows = [], []
    for index in range(6):
        corners = generator.integers(0, 6, (20, 2))
        sizes = generator.integers(4, 12, (20, 2))
        clip = make_clip(
            str(index),
            boxes=np.concatenate([corners, corners + sizes], axis=1),
            region_times_s=np.repeat(np.arange(4) + 0.5, 5),
            region_scores=generator.random((20, 2)),
        )
        clips.append(clip)
        rows += voc_hits(clip, event)
    found = [sightings_of(clip, event) for clip in clips]
    precision = visual.average_precision(visual.detections(clips, found))
    ranked = [hit for _, hit in sorted(rows, reverse=True)]
    assert 0 < sum(ranked) < 18
    assert precision[0] == pytest.approx(voc_average_precision(ranked, 6 * 3))


THREE = ("bus", "cat", "dog")
REGION, BOX = (0, 0, 9, 9), (0, 0, 10, 10)
ELSEWHERE = (50, 50, 59, 59)


def measure(clips, truth, pairs=None):
    found = [visual.sightings(clip, truth[clip.clip_id]) for clip in clips]
    if pairs is None:
        pairs = np.ones((len(clips), len(THREE)), bool)
    return visual.measure(clips, found, {"all": pairs})


def showing(clip_id, *regions):
    """A clip with a region a second, which scores 1 in all classes."""
    return make_clip(
        clip_id,
        boxes=regions,
        region_times_s=np.arange(len(regions)) + 0.5,
        region_scores=np.ones((len(regions), 3)),
        class_names=THREE,
    )


def test_bounds_are_those_of_the_mean_over_classes():
    clips = [
        showing("bus", REGION, ELSEWHERE, ELSEWHERE),
        showing("dog", REGION),
        showing("another dog", ELSEWHERE),
    ]
    truth = {
        "bus": [seen("bus", 0, 3, BOX)],
        "dog": [seen("dog", 0, 1, BOX)],
        "another dog": [],
    }
    measured = measure(clips, truth)
    # Of the bus's 3 boxes 1 is reached, of the dog's 1; no cat is there.
    assert measured.bounds["all"] == pytest.approx((1, (1 / 3 + 1) / 2))
    np.testing.assert_array_equal(np.isnan(measured.by_class), [0, 1, 0])


def test_a_perfect_choice_reaches_the_bounds():
    bus = make_clip(
        "bus",
        boxes=[REGION, ELSEWHERE, ELSEWHERE],
        region_times_s=[0.5, 1.5, 2.5],
        region_scores=[[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        class_names=THREE,
    )
    dog = make_clip(
        "dog",
        boxes=[REGION],
        region_times_s=[0.5],
        region_scores=[[0, 0, 1]],
        class_names=THREE,
    )
    truth = {
        "bus": [seen("bus", 0, 3, BOX)],
        "dog": [seen("dog", 0, 1, BOX)],
    }
    measured = measure([bus, dog], truth)
    bounds = measured.bounds["all"]
    assert measured.scores["all"].average_precision == pytest.approx(2 / 3)
    assert measured.scores["all"].average_precision <= bounds.recall + 1e-9
    assert measured.scores["all"].corloc == bounds.corloc == 1


def test_bounds_of_a_group_count_its_boxes_only():
    clips = [showing("near", REGION), showing("far", ELSEWHERE)]
    truth = {name: [seen("bus", 0, 1, BOX)] for name in ("near", "far")}
    pairs = np.array([[False] * 3, [True] * 3])
    assert measure(clips, truth).bounds["all"] == pytest.approx((0.5, 0.5))
    assert measure(clips, truth, pairs).bounds["all"] == (0, 0)


def test_pairs_without_a_sampled_frame_are_not_counted():
    # The frames are those of 0.5 s and 1.5 s.
    clips = [showing("long", REGION), showing("short", REGION)]
    truth = {
        "long": [seen("bus", 0, 1, BOX), seen("bus", 1, 2, BOX)],
        "short": [seen("bus", 0.6, 1.4, BOX), seen("dog", 0, 1, BOX)],
    }
    measured = measure(clips, truth)
    assert measured.num_pairs == {"all": 2}
    assert measured.scores["all"].corloc == 1
