"""F1, precision and recall, pooled over clips and for each class.

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
    return _binary_scores(labels.ravel(), predictions.ravel())


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
    rows = map(_binary_scores, labels.T, predictions.T)
    return Scores(*np.array(list(rows)).T)


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


def _binary_scores(labels: np.ndarray, predictions: np.ndarray) -> Scores:
    # Vectors, since scikit-learn takes a matrix of one column for two classes.
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predictions, average="binary", zero_division=0
    )
    return Scores(float(f1), float(precision), float(recall))


def _checked(
    labels: npt.ArrayLike, predictions: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    labels = checks.indicator_matrix(labels, "labels")
    predictions = checks.indicator_matrix(predictions, "predictions")
    checks.same_shape(labels, predictions, "labels and predictions")
    return labels, predictions
