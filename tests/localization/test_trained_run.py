"""The scores that a trained run finds events in."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from avmil.evaluation.events import score_cells
from avmil.evaluation.identity import WeightsIdentity
from avmil.localization import TrainedRun
from avmil.localization.recipe import WeightsFiles
from tests.localized_clips import CLASS_NAMES, make_clip

SCORES = np.array([[0, 1], [3, 2], [9, 4], [6, 5]], float)


def make_run(event_thresholds):
    return TrainedRun(
        name="run",
        system="made_up",
        class_names=CLASS_NAMES,
        recipe={},
        thresholds=dict.fromkeys(CLASS_NAMES, -1.0),
        event_thresholds=event_thresholds,
        weights=WeightsIdentity("last", 1),
        model=SimpleNamespace(),
        weights_files=WeightsFiles(),
    )


def clip():
    return make_clip(segment_scores=SCORES)


def test_without_thresholds_of_their_own_scores_are_scaled():
    compared = make_run(None).compared(clip())
    np.testing.assert_allclose(compared.segment_scores[:, 0], SCORES[:, 0] / 9)
    np.testing.assert_allclose(
        compared.segment_scores[:, 1], (SCORES[:, 1] - 1) / 4
    )
    silent = make_run(None).compared(make_clip())
    assert silent.segment_scores.shape == (0, 2)


def test_with_thresholds_of_their_own_scores_stay():
    run = make_run(dict.fromkeys(CLASS_NAMES, 0.0))
    assert run.compared(clip()).segment_scores.tolist() == SCORES.tolist()


@pytest.mark.parametrize("threshold", [None, 0.15, 3.5])
def test_events_are_where_the_compared_scores_pass(threshold):
    limits = threshold and dict.fromkeys(CLASS_NAMES, threshold)
    run = make_run(limits)
    cells_s, scores = score_cells(run.compared(clip()))
    passed = scores > threshold if threshold else scores >= 0.5
    heard = np.zeros_like(passed)
    for name, events in run.events(clip()).items():
        column = CLASS_NAMES.index(name)
        for event in events:
            inside = (cells_s[:, 0] >= event.onset_s) & (
                cells_s[:, 1] <= event.offset_s
            )
            heard[inside, column] = True
            assert event.score == scores[inside, column].max()
    assert heard.tolist() == passed.tolist()


def test_classes_that_are_not_predicted_have_no_events():
    run = make_run(None)
    run = dataclasses.replace(run, thresholds={"bus": 9.0, "dog": -9.0})
    assert run.predicted(clip()) == ("dog",)
    events = run.events(clip())
    assert list(events) == ["bus", "dog"]
    assert events["bus"] == []
    assert events["dog"]
    run = dataclasses.replace(run, thresholds=None)
    assert run.predicted(clip()) == ()
    assert run.events(clip()) == {"bus": [], "dog": []}
