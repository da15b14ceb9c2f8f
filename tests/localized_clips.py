"""Made-up localized clips and events for tests."""

from __future__ import annotations

import dataclasses

import numpy as np

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import Interval, Sight, TrueEvent

CLASS_NAMES = ("bus", "dog")


def make_clip(
    clip_id="clip",
    segment_scores=(),
    segment_times_s=None,
    boxes=(),
    region_times_s=(),
    region_scores=(),
    duration_s=4.0,
    class_names=CLASS_NAMES,
    **changes,
):
    """A clip with frames at 0.5 s, 1.5 s, ... and segments of a second."""
    segment_scores = np.reshape(segment_scores, (-1, len(class_names)))
    if segment_times_s is None:
        onsets_s = np.arange(len(segment_scores), dtype=np.float32)
        segment_times_s = np.stack([onsets_s, onsets_s + 1], axis=1)
    clip = ClipLocalization(
        clip_id=clip_id,
        class_names=class_names,
        scores=np.zeros(len(class_names)),
        duration_s=duration_s,
        frame_size_px=(100, 100),
        frame_times_s=np.arange(duration_s, dtype=np.float32) + 0.5,
        boxes=np.reshape(np.array(boxes, np.float32), (-1, 4)),
        region_times_s=np.array(region_times_s, np.float32),
        region_scores=np.reshape(region_scores, (-1, len(class_names))),
        segment_times_s=np.asarray(segment_times_s, np.float32),
        segment_scores=segment_scores.astype(float),
        segment_norm=float(np.linalg.norm(segment_scores.sum(axis=0))),
    )
    return dataclasses.replace(clip, **changes)


def overlapping(num_segments):
    """Onsets and offsets of segments as VGGish has them, [T, 2]."""
    onsets_s = 0.48 * np.arange(num_segments)
    return np.stack([onsets_s, onsets_s + 0.96], axis=1)


def heard(class_name, start_s, end_s):
    """An event that is only heard."""
    return TrueEvent(class_name, sound=Interval(start_s, end_s))


def seen(class_name, start_s, end_s, box, end_box=None):
    """An event that is only seen; it moves from one box to the other."""
    positions = np.array([[start_s, *box], [end_s, *(end_box or box)]], float)
    sight = Sight(Interval(start_s, end_s), positions)
    return TrueEvent(class_name, sight=sight)
