"""Detected sound events of clips, from the scores of their segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avmil.evaluation.clip_localization import ClipLocalization

# Times are float32 in the features: two that mean the same instant must meet.
TIME_DECIMALS = 4


class Event(NamedTuple):
    """One event of a class in a clip, from onset to offset (seconds)."""

    clip_id: str
    class_name: str
    onset_s: float
    offset_s: float


def score_cells(clip: ClipLocalization) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a clip where segments begin and end, and scores each cell.

    Overlapping segments share a cell: its score is their mean, which does not
    widen a sound by the segment's length as their maximum would. A gap between
    segments is no cell.

    Returns:
        Onset and offset of each cell, inside the clip, [K, 2]; scores [K, C].
    """
    segments_s = np.asarray(clip.segment_times_s, np.float64)
    segments_s = np.round(segments_s.clip(0, clip.duration_s), TIME_DECIMALS)
    edges_s = np.unique(segments_s)
    cells_s = np.stack([edges_s[:-1], edges_s[1:]], axis=1)  # [K, 2]
    covered = (segments_s[:, 0] <= cells_s[:, :1]) & (
        segments_s[:, 1] >= cells_s[:, 1:]
    )  # [K, T]
    counts = covered.sum(axis=1, keepdims=True)
    sums = covered @ np.asarray(clip.segment_scores, np.float64)
    is_covered = counts[:, 0] > 0
    return cells_s[is_covered], sums[is_covered] / counts[is_covered]


def detect_events(
    clip: ClipLocalization, class_thresholds: np.ndarray
) -> list[Event]:
    """Joins the neighboring cells of a clip that pass into events.

    Their scores exceed `class_thresholds`, [C]. The events come in the order
    of the classes, then of time.
    """
    cells_s, scores = score_cells(clip)
    events = []
    for name, passed in zip(
        clip.class_names, (scores > class_thresholds).T, strict=True
    ):
        for onset_s, offset_s in cells_s[passed].tolist():
            last = events[-1] if events else None
            if last and (last.class_name, last.offset_s) == (name, onset_s):
                events[-1] = last._replace(offset_s=offset_s)
            else:
                events.append(Event(clip.clip_id, name, onset_s, offset_s))
    return events
