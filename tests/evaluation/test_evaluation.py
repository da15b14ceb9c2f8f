"""From score sets to results."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from avmil.evaluation import chance, evaluation
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
        val, test, system="av_two_stream", run_name="run", **options
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
    assert forced.chance == chance.chance_scores(VAL.labels, test.labels, True)
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


def test_the_room_needs_no_deep_learning_library():
    code = (
        "import sys, report.exports; "
        "print({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=pathlib.Path(evaluation.__file__).parents[1],
    )
    assert done.stdout.strip() == "set()"
