"""What sample clips show and sound: counts, truth, independence."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from avmil.clips.sample_events import Event, Sight, Sound
from avmil.clips.sample_plans import (
    CLASS_NAMES,
    SampleClipsConfig,
    plan_clip,
    plan_clips,
)

CONFIG = SampleClipsConfig(num_train=240, num_val=30, num_test=60)


@pytest.fixture(scope="module")
def plans():
    return plan_clips(CONFIG)


@pytest.fixture(scope="module")
def events(plans):
    return [event for plan in plans for event in plan.events]


@pytest.fixture(scope="module")
def sights(events):
    return [event.sight for event in events if event.sight]


def test_there_are_at_least_five_classes():
    assert len(CLASS_NAMES) >= 5
    assert list(CLASS_NAMES) == sorted(set(CLASS_NAMES))


def test_splits_have_the_wanted_counts(plans):
    counts = collections.Counter(plan.split for plan in plans)
    assert counts == {"train": 240, "val": 30, "test": 60}
    assert len({plan.clip_id for plan in plans}) == 330


def test_every_class_leads_equally_often_in_every_split(plans):
    leads = collections.Counter((p.split, p.events[0].name) for p in plans)
    for name in CLASS_NAMES:
        assert leads["train", name] == 40
        assert leads["val", name] == 5
        assert leads["test", name] == 10


def test_clips_have_one_or_two_different_classes(plans):
    counts = collections.Counter(len(plan.labels) for plan in plans)
    assert set(counts) == {1, 2}
    assert 0.2 < counts[2] / len(plans) < 0.4
    assert all(len(set(plan.labels)) == len(plan.labels) for plan in plans)


def test_some_classes_are_only_heard_and_some_only_seen(events):
    kinds = collections.Counter(
        (e.sight is not None, e.sound is not None) for e in events
    )
    assert kinds[False, False] == 0
    assert 0.08 < kinds[False, True] / len(events) < 0.22
    assert 0.08 < kinds[True, False] / len(events) < 0.22


def test_sights_and_sounds_lie_inside_the_clip(events):
    for event in events:
        if event.sound:
            assert 0 <= event.sound.onset_s < event.sound.offset_s <= 10
            assert 1.5 <= event.sound.offset_s - event.sound.onset_s <= 5
        if event.sight:
            assert 0 <= event.sight.start_s < event.sight.end_s <= 10
            assert 1.9 < event.sight.end_s - event.sight.start_s < 7.1


def test_sight_and_sound_are_placed_independently(events):
    both = [e for e in events if e.sight and e.sound]
    seen_s = [(e.sight.start_s + e.sight.end_s) / 2 for e in both]
    heard_s = [(e.sound.onset_s + e.sound.offset_s) / 2 for e in both]
    # 0.2 is more than three standard errors for 300 pairs.
    assert abs(np.corrcoef(seen_s, heard_s)[0, 1]) < 0.2


@pytest.mark.parametrize(("width_px", "height_px"), [(320, 240), (116, 96)])
def test_boxes_stay_inside_the_frame(width_px, height_px):
    config = SampleClipsConfig(60, 0, 0, width_px, height_px)
    for plan in plan_clips(config):
        for event in plan.events + plan.distractors:
            if event.sight:
                sight = event.sight
                boxes = sight.boxes([sight.start_s, sight.end_s])
                assert np.all(boxes >= 0)
                assert np.all(boxes <= [width_px, height_px] * 2)
                assert np.all(boxes[:, 2:] - boxes[:, :2] >= 8)


def test_sights_begin_and_end_with_a_frame(sights):
    for sight in sights:
        for time_s in (sight.start_s, sight.end_s):
            assert time_s * 10 == pytest.approx(round(time_s * 10))


def test_distractors_belong_to_no_class(plans):
    names = {e.name for plan in plans for e in plan.distractors}
    assert names
    assert not names & set(CLASS_NAMES)


def test_a_clip_does_not_depend_on_the_others(plans):
    fewer = dataclasses.replace(CONFIG, num_train=5, num_test=2)
    by_id = {plan.clip_id: plan for plan in plans}
    assert all(plan == by_id[plan.clip_id] for plan in plan_clips(fewer))


def test_seeds_and_splits_give_different_clips():
    first = plan_clip(CONFIG, "train", 0)
    assert plan_clip(CONFIG, "train", 0) == first
    other_seed = dataclasses.replace(CONFIG, seed=1)
    others = [
        plan_clip(other_seed, "train", 0),
        plan_clip(CONFIG, "val", 0),
        plan_clip(CONFIG, "train", 6),
    ]
    assert len({plan.seed for plan in [first, *others]}) == 4


def test_truth_of_an_event_by_hand():
    sight = Sight(0.6, 2.6, (10.0, 20.0, 50.0, 60.0), (30.0, 20.0, 80.0, 70.0))
    event = Event("train", sight, Sound(1.25, 4.5, 9.5, 0.5), seed=0)
    assert event.truth() == {
        "class": "train",
        "sound": [1.25, 4.5],
        "sight": {
            "t0": 0.6,
            "t1": 2.6,
            # A fifth and seven tenths of the way.
            "boxes": [
                [1.0, 14.0, 20.0, 56.0, 62.0],
                [2.0, 24.0, 20.0, 71.0, 67.0],
            ],
            # 0.5 s is before the sight.
            "boxes_half": [
                [1.5, 19.0, 20.0, 63.5, 64.5],
                [2.5, 29.0, 20.0, 78.5, 69.5],
            ],
            "track": [
                [0.6, 10.0, 20.0, 50.0, 60.0],
                [2.6, 30.0, 20.0, 80.0, 70.0],
            ],
        },
        "snr_db": 9.5,
    }


def test_truth_of_an_event_that_is_not_heard_or_not_seen():
    box = (1.0, 1.0, 9.0, 9.0)
    seen = Event("train", Sight(0.0, 2.0, box, box), None, seed=0).truth()
    heard = Event("train", None, Sound(0.0, 2.0, 6.0, 0.5), seed=0).truth()
    assert seen["sound"] is None
    assert "snr_db" not in seen
    # The end of the sight belongs to it no more.
    assert seen["sight"]["boxes"] == [[0.0, *box], [1.0, *box]]
    assert heard["sight"] is None


def test_times_between_frames_are_rounded_down():
    box = (1.0, 1.0, 9.0, 9.0)
    truth = Sight(1 / 3, 8 / 3, box, box).truth()
    assert (truth["t0"], truth["t1"]) == (0.3333, 2.6666)
    assert Sight(0.7, 2.3, box, box).truth()["t1"] == 2.3


def test_overlap_by_hand():
    still = Sight(0.0, 4.0, (0, 0, 10, 10), (0, 0, 10, 10))
    later = Sight(4.0, 6.0, (0, 0, 10, 10), (0, 0, 10, 10))
    half = Sight(0.0, 4.0, (5, 0, 25, 20), (5, 0, 25, 20))
    crossing = Sight(0.0, 4.0, (20, 0, 30, 10), (0, 0, 10, 10))
    assert still.overlap(later) == 0.0
    assert still.overlap(half) == 0.5
    assert still.overlap(crossing) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_train": -1},
        {"num_train": 0, "num_val": 0, "num_test": 0},
        {"width_px": 321},
        {"height_px": 64},
        {"width_px": 240},
        {"rate_hz": 4},
        {"duration_s": 3.0},
        {"seed": -1},
    ],
)
def test_config_refuses_what_cannot_be(wrong):
    with pytest.raises(ValueError, match=r"Expected .* received"):
        SampleClipsConfig(**wrong)
