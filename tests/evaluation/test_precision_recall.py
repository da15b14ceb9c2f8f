"""Precision-recall curves with clips that have no score."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from avmil.evaluation import precision_recall


def test_curve_of_scored_clips_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.random(200) < 0.2
    scores = generator.normal(size=200).round(1)  # With ties.
    curve = precision_recall.curve(labels, scores)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    np.testing.assert_array_equal(curve.precision, precision)
    np.testing.assert_array_equal(curve.recall, recall)
    assert curve.average_precision == pytest.approx(
        metrics.average_precision_score(labels, scores)
    )


def test_clips_without_features_are_never_retrieved():
    curve = precision_recall.curve([1, 0, 1, 1], [3, 2, 1, -np.inf])
    assert curve.recall == pytest.approx([2 / 3, 1 / 3, 1 / 3, 0])
    assert curve.precision == pytest.approx([2 / 3, 1 / 2, 1, 1])
    assert curve.average_precision == pytest.approx(1 / 3 + 2 / 9)


def test_points_are_those_of_every_threshold_by_counting():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 30)
    scores = generator.integers(-4, 4, 30).astype(float)
    scores[::5] = -np.inf
    curve = precision_recall.curve(labels, scores)
    expected = []
    for level in np.unique(scores[np.isfinite(scores)]):
        retrieved = scores >= level
        hits = labels[retrieved].sum()
        expected.append((hits / labels.sum(), hits / retrieved.sum()))
    np.testing.assert_allclose(np.transpose(curve), [*expected, (0, 1)])


def test_nothing_is_retrieved_where_no_clip_has_features():
    curve = precision_recall.curve([1, 0], [-np.inf, -np.inf])
    assert (curve.recall.tolist(), curve.precision.tolist()) == ([0], [1])
    assert curve.average_precision == 0


def test_class_that_no_clip_holds_has_no_curve():
    assert precision_recall.curve([0, 0], [1, 2]) is None
