"""F1, precision and recall of decisions; ranking metrics of scores.

Source: the paper's section 4 and DCASE 2017 task 4, subtask A: counts are
pooled over clips and classes before F1 is taken (micro average). The ranking
metrics are those of AudioSet's publications, means over classes (macro): mAP,
ROC AUC and d-prime (Hershey et al., CNN architectures for large-scale audio
classification, ICASSP 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.stats
from sklearn import metrics

from avmil.evaluation import checks


class Scores(NamedTuple):
    """F1, precision and recall in [0, 1]: floats, or arrays [C]."""

    f1: float | np.ndarray
    precision: float | np.ndarray
    recall: float | np.ndarray


class Ranking(NamedTuple):
    """How well scores rank the clips: floats, over classes (macro)."""

    mean_average_precision: float  # In [0, 1], as ROC AUC.
    roc_auc: float
    d_prime: float


class ClassRanking(NamedTuple):
    """How well the scores of each class rank the clips: arrays [C]."""

    average_precision: np.ndarray
    roc_auc: np.ndarray


class Counts(NamedTuple):
    """Decisions on pairs of clip and class."""

    true_positives: int
    false_positives: int
    false_negatives: int


class Benchmark(NamedTuple):
    """What a run reaches in a part of Tables 3 to 6.

    Figures are named tuples, for each column group of the table: a group of
    pairs of clip and class, or a part of the benchmark.
    """

    scores: Mapping[str, tuple[float, ...]]
    # What it takes no run to reach: name -> as `scores`.
    references: Mapping[str, Mapping[str, tuple[float, ...]]]
    num_pairs: Mapping[str, int] = MappingProxyType({})  # That are scored.
    # Figure -> arrays [C]; NaN of a class that the truth does not have.
    by_class: Mapping[str, np.ndarray] = MappingProxyType({})


def micro_scores(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Scores:
    """F1, precision and recall of all decisions together, {0, 1} of [N, C].

    Floats; 0 where a denominator is 0.

    Raises:
        ValueError: if the input is malformed.
    """
    sums = _sums(labels, predictions, axis=None)
    return Scores(*map(float, from_counts(*sums)))


def class_scores(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Scores:
    """Like `micro_scores`, for each class: arrays [C]."""
    return from_counts(*_sums(labels, predictions, axis=0))


def counts(labels: npt.ArrayLike, predictions: npt.ArrayLike) -> Counts:
    """Counts hits, false alarms and misses; arguments as `micro_scores`."""
    hits, predicted, positive = map(int, _sums(labels, predictions, axis=None))
    return Counts(hits, predicted - hits, positive - hits)


def from_counts(
    hits: np.ndarray, predicted: np.ndarray, positive: np.ndarray
) -> Scores:
    """F1, precision and recall from counts of any one shape.

    Predicted are true and false positives, positive are true positives and
    false negatives. Of that shape; 0 where a denominator is 0.
    """
    return Scores(
        ratio(2 * hits, predicted + positive),
        ratio(hits, predicted),
        ratio(hits, positive),
    )


def ratio(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, undefined: float = 0.0
) -> np.ndarray:
    """Divides; gives `undefined` where the denominator is 0."""
    numerator = np.asarray(numerator, np.float64)
    return np.divide(
        numerator,
        denominator,
        out=np.full_like(numerator, undefined),
        where=np.asarray(denominator) > 0,
    )


def class_ranking(labels: npt.ArrayLike, scores: npt.ArrayLike) -> ClassRanking:
    """Average precision and area below the ROC curve of each class.

    Average precision is the area below the steps of the precision-recall curve,
    ROC AUC the share of pairs, of a clip with the class and one without, that
    are in the right order; equal scores count half. Clips without features,
    whose scores are -inf, are ranked last, equal to each other.

    Args:
        labels: {0, 1} of shape [N, C].
        scores: [N, C], finite or -inf.

    Returns:
        In [0, 1]; NaN of a class that no clip holds, and ROC AUC also of one
        that every clip holds.

    Raises:
        ValueError: if the input is malformed.
    """
    labels = checks.indicator_matrix(labels, "labels")
    scores = checks.score_matrix(scores, labels.shape)
    # Scikit-learn takes finite scores only, which ranks are.
    ranks = scipy.stats.rankdata(scores, "dense", axis=0)
    precisions, areas = np.full((2, labels.shape[1]), np.nan)
    for index, (held, ranked) in enumerate(zip(labels.T, ranks.T, strict=True)):
        if held.any():
            precisions[index] = metrics.average_precision_score(held, ranked)
            if not held.all():
                areas[index] = metrics.roc_auc_score(held, ranked)
    return ClassRanking(precisions, areas)


def ranking(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Ranking:
    """Means of `class_ranking` over the classes that have it; NaN without any.

    The publications take d-prime of the mean ROC AUC.
    """
    by_class = class_ranking(labels, scores)
    auc = _defined_mean(by_class.roc_auc)
    precision = _defined_mean(by_class.average_precision)
    return Ranking(precision, auc, d_prime(auc))


def d_prime(auc: float) -> float:
    """The distance of two unit Gaussians whose ROC AUC this is.

    0 at chance, infinite where no pair is in the wrong order.
    """
    return float(np.sqrt(2) * scipy.stats.norm.ppf(auc))


def precision_recall_curve(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Recall and precision of one class, [K + 1] each, at every threshold.

    They go from the lowest threshold to none passing, where recall is 0 and
    precision 1 by convention. A clip without features is never retrieved: the
    curve of a class that one of them holds ends short of full recall. The
    recall of a class that no clip holds is undefined: None. Labels are {0, 1}
    of shape [N], scores [N], -inf for clips without features.
    """
    if not labels.any():
        return None
    scores = scores.astype(np.float64)
    # Scikit-learn takes finite scores only.
    scored = np.isfinite(scores)
    below_all = scores.min(where=scored, initial=0) - 1
    precision, recall, thresholds = metrics.precision_recall_curve(
        labels, np.where(scored, scores, below_all)
    )
    kept = np.append(thresholds > below_all, True)
    return recall[kept], precision[kept]


def detection_precision(
    hits: np.ndarray,
    scores: np.ndarray,
    detected: np.ndarray,
    num_true: np.ndarray,
    all_points: bool,
) -> np.ndarray:
    """Average precision of ranked detections, which may miss true ones.

    Args:
        hits: Whether each of D detections is right, bool or {0, 1} of [D, C].
        scores: [D, C], finite where detected.
        detected: Which of them count, bool [D, C].
        num_true: To find, detected or not, [C].
        all_points: Takes, as PASCAL VOC, the best precision at no lower recall
            instead of the precision itself.

    Returns:
        [C]; NaN of a class with nothing to find.
    """
    found = np.where(num_true > 0, 0.0, np.nan)
    for index, counted in enumerate(detected.T):
        right, ranked = hits[counted, index], scores[counted, index]
        if num_true[index] and right.any():
            precision, recall, _ = metrics.precision_recall_curve(right, ranked)
            if all_points:  # Recall falls along the curve.
                precision = np.maximum.accumulate(precision)
            area = -np.sum(np.diff(recall) * precision[:-1])
            found[index] = area * right.sum() / num_true[index]
    return found


def _defined_mean(by_class: np.ndarray) -> float:
    defined = by_class[~np.isnan(by_class)]
    return float(defined.mean()) if defined.size else float("nan")


def _sums(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, axis: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts as `from_counts` takes them, pooled over an axis."""
    labels = checks.indicator_matrix(labels, "labels")
    predictions = checks.indicator_matrix(
        predictions, "predictions", labels.shape
    )
    matrices = (labels & predictions, predictions, labels)
    return tuple(matrix.sum(axis=axis) for matrix in matrices)
