"""Where classes are seen: boxes, best regions and detections."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import visual_localization as visual
from tests.localized_clips import make_clip, seen

# Inclusive pixels: 10 pixels wide and high, 0 to 10 in edges.
REGION = (0, 0, 9, 9)
BOX = (0, 0, 10, 10)
ELSEWHERE = (50, 50, 59, 59)


def bounds_of(measured):
    """CorLoc and recall that the proposals leave possible."""
    best = measured.references["proposals"]["all"]
    return best.corloc, best.average_precision


def clip_of(boxes, times_s, scores=None, clip_id="clip"):
    """A clip whose regions score as given for a bus, and 0 for a dog."""
    scores = np.zeros(len(boxes)) if scores is None else scores
    return make_clip(
        clip_id,
        boxes=boxes,
        region_times_s=times_s,
        region_scores=np.stack([scores, np.zeros(len(boxes))], axis=1),
    )


def outcome_of(clip, *events):
    return visual.outcome(clip, visual.sightings(clip, events))


def measure(clips, events, pairs=None):
    """Measures clips, each with its own list of events."""
    found = list(map(visual.sightings, clips, events))
    if pairs is None:
        pairs = np.ones((len(clips), 2), bool)
    return visual.measure(clips, found, {"all": pairs})


def test_iou_by_hand():
    first = np.array([BOX])
    second = np.array([[5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 5, 5]])
    np.testing.assert_allclose(
        visual.iou(first, second), [50 / 150, 0, 25 / 100]
    )


def test_an_iou_of_exactly_a_half_is_enough():
    # 10 by 10 pixels in 10 by 20; one pixel less, read as edges, would fail.
    clip, event = clip_of([REGION], [0.5]), seen("bus", 0, 1, (0, 0, 10, 20))
    (sighting,) = visual.sightings(clip, [event])
    assert sighting.ious.tolist() == [[0.5]]
    assert outcome_of(clip, event).best[0].all()


def test_a_box_counts_in_its_own_frame_only():
    clip = clip_of([REGION] * 3, [0.5, 1.5, 2.5])
    moving = seen("bus", 0.5, 2.5, BOX, (40, 0, 50, 10))
    (sighting,) = visual.sightings(clip, [moving])
    assert sighting.visible.tolist() == [True, True, False]
    np.testing.assert_allclose(sighting.ious, [[1, 0, 0]])
    assert sighting.pointed.tolist() == [True, False, False]
    assert (sighting.num_boxes, sighting.num_reached) == (2, 1)


def test_a_box_has_its_left_and_upper_edge_and_not_the_others():
    # The centers lie on (5, 10), (15, 10), (10, 5) and (10, 15).
    clip = clip_of(
        [(0, 5, 9, 14), (10, 5, 19, 14), (5, 0, 14, 9), (5, 10, 14, 19)],
        [0.5] * 4,
    )
    (sighting,) = visual.sightings(clip, [seen("bus", 0, 1, (5, 5, 15, 15))])
    assert sighting.pointed.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([3, 2, 1], (1, 1, 1)),
        ([2, 3, 1], (0, 0, 0)),
        # The best of all lies in a frame without the class.
        ([2, 1, 3], (1, 0, 1)),
    ],
)
def test_the_best_region_decides(scores, expected):
    clip = clip_of([REGION, ELSEWHERE, REGION], [0.5, 0.5, 2.5], scores)
    measured = measure([clip], [[seen("bus", 0, 2, BOX)]])
    assert measured.scores["all"][:3] == expected
    assert bounds_of(measured)[0] == 1


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
    clip = clip_of([REGION] * 3, [0.5, 0.5, 1.5], [1, 2, 0])
    assert outcome_of(clip).kept[:, 0].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("regions", "times_s", "hits", "precision"),
    [
        # Two frames with a bus; the second's is found after two misses.
        (
            [REGION, ELSEWHERE, (0, 0, 29, 29), REGION, ELSEWHERE],
            [0.5, 0.5, 1.5, 1.5, 2.5],
            [True, False, False, True, False],
            0.5 * 1 + 0.5 * 2 / 4,
        ),
        # A miss first: precisions 0, 1/2, 2/3 make 2/3 at either recall.
        (
            [ELSEWHERE, REGION, REGION],
            [0.5, 0.5, 1.5],
            [False, True, True],
            2 / 3,
        ),
        # Two that meet one box and hardly each other: IoU 1/3 of 0.4 allowed.
        ([REGION, (5, 0, 14, 9)], [0.5, 0.5], [True, False], 0.5),
    ],
)
def test_detections_by_hand(regions, times_s, hits, precision):
    clip = clip_of(regions, times_s, -np.arange(len(regions)))
    event = seen("bus", 0, 2, BOX)
    outcome = outcome_of(clip, event)
    assert outcome.kept[:, 0].all()
    assert outcome.hits[:, 0].tolist() == hits
    measured = measure([clip], [[event]])
    by_class = measured.by_class["box_average_precision"]
    assert by_class == pytest.approx([precision, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("regions", "boxes", "ious", "hits"),
    [
        ([REGION, ELSEWHERE], [BOX, (50, 50, 60, 60)], np.eye(2), [1, 1]),
        # A detection that meets both finds the one that it overlaps most.
        ([REGION], [(0, 0, 10, 6), BOX], [[0.6], [1]], [1]),
        # The second meets the small one, which is free, but overlaps most the
        # large one, which is taken.
        (
            [(0, 0, 9, 10), (0, 0, 9, 5)],
            [(0, 0, 10, 10), (0, 0, 10, 3)],
            [[10 / 11, 6 / 10], [3 / 11, 3 / 6]],
            [1, 0],
        ),
    ],
)
def test_two_objects_of_a_class(regions, boxes, ious, hits, monkeypatch):
    monkeypatch.setattr(visual, "NMS_IOU", 1)  # Regions may overlap.
    clip = clip_of(regions, [0.5] * len(regions), -np.arange(len(regions)))
    events = [seen("bus", 0, 1, box) for box in boxes]
    (sighting,) = visual.sightings(clip, events)
    np.testing.assert_allclose(sighting.ious, ious)
    assert sighting.num_boxes == 2
    assert outcome_of(clip, *events).hits[:, 0].tolist() == hits


def voc_average_precision(found, num_true):
    """VOC's all-point form for ranked hits, step by step."""
    recall, precision = [0.0], [0.0]
    hits = 0
    for rank, hit in enumerate(found, 1):
        hits += hit
        recall.append(hits / num_true)
        precision.append(hits / rank)
    return sum(
        (recall[i] - recall[i - 1]) * max(precision[i:])
        for i in range(1, len(recall))
    )


def voc_hits(clip, event):
    """Scores and hits of the bus in one clip, detection by detection."""
    areas = [
        {(x, y) for x in range(a, c + 1) for y in range(b, d + 1)}
        for a, b, c, d in clip.boxes.astype(int).tolist()
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
    event = seen("bus", 0, 3, BOX)
    clips, rows = [], []
    for _ in range(6):
        corners = generator.integers(0, 6, (20, 2))
        sizes = generator.integers(4, 12, (20, 2))
        boxes = np.concatenate([corners, corners + sizes], axis=1)
        times_s = np.repeat(np.arange(4) + 0.5, 5)
        clips.append(clip_of(boxes, times_s, generator.random(20)))
        rows += voc_hits(clips[-1], event)
    measured = measure(clips, [[event]] * 6)
    precision = measured.by_class["box_average_precision"][0]
    ranked = [hit for _, hit in sorted(rows, reverse=True)]
    assert 0 < sum(ranked) < 18
    assert precision == pytest.approx(voc_average_precision(ranked, 6 * 3))


def test_scores_of_a_group_are_those_of_its_pairs():
    """Of a bus that is found, one that is not, and one without proposals."""
    clips = [clip_of([REGION], [0.5]), clip_of([ELSEWHERE], [0.5]), make_clip()]
    events = [[seen("bus", 0, 1, BOX)]] * 3
    for chosen, num_found in (([0, 1, 2], 1), ([0, 2], 1), ([1, 2], 0)):
        pairs = np.zeros((3, 2), bool)
        pairs[chosen] = True
        measured = measure(clips, events, pairs)
        share = num_found / len(chosen)
        corloc, clip_corloc, pointing, _ = measured.scores["all"]
        assert (corloc, clip_corloc, pointing) == pytest.approx([share] * 3)
        assert bounds_of(measured) == pytest.approx((share, share))
        assert measured.num_pairs == {"all": len(chosen)}
    one = measure(clips, events, np.array([[1, 0], [0, 0], [1, 0]], bool))
    assert one.scores["all"].average_precision == pytest.approx(1 / 2)
    assert not measure(clips, events, np.zeros((3, 2), bool)).scores


def test_a_perfect_choice_reaches_the_bounds_of_the_mean_over_classes():
    # Of the bus's 3 boxes 1 is reached, of the dog's 1.
    bus = clip_of([REGION, ELSEWHERE, ELSEWHERE], [0.5, 1.5, 2.5], [1, 0, 0])
    dog = make_clip(
        boxes=[REGION], region_times_s=[0.5], region_scores=[[0, 1]]
    )
    events = [[seen("bus", 0, 3, BOX)], [seen("dog", 0, 1, BOX)]]
    measured = measure([bus, dog], events)
    assert bounds_of(measured) == pytest.approx((1, (1 / 3 + 1) / 2))
    assert measured.scores["all"] == pytest.approx((1, 1, 1, 2 / 3))


def test_pairs_without_a_sampled_frame_are_not_counted():
    # The frames are those of 0.5 s, 1.5 s, ...
    clips = [clip_of([REGION], [0.5])] * 2
    events = [
        [seen("bus", 0, 1, BOX), seen("bus", 1, 2, BOX)],
        [seen("bus", 0.6, 1.4, BOX), seen("dog", 0, 1, BOX)],
    ]
    measured = measure(clips, events)
    assert measured.num_pairs == {"all": 2}
    assert measured.scores["all"].corloc == 1
