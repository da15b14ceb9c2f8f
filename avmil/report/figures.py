"""The paper's Fig. 3 and Fig. 4 for one class of one clip.

Frames may be smaller than the video: boxes are placed in the pixels of the
video. Without frames the figures hold the heat maps alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from avmil.evaluation.clip_localization import (
    ClassLocalization,
    ClipLocalization,
    part_at,
)
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
_MAP, _BELOW_MAP, _BELOW_FRAMES = 0.4, 0.56, 0.4
_BAR_LEFT, _BAR_WIDTH = _WIDTH - _RIGHT + 0.12, 0.12
_LOWEST_FRAME, _HIGHEST_FRAME, _FRAME_GAP = 0.9, 2.3, 0.08
_LETTERS_A_LINE = 78

_Draw = Callable[[Axes, ClassLocalization], QuadMesh]


def heat_maps(
    localization: ClipLocalization,
    class_name: str,
    threshold: float | None = None,
) -> Figure:
    """Draws Fig. 3 without frames: the heat maps alone."""
    return figure_3(localization, class_name, (), threshold)


def figure_3(
    localization: ClipLocalization,
    class_name: str,
    frames_rgb: Sequence[np.ndarray] = (),
    threshold: float | None = None,
    max_frames: int = 5,
) -> Figure:
    """Draws the best frames with their best boxes above both heat maps.

    The number below a frame is the scaled score of its box, the mark above
    the heat map shows where the box stands in it. A system without regions
    shows the frames of its best segments, and one without segments the heat
    map of the regions only.

    Args:
        localization: Scores of the clip, F sampled frames.
        class_name: The class to show.
        frames_rgb: uint8 [H, W, 3] each, one for each sampled frame, or none.
        threshold: Its threshold, for the title.
        max_frames: Frames to show, in temporal order.

    Raises:
        ValueError: if the system does not know the class, or the number of
            frames is not F.
    """
    scores = ClassLocalization(localization, class_name)
    aspect = _aspect(frames_rgb, localization)
    shown = []
    if len(frames_rgb):
        shown = _best_frames(scores, min(max_frames, _most_frames(aspect)))
    draws = []
    if len(scores.regions):
        draws.append(maps.draw_regions)
    if len(scores.segments):
        draws.append(maps.draw_segments)
    figure, pictures, heat = _lay_out(
        scores, threshold, len(shown), aspect, draws
    )
    for axes, index in zip(pictures, shown, strict=True):
        _show_frame(axes, frames_rgb[index], localization)
        caption = f"{localization.frame_times_s[index]:g} s"
        for region in scores.ascending_regions(index)[-1:]:
            axes.add_patch(_box(localization.boxes[region], _BEST_COLOR))
            caption += f": {scores.regions[region]:.2f}"
            place = {"color": _MARK_COLOR, "ms": 5, "clip_on": False}
            heat[0].plot(region + 0.5, 1.2, "v", **place)
            heat[0].set_ylim(0, 1)
        axes.set_xlabel(caption)
    return figure


def figure_4(
    localization: ClipLocalization,
    class_name: str,
    frames_rgb: Sequence[np.ndarray] = (),
    threshold: float | None = None,
) -> Figure:
    """Draws frames above the time axis of the segment heat map.

    Each part of the clip shows its best frame, with boxes whose opacity is
    their scaled score; a line leads from a frame to its instant. A system
    without segments shows the best region of each frame instead of them.

    Args:
        localization: Scores of the clip, F sampled frames.
        class_name: The class to show.
        frames_rgb: uint8 [H, W, 3] each, one for each sampled frame, or none.
        threshold: Its threshold, for the title.

    Raises:
        ValueError: if the system does not know the class, or the number of
            frames is not F.
    """
    scores = ClassLocalization(localization, class_name)
    aspect = _aspect(frames_rgb, localization)
    shown = _frames_over_time(scores, aspect) if len(frames_rgb) else []
    draws = []
    if len(scores.segments):
        draws.append(maps.draw_segments)
    elif len(scores.regions):
        draws.append(maps.draw_frames)
    figure, pictures, heat = _lay_out(
        scores, threshold, len(shown), aspect, draws
    )
    for axes, index in zip(pictures, shown, strict=True):
        _show_frame(axes, frames_rgb[index], localization)
        for region in scores.ascending_regions(index):
            box, opacity = localization.boxes[region], scores.regions[region]
            axes.add_patch(_box(box, _OPACITY_COLOR, opacity))
        for map_axes in heat:  # A line from the frame to its instant.
            instant = localization.frame_times_s[index], 1
            systems = axes.transAxes, map_axes.transData
            figure.add_artist(
                ConnectionPatch(
                    (0.5, 0), instant, *systems, color="0.55", linewidth=1
                )
            )
    return figure


def _best_frames(scores: ClassLocalization, limit: int) -> list[int]:
    """Frames with the highest score, in temporal order."""
    values, clip = scores.frames, scores.clip
    if not len(scores.regions) and len(scores.segments):
        edges_s = clip.segment_edges_s
        scored_s = clip.frame_times_s[clip.frame_times_s < edges_s[-1]]
        values = scores.segments[part_at(edges_s, scored_s)]
    best = np.argsort(-values, kind="stable")[:limit]
    return sorted(best.tolist())


def _frames_over_time(scores: ClassLocalization, aspect: float) -> list[int]:
    """Of equal parts of the clip the best frame each, or the middle one."""
    times_s = scores.clip.frame_times_s
    num_parts = min(len(times_s), _most_frames(aspect), _MOST_FRAMES)
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
    threshold: float | None,
    num_frames: int,
    aspect: float,
    draws: Sequence[_Draw],
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Draws title and heat maps; gives axes for the frames and of the maps."""
    frame_height = row_height = 0.0
    slot = _ROW / max(num_frames, 1)
    if num_frames:
        frame_height = min(_HIGHEST_FRAME, (slot - _FRAME_GAP) / aspect)
        row_height = frame_height + _BELOW_FRAMES
    lines = textwrap.wrap(scores.class_name, _LETTERS_A_LINE)
    lines = lines or [scores.class_name]
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

    detail = f"clip {scores.clip.clip_id}, score {scores.score:.3f}"
    if threshold is not None:
        relation = "above" if scores.score > threshold else "not above"
        detail += f", {relation} the threshold {threshold:.3f}"
    # Names are no formulas: `$` stays what it is.
    style = {"va": "top", "color": INK, "parse_math": False}
    left, top = _LEFT / _WIDTH, height - _MARGIN
    title = "\n".join(lines)
    figure.text(left, top / height, title, size=13, weight="bold", **style)
    figure.text(left, (top - title_height) / height, detail, size=10, **style)
    width = frame_height * aspect
    middles = [_LEFT + (number + 0.5) * slot for number in range(num_frames)]
    pictures = [
        add_axes(middle - width / 2, below_title, width, frame_height)
        for middle in middles
    ]
    for axes in pictures:
        axes.set(xticks=[], yticks=[])
    tops = [
        maps_height - number * (_MAP + _BELOW_MAP)
        for number in range(len(draws))
    ]
    heat = [add_axes(_LEFT, top, _ROW, _MAP) for top in tops]
    for draw, axes in zip(draws, heat, strict=True):
        mesh = draw(axes, scores)
    if draws:
        bar_height = maps_height - _BELOW_MAP
        bar = add_axes(_BAR_LEFT, maps_height, _BAR_WIDTH, bar_height)
        figure.colorbar(mesh, cax=bar, ticks=[0, 1])
    return figure, pictures, heat


def _most_frames(aspect: float) -> int:
    """How many frames of an aspect fit beside each other."""
    return max(1, int(_ROW / (_LOWEST_FRAME * aspect + _FRAME_GAP)))


def _aspect(
    frames_rgb: Sequence[np.ndarray], localization: ClipLocalization
) -> float:
    """Width of a frame divided by its height."""
    expected = len(localization.frame_times_s)
    if len(frames_rgb) not in (0, expected):
        raise ValueError(
            f"Clip {localization.clip_id}: Expected all {expected} sampled "
            f"frames or none, received {len(frames_rgb)}."
        )
    if not len(frames_rgb):
        return 1.0
    height_px, width_px = frames_rgb[0].shape[:2]
    return width_px / height_px


def _show_frame(
    axes: Axes, frame_rgb: np.ndarray, clip: ClipLocalization
) -> None:
    """Shows a frame in the video's pixels, whose centers are whole numbers."""
    width_px, height_px = clip.frame_size_px
    if not width_px:  # Not known where only sound was extracted.
        height_px, width_px = frame_rgb.shape[:2]
    extent = (-0.5, width_px - 0.5, height_px - 0.5, -0.5)
    axes.imshow(frame_rgb, extent=extent, aspect="auto")


def _box(box: np.ndarray, color: str, opacity: float = 1.0) -> Rectangle:
    x1, y1, x2, y2 = box
    return Rectangle(
        (x1 - 0.5, y1 - 0.5),
        x2 - x1 + 1,
        y2 - y1 + 1,
        fill=False,
        edgecolor=color,
        linewidth=1.6,
        alpha=opacity,
    )
