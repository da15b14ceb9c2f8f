"""What is found in one video, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import Event, score_cells

SCHEMA_VERSION = 1


def to_json(
    localization: ClipLocalization,
    thresholds: Mapping[str, float] | None,
    event_thresholds: Mapping[str, float] | None,
    predicted: Sequence[str],
    events: Sequence[Event],
    facts: Mapping[str, Any],
) -> str:
    """Writes every score, box and time of a clip as one line of JSON.

    Args:
        localization: Scores of the clip.
        thresholds: Of each class, or None.
        event_thresholds: Of each class for its events, or None.
        predicted: The predicted classes.
        events: The detected events.
        facts: What else is known of the video and the run.

    Raises:
        ValueError: if a number is not finite.
    """
    clip = localization
    width_px, height_px = clip.frame_size_px
    content = {
        "schema_version": SCHEMA_VERSION,
        "clip_id": clip.clip_id,
        **facts,
        "duration_s": clip.duration_s,
        "width_px": width_px,
        "height_px": height_px,
        "class_names": clip.class_names,
        "scores": _numbers(clip.scores),
        "thresholds": thresholds,
        "event_thresholds": event_thresholds,
        "predicted": list(predicted),
        "frame_times_s": _numbers(clip.frame_times_s),
        "regions": {
            "boxes_px": _numbers(clip.boxes),
            "times_s": _numbers(clip.region_times_s),
            "scores": _numbers(clip.region_scores),
        },
        "segments": {
            "times_s": _numbers(clip.segment_times_s),
            "scores": _numbers(clip.segment_scores),
        },
        "events": [_event(event) for event in events],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def segments_csv(compared: ClipLocalization, events: Sequence[Event]) -> str:
    """Lists the detected events of a clip.

    The score of one is the highest that its class has in it, overlapping
    segments being averaged: of the scores that were compared with the
    thresholds of events, which are normalized or scaled ones.

    Args:
        compared: The clip with the segment scores that events are found in.
        events: The detected events.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["clip_id", "class", "onset_s", "offset_s", "score"])
    cells_s, scores = score_cells(compared)  # [K, 2], [K, C]
    for event in events:
        column = compared.class_names.index(event.class_name)
        inside = (cells_s[:, 0] < event.offset_s) & (
            cells_s[:, 1] > event.onset_s
        )
        writer.writerow(
            [
                event.clip_id,
                event.class_name,
                f"{event.onset_s:.3f}",
                f"{event.offset_s:.3f}",
                f"{scores[inside, column].max():.6g}",
            ]
        )
    return text.getvalue()


def _numbers(array: np.ndarray) -> list:
    """Numbers as lists, each with no more digits than its type has."""
    return np.asarray(array).astype(str).astype(np.float64).tolist()


def _event(event: Event) -> dict[str, Any]:
    return {
        "class": event.class_name,
        "onset_s": event.onset_s,
        "offset_s": event.offset_s,
    }
