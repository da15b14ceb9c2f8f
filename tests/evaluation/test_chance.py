"""What a scorer gets that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import chance, metrics


def labels_of(num_clips, prevalence, seed):
    generator = np.random.default_rng(seed)
    size = (num_clips, len(prevalence))
    return (generator.random(size) < prevalence).astype(int)


def test_every_class_by_hand():
    test_labels = [[1, 0, 0], [0, 1, 0]]  # 2 of 6 are right.
    result = chance.chance_scores([[1, 1, 1]], test_labels, num_draws=2)
    assert result.every_class == pytest.approx((0.5, 1 / 3, 1.0))


def test_random_scores_are_perfect_where_all_clips_hold_all_classes():
    ones = np.ones((8, 3), int)
    result = chance.chance_scores(ones, ones, num_draws=5)
    # Below all validation scores lies below all test scores, too.
    assert result.random_mean == (1, 1, 1)
    assert result.random_std == (0, 0, 0)
    assert result.num_draws == 5


def test_random_scores_get_nothing_where_validation_holds_nothing():
    result = chance.chance_scores(
        np.zeros((8, 3), int), np.ones((9, 3), int), num_draws=5
    )
    assert result.random_mean == (0, 0, 0)


def test_fallback_gives_each_clip_a_random_class():
    # Nothing passes on its own; the forced class is right half the time.
    test_labels = np.tile([1, 0], (500, 1))
    result = chance.chance_scores(
        np.zeros((8, 2), int), test_labels, fallback_argmax=True, num_draws=40
    )
    assert result.random_mean == pytest.approx((0.5, 0.5, 0.5), abs=0.01)
    assert result.random_std.f1 == pytest.approx(np.sqrt(0.25 / 500), rel=0.35)


def test_mean_does_not_depend_on_the_seed_but_draws_do():
    val, test = (labels_of(n, [0.1, 0.2, 0.4], n) for n in (150, 250))
    first = chance.chance_scores(val, test, seed=1)
    assert first == chance.chance_scores(val, test, seed=1)
    second = chance.chance_scores(val, test, seed=2)
    assert first != second
    error = first.random_std.f1 * np.sqrt(2 / first.num_draws)
    assert abs(first.random_mean.f1 - second.random_mean.f1) < 4 * error


def test_random_scores_gain_little_over_every_class():
    val, test = (labels_of(n, np.full(17, 0.07), n) for n in (300, 600))
    result = chance.chance_scores(val, test, num_draws=20)
    expected = metrics.micro_scores(test, np.ones_like(test)).f1
    assert result.random_mean.f1 == pytest.approx(expected, abs=0.03)


def test_malformed_labels_are_refused():
    with pytest.raises(ValueError, match="validation labels to hold 0 and 1"):
        chance.chance_scores([[3]], [[1]])
    with pytest.raises(ValueError, match="test labels of shape"):
        chance.chance_scores([[1]], [1])
    with pytest.raises(ValueError, match="same classes"):
        chance.chance_scores([[1]], [[1, 0]])
