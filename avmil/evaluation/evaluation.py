"""From the scores of a run to all that is reported of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from avmil.evaluation import chance, metrics, scores, thresholds


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a run gets on the test split.

    Attributes:
        system: The system's name, as in `model.systems`.
        run_name: What tells this run from others of the system.
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
        seed: Seed of the training, or those of a fusion joined by "+"; None
            where it is not known.
        settings: What else decided the training. Runs of one system that
            differ in nothing but the seed have the same.
    """

    system: str
    run_name: str
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
    seed: int | str | None = None
    settings: str = ""

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
    system: str,
    run_name: str,
    fallback_argmax: bool = False,
    seed: int | str | None = None,
    settings: str = "",
) -> Result:
    """Tunes thresholds on validation and measures with them on test.

    Args:
        val: Scores of the validation split.
        test: Scores of the test split.
        system: The system's name.
        run_name: What tells this run from others of the system.
        fallback_argmax: As for `thresholds.apply`.
        seed: As in the result.
        settings: What else decided the training.

    Raises:
        ValueError: if the splits have other classes or share a clip, or if no
            validation clip has features.
    """
    _check_splits(val, test)
    tuned = thresholds.tune(val.labels, val.scores)
    untuned = thresholds.classes_without_positives(val.labels, val.scores)
    predictions = thresholds.apply(test.scores, tuned, fallback_argmax)
    return Result(
        system=system,
        run_name=run_name,
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
        seed=seed,
        settings=settings,
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
