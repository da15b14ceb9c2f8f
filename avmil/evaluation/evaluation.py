"""From the scores of a run to all that is reported of it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation import checks, metrics, scores, thresholds
from avmil.evaluation.identity import RunIdentity


class Chance(NamedTuple):
    """Micro scores of two scorers that know nothing of the clips.

    Attributes:
        random_mean: Mean over the draws of random scores.
        random_std: Standard deviation over the draws.
        num_draws: How many draws.
        every_class: Every class predicted for every clip.
    """

    random_mean: metrics.Scores
    random_std: metrics.Scores
    num_draws: int
    every_class: metrics.Scores


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a run gets on the test split.

    Attributes:
        identity: The run.
        thresholds: [C], tuned on validation.
        untuned_class_names: Classes that no scored validation clip holds.
        fallback_argmax: Whether a clip in which no class passes got one.
        micro: Pooled over clips and classes, floats.
        by_class: Arrays [C].
        counts: Hits, false alarms and misses.
        chance: What a scorer gets that knows nothing of the clips.
        val: Scores and labels of the validation split.
        test: Scores and labels of the test split, N clips.
        predictions: {0, 1} int8 [N, C], with the thresholds on test.
    """

    identity: RunIdentity
    thresholds: np.ndarray
    untuned_class_names: tuple[str, ...]
    fallback_argmax: bool
    micro: metrics.Scores
    by_class: metrics.Scores
    counts: metrics.Counts
    chance: Chance
    val: scores.ScoreSet
    test: scores.ScoreSet
    predictions: np.ndarray

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names, in the order of all arrays."""
        return self.test.class_names

    @property
    def num_val_clips(self) -> int:
        """Validation clips, with those without features."""
        return len(self.val.clip_ids)

    @property
    def num_val_missing(self) -> int:
        """Validation clips without features."""
        return len(self.val.missing_clip_ids)

    @property
    def num_test_clips(self) -> int:
        """Test clips, with those without features."""
        return len(self.test.clip_ids)

    @property
    def num_test_missing(self) -> int:
        """Test clips without features; they count as missed."""
        return len(self.test.missing_clip_ids)


def evaluate(
    val: scores.ScoreSet,
    test: scores.ScoreSet,
    *,
    identity: RunIdentity,
    fallback_argmax: bool = False,
) -> Result:
    """Tunes thresholds on validation and measures with them on test.

    Args:
        val: Scores of the validation split.
        test: Scores of the test split.
        identity: The run.
        fallback_argmax: As for `thresholds.apply`.

    Raises:
        ValueError: if the splits have other classes or share a clip, or if no
            validation clip has features.
    """
    _check_splits(val, test)
    tuned = thresholds.tune(val.labels, val.scores)
    untuned = thresholds.classes_without_positives(val.labels, val.scores)
    predictions = thresholds.apply(test.scores, tuned, fallback_argmax)
    return Result(
        identity=identity,
        thresholds=tuned,
        untuned_class_names=tuple(test.class_names[c] for c in untuned),
        fallback_argmax=fallback_argmax,
        micro=metrics.micro_scores(test.labels, predictions),
        by_class=metrics.class_scores(test.labels, predictions),
        counts=metrics.counts(test.labels, predictions),
        chance=chance_scores(val.labels, test.labels, fallback_argmax),
        val=val,
        test=test,
        predictions=predictions,
    )


def chance_scores(
    val_labels: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    fallback_argmax: bool = False,
    num_draws: int = 200,
    seed: int = 0,
) -> Chance:
    """Sends random scores through the procedure that systems go through.

    Each draw scores all clips uniformly at random, tunes thresholds on
    validation and is measured on test. Clips without features are scored too:
    chance needs none.

    Args:
        val_labels: {0, 1} of shape [V, C].
        test_labels: {0, 1} of shape [N, C].
        fallback_argmax: As for `thresholds.apply`.
        num_draws: How often to draw scores.
        seed: Seed of the draws.

    Raises:
        ValueError: if the input is malformed.
    """
    val_labels = checks.indicator_matrix(val_labels, "validation labels")
    test_labels = checks.indicator_matrix(test_labels, "test labels")
    if val_labels.shape[1] != test_labels.shape[1]:
        raise ValueError(
            "Expected labels of the same classes, received "
            f"{val_labels.shape[1]} on validation and {test_labels.shape[1]} "
            "on test."
        )
    generator = np.random.default_rng(seed)

    def draw() -> metrics.Scores:
        tuned = thresholds.tune(val_labels, generator.random(val_labels.shape))
        predictions = thresholds.apply(
            generator.random(test_labels.shape), tuned, fallback_argmax
        )
        return metrics.micro_scores(test_labels, predictions)

    drawn = np.array([draw() for _ in range(num_draws)])  # [num_draws, 3]
    return Chance(
        metrics.Scores(*drawn.mean(axis=0).tolist()),
        metrics.Scores(*drawn.std(axis=0).tolist()),
        num_draws,
        metrics.micro_scores(test_labels, np.ones_like(test_labels)),
    )


def _check_splits(val: scores.ScoreSet, test: scores.ScoreSet) -> None:
    if val.class_names != test.class_names:
        raise ValueError(
            "Expected validation and test scores of the same classes in the "
            f"same order, received {val.class_names} and {test.class_names}."
        )
    shared = sorted(set(val.clip_ids) & set(test.clip_ids))
    if shared:
        raise ValueError(
            "Expected validation and test splits without a common clip, "
            f"received {len(shared)}, the first {shared[0]!r}: thresholds "
            "must not be tuned on test clips."
        )
