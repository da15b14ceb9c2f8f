"""Accuracy of seconds, as AVE counts it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from avmil.evaluation import av_events
from avmil.evaluation.localization import missing_clip
from avmil.evaluation.truth import Interval, Sight, TrueEvent
from avmil.evaluation.video_parsing import seconds
from tests.localized_clips import CLASS_NAMES, heard, make_clip


def event(class_name, start_s, end_s):
    """Heard and seen at once, nobody knows where."""
    times = Interval(start_s, end_s)
    return TrueEvent(class_name, times, Sight(times, np.zeros((0, 5))))


def clip(clip_id, audio, visual, best=0):
    """Four seconds with scores of class 0, and which class is the best."""
    segments = np.stack([audio, np.zeros(4)], axis=1)
    regions = np.stack([visual, np.zeros(4)], axis=1)
    made = make_clip(
        clip_id,
        segments,
        boxes=((0, 0, 9, 9),) * 4,
        region_times_s=np.arange(4) + 0.5,
        region_scores=regions,
    )
    return dataclasses.replace(made, scores=np.eye(2)[best])


def measure(val, test, truth):
    splits = val, test
    return av_events.measure(*(seconds(c, truth) for c in splits), *splits)


def test_an_event_is_heard_and_seen():
    truth = {
        "val": (event("bus", 1, 3),),
        # Heard alone in the last second, which is background.
        "test": (event("bus", 0, 2), heard("bus", 2, 4)),
    }
    val = clip("val", [1, 3, 3, 3], [1, 3, 3, 1])
    test = clip("test", [3, 3, 3, 3], [3, 1, 1, 1])
    found = measure([val], [test], truth)
    # Found in the first second only: right there, and in the last two.
    assert found.scores["seconds"] == (0.75, 0.5, 1)
    references = {k: of["seconds"].all for k, of in found.references.items()}
    assert references == {
        "background": 0.5,
        "predicted_class": 0.5,
        "true_class": 0.5,
        "random_label": pytest.approx(1 / 3),
    }
    # Modalities count alike, whatever their scale.
    louder = [
        dataclasses.replace(c, segment_scores=1000 * c.segment_scores)
        for c in (val, test)
    ]
    assert measure(louder[:1], louder[1:], truth).scores == found.scores
    # A clip has one class: another one is wrong in every second it is in.
    wrong = dataclasses.replace(test, scores=np.array([0, 1]))
    assert measure([val], [wrong], truth).scores["seconds"].events == 0


def test_one_modality_is_enough_and_no_features_are_always_wrong():
    truth = {name: (event("bus", 1, 3),) for name in ("val", "test")}
    deaf = [
        dataclasses.replace(
            clip(name, [0] * 4, [1, 3, 3, 1]),
            segment_times_s=np.zeros((0, 2)),
            segment_scores=np.zeros((0, 2)),
        )
        for name in ("val", "test")
    ]
    assert measure(deaf[:1], deaf[1:], truth).scores["seconds"] == (1, 1, 1)
    missing = missing_clip("test", truth["test"], CLASS_NAMES, 1.0)
    found = measure(deaf[:1], [missing], truth)
    assert found.scores["seconds"] == (0, 0, 0)
    assert found.references["background"]["seconds"].all == pytest.approx(1 / 3)


def test_the_threshold_is_the_most_accurate_one():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 8, 50).astype(float)
    gains = generator.integers(-1, 2, 50)
    found = av_events._tune(gains, scores)
    gained = {t: gains[scores > t].sum() for t in (-1, *np.unique(scores))}
    assert gains[scores > found].sum() == max(gained.values())
