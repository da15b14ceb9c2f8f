"""Threshold tuning against brute force, and the rule for decisions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from avmil.evaluation import thresholds


def f1_at(labels, scores, threshold) -> Fraction:
    """F1 of one class, exact."""
    pairs = [(y, s > threshold) for y, s in zip(labels, scores, strict=True)]
    hits = sum(1 for y, passed in pairs if y and passed)
    total = sum(1 for y, _ in pairs if y) + sum(1 for _, p in pairs if p)
    return Fraction(2 * hits, total) if total else Fraction(0)


def brute_force(labels, scores) -> float:
    """Tries every candidate of one class, lowest first."""
    distinct = sorted({float(s) for s in scores if np.isfinite(s)})
    candidates = [
        distinct[0] - 0.5,
        *((a + b) / 2 for a, b in itertools.pairwise(distinct)),
        distinct[-1] + 0.5,
    ]
    best = candidates[0]
    for candidate in candidates[1:]:
        if f1_at(labels, scores, candidate) >= f1_at(labels, scores, best):
            best = candidate
    return best


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("num_levels", [2, 5, 1000])
def test_tune_agrees_with_brute_force(seed, num_levels):
    generator = np.random.default_rng(seed)
    num_clips = int(generator.integers(1, 40))
    labels = generator.random((num_clips, 6)) < [0, 0.05, 0.2, 0.5, 0.9, 1]
    scores = generator.integers(0, num_levels, labels.shape) / num_levels
    scores = (scores - 0.5).astype(np.float32)
    scores[generator.random(num_clips) < 0.2] = -np.inf
    scores[0] = 0.125  # At least one clip has features.

    tuned = thresholds.tune(labels, scores)

    expected = list(map(brute_force, labels.T, scores.T))
    assert tuned.tolist() == expected


def test_tune_by_hand():
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    scores = [[0.9, 1, -2], [0.6, 2, -4], [0.8, 4, -6], [0.2, 0, -1]]
    # Class 0: 0.9 and 0.8 are right: between 0.8 and 0.6.
    # Class 1: 4 and 2 are right: between 2 and 1.
    # Class 2: -1 and -2 are right: between -2 and -4.
    np.testing.assert_allclose(
        thresholds.tune(labels, scores), [0.7, 1.5, -3.0], rtol=1e-12
    )


def test_tune_takes_the_higher_of_equal_thresholds():
    labels = [[1], [0], [0], [1]]
    # Above 0.3: 2 * 1 / (1 + 2) = 2/3; above all: 2 * 2 / (4 + 2) = 2/3.
    assert thresholds.tune(labels, [[0.4], [0.3], [0.2], [0.1]]) == (
        pytest.approx([0.35])
    )


def test_midpoint_of_neighboring_numbers_parts_them():
    low = 1.0 + np.finfo(np.float64).eps
    high = np.nextafter(low, 2)
    assert (low + high) / 2 == high  # The case exists.
    tuned = thresholds.tune([[0], [1]], [[low], [high]])
    assert thresholds.apply([[low], [high]], tuned).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([[1]], [[np.nan]], r"NaN or \+inf in 1 clip\(s\), the first in row 0"),
        ([[1], [0]], [[0.5], [np.inf]], r"the first in row 1"),
        ([[1]], [[-np.inf]], r"only clips without features"),
        ([[1, 0]], [[0.5]], r"one shape \[N, C\], received \(1, 2\)"),
        ([[0.5]], [[0.5]], r"labels to hold 0 and 1 only, received 0\.5"),
        ([1], [0.5], r"labels of shape \[N, C\]"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"at least one clip"),
    ],
)
def test_tune_refuses_malformed_input(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        thresholds.tune(labels, scores)


def test_apply_is_strict():
    predictions = thresholds.apply([[0.5, 0.5, 0.5]], [0.4, 0.5, 0.6])
    assert predictions.tolist() == [[1, 0, 0]]


def test_fallback_fills_only_scored_clips_in_which_no_class_passes():
    # Of 0.3 and 0.1 the second is nearer to its threshold.
    scores = [[0.2, 0.9], [0.3, 0.1], [-1, 0.4], [-np.inf, -np.inf]]
    limits = [2.0, 0.5]
    plain = [[0, 1], [0, 0], [0, 0], [0, 0]]
    filled = [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert thresholds.apply(scores, limits).tolist() == plain
    assert (
        thresholds.apply(scores, limits, fallback_argmax=True).tolist()
        == filled
    )


def test_few_proposals_pass_in_clips_that_lack_the_class():
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1]])
    scores = np.arange(201.0)[:, np.newaxis] * [1, -1, 1]
    clips = [1000 + scores, scores[:101], scores[101:]]
    found = thresholds.exceed_absence(labels, clips)
    # Above 198 of 0 to 200 are two; the second class has 800 to 1000, too. No
    # clip lacks the third one: all but its lowest proposal pass.
    assert found == pytest.approx([198, 996.99, 0])
    # The order of the clips and what clips with the class show do not matter.
    clips[0] = -clips[0]
    again = thresholds.exceed_absence(labels[::-1], clips[::-1])
    assert again[0] == found[0]
