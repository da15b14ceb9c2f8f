"""The paper's Fig. 3 and Fig. 4 for one class of one clip.

Frames may be smaller than the video: boxes are placed in the pixels of the
video. Without frames the figures hold the heat maps alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from avmil.evaluation.clip_localization import ClassLocalization, part_at
from avmil.report import heat_maps as maps
from avmil.report.images import INK

_BEST_COLOR = "#19e02b"  # Fig. 3: "shown in green".
_OPACITY_COLOR = "#ffff00"  # Fig. 4: "a yellow bounding box".
_MARK_COLOR = "#12a020"
_MOST_FRAMES = 8

# All in inches: title, row of frames and heat maps lie below each other.
_WIDTH, _LEFT, _RIGHT = 10.0, 0.95, 0.6
_ROW = _WIDTH - _LEFT - _RIGHT
_MARGIN, _TITLE_LINE, _DETAIL_LINE = 0.12, 0.26, 0.3
_MAP, _BELOW_MAP, _BELOW_FRAMES = 0.4, 0.64, 0.4
_BAR_LEFT, _BAR_WIDTH = _WIDTH - _RIGHT + 0.12, 0.12
_LOWEST_FRAME, _HIGHEST_FRAME, _FRAME_GAP = 0.9, 2.3, 0.08
_LETTERS_A_LINE = 78


def figure_3(
    scores: ClassLocalization,
    frames_rgb: Sequence[np.ndarray] = (),
    max_frames: int = 5,
) -> Figure:
    """Draws the best frames with their best boxes above both heat maps.

    The number below a frame is the scaled score of its box, the mark above
    the heat map shows where the box stands in it. A class that is heard and not
    seen shows the frames of its best segments. A class that is not found is
    faded. A system without segments has the heat map of the regions only.

    Frames are uint8 [H, W, 3], one for each of the F sampled frames, or none.
    Up to `max_frames` of them are shown, in temporal order.
    """
    clip = scores.clip
    shown = _best_frames(scores, min(max_frames, _most_frames(frames_rgb)))
    draws = []
    if len(scores.regions):
        draws.append(maps.draw_regions)
    if len(scores.segments):
        draws.append(maps.draw_segments)
    figure, pictures, heat = _lay_out(scores, frames_rgb, shown, draws)
    for axes, index in zip(pictures, shown, strict=True):
        caption = f"{clip.frame_times_s[index]:g} s"
        if (region := scores.shown_region(index)) is not None:
            opacity = 1.0 if scores.found_regions else maps.FADED
            axes.add_patch(_box(clip.boxes[region], _BEST_COLOR, opacity))
            caption += f": {scores.regions[region]:.2f}"
            place = {"color": _MARK_COLOR, "ms": 5, "clip_on": False}
            heat[0].plot(region + 0.5, 1.2, "v", **place, alpha=opacity)
            heat[0].set_ylim(0, 1)
        axes.set_xlabel(caption)
    return figure


def figure_4(
    scores: ClassLocalization, frames_rgb: Sequence[np.ndarray] = ()
) -> Figure:
    """Draws frames above the time axis of the segment heat map.

    Each part of the clip shows its best frame, with its best box, as opaque as
    its scaled score is high; a line leads from a frame to its instant. A system
    without segments shows the best region of each frame instead of them.
    Arguments are those of `figure_3`.
    """
    clip = scores.clip
    most = min(_MOST_FRAMES, _most_frames(frames_rgb))
    shown = _frames_over_time(scores, most)
    draws = []
    if len(scores.segments):
        draws.append(maps.draw_segments)
    elif len(scores.regions):
        draws.append(maps.draw_frames)
    figure, pictures, heat = _lay_out(scores, frames_rgb, shown, draws)
    for axes, index in zip(pictures, shown, strict=True):
        if (region := scores.shown_region(index)) is not None:
            opacity = scores.regions[region]
            opacity *= 1.0 if scores.found_regions else maps.FADED
            axes.add_patch(_box(clip.boxes[region], _OPACITY_COLOR, opacity))
        for map_axes in heat:  # A line from the frame to its instant.
            instant = clip.frame_times_s[index], 1
            systems = axes.transAxes, map_axes.transData
            style = {"color": "0.55", "linewidth": 1}
            line = ConnectionPatch((0.5, 0), instant, *systems, **style)
            figure.add_artist(line)
    return figure


def _most_frames(frames_rgb: Sequence[np.ndarray]) -> int:
    """How many of the frames fit beside each other."""
    if not len(frames_rgb):
        return 0
    height_px, width_px = frames_rgb[0].shape[:2]
    least_width = _LOWEST_FRAME * (width_px / height_px) + _FRAME_GAP
    return max(1, int(_ROW / least_width))


def _best_frames(scores: ClassLocalization, limit: int) -> list[int]:
    """Frames with the highest score, in temporal order.

    Where the class is seen only those that show it.
    """
    values, clip = scores.frames, scores.clip
    if scores.found_regions:
        frames = clip.region_frames[list(scores.found_regions)]
        limit = min(limit, len(np.unique(frames)))
    elif len(scores.segments) and (scores.events or not len(scores.regions)):
        edges_s = clip.segment_edges_s
        scored_s = clip.frame_times_s[clip.frame_times_s < edges_s[-1]]
        values = scores.segments[part_at(edges_s, scored_s)]
    best = np.argsort(-values, kind="stable")[:limit]
    return sorted(best.tolist())


def _frames_over_time(scores: ClassLocalization, limit: int) -> list[int]:
    """Of equal parts of the clip the best frame each, or the middle one."""
    times_s = scores.clip.frame_times_s
    num_parts = min(len(times_s), limit)
    edges_s = np.linspace(0, scores.clip.duration_s, num_parts + 1)
    parts = part_at(edges_s, times_s)
    shown = []
    for part in range(num_parts):
        frames = np.flatnonzero(parts == part)
        if len(frames):
            middle_s = edges_s[part : part + 2].mean()
            distance_s = np.abs(times_s[frames] - middle_s)
            order = np.lexsort((distance_s, -scores.frames[frames]))
            shown.append(int(frames[order[0]]))
    return shown


def _lay_out(
    scores: ClassLocalization,
    frames_rgb: Sequence[np.ndarray],
    shown: Sequence[int],
    draws: Sequence[Callable[[Axes, ClassLocalization], QuadMesh]],
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Draws title, some frames and heat maps; gives the axes of both."""
    clip = scores.clip
    slot = _ROW / max(len(shown), 1)
    row_height = 0.0
    if shown:
        height_px, width_px = frames_rgb[0].shape[:2]
        aspect = width_px / height_px
        frame_height = min(_HIGHEST_FRAME, (slot - _FRAME_GAP) / aspect)
        row_height = frame_height + _BELOW_FRAMES
    lines = textwrap.wrap(scores.class_name, _LETTERS_A_LINE)
    maps_height = len(draws) * (_MAP + _BELOW_MAP)
    below_title = maps_height + row_height
    title_height = len(lines) * _TITLE_LINE
    height = _MARGIN + title_height + _DETAIL_LINE + below_title
    figure = Figure((_WIDTH, height), facecolor="white")

    def add_axes(left: float, top: float, wide: float, high: float) -> Axes:
        bottom = (top - high) / height
        return figure.add_axes(
            (left / _WIDTH, bottom, wide / _WIDTH, high / height)
        )

    sure = f": {scores.sureness}" if scores.sureness else ""
    detail = f"{scores.presence}{sure} (clip {clip.clip_id})"
    # Names are no formulas: `$` stays what it is.
    style = {"va": "top", "color": INK, "parse_math": False}
    left, top = _LEFT / _WIDTH, height - _MARGIN
    title = "\n".join(lines)
    figure.text(left, top / height, title, size=13, weight="bold", **style)
    figure.text(left, (top - title_height) / height, detail, size=10, **style)
    pictures, heat = [], []
    for number, index in enumerate(shown):
        width = frame_height * aspect
        left = _LEFT + (number + 0.5) * slot - width / 2
        axes = add_axes(left, below_title, width, frame_height)
        axes.set(xticks=[], yticks=[])
        # Shown in the video's pixels, whose centers are whole numbers. Their
        # number is not known where only sound was extracted.
        width_px, height_px = clip.frame_size_px
        if not width_px:
            height_px, width_px = frames_rgb[index].shape[:2]
        extent = (-0.5, width_px - 0.5, height_px - 0.5, -0.5)
        axes.imshow(frames_rgb[index], extent=extent, aspect="auto")
        pictures.append(axes)
    for number, draw in enumerate(draws):
        top = maps_height - number * (_MAP + _BELOW_MAP)
        heat.append(add_axes(_LEFT, top, _ROW, _MAP))
        mesh = draw(heat[-1], scores)
    if draws:
        bar_height = maps_height - _BELOW_MAP
        bar = add_axes(_BAR_LEFT, maps_height, _BAR_WIDTH, bar_height)
        scale = ScalarMappable(mesh.norm, mesh.cmap)  # Never faded.
        figure.colorbar(scale, cax=bar, ticks=[0, 1])
    return figure, pictures, heat


def _box(box: np.ndarray, color: str, opacity: float = 1.0) -> Rectangle:
    """The outline of a box, around its inclusive pixels."""
    x1, y1, x2, y2 = box
    corner, size = (x1 - 0.5, y1 - 0.5), (x2 - x1 + 1, y2 - y1 + 1)
    style = {"fill": False, "edgecolor": color, "linewidth": 1.6}
    return Rectangle(corner, *size, **style, alpha=opacity)
