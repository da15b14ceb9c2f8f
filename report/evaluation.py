"""From the scores of a run to all that is reported of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from report import chance, metrics, scores, thresholds


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a run gets on the test split.

    Attributes:
        system: The system's name, as in `model.systems`.
        run_name: What tells this run from others of the system.
        class_names: C names, in the order of all arrays.
        thresholds: [C], tuned on validation.
        untuned_class_names: Classes that no scored validation clip holds.
        fallback_argmax: Whether a clip in which no class passes got one.
        micro: Pooled over clips and classes, floats.
        by_class: Arrays [C].
        counts: Hits, false alarms and misses.
        chance: What a scorer gets that knows nothing of the clips.
        num_val_clips: Validation clips, with those without features.
        num_val_missing: Validation clips without features.
        num_test_clips: Test clips, with those without features.
        num_test_missing: Test clips without features; they count as missed.
    """

    system: str
    run_name: str
    class_names: tuple[str, ...]
    thresholds: np.ndarray
    untuned_class_names: tuple[str, ...]
    fallback_argmax: bool
    micro: metrics.Scores
    by_class: metrics.Scores
    counts: metrics.Counts
    chance: chance.Chance
    num_val_clips: int
    num_val_missing: int
    num_test_clips: int
    num_test_missing: int


def evaluate(
    val: scores.ScoreSet,
    test: scores.ScoreSet,
    *,
    system: str,
    run_name: str,
    fallback_argmax: bool = False,
) -> Result:
    """Tunes thresholds on validation and measures with them on test.

    Args:
        val: Scores of the validation split.
        test: Scores of the test split.
        system: The system's name.
        run_name: What tells this run from others of the system.
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
        system=system,
        run_name=run_name,
        class_names=test.class_names,
        thresholds=tuned,
        untuned_class_names=tuple(test.class_names[c] for c in untuned),
        fallback_argmax=fallback_argmax,
        micro=metrics.micro_scores(test.labels, predictions),
        by_class=metrics.class_scores(test.labels, predictions),
        counts=metrics.counts(test.labels, predictions),
        chance=chance.chance_scores(val.labels, test.labels, fallback_argmax),
        num_val_clips=len(val.clip_ids),
        num_val_missing=len(val.missing_clip_ids),
        num_test_clips=len(test.clip_ids),
        num_test_missing=len(test.missing_clip_ids),
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
