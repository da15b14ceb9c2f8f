"""What a trained run finds in a localized clip."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from avmil.evaluation.clip_localization import score_cells
from avmil.evaluation.identity import WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.localization import TrainedRun
from avmil.localization.recipe import WeightsFiles
from tests.localized_clips import CLASS_NAMES, make_clip

SCORES = np.array([[0, 1], [3, 2], [9, 4], [6, 5]], float)
BOXES = [[0, 1, 20, 30], [4, 5, 6, 7.5], [0, 0, 9, 9]]
LOW = dict.fromkeys(CLASS_NAMES, -9.0)


def make_run(event_threshold=0.0, box_threshold=0.0, **changes):
    values = {
        "thresholds": LOW,
        "event_thresholds": dict.fromkeys(CLASS_NAMES, event_threshold),
        "box_thresholds": dict.fromkeys(CLASS_NAMES, box_threshold),
    }
    return TrainedRun(
        name="run",
        system="av_two_stream",
        class_names=CLASS_NAMES,
        recipe={},
        **values | changes,
        weights=WeightsIdentity("last", 1),
        model=SimpleNamespace(),
        weights_files=WeightsFiles(),
    )


def clip(**changes):
    values = {
        "segment_scores": SCORES,
        "boxes": BOXES,
        "region_times_s": [0.5, 1.5, 1.5],
        "region_scores": [[-3, 0], [-1, 1], [-2, 2]],
    }
    return make_clip(**values | changes)


@pytest.mark.parametrize("threshold", [0.15, 3.5])
def test_events_are_where_the_scores_pass(threshold):
    run = make_run(threshold)
    cells_s, scores = score_cells(clip())
    heard = np.zeros(scores.shape, bool)
    for name, events in run.events(clip()).items():
        column = CLASS_NAMES.index(name)
        for event in events:
            inside = (cells_s[:, 0] >= event.onset_s) & (
                cells_s[:, 1] <= event.offset_s
            )
            heard[inside, column] = True
            assert event.score == scores[inside, column].max()
    assert heard.tolist() == (scores > threshold).tolist()


def test_boxes_are_the_regions_that_pass_in_temporal_order():
    boxes = make_run(box_threshold=-2.5).boxes(clip(heat_scale="paper"))
    assert boxes["bus"] == [(1.5, 4, 5, 6, 7.5, 1.0), (1.5, 0, 0, 9, 9, 0.5)]
    assert [box.score for box in boxes["dog"]] == [0, 0.5, 1]


def test_a_class_may_be_seen_and_not_heard():
    run = make_run(6.0, 0.5)
    assert run.events(clip()) == {"bus": [(2, 3, 9)], "dog": []}
    assert [len(boxes) for boxes in run.boxes(clip()).values()] == [0, 2]
    alone = clip(segment_scores=())
    assert not any(run.events(alone).values())


def test_shares_fall_as_a_clip_grows():
    short = make_run(3.5, 0.6, num_segments=4, num_regions=3)
    double = clip(
        segment_scores=np.concatenate([SCORES, SCORES]) / 2,
        boxes=BOXES * 2,
        region_times_s=[0.5, 1.5, 1.5, 4.5, 5.5, 5.5],
        region_scores=[[-1.5, 0], [-0.5, 0.5], [-1, 1]] * 2,
        duration_s=8.0,
    )
    for find in (short.events, short.boxes):
        found, doubled = find(clip()), find(double)
        assert found["dog"]
        for name in CLASS_NAMES:
            assert len(doubled[name]) == 2 * len(found[name])


def test_classes_that_are_not_predicted_have_no_events_and_no_boxes():
    run = make_run(thresholds={"bus": 9.0, "dog": -9.0})
    assert run.predicted(clip()) == ("dog",)
    assert run.events(clip())["bus"] == run.boxes(clip())["bus"] == []
    assert run.events(clip())["dog"]
    run = dataclasses.replace(run, thresholds=None)
    assert run.predicted(clip()) == ()
    assert run.events(clip()) == {"bus": [], "dog": []}


def test_confidence_counts_the_validation_clips_of_closest_score():
    scores = np.arange(24.0)[:, np.newaxis] * [1, -1]
    scores[20] = -np.inf  # Without features.
    labels = np.stack([np.arange(24) >= 18, np.arange(24) < 3], axis=1)
    ids = list(map(str, range(24)))
    run = make_run(validation=ScoreSet(ids, CLASS_NAMES, labels, scores))
    found = run.confidences(clip(scores=np.array([17.1, -1.0])))
    # Closest are 12 to 22 without 20; and of those above -9 all, 0 to 8.
    assert found == {"bus": (4, 10), "dog": (3, 9)}
    # Below the threshold those below it count: 9 to 18 of all.
    below = run.confidences(clip(scores=np.array([17.1, -9.5])))
    assert below == {"bus": (4, 10), "dog": (0, 10)}
    assert make_run().confidences(clip()) == {}


def test_nothing_is_predicted_in_a_foreign_video():
    scores = np.array([[3, 0], [0, 2], [1, 0], [0, 9]]) - 9.0
    labels = np.array([[1, 0], [0, 1], [1, 0], [1, 0]])
    validation = ScoreSet(list("abcd"), CLASS_NAMES, labels, scores)
    run = make_run(validation=validation)
    # Of the right margins 1, 2 and 3; the wrong 9 does not count.
    known = clip(scores=np.array([0.1, 1.2]) - 9)
    assert run.predicted(known) == ("dog", "bus")
    foreign = clip(scores=np.array([1.0, 0.9]) - 9)
    assert run.is_foreign(foreign)
    assert run.predicted(foreign) == ()
    assert not any(run.events(foreign).values())
    assert not make_run().is_foreign(foreign)  # Not evaluated.
