"""Which part of a clip each of its segments and sampled frames stands for.

Parts follow each other: an instant belongs to the segment, or to the frame,
whose middle is nearest. The last part ends where nothing was scored any more,
as after the 10 s that a CVSSP system hears; nothing stands for the rest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from avmil.evaluation.clip_localization import ClipLocalization


def segment_edges_s(clip: ClipLocalization) -> np.ndarray:
    """Where the segments take over from each other, [T + 1].

    The last one lasts to its offset, at most to the end of the clip.
    """
    times_s = np.asarray(clip.segment_times_s, np.float64)
    if not len(times_s):
        return np.zeros(1)
    end_s = min(times_s[-1, 1], clip.duration_s)
    return _edges_s(times_s.mean(axis=1), end_s)


def frame_edges_s(clip: ClipLocalization) -> np.ndarray:
    """Where the sampled frames take over from each other, [F + 1].

    Frames are the middles of equal parts. What is left of the clip and too
    short for another frame belongs to the last one; where frames were due and
    the video has none, it ends with its part.
    """
    times_s = np.asarray(clip.frame_times_s, np.float64)
    if not len(times_s):
        return np.zeros(1)
    half_s, last_s = times_s[0], times_s[-1]
    is_complete = last_s + 2 * half_s >= clip.duration_s
    end_s = clip.duration_s if is_complete else last_s + half_s
    return _edges_s(times_s, end_s)


def region_frames(clip: ClipLocalization) -> np.ndarray:
    """Index of each region's frame, [M]."""
    return part_at(frame_edges_s(clip), clip.region_times_s)


def part_at(edges_s: np.ndarray, times_s: npt.ArrayLike) -> np.ndarray:
    """Indices of the parts at some instants; behind all, of the last one."""
    return np.searchsorted(edges_s[1:-1], times_s, side="right")


def _edges_s(middles_s: np.ndarray, end_s: float) -> np.ndarray:
    """Edges half-way between neighboring middles, from 0 to the end."""
    between_s = (middles_s[1:] + middles_s[:-1]) / 2
    return np.minimum([0.0, *between_s, end_s], end_s)
