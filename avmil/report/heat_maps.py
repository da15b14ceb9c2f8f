"""Heat maps of regions and segments, as the paper's Fig. 3 and 4 show them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.ticker import MaxNLocator

from avmil.evaluation.clip_localization import ClassLocalization

# Black is 0 and white 1 (caption of Fig. 3).
COLOR_MAP = "hot"
_MAX_TICKS = 12
# Where nothing was scored: no color of the map.
_NOTHING = {"facecolor": "0.72", "edgecolor": "0.58", "hatch": "////"}


def draw_segments(axes: Axes, scores: ClassLocalization) -> QuadMesh:
    """Draws the segments over an axis in seconds."""
    mesh = _draw(axes, scores.clip.segment_edges_s, scores.segments, "segments")
    _mark_time(axes, scores.clip.duration_s)
    return mesh


def draw_frames(axes: Axes, scores: ClassLocalization) -> QuadMesh:
    """Draws the best region of each frame over an axis in seconds."""
    mesh = _draw(axes, scores.clip.frame_edges_s, scores.frames, "regions")
    _mark_time(axes, scores.clip.duration_s)
    return mesh


def draw_regions(axes: Axes, scores: ClassLocalization) -> QuadMesh:
    """Draws all regions side by side, those of each frame between lines."""
    num_regions = len(scores.regions)
    mesh = _draw(axes, np.arange(num_regions + 1), scores.regions, "regions")
    frames, firsts = np.unique(scores.clip.region_frames, return_index=True)
    line_width = min(0.8, 30 / len(frames))
    axes.vlines(firsts[1:], 0, 1, colors="0.5", linewidths=line_width)
    middles = (firsts + np.append(firsts[1:], num_regions)) / 2
    shown = slice(None, None, -(-len(frames) // _MAX_TICKS))
    times_s = scores.clip.frame_times_s[frames[shown]]
    axes.set_xticks(middles[shown], [f"{time_s:g}" for time_s in times_s])
    axes.set_xlabel("region proposals in temporal order, by time of frame (s)")
    return mesh


def _mark_time(axes: Axes, duration_s: float) -> None:
    """Spans the whole clip, also what no score stands for."""
    axes.patch.set(**_NOTHING)
    axes.set_xlim(0, duration_s)
    axes.xaxis.set_major_locator(MaxNLocator(_MAX_TICKS, steps=[1, 2, 5, 10]))
    axes.set_xlabel("time (s)")


def _draw(
    axes: Axes, edges: np.ndarray, values: np.ndarray, name: str
) -> QuadMesh:
    mesh = axes.pcolormesh(
        edges,
        [0, 1],
        values[np.newaxis],  # [1, P]
        cmap=COLOR_MAP,
        vmin=0,
        vmax=1,
        rasterized=True,  # Cells of a vector drawing show seams.
    )
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return mesh
