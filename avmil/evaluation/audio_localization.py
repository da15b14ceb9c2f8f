"""When the classes of a clip are heard: scores over time and their measures.

Sources: DCASE 2017 task 4, subtask B (segment-based F1 and error rate at 1 s,
Mesaros et al., Metrics for polyphonic sound event detection, 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from avmil.evaluation import metrics, thresholds
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import TIME_DECIMALS, score_cells
from avmil.evaluation.truth import Truth

SECOND_S = 1.0  # DCASE's time resolution.
FRAME_S = 0.1


class AudioScores(NamedTuple):
    """When a class is heard, as fractions: floats, or arrays [C].

    Attributes:
        f1: Segment-based, seconds of all clips and classes pooled.
        error_rate: The same; it may exceed 1.
        average_precision: Of frames of 0.1 s, mean over classes.
    """

    f1: float | np.ndarray
    error_rate: float | np.ndarray
    average_precision: float | np.ndarray


class Audio(NamedTuple):
    """How well a run determines when classes sound, on the test split.

    Attributes:
        scores: Group in which something is heard -> floats.
        num_pairs: The same groups -> their pairs that are heard.
        by_class: Over all pairs, arrays [C]; NaN for a class never heard.
        thresholds: [C], to be exceeded.
        chance: The same groups -> mean scores of random segment scores.
    """

    scores: dict[str, AudioScores]
    num_pairs: dict[str, int]
    by_class: AudioScores
    thresholds: np.ndarray
    chance: Mapping[str, AudioScores] = MappingProxyType({})


class TimeTable(NamedTuple):
    """Truth and scores of time bins of equal length.

    Attributes:
        clips: Position of each bin's clip, [S].
        labels: Whether a class is heard, {0, 1} of shape [S, C].
        scores: [S, C]; -inf where the system says nothing.
    """

    clips: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    @property
    def num_pairs(self) -> int:
        """Pairs of clip and class in which the class is heard."""
        bins, classes = self.labels.nonzero()
        clips = self.clips[bins]
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


def time_table(
    clips: Sequence[ClipLocalization], truth: Truth, resolution_s: float
) -> TimeTable:
    """Truth and scores of time bins of equal length.

    A class is heard in a bin, and detected in it, if it is at any instant
    of it: onsets are rounded down and offsets up, as DCASE does.

    Args:
        clips: N clips of the truth, of one class list.
        truth: Their events.
        resolution_s: Length of a bin.
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
    """Average precision of ranking the bins of all clips, by class.

    True bins without a score are never found.

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
    """The best score within each bin, [count, C]."""
    cells_s, scores = score_cells(clip)
    begins_s = np.arange(count)[:, np.newaxis] * resolution_s
    begins_s = np.round(begins_s, TIME_DECIMALS)
    ends_s = np.round(begins_s + resolution_s, TIME_DECIMALS)
    inside = (cells_s[:, 0] < ends_s) & (cells_s[:, 1] > begins_s)  # [count, K]
    reached = np.where(inside[:, :, np.newaxis], scores, -np.inf)
    return reached.max(axis=1, initial=-np.inf)  # [count, C]


def _rounded(quotient: float, rounding: Callable[[float], int]) -> int:
    """Rounds up or down; 0.3 / 0.1 counts as 3, although it falls below."""
    return rounding(round(quotient, 6))


def _ratio(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    totals = np.asarray(totals, np.float64)
    return np.where(totals > 0, counts / np.where(totals, totals, 1), np.nan)


def measure(
    val: Sequence[ClipLocalization],
    test: Sequence[ClipLocalization],
    truth: Truth,
    groups: Mapping[str, np.ndarray],
) -> Audio:
    """Tunes thresholds on validation and measures with them on test.

    Args:
        val: Clips to tune on.
        test: Clips to measure on.
        truth: Events of both.
        groups: Group -> pairs of test clip and class, bool [N, C]. Truth and
            detections of other pairs are left out, so that a group says how
            well a class is placed in time in clips that are known to hold it.

    Raises:
        ValueError: if no validation clip is scored.
    """
    seconds_of_val, seconds, frames = (
        time_table(clips, truth, resolution_s)
        for clips, resolution_s in (
            (val, SECOND_S),
            (test, SECOND_S),
            (test, FRAME_S),
        )
    )
    tuned = thresholds.tune(seconds_of_val.labels, seconds_of_val.scores)
    scores, num_pairs = {}, {}
    for name, pairs in groups.items():
        inside = seconds.within(pairs)
        if inside.labels.any():
            pooled, _ = segment_scores(inside, tuned)
            precision = average_precision(frames.within(pairs))
            scores[name] = AudioScores(*pooled, float(np.nanmean(precision)))
            num_pairs[name] = inside.num_pairs
    _, by_class = segment_scores(seconds, tuned)
    precision = average_precision(frames)
    return Audio(scores, num_pairs, AudioScores(*by_class, precision), tuned)
