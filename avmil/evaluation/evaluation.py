"""From the scores of a run to all that is reported of it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from avmil.evaluation import metrics, scores, thresholds
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.localization import LocalizationResult

NUM_DRAWS = 200


class Chance(NamedTuple):
    """Metrics of two scorers that know nothing of the clips."""

    random_mean: metrics.Scores  # Over draws of random scores.
    random_std: metrics.Scores
    num_draws: int
    every_class: metrics.Scores  # Of all classes predicted for every clip.
    ranking: metrics.Ranking  # Of constant scores.

    @property
    def f1(self) -> float:
        """The higher F1 of the two; a system above it has learned something."""
        return max(self.random_mean.f1, self.every_class.f1)


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What a run gets on the test split."""

    identity: RunIdentity
    thresholds: np.ndarray  # [C], tuned on validation.
    untuned_class_names: tuple[str, ...]  # In no scored validation clip.
    fallback_argmax: bool  # Whether a clip in which no class passes got one.
    micro: metrics.Scores  # Pooled over clips and classes, floats.
    by_class: metrics.Scores  # Arrays [C].
    counts: metrics.Counts
    ranking: metrics.Ranking  # Needs no thresholds.
    class_ranking: metrics.ClassRanking
    chance: Chance
    val: scores.ScoreSet
    test: scores.ScoreSet
    predictions: np.ndarray  # {0, 1} int8 [N, C], on test.
    localization: LocalizationResult | None = None  # Only with a truth.

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names, in the order of all arrays."""
        return self.test.class_names


def evaluate(
    val: scores.ScoreSet,
    test: scores.ScoreSet,
    *,
    identity: RunIdentity,
    fallback_argmax: bool = False,
) -> Result:
    """Tunes thresholds on validation and measures with them on test.

    Raises:
        ValueError: if the splits have other classes or share a clip, or if no
            validation clip has features.
    """
    if val.class_names != test.class_names:
        raise ValueError(
            "Expected validation and test scores of the same classes in the "
            f"same order, received {val.class_names} and {test.class_names}."
        )
    if shared := sorted(set(val.clip_ids) & set(test.clip_ids)):
        raise ValueError(
            "Expected validation and test splits without a common clip, "
            f"received {len(shared)}, the first {shared[0]!r}: thresholds "
            "must not be tuned on test clips."
        )
    tuned = thresholds.tune(val.labels, val.scores)
    held = (val.labels & np.isfinite(val.scores)).any(axis=0)  # [C]
    untuned = np.array(val.class_names)[~held].tolist()
    predictions = thresholds.apply(test.scores, tuned, fallback_argmax)
    return Result(
        identity=identity,
        thresholds=tuned,
        untuned_class_names=tuple(untuned),
        fallback_argmax=fallback_argmax,
        micro=metrics.micro_scores(test.labels, predictions),
        by_class=metrics.class_scores(test.labels, predictions),
        counts=metrics.counts(test.labels, predictions),
        ranking=metrics.ranking(test.labels, test.scores),
        class_ranking=metrics.class_ranking(test.labels, test.scores),
        chance=chance_scores(val.labels, test.labels, fallback_argmax),
        val=val,
        test=test,
        predictions=predictions,
    )


def chance_scores(
    val_labels: np.ndarray, test_labels: np.ndarray, fallback_argmax: bool
) -> Chance:
    """Sends random scores through the procedure that systems go through.

    Each draw scores all clips uniformly at random, tunes thresholds on
    validation and is measured on test. Clips without features are scored too:
    chance needs none. Labels are {0, 1} of shape [V, C] and [N, C].
    """
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(NUM_DRAWS):
        tuned = thresholds.tune(val_labels, generator.random(val_labels.shape))
        predictions = thresholds.apply(
            generator.random(test_labels.shape), tuned, fallback_argmax
        )
        drawn.append(metrics.micro_scores(test_labels, predictions))
    return Chance(
        metrics.Scores(*np.mean(drawn, axis=0).tolist()),
        metrics.Scores(*np.std(drawn, axis=0).tolist()),
        NUM_DRAWS,
        metrics.micro_scores(test_labels, np.ones_like(test_labels)),
        metrics.ranking(test_labels, np.zeros_like(test_labels)),
    )
