"""From score sets to results."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import evaluation, metrics
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.scores import ScoreSet

CLASSES = ("horn", "bus")
VAL = ScoreSet(
    ["v0", "v1", "v2", "v3"],
    CLASSES,
    [[1, 0], [0, 1], [1, 0], [0, 0]],
    [[9, 1], [2, 7], [6, 2], [4, 3]],
)  # Thresholds 5 and 5.
TEST = ScoreSet(
    ["t0", "t1", "t2"],
    CLASSES,
    [[1, 0], [1, 1], [0, 1]],
    [[6, 0], [4, 8], [7, 9]],
)  # Class 0: a hit, a miss, a false alarm. Class 1: two hits.


def run(val=VAL, test=TEST, **options):
    return evaluation.evaluate(
        val, test, identity=RunIdentity("av_two_stream", "run"), **options
    )


def test_result_by_hand():
    result = run()
    assert result.thresholds.tolist() == [5, 5]
    assert result.counts == (3, 1, 1)
    assert result.micro == pytest.approx((0.75, 0.75, 0.75))
    assert result.by_class.f1.tolist() == [0.5, 1]
    assert (result.num_val_clips, result.num_val_missing) == (4, 0)
    assert (result.num_test_clips, result.num_test_missing) == (3, 0)
    assert result.untuned_class_names == ()
    assert result.chance.every_class.recall == 1


def test_missing_clip_counts_as_missed():
    result = run(test=TEST.with_missing(["t3"], [[1, 1]]))
    assert result.counts == (3, 1, 3)
    assert result.micro.recall == pytest.approx(3 / 6)
    assert (result.num_test_clips, result.num_test_missing) == (4, 1)
    fallback = run(
        test=TEST.with_missing(["t3"], [[1, 1]]), fallback_argmax=True
    )
    assert fallback.counts == result.counts


def test_fallback_reaches_the_predictions():
    # t1 without its bus: nothing passes until a class is forced.
    test = ScoreSet(
        TEST.clip_ids, CLASSES, TEST.labels, [[6, 0], [4, 3], [7, 9]]
    )
    assert run(test=test).counts == (2, 1, 2)
    forced = run(test=test, fallback_argmax=True)
    assert forced.counts == (3, 1, 1)
    assert forced.fallback_argmax
    assert forced.chance == evaluation.chance_scores(
        VAL.labels, test.labels, True
    )
    assert forced.chance != run(test=test).chance


def test_missing_validation_clip_is_counted():
    result = run(val=VAL.with_missing(["v4"], [[0, 1]]))
    assert (result.num_val_clips, result.num_val_missing) == (5, 1)
    assert result.thresholds.tolist() == [5, 5]


def test_class_without_positives_in_validation_is_named():
    labels = VAL.labels.copy()
    labels[:, 1] = 0
    result = run(val=ScoreSet(VAL.clip_ids, CLASSES, labels, VAL.scores))
    assert result.untuned_class_names == ("bus",)
    assert result.thresholds[1] == 7.5


def test_random_scores_get_what_chance_gets():
    generator = np.random.default_rng(0)

    def noise(prefix, num_clips):
        labels = generator.random((num_clips, 17)) < 0.08
        names = [f"{prefix}{index}" for index in range(num_clips)]
        classes = [f"class{index}" for index in range(17)]
        return ScoreSet(names, classes, labels, generator.random(labels.shape))

    result = run(noise("v", 200), noise("t", 300))
    level = result.chance
    assert abs(result.micro.f1 - level.random_mean.f1) < (
        5 * level.random_std.f1
    )


def test_thresholds_are_never_tuned_on_test_clips():
    shared = ScoreSet(["t0", "v1"], CLASSES, np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match=r"received 1, the first 't0'"):
        run(val=shared)


def test_splits_have_one_class_list():
    swapped = ScoreSet(VAL.clip_ids, CLASSES[::-1], VAL.labels, VAL.scores)
    with pytest.raises(ValueError, match="same classes in the same order"):
        run(val=swapped)


def test_validation_without_any_features_is_refused():
    empty = ScoreSet(
        VAL.clip_ids, CLASSES, VAL.labels, np.full((4, 2), -np.inf)
    )
    with pytest.raises(ValueError, match="only clips without features"):
        run(val=empty)


def labels_of(num_clips, prevalence, seed):
    generator = np.random.default_rng(seed)
    size = (num_clips, len(prevalence))
    return (generator.random(size) < prevalence).astype(int)


def test_every_class_by_hand():
    test_labels = [[1, 0, 0], [0, 1, 0]]  # 2 of 6 are right.
    result = evaluation.chance_scores([[1, 1, 1]], test_labels, num_draws=2)
    assert result.every_class == pytest.approx((0.5, 1 / 3, 1.0))


def test_random_scores_are_perfect_where_all_clips_hold_all_classes():
    ones = np.ones((8, 3), int)
    result = evaluation.chance_scores(ones, ones, num_draws=5)
    # Below all validation scores lies below all test scores, too.
    assert result.random_mean == (1, 1, 1)
    assert result.random_std == (0, 0, 0)
    assert result.num_draws == 5


def test_random_scores_get_nothing_where_validation_holds_nothing():
    result = evaluation.chance_scores(
        np.zeros((8, 3), int), np.ones((9, 3), int), num_draws=5
    )
    assert result.random_mean == (0, 0, 0)


def test_fallback_gives_each_clip_a_random_class():
    # Nothing passes on its own; the forced class is right half the time.
    test_labels = np.tile([1, 0], (500, 1))
    result = evaluation.chance_scores(
        np.zeros((8, 2), int), test_labels, fallback_argmax=True, num_draws=40
    )
    assert result.random_mean == pytest.approx((0.5, 0.5, 0.5), abs=0.01)
    assert result.random_std.f1 == pytest.approx(np.sqrt(0.25 / 500), rel=0.35)


def test_mean_does_not_depend_on_the_seed_but_draws_do():
    val, test = (labels_of(n, [0.1, 0.2, 0.4], n) for n in (150, 250))
    first = evaluation.chance_scores(val, test, seed=1)
    assert first == evaluation.chance_scores(val, test, seed=1)
    second = evaluation.chance_scores(val, test, seed=2)
    assert first != second
    error = first.random_std.f1 * np.sqrt(2 / first.num_draws)
    assert abs(first.random_mean.f1 - second.random_mean.f1) < 4 * error


def test_random_scores_gain_little_over_every_class():
    val, test = (labels_of(n, np.full(17, 0.07), n) for n in (300, 600))
    result = evaluation.chance_scores(val, test, num_draws=20)
    expected = metrics.micro_scores(test, np.ones_like(test)).f1
    assert result.random_mean.f1 == pytest.approx(expected, abs=0.03)


def test_malformed_labels_are_refused():
    with pytest.raises(ValueError, match="validation labels to hold 0 and 1"):
        evaluation.chance_scores([[3]], [[1]])
    with pytest.raises(ValueError, match="test labels of shape"):
        evaluation.chance_scores([[1]], [1])
    with pytest.raises(ValueError, match="same classes"):
        evaluation.chance_scores([[1]], [[1, 0]])
