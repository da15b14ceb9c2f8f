"""Detected sound events of clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.localization_audio import score_cells


class Event(NamedTuple):
    """One event of a class in a clip, from onset to offset (seconds)."""

    clip_id: str
    class_name: str
    onset_s: float
    offset_s: float


def detect_events(
    clip: ClipLocalization, class_thresholds: np.ndarray
) -> list[Event]:
    """Joins the neighboring cells of a clip that pass into events.

    Args:
        clip: Its segments' scores.
        class_thresholds: [C], to be exceeded.

    Returns:
        The events in the order of the classes, then of time.
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
