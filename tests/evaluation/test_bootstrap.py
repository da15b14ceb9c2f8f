"""Bootstrap intervals and comparisons whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from avmil.evaluation import bootstrap, metrics


def made_up(num_clips=40, num_classes=5, noise=0.2, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.random((num_clips, num_classes)) < 0.3
    wrong = generator.random(labels.shape) < noise
    return labels.astype(np.int8), (labels ^ wrong).astype(np.int8)


def f1_samples(labels, system):
    """F1 of one seed of a system, in each resample of the clips."""
    return bootstrap.resampled_scores(labels, [system]).f1[0]


def test_all_systems_and_seeds_share_the_draws_of_clips():
    labels, predictions = made_up()
    other = made_up(noise=0.4, seed=1)[1]
    both = bootstrap.resampled_scores(labels, [predictions, other]).f1
    for samples, system in zip(both, (predictions, other), strict=True):
        np.testing.assert_array_equal(samples, f1_samples(labels, system))
    assert both.shape == (2, bootstrap.NUM_RESAMPLES)


@pytest.mark.parametrize("num_clips", [1, 10])
def test_clips_that_are_all_alike_leave_no_doubt(num_clips):
    labels = np.tile([1, 1, 0], (num_clips, 1))
    predictions = np.tile([1, 0, 1], (num_clips, 1))
    scores = bootstrap.resampled_scores(labels, [predictions])
    assert all(bootstrap.interval(field[0]) == (0.5, 0.5) for field in scores)


def test_two_clips_give_the_distribution_of_their_four_outcomes(monkeypatch):
    # Clip 0 is a hit, clip 1 a miss and a false alarm. Of the outcomes (0, 0),
    # (0, 1), (1, 0) and (1, 1) F1 is 1, 1/2, 1/2 and 0.
    labels = np.array([[1, 0], [1, 0]])
    predictions = np.array([[1, 0], [0, 1]])
    outcomes = [
        metrics.micro_scores(labels[list(clips)], predictions[list(clips)]).f1
        for clips in itertools.product(range(2), repeat=2)
    ]
    assert outcomes == [1, 0.5, 0.5, 0]
    monkeypatch.setattr(bootstrap, "NUM_RESAMPLES", 4000)
    f1 = f1_samples(labels, predictions)
    values, counts = np.unique(f1, return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)
    assert bootstrap.interval(f1) == (0, 1)


def test_clips_and_seeds_give_the_distribution_of_all_their_draws(monkeypatch):
    # Two clips are drawn of two and two seeds of three: 4 x 9 outcomes.
    labels = np.array([[1, 0], [1, 0]])
    seeds = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]], [[0, 0], [1, 1]]])
    outcomes = [
        np.mean(
            [
                metrics.micro_scores(labels[[*clips]], seeds[seed][[*clips]]).f1
                for seed in drawn
            ]
        )
        for clips in itertools.product(range(2), repeat=2)
        for drawn in itertools.product(range(3), repeat=2)
    ]
    monkeypatch.setattr(bootstrap, "NUM_RESAMPLES", 20_000)
    scores = bootstrap.resampled_scores(labels, seeds)
    f1 = bootstrap.over_drawn_seeds(scores, "a").f1
    expected, counts = np.unique(np.round(outcomes, 9), return_counts=True)
    values, found = np.unique(np.round(f1, 9), return_counts=True)
    np.testing.assert_allclose(values, expected)
    np.testing.assert_allclose(found / 20_000, counts / 36, atol=0.015)


def test_seeds_are_drawn_independently_and_in_any_order():
    generator = np.random.default_rng(0)
    level = generator.normal(size=(5, 1))  # Seeds differ, clips do not matter.
    scores = metrics.Scores(*[np.repeat(level, 2000, axis=1)] * 3)
    one = bootstrap.over_drawn_seeds(scores, "one").f1
    other = bootstrap.over_drawn_seeds(scores, "other").f1
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    np.testing.assert_array_equal(
        one, bootstrap.over_drawn_seeds(scores, "one").f1
    )
    # The variance of a mean of five, without bias.
    assert one.var() == pytest.approx(level.var(ddof=1) / 5, rel=0.1)
    reverse = metrics.Scores(*(field[::-1] for field in scores))
    turned = bootstrap.over_drawn_seeds(reverse, "one").f1
    assert turned.mean() == pytest.approx(one.mean(), abs=0.05)
    assert turned.std() == pytest.approx(one.std(), rel=0.1)


def test_intervals_are_those_of_counting_drawn_clips():
    labels, predictions = made_up(num_clips=120)
    generator = np.random.default_rng(1)
    drawn = generator.integers(0, 120, (2000, 120))
    expected = np.array(
        [metrics.micro_scores(labels[d], predictions[d]) for d in drawn]
    )
    got = bootstrap.resampled_scores(labels, [predictions])
    for (samples,), wanted in zip(got, expected.T, strict=True):
        low, high = np.percentile(wanted, (2.5, 97.5))
        np.testing.assert_allclose(
            bootstrap.interval(samples), (low, high), atol=0.1 * (high - low)
        )


def test_interval_cuts_off_two_and_a_half_percent_on_each_side():
    samples = np.random.default_rng(0).permutation(1001) / 1000
    assert bootstrap.interval(samples) == pytest.approx((0.025, 0.975))


def test_p_value_by_hand():
    # Of nine differences one is below 0 and two are 0.
    first = np.array([1, -1, 0, 0, 2, 3, 1, 1, 1]) / 10
    compared = bootstrap.compare(0.3, 0.1, first, np.zeros(9), True)
    assert compared.difference == pytest.approx(0.2)
    assert compared.p_value == pytest.approx(2 * (3 + 1) / (9 + 1))
    swapped = bootstrap.compare(0.1, 0.3, np.zeros(9), first, True)
    assert swapped.p_value == compared.p_value
    assert swapped.interval == pytest.approx(
        (-compared.interval.high, -compared.interval.low)
    )


def test_rounding_is_no_difference():
    first = np.full(100, np.mean([0.1, 0.2, 0.3]))
    assert (first > 0.2).all()
    compared = bootstrap.compare(0.2, 0.2, first, np.full(100, 0.2), True)
    assert compared.p_value == 1
    assert not compared.is_more_than_chance


def test_clearly_better_system_leads_by_more_than_chance():
    labels, good = made_up(num_clips=200, noise=0.05)
    bad = made_up(num_clips=200, noise=0.4)[1]
    samples = [f1_samples(labels, system) for system in (good, bad)]
    points = [metrics.micro_scores(labels, system).f1 for system in (good, bad)]
    compared = bootstrap.compare(*points, *samples, True)
    assert 0.2 < compared.interval.low < compared.difference
    assert compared.difference < compared.interval.high
    assert compared.p_value == pytest.approx(2 / 2001)
    assert compared.is_more_than_chance


def test_pairing_finds_a_small_lead_that_intervals_of_each_hide():
    # The second system is the first, less every 20th hit.
    labels, first = made_up(num_clips=200, noise=0.2)
    second = first.copy()
    hits = np.argwhere((labels == 1) & (first == 1))[::20]
    second[tuple(hits.T)] = 0
    samples = [f1_samples(labels, system) for system in (first, second)]
    assert bootstrap.interval(samples[1]).high > samples[0].mean()
    points = [s.mean() for s in samples]
    assert bootstrap.compare(*points, *samples, True).is_more_than_chance


def test_test_clips_alone_give_no_verdict():
    ones, zeros = np.ones(9), np.zeros(9)
    compared = bootstrap.compare(1.0, 0.0, ones, zeros, False)
    assert compared[:2] == (1, (1, 1))
    assert np.isnan(compared.p_value)
    assert compared.is_more_than_chance is None


@pytest.mark.parametrize("spread", [0, 0.06])
def test_share_of_false_findings_is_no_higher_than_the_level(
    spread, monkeypatch
):
    """Two equally good systems whose seeds differ by chance, on 100 sets.

    Of test clips alone half of the comparisons would have p < 0.05.
    """
    monkeypatch.setattr(bootstrap, "NUM_RESAMPLES", 300)
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(100):
        labels = generator.random((100, 4)) < 0.3
        samples = []
        for name in "ab":
            noise = 0.2 + spread * generator.normal(size=(5, 1, 1))
            wrong = generator.random((5, *labels.shape)) < noise.clip(0, 1)
            scores = bootstrap.resampled_scores(labels, labels ^ wrong)
            samples.append(bootstrap.over_drawn_seeds(scores, name).f1)
        compared = bootstrap.compare(0, 0, *samples, True)
        found += compared.is_more_than_chance
    assert found <= 12


def test_share_of_false_findings_of_clips_is_the_level(monkeypatch):
    """Two equally good systems on 150 test sets: about 5 % exclude 0."""
    monkeypatch.setattr(bootstrap, "NUM_RESAMPLES", 500)
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(150):
        labels = generator.random((100, 4)) < 0.3
        samples = [
            f1_samples(labels, labels ^ (generator.random(labels.shape) < 0.2))
            for _ in range(2)
        ]
        low, high = bootstrap.compare(0, 0, *samples, False).interval
        found += not low <= 0 <= high
    assert 1 <= found <= 17
