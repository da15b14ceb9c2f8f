"""F1, precision and recall, and their curves over all thresholds.

Source: the paper's section 4 and DCASE 2017 task 4, subtask A: counts are
pooled over clips and classes before F1 is taken (micro average).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from avmil.evaluation import checks


class Scores(NamedTuple):
    """F1, precision and recall in [0, 1]: floats, or arrays [C]."""

    f1: float | np.ndarray
    precision: float | np.ndarray
    recall: float | np.ndarray


class Counts(NamedTuple):
    """Decisions on pairs of clip and class."""

    true_positives: int
    false_positives: int
    false_negatives: int


class Curve(NamedTuple):
    """A precision-recall curve, from the lowest threshold to none passing.

    Attributes:
        recall: Descending, [K + 1]; the last is 0.
        precision: [K + 1]; the last is 1, by convention.
    """

    recall: np.ndarray
    precision: np.ndarray

    @property
    def average_precision(self) -> float:
        """Area below the curve's steps."""
        return float(-np.sum(np.diff(self.recall) * self.precision[:-1]))


def micro_scores(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Scores:
    """F1, precision and recall of all decisions together.

    Args:
        labels: {0, 1} of shape [N, C].
        predictions: {0, 1} of shape [N, C].

    Returns:
        Floats; 0 where a denominator is 0.

    Raises:
        ValueError: if the input is malformed.
    """
    labels, predictions = _checked(labels, predictions)
    scores = from_counts(
        np.sum(labels & predictions), predictions.sum(), labels.sum()
    )
    return Scores(*map(float, scores))


def class_scores(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Scores:
    """F1, precision and recall of each class.

    Args:
        labels: {0, 1} of shape [N, C].
        predictions: {0, 1} of shape [N, C].

    Returns:
        Arrays [C]; 0 where a denominator is 0.

    Raises:
        ValueError: if the input is malformed.
    """
    labels, predictions = _checked(labels, predictions)
    return from_counts(
        np.sum(labels & predictions, axis=0),
        predictions.sum(axis=0),
        labels.sum(axis=0),
    )


def from_counts(
    hits: npt.ArrayLike, predicted: npt.ArrayLike, positive: npt.ArrayLike
) -> Scores:
    """F1, precision and recall from counts of any one shape.

    Args:
        hits: Of true positives.
        predicted: Of true and false positives.
        positive: Of true positives and false negatives.

    Returns:
        Arrays of that shape; 0 where a denominator is 0.
    """
    hits, predicted, positive = (
        np.asarray(counts, np.float64) for counts in (hits, predicted, positive)
    )
    return Scores(
        _ratio(2 * hits, predicted + positive),
        _ratio(hits, predicted),
        _ratio(hits, positive),
    )


def counts(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Counts:
    """Counts hits, false alarms and misses over all clips and classes.

    Args:
        labels: {0, 1} of shape [N, C].
        predictions: {0, 1} of shape [N, C].

    Raises:
        ValueError: if the input is malformed.
    """
    labels, predictions = _checked(labels, predictions)
    return Counts(
        int(np.sum((labels == 1) & (predictions == 1))),
        int(np.sum((labels == 0) & (predictions == 1))),
        int(np.sum((labels == 1) & (predictions == 0))),
    )


def precision_recall_curve(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> Curve | None:
    """Precision and recall of one class at every threshold.

    A clip without features is never retrieved: the curve of a class that one
    of them holds ends short of full recall.

    Args:
        labels: {0, 1} of shape [N].
        scores: [N], -inf for clips without features.

    Returns:
        The curve; None for a class that no clip holds, since its recall is
        undefined.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if not labels.any():
        return None
    # Scikit-learn takes finite scores only.
    scored = np.isfinite(scores)
    below_all = scores.min(where=scored, initial=0) - 1
    precision, recall, thresholds = metrics.precision_recall_curve(
        labels, np.where(scored, scores, below_all)
    )
    kept = np.append(thresholds > below_all, True)
    return Curve(recall[kept], precision[kept])


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator,
        denominator,
        out=np.zeros_like(numerator),
        where=denominator > 0,
    )


def _checked(
    labels: npt.ArrayLike, predictions: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    labels = checks.indicator_matrix(labels, "labels")
    predictions = checks.indicator_matrix(predictions, "predictions")
    checks.same_shape(labels, predictions, "labels and predictions")
    return labels, predictions
