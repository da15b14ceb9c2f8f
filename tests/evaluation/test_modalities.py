"""Audible and visible classes, as VGGSounder counts them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from avmil.evaluation import modalities, thresholds
from avmil.evaluation.scores import ScoreSet
from avmil.evaluation.truth import TrueEvent

NAMES = ("bus", "dog", "train")


def score_sets(prefix, num_clips, seed):
    """Target -> random scores of clips with random labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (num_clips, len(NAMES)))
    ids = [f"{prefix}{i}" for i in range(num_clips)]
    return {
        name: ScoreSet(
            ids, NAMES, labels, labels + generator.normal(size=labels.shape)
        )
        for name in modalities.TARGETS
    }


def test_each_target_by_its_own_scores_and_clips():
    val, test = score_sets("v", 20, 0), score_sets("t", 30, 1)
    generator = np.random.default_rng(2)
    in_ = generator.integers(0, 2, (2, 30, 3))  # Audible, visible.
    truth = {
        f"t{clip}": tuple(
            TrueEvent(
                name,
                is_heard_untimed=bool(in_[0, clip, column]),
                is_seen_untimed=bool(in_[1, clip, column]),
            )
            for column, name in enumerate(NAMES)
        )
        for clip in range(30)
    }
    found = modalities.measure(val, test, truth)
    targets = zip(modalities.TARGETS, (*in_, in_[0] & in_[1]), strict=True)
    for name, labels in targets:
        held = labels.any(axis=1)
        # No validation clip is in the truth: their labels count.
        tuned = thresholds.tune(val[name].labels, val[name].scores)
        scores, labels = test[name].scores[held], labels[held]
        f1 = f1_score(labels, scores > tuned, average="micro")
        precision = average_precision_score(labels, scores, average="macro")
        assert found.scores[name] == pytest.approx((f1, precision), abs=1e-6)
        every = found.references["every_class"][name]
        ones = np.ones_like(labels)
        assert every.f1 == pytest.approx(
            f1_score(labels, ones, average="micro")
        )
        assert every.mean_average_precision == pytest.approx(labels.mean())


def test_what_a_system_or_a_truth_lacks():
    val, test = score_sets("v", 4, 0), score_sets("t", 4, 1)
    both = TrueEvent("bus", is_heard_untimed=True, is_seen_untimed=True)
    truth = {f"t{clip}": (both,) for clip in range(3)}
    audible = [{"audible": of["audible"]} for of in (val, test)]
    found = modalities.measure(*audible, truth)
    assert 0 <= found.scores["audible"].f1 <= 1
    assert np.isnan(found.scores["both"]).all()
    heard = {"t0": (TrueEvent("bus", is_heard_untimed=True),)}
    assert modalities.measure(val, test, heard) is None
    assert modalities.measure({}, {}, truth) is None
