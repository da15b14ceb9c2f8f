"""When the classes of a clip are heard: scores over time and their measures.

Sources: DCASE 2017 task 4, subtask B (segment-based F1 and error rate at 1 s,
Mesaros et al., Metrics for polyphonic sound event detection, 2016).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from avmil.evaluation import metrics, thresholds
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import Truth

SECOND_S = 1.0  # DCASE's time resolution.
FRAME_S = 0.1
# Times are float32 in the features: two that mean the same instant must meet.
_TIME_DECIMALS = 4
_MIN_NORM = 1e-6  # As in the systems.


class TimeTable(NamedTuple):
    """Truth and scores of stretches of clips, of equal length.

    Attributes:
        clips: Position of each stretch's clip, [S].
        labels: Whether a class is heard, {0, 1} of shape [S, C].
        scores: [S, C]; -inf where the system says nothing.
    """

    clips: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    @property
    def num_pairs(self) -> int:
        """Pairs of clip and class in which the class is heard."""
        stretches, classes = self.labels.nonzero()
        clips = self.clips[stretches]
        return len(set(zip(clips.tolist(), classes.tolist(), strict=True)))

    def within(self, pairs: np.ndarray) -> TimeTable:
        """Leaves truth and scores of the given pairs, bool [N, C]."""
        inside = pairs[self.clips]  # [S, C]
        scores = np.where(inside, self.scores, -np.inf)
        return TimeTable(self.clips, self.labels * inside, scores)


class SegmentScores(NamedTuple):
    """Segment-based scores, pooled over seconds and classes; or arrays [C]."""

    f1: float | np.ndarray
    error_rate: float | np.ndarray


def normalized(clip: ClipLocalization) -> ClipLocalization:
    """Divides a clip's segment scores by the l2 norm of their sum.

    What is left is each segment's share in the scores that the clip gets from
    its sound (section 3.2 of the paper). The shares of different clips compare
    better than raw scores, whose size varies from clip to clip.
    """
    summed = np.asarray(clip.segment_scores, np.float64).sum(axis=0)  # [C]
    norm = max(np.linalg.norm(summed), _MIN_NORM)
    return dataclasses.replace(clip, segment_scores=clip.segment_scores / norm)


def score_cells(clip: ClipLocalization) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a clip where segments begin and end, and scores each cell.

    Overlapping segments share a cell: its score is their mean, which does not
    widen a sound by the segment's length as their maximum would.

    Returns:
        Onset and offset of each cell, inside the clip, [K, 2], and its scores,
        [K, C]. A gap between segments is no cell.
    """
    segments_s = np.asarray(clip.segment_times_s, np.float64)
    segments_s = np.round(segments_s.clip(0, clip.duration_s), _TIME_DECIMALS)
    edges_s = np.unique(segments_s)
    cells_s = np.stack([edges_s[:-1], edges_s[1:]], axis=1)  # [K, 2]
    covered = (segments_s[:, 0] <= cells_s[:, :1]) & (
        segments_s[:, 1] >= cells_s[:, 1:]
    )  # [K, T]
    counts = covered.sum(axis=1, keepdims=True)
    sums = covered @ np.asarray(clip.segment_scores, np.float64)
    heard = counts[:, 0] > 0
    return cells_s[heard], sums[heard] / counts[heard]


def time_table(
    clips: Sequence[ClipLocalization], truth: Truth, resolution_s: float
) -> TimeTable:
    """Truth and scores of stretches of equal length.

    A class is heard in a stretch, and detected in it, if it is at any instant
    of it: onsets are rounded down and offsets up, as DCASE does.

    Args:
        clips: N clips of the truth, of one class list.
        truth: Their events.
        resolution_s: Length of a stretch.
    """
    class_names = clips[0].class_names
    labels, scores = [], []
    for clip in clips:
        sounds = [event for event in truth[clip.clip_id] if event.sound]
        ends_s = [clip.duration_s, *(event.sound.end_s for event in sounds)]
        count = _rounded(max(ends_s) / resolution_s, math.ceil)
        clip_labels = np.zeros((count, len(class_names)), np.int8)
        for event in sounds:
            first = _rounded(event.sound.start_s / resolution_s, math.floor)
            end = _rounded(event.sound.end_s / resolution_s, math.ceil)
            clip_labels[first:end, class_names.index(event.class_name)] = 1
        labels.append(clip_labels)
        scores.append(_scores(clip, count, resolution_s))
    return TimeTable(
        np.repeat(np.arange(len(clips)), list(map(len, labels))),
        np.concatenate(labels),
        np.concatenate(scores),
    )


def segment_scores(
    table: TimeTable, class_thresholds: np.ndarray
) -> tuple[SegmentScores, SegmentScores]:
    """Segment-based F1 and error rate of a table of seconds.

    The pooled error rate counts a missed and a falsely detected class of the
    same second as one substitution. Of a class, it is misses and false
    detections over true seconds.

    Args:
        table: Of seconds.
        class_thresholds: [C], to be exceeded.

    Returns:
        Pooled over classes, and of each class; an error rate without any true
        second is NaN.
    """
    predictions = thresholds.apply(table.scores, class_thresholds)
    misses = (table.labels > predictions).astype(np.int64)  # [S, C]
    insertions = (table.labels < predictions).astype(np.int64)
    num_true = table.labels.sum(axis=0, dtype=np.int64)  # [C]
    # Of a second's M misses and I insertions min(M, I) are substitutions.
    errors = np.maximum(misses.sum(axis=1), insertions.sum(axis=1)).sum()
    class_errors = (misses + insertions).sum(axis=0)
    pooled = SegmentScores(
        metrics.micro_scores(table.labels, predictions).f1,
        float(_ratio(errors, num_true.sum())),
    )
    by_class = SegmentScores(
        metrics.class_scores(table.labels, predictions).f1,
        _ratio(class_errors, num_true),
    )
    return pooled, by_class


def average_precision(table: TimeTable) -> np.ndarray:
    """Average precision of ranking the stretches of all clips, by class.

    True stretches without a score are never found.

    Returns:
        [C]; NaN for a class that is never heard.
    """
    columns = zip(table.labels.T, table.scores.T, strict=True)
    return np.array([_class_average_precision(*column) for column in columns])


def _class_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    if not (num_true := labels.sum(dtype=np.int64)):
        return float("nan")
    scored = np.isfinite(scores)
    if not (num_found := labels[scored].sum(dtype=np.int64)):
        return 0.0
    found = sklearn_metrics.average_precision_score(
        labels[scored], scores[scored]
    )
    return float(found * num_found / num_true)


def _scores(
    clip: ClipLocalization, count: int, resolution_s: float
) -> np.ndarray:
    """The best score within each stretch, [count, C]."""
    cells_s, scores = score_cells(clip)
    begins_s = np.arange(count)[:, np.newaxis] * resolution_s
    begins_s = np.round(begins_s, _TIME_DECIMALS)
    ends_s = np.round(begins_s + resolution_s, _TIME_DECIMALS)
    inside = (cells_s[:, 0] < ends_s) & (cells_s[:, 1] > begins_s)  # [count, K]
    reached = np.where(inside[:, :, np.newaxis], scores, -np.inf)
    return reached.max(axis=1, initial=-np.inf)  # [count, C]


def _rounded(quotient: float, rounding: Callable[[float], int]) -> int:
    """Rounds up or down; 0.3 / 0.1 counts as 3, although it falls below."""
    return rounding(round(quotient, 6))


def _ratio(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    totals = np.asarray(totals, np.float64)
    return np.where(totals > 0, counts / np.where(totals, totals, 1), np.nan)
