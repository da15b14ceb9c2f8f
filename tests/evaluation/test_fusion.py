"""Fusion of probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import fusion
from avmil.evaluation.scores import ScoreSet

NAN = -np.inf


def member(scores, clip_ids=("x", "y", "z"), classes=("bus", "car"), label=1):
    return ScoreSet(clip_ids, classes, [[label, 0], [0, 1], [0, 0]], scores)


def test_mean_by_hand():
    fused = fusion.fuse(
        {
            "g0": member([[0.2, 1], [0.5, 0], [NAN, NAN]]),
            "g1": member([[0.6, 0], [0.5, 0.5], [NAN, NAN]]),
            "g2": member([[0.1, 0.5], [NAN, NAN], [NAN, NAN]]),
        }
    )
    np.testing.assert_allclose(
        fused.scores, [[0.3, 0.5], [0.5, 0.25], [NAN, NAN]], rtol=1e-6
    )
    assert fused.clip_ids == ("x", "y", "z")
    assert fused.class_names == ("bus", "car")
    assert fused.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert fused.missing_clip_ids == ("z",)


def test_one_member_or_several_alike_change_nothing():
    alone = member([[0.2, 1], [0.5, 0], [NAN, NAN]])
    for count in (1, 7):
        fused = fusion.fuse({str(i): alone for i in range(count)})
        np.testing.assert_array_equal(fused.scores, alone.scores)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"clip_ids": ("y", "x", "z")}, "other clips or another order"),
        ({"classes": ("bus", "cab")}, "other classes"),
        ({"label": 0}, "other labels"),
    ],
)
def test_members_of_other_clips_are_refused(other, message):
    scores = np.full((3, 2), 0.5)
    members = {"g0": member(scores), "g1": member(scores, **other)}
    with pytest.raises(ValueError, match=message) as caught:
        fusion.fuse(members)
    assert "received g0 and g1" in str(caught.value)


@pytest.mark.parametrize("wrong", [-0.1, 1.5])
def test_scores_that_are_no_probabilities_are_refused(wrong):
    scores = np.full((3, 2), 0.5)
    scores[1, 0] = wrong
    with pytest.raises(ValueError, match=r"in \[0, 1\].* of g1\."):
        fusion.fuse({"g0": member(scores * 0), "g1": member(scores)})


def test_nothing_to_fuse_is_refused():
    with pytest.raises(ValueError, match="received none"):
        fusion.fuse({})
