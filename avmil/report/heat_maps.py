"""Heat maps of regions and segments, as the paper's Fig. 3 and 4 show them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from avmil.evaluation.clip_localization import ClassLocalization

# Black is 0 and white 1 (caption of Fig. 3).
_COLORS = matplotlib.colormaps["hot"](np.linspace(0, 1, 256))  # [256, 4]
# The colors of what is not found are faded to gray.
FADED = 0.3
_GRAY = (0.72, 0.72, 0.72, 1.0)
_COLOR_MAPS = {
    True: ListedColormap(_COLORS),
    False: ListedColormap(FADED * _COLORS + (1 - FADED) * np.array(_GRAY)),
}
BAR_COLOR = "#0b62c4"  # Of the bars above a map: where the class is found.
_MAX_TICKS = 12
# Where nothing was scored: no color of the map.
_NOTHING = {"facecolor": "0.72", "edgecolor": "0.58", "hatch": "////"}


def draw_segments(
    axes: Axes, scores: ClassLocalization, bar_color: str = BAR_COLOR
) -> QuadMesh:
    """Draws the segments over an axis in seconds, bars of events above them."""
    edges_s, spans_s = scores.clip.segment_edges_s, scores.events
    mesh = _draw(axes, edges_s, scores.segments, "segments", scores.is_heard)
    _mark_time(axes, scores.clip.duration_s, spans_s, bar_color)
    return mesh


def draw_frames(
    axes: Axes, scores: ClassLocalization, bar_color: str = BAR_COLOR
) -> QuadMesh:
    """Draws the best region of each frame over an axis in seconds.

    Bars above them show in which frames the class is found.
    """
    edges_s, spans_s = scores.clip.frame_edges_s, scores.sights_s
    mesh = _draw(axes, edges_s, scores.frames, "regions", scores.is_seen)
    _mark_time(axes, scores.clip.duration_s, spans_s, bar_color)
    return mesh


def draw_regions(axes: Axes, scores: ClassLocalization) -> QuadMesh:
    """Draws all regions side by side, those of each frame between lines."""
    num_regions = len(scores.regions)
    edges = np.arange(num_regions + 1)
    mesh = _draw(axes, edges, scores.regions, "regions", scores.is_seen)
    frames, firsts = np.unique(scores.clip.region_frames, return_index=True)
    line_width = min(0.8, 30 / len(frames))
    axes.vlines(firsts[1:], 0, 1, colors="0.5", linewidths=line_width)
    middles = (firsts + np.append(firsts[1:], num_regions)) / 2
    shown = slice(None, None, -(-len(frames) // _MAX_TICKS))
    times_s = scores.clip.frame_times_s[frames[shown]]
    axes.set_xticks(middles[shown], [f"{time_s:g}" for time_s in times_s])
    axes.set_xlabel("region proposals in temporal order, by time of frame (s)")
    return mesh


def _mark_time(
    axes: Axes,
    duration_s: float,
    spans_s: Sequence[tuple[float, ...]],
    bar_color: str,
) -> None:
    """Lets the axis span the whole clip, hatched where nothing was scored."""
    axes.patch.set(**_NOTHING)
    bars = [(onset_s, offset_s - onset_s) for onset_s, offset_s, *_ in spans_s]
    axes.broken_barh(bars, (1.08, 0.2), color=bar_color, clip_on=False)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, duration_s)
    axes.xaxis.set_major_locator(MaxNLocator(_MAX_TICKS, steps=[1, 2, 5, 10]))
    axes.set_xlabel("time (s)")


def _draw(
    axes: Axes,
    edges: np.ndarray,
    values: np.ndarray,
    name: str,
    is_found: bool,
) -> QuadMesh:
    mesh = axes.pcolormesh(
        edges,
        [0, 1],
        values[np.newaxis],  # [1, P]
        cmap=_COLOR_MAPS[is_found],
        vmin=0,
        vmax=1,
        rasterized=True,  # Cells of a vector drawing show seams.
    )
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return mesh
