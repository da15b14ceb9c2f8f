"""Per-class thresholds, tuned on validation.

The paper says only that thresholds are tuned on the validation set (section
4); the candidates, the rule for ties and the thresholds of proposals are this
project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation import checks

# The outermost candidates are midpoints as well, towards an imagined score this
# far beyond the lowest or highest.
_MARGIN = 1.0
# Share of the proposals that pass in clips without the class.
_FALSE_ALARMS = 0.01


def tune(labels: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """Finds the threshold of each class that maximizes its F1.

    Candidates are the midpoints between consecutive distinct scores of the
    class, one threshold below all scores and one above all. Of candidates
    with the same F1 the highest wins; a class that none of the scored clips
    holds thus gets the one above all scores.

    Labels are {0, 1} of shape [N, C], scores [N, C], -inf for clips without
    features, whose labels count as missed at every threshold.

    Returns:
        Finite thresholds, float64 [C], to be exceeded: score > threshold.

    Raises:
        ValueError: if the input is malformed or a class has no finite score.
    """
    labels = checks.indicator_matrix(labels, "labels")
    scores = checks.score_matrix(scores, labels.shape)
    order = np.argsort(-scores, axis=0)
    ranked = np.take_along_axis(scores, order, axis=0)
    finite = np.isfinite(ranked)
    if not finite[0].all():
        raise ValueError(
            "Expected scores of at least one clip to tune on, received only "
            "clips without features."
        )
    highest = ranked[0] + _MARGIN
    lowest = np.where(finite, ranked, np.inf).min(axis=0) - _MARGIN
    # Scores of -inf join the lowest edge: no candidate lies below it.
    edges = np.vstack([highest, np.where(finite, ranked, lowest), lowest])
    upper, lower = edges[:-1], edges[1:]  # [N + 1, C]

    # Row k of what follows predicts the k clips with the highest scores.
    hits = np.zeros(upper.shape, np.int64)
    ranked_labels = np.take_along_axis(labels, order, axis=0)
    hits[1:] = np.cumsum(ranked_labels, axis=0, dtype=np.int64)
    num_predicted = np.arange(len(upper))[:, np.newaxis]
    num_positive = labels.sum(axis=0, dtype=np.int64)
    f1 = 2 * hits / np.maximum(num_predicted + num_positive, 1)
    f1[upper <= lower] = -1  # No threshold parts equal scores.

    best = f1.argmax(axis=0)[np.newaxis]  # The first is the highest threshold.
    lower, upper = (
        np.take_along_axis(edge, best, axis=0)[0] for edge in (lower, upper)
    )
    # Between two neighboring numbers the midpoint may round to the upper one.
    return np.minimum((lower + upper) / 2, np.nextafter(upper, -np.inf))


def exceed_absence(
    labels: npt.ArrayLike, scores: Sequence[np.ndarray]
) -> np.ndarray:
    """Finds thresholds of proposals when only the clips have labels.

    Where a clip lacks a class, all of its proposals do: of these only one in
    a hundred passes. Of a class that no clip lacks all but the lowest pass.

    Args:
        labels: Of the clips, {0, 1} of shape [N, C].
        scores: Of each clip's P proposals, [P, C]; of one proposal at least.

    Returns:
        Thresholds, float64 [C], to be exceeded: score > threshold.
    """
    lacking = checks.indicator_matrix(labels, "labels") == 0  # [N, C]
    lacking = np.repeat(lacking, list(map(len, scores)), axis=0)
    pooled = np.concatenate(scores).astype(np.float64)  # [all P, C]
    found = pooled.min(axis=0)
    for index in np.flatnonzero(lacking.any(axis=0)):
        absent = pooled[lacking[:, index], index]
        found[index] = np.quantile(absent, 1 - _FALSE_ALARMS)
    return found


def apply(
    scores: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    fallback_argmax: bool = False,
) -> np.ndarray:
    """Predicts the classes whose score, [N, C], exceeds their threshold, [C].

    The fallback gives a clip in which no class passes the class with the
    highest score, as the CVSSP system does; clips without features, whose
    scores are -inf, never get one.

    Returns:
        Predictions, {0, 1} int8 of shape [N, C].
    """
    scores = np.asarray(scores, np.float64)
    predictions = scores > np.asarray(thresholds)
    if fallback_argmax:
        silent = ~predictions.any(axis=1) & np.isfinite(scores).any(axis=1)
        rows = np.flatnonzero(silent)
        predictions[rows, scores[rows].argmax(axis=1)] = True
    return predictions.astype(np.int8)
