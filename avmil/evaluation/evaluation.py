"""From the scores of a run to all that is reported of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from avmil.evaluation import chance, metrics, scores, thresholds
from avmil.evaluation.identity import RunIdentity


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a run gets on the test split.

    Attributes:
        identity: System, name, seed and settings of the run.
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
    chance: chance.Chance
    val: scores.ScoreSet
    test: scores.ScoreSet
    predictions: np.ndarray

    @property
    def system(self) -> str:
        """The system's name, as in `model.systems`."""
        return self.identity.system

    @property
    def run_name(self) -> str:
        """What tells the run from others of the system."""
        return self.identity.run_name

    @property
    def seed(self) -> int | str | None:
        """Seed of the training, see `RunIdentity`."""
        return self.identity.seed

    @property
    def settings(self) -> str:
        """What else decided the training."""
        return self.identity.settings

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
        identity: System, name, seed and settings of the run.
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
        chance=chance.chance_scores(val.labels, test.labels, fallback_argmax),
        val=val,
        test=test,
        predictions=predictions,
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
