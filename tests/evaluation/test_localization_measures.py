"""Scores of groups of pairs, and what the proposals leave possible."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import localization_measures, localization_visual
from tests.localized_clips import heard, make_clip, seen

CLASS_NAMES = ("bus", "cat", "dog")
REGION, BOX = (0, 0, 9, 9), (0, 0, 10, 10)
ELSEWHERE = (50, 50, 59, 59)


def measure(clips, truth, pairs=None):
    found = [
        localization_visual.sightings(clip, truth[clip.clip_id])
        for clip in clips
    ]
    if pairs is None:
        pairs = np.ones((len(clips), len(CLASS_NAMES)), bool)
    return localization_measures.measure_visual(clips, found, {"all": pairs})


def showing(clip_id, *regions):
    """A clip with a region a second, which scores 1 in all classes."""
    return make_clip(
        clip_id,
        boxes=regions,
        region_times_s=np.arange(len(regions)) + 0.5,
        region_scores=np.ones((len(regions), 3)),
        class_names=CLASS_NAMES,
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
        class_names=CLASS_NAMES,
    )
    dog = make_clip(
        "dog",
        boxes=[REGION],
        region_times_s=[0.5],
        region_scores=[[0, 0, 1]],
        class_names=CLASS_NAMES,
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


def test_pairs_heard_are_counted_once():
    clips = [
        make_clip(name, np.ones((4, 3)), class_names=CLASS_NAMES)
        for name in ("a", "b")
    ]
    truth = {
        "a": [heard("bus", 0, 1), heard("bus", 2, 3), heard("dog", 0, 4)],
        "b": [heard("bus", 0, 4), seen("dog", 0, 1, BOX)],
    }
    groups = {
        "all": np.ones((2, 3), bool),
        "first": np.array([[True] * 3, [False] * 3]),
        "none": np.zeros((2, 3), bool),
    }
    measured = localization_measures.measure_audio(clips, clips, truth, groups)
    assert measured.num_pairs == {"all": 3, "first": 2}
    assert measured.num_pairs.keys() == measured.scores.keys()
