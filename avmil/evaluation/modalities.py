"""Which classes of a clip are audible, which visible and which both.

Source: Zverev et al., "VGGSounder: audio-visual evaluations for foundation
models", 2025, arXiv 2508.08237 (the package vggsounder, benchmark.py): of each
target the clips are scored that hold any class of it; F1 is micro, and average
precision a mean over the classes that occur.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from avmil.evaluation import metrics, thresholds
from avmil.evaluation.scores import ScoreSet
from avmil.evaluation.truth import Truth

TARGETS = ("audible", "visible", "both")


class TagScores(NamedTuple):
    """How well a target's classes are found, in [0, 1]."""

    f1: float
    mean_average_precision: float


def measure(
    val: Mapping[str, ScoreSet], test: Mapping[str, ScoreSet], truth: Truth
) -> metrics.Benchmark | None:
    """Finds the classes of each target by the scores of its modality.

    Thresholds maximize the F1 of each class on validation, whose clips have all
    their labels in every target where the truth does not name them. Test clips
    that it does not name are left out.

    Args:
        val: Target -> scores of the validation clips; what the system has no
            scores for is left out.
        test: As `val`, of the test clips.
        truth: What is heard and seen, with times or without.

    Returns:
        Target -> `TagScores`, NaN without scores; None where the system has
        scores of neither modality, or nothing is heard or nothing seen. The
        reference is every class in every clip.
    """
    if not val:
        return None
    targets = _labels(next(iter(test.values())), truth)
    if not all(targets[name].any() for name in TARGETS[:2]):
        return None
    found, every_class = {}, {}
    for name, labels in targets.items():
        held = labels.any(axis=1)
        found[name] = every_class[name] = TagScores(np.nan, np.nan)
        if not held.any():
            continue
        every_class[name] = _scores(labels[held], np.ones_like(labels[held]))
        if name in val:
            tuned = thresholds.tune(
                _labels(val[name], truth, val[name].labels)[name],
                val[name].scores,
            )
            scores = test[name].scores[held]
            found[name] = _scores(
                labels[held], scores, thresholds.apply(scores, tuned)
            )
    return metrics.Benchmark(found, {"every_class": every_class})


def _labels(
    clips: ScoreSet, truth: Truth, unknown: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Target -> which classes a clip holds, {0, 1} of [N, C].

    Clips that the truth does not name have the `unknown` labels, or none.
    """
    if unknown is None:
        unknown = np.zeros_like(clips.labels)
    audible, visible = unknown.copy(), unknown.copy()
    for row, clip_id in enumerate(clips.clip_ids):
        if clip_id in truth:
            audible[row] = visible[row] = 0
            for event in truth[clip_id]:
                column = clips.class_names.index(event.class_name)
                audible[row, column] |= event.is_heard
                visible[row, column] |= event.is_seen
    return dict(
        zip(TARGETS, (audible, visible, audible & visible), strict=True)
    )


def _scores(
    labels: np.ndarray, scores: np.ndarray, found: np.ndarray | None = None
) -> TagScores:
    return TagScores(
        metrics.micro_scores(labels, scores if found is None else found).f1,
        metrics.ranking(labels, scores).mean_average_precision,
    )
