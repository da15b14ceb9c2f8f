"""From score sets to results."""

from __future__ import annotations

import dataclasses

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
    assert (result.val.num_clips, result.val.num_missing) == (4, 0)
    assert (result.test.num_clips, result.test.num_missing) == (3, 0)
    assert result.untuned_class_names == ()


@pytest.mark.parametrize("fallback_argmax", [False, True])
def test_missing_clips_count_as_missed(fallback_argmax):
    result = run(
        val=VAL.with_missing(["v4"], [[0, 1]]),
        test=TEST.with_missing(["t3"], [[1, 1]]),
        fallback_argmax=fallback_argmax,
    )
    assert result.thresholds.tolist() == [5, 5]
    assert result.counts == (3, 1, 3)
    assert (result.val.num_clips, result.val.num_missing) == (5, 1)
    assert (result.test.num_clips, result.test.num_missing) == (4, 1)


def test_fallback_reaches_the_predictions_and_chance():
    # t1 without its bus: nothing passes until a class is forced.
    test = dataclasses.replace(TEST, scores=[[6, 0], [4, 3], [7, 9]])
    plain, forced = run(test=test), run(test=test, fallback_argmax=True)
    assert plain.counts == (2, 1, 2)
    assert forced.counts == (3, 1, 1)
    assert forced.fallback_argmax
    assert forced.chance != plain.chance


def test_class_that_no_scored_validation_clip_holds_is_named():
    labels = VAL.labels.copy()
    labels[:, 1] = 0
    val = dataclasses.replace(VAL, labels=labels)
    result = run(val=val.with_missing(["v4"], [[0, 1]]))
    assert result.untuned_class_names == ("bus",)
    assert result.thresholds[1] > 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_ids": ["t0", "v1", "v2", "v3"]}, "received 1, the first 't0'"),
        ({"class_names": CLASSES[::-1]}, "same classes in the same order"),
        ({"scores": np.full((4, 2), -np.inf)}, "only clips without features"),
    ],
)
def test_validation_that_cannot_be_tuned_on_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        run(val=dataclasses.replace(VAL, **changes))


def labels_of(num_clips):
    generator = np.random.default_rng(num_clips)
    return (generator.random((num_clips, 17)) < 0.08).astype(int)


def test_random_scores_get_what_chance_gets():
    val, test = labels_of(200), labels_of(300)
    level = evaluation.chance_scores(val, test, False)
    classes = [f"class{index}" for index in range(17)]
    generator = np.random.default_rng(0)
    result = run(
        *(
            ScoreSet(
                [f"{split}{index}" for index in range(len(labels))],
                classes,
                labels,
                generator.random(labels.shape),
            )
            for split, labels in (("v", val), ("t", test))
        )
    )
    assert result.chance == level
    error = abs(result.micro.f1 - level.random_mean.f1)
    assert error < 5 * level.random_std.f1
    assert result.ranking.d_prime == pytest.approx(0, abs=0.2)
    assert result.ranking.mean_average_precision == pytest.approx(
        level.ranking.mean_average_precision, abs=0.03
    )
    # They gain little over every class.
    assert level.every_class == metrics.micro_scores(test, np.ones_like(test))
    assert level.random_mean.f1 == pytest.approx(level.every_class.f1, abs=0.03)


def test_every_class_by_hand():
    labels = np.array([[1, 0, 0], [0, 1, 0]])  # 2 of 6 are right.
    result = evaluation.chance_scores(labels, labels, False)
    assert result.every_class == pytest.approx((0.5, 1 / 3, 1.0))
    # Half of the clips hold each class that any holds.
    assert result.ranking == (0.5, 0.5, 0.0)


@pytest.mark.parametrize("held", [0, 1])
def test_random_scores_where_validation_holds_nothing_or_all(held):
    # Below all validation scores lies below all test scores, too.
    result = evaluation.chance_scores(
        np.full((40, 3), held), np.ones((40, 3), int), False
    )
    assert result.random_mean == (held, held, held)
    assert result.random_std == (0, 0, 0)
    assert result.num_draws == evaluation.NUM_DRAWS


def test_fallback_gives_each_clip_a_random_class():
    # Nothing passes on its own; the forced class is right half the time.
    test_labels = np.tile([1, 0], (500, 1))
    result = evaluation.chance_scores(np.zeros((8, 2), int), test_labels, True)
    assert result.random_mean == pytest.approx((0.5, 0.5, 0.5), abs=0.01)
    assert result.random_std.f1 == pytest.approx(np.sqrt(0.25 / 500), rel=0.35)
