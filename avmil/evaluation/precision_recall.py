"""Precision-recall curves of clips that a system may have no score for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics


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


def curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Curve | None:
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
