"""When the classes of a clip are heard: scores over time and their measures.

Sources: DCASE 2017 task 4, subtask B (segment-based F1 and error rate at 1 s,
Mesaros et al., Metrics for polyphonic sound event detection, 2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avmil.evaluation import metrics, thresholds
from avmil.evaluation.clip_localization import (
    TIME_DECIMALS,
    ClipLocalization,
    score_cells,
)
from avmil.evaluation.truth import Truth

SECOND_S = 1.0  # DCASE's time resolution.
FRAME_S = 0.1


class AudioScores(NamedTuple):
    """When a class is heard, as fractions: floats, or arrays [C].

    F1 and error rate are of seconds, pooled over clips (and over classes, as
    floats), average precision of frames of 0.1 s (floats: mean over classes).
    """

    f1: float | np.ndarray
    error_rate: float | np.ndarray  # It may exceed 1.
    average_precision: float | np.ndarray


class TimeTable(NamedTuple):
    """Truth and scores of S time bins of equal length, of all clips."""

    clips: np.ndarray  # Position of each bin's clip, [S].
    labels: np.ndarray  # Whether a class is heard, {0, 1} of shape [S, C].
    scores: np.ndarray  # [S, C]; -inf where the system says nothing.

    def within(self, pairs: np.ndarray) -> TimeTable:
        """Leaves truth and scores of the given pairs, bool [N, C]."""
        inside = pairs[self.clips]  # [S, C]
        scores = np.where(inside, self.scores, -np.inf)
        return TimeTable(self.clips, self.labels * inside, scores)


def measure(
    val: Sequence[ClipLocalization],
    test: Sequence[ClipLocalization],
    truth: Truth,
    groups: Mapping[str, np.ndarray],
) -> metrics.Benchmark:
    """Tunes thresholds on validation and measures with them on test.

    `groups` are pairs of N test clips and C classes, bool [N, C]; truth and
    detections of other pairs are left out.

    Returns:
        `AudioScores` of each group in which something is heard; of the classes
        too, with the `event_threshold` that is to be exceeded.

    Raises:
        ValueError: if no validation clip is scored.
    """
    tuned_on = time_table(val, truth, SECOND_S)
    tuned = thresholds.tune(tuned_on.labels, tuned_on.scores)
    seconds = time_table(test, truth, SECOND_S)
    frames = time_table(test, truth, FRAME_S)
    heard = np.zeros((len(test), len(tuned)), bool)
    np.logical_or.at(heard, seconds.clips, seconds.labels)
    scores, num_pairs = {}, {}
    for name, pairs in groups.items():
        if num_heard := int((heard & pairs).sum()):
            num_pairs[name] = num_heard
            pooled, _ = segment_scores(seconds.within(pairs), tuned)
            precision = average_precision(frames.within(pairs))
            scores[name] = AudioScores(*pooled, float(np.nanmean(precision)))
    _, by_class = segment_scores(seconds, tuned)
    by_class = AudioScores(*by_class, average_precision(frames))._asdict()
    by_class["event_threshold"] = tuned
    return metrics.Benchmark(scores, {}, num_pairs, by_class)


def time_table(
    clips: Sequence[ClipLocalization], truth: Truth, resolution_s: float
) -> TimeTable:
    """Divides clips of the truth into bins of a length.

    A class is heard in a bin, and detected in it, if it is at any instant
    of it: onsets are rounded down and offsets up, as DCASE does.
    """

    def bins(time_s: float) -> float:
        return round(time_s / resolution_s, 6)  # 0.3 / 0.1 falls below 3.

    class_names = clips[0].class_names
    labels, scores = [], []
    for clip in clips:
        sounds = [event for event in truth[clip.clip_id] if event.sound]
        ends_s = [clip.duration_s, *(event.sound.end_s for event in sounds)]
        count = math.ceil(bins(max(ends_s)))
        heard = np.zeros((count, len(class_names)), np.int8)
        for event in sounds:
            first = math.floor(bins(event.sound.start_s))
            end = math.ceil(bins(event.sound.end_s))
            heard[first:end, class_names.index(event.class_name)] = 1
        labels.append(heard)
        # The best score within each bin.
        cells_s, cell_scores = score_cells(clip)  # [K, 2], [K, C]
        begins_s = np.arange(count)[:, np.newaxis] * resolution_s
        begins_s = np.round(begins_s, TIME_DECIMALS)
        ends_s = np.round(begins_s + resolution_s, TIME_DECIMALS)
        inside = (cells_s[:, 0] < ends_s) & (cells_s[:, 1] > begins_s)
        reached = np.where(inside[:, :, np.newaxis], cell_scores, -np.inf)
        scores.append(reached.max(axis=1, initial=-np.inf))  # [count, C]
    return TimeTable(
        np.repeat(np.arange(len(clips)), list(map(len, labels))),
        np.concatenate(labels),
        np.concatenate(scores),
    )


def segment_scores(
    table: TimeTable, class_thresholds: np.ndarray
) -> tuple[tuple[float, float], tuple[np.ndarray, np.ndarray]]:
    """Segment-based F1 and error rate, pooled and of each class, [C].

    The pooled error rate counts a missed and a falsely detected class of the
    same second as one substitution. Of a class, it is misses and false
    detections over true seconds. Without any true second it is NaN.
    """
    predictions = thresholds.apply(table.scores, class_thresholds)
    misses = table.labels > predictions  # [S, C]
    insertions = table.labels < predictions
    # Of a second's M misses and I insertions min(M, I) are substitutions.
    errors = np.maximum(misses.sum(axis=1), insertions.sum(axis=1)).sum()
    class_errors = (misses | insertions).sum(axis=0)
    num_true = table.labels.sum(axis=0)  # [C]
    pooled = (
        metrics.micro_scores(table.labels, predictions).f1,
        float(metrics.ratio(errors, num_true.sum(), undefined=np.nan)),
    )
    by_class = (
        metrics.class_scores(table.labels, predictions).f1,
        metrics.ratio(class_errors, num_true, undefined=np.nan),
    )
    return pooled, by_class


def average_precision(table: TimeTable) -> np.ndarray:
    """Average precision of ranking the bins of all clips, of each class, [C].

    True bins without a score are never found.
    """
    return metrics.detection_precision(
        table.labels,
        table.scores,
        np.isfinite(table.scores),
        table.labels.sum(axis=0),
        all_points=False,
    )
