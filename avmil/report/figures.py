"""The paper's Fig. 3 and Fig. 4 for one class of one clip.

Frames may be smaller than the video: boxes are placed in the pixels of the
video. Without frames the figures hold the heat maps alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from avmil.evaluation import timeline
from avmil.evaluation.class_localization import ClassLocalization
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.report import figure_layout, heat_map_axes
from avmil.report.figure_layout import FigureLayout

_BEST_COLOR = "#19e02b"  # Fig. 3: "shown in green".
_OPACITY_COLOR = "#ffff00"  # Fig. 4: "a yellow bounding box".
_MOST_FRAMES = 8


def heat_maps(
    localization: ClipLocalization,
    class_name: str,
    threshold: float | None = None,
) -> Figure:
    """Draws the heat maps of regions and segments without any frame.

    Args:
        localization: Scores of the clip.
        class_name: The class to show.
        threshold: Its threshold, for the title.

    Raises:
        ValueError: if the system does not know the class.
    """
    return figure_3((), localization, class_name, threshold)


def figure_3(
    frames_rgb: Sequence[np.ndarray],
    localization: ClipLocalization,
    class_name: str,
    threshold: float | None = None,
    max_frames: int = 5,
) -> Figure:
    """Draws the best frames with their best boxes above both heat maps.

    The number below a frame is the scaled score of its box, the mark above
    the heat map shows where the box stands in it. A system without regions
    shows the frames of its best segments, and one without segments the heat
    map of the regions only.

    Args:
        frames_rgb: uint8 [H, W, 3] each, one for each sampled frame, or none.
        localization: Scores of the clip, F sampled frames.
        class_name: The class to show.
        threshold: Its threshold, for the title.
        max_frames: Frames to show, in temporal order.

    Raises:
        ValueError: if the system does not know the class, or the number of
            frames is not F.
    """
    scores = ClassLocalization(localization, class_name)
    _check_frames(frames_rgb, localization)
    aspect = _aspect(frames_rgb)
    limit = min(max_frames, figure_layout.most_frames(aspect))
    shown = _best_frames(scores, limit) if len(frames_rgb) else []
    draws = []
    if len(scores.regions):
        draws.append(heat_map_axes.draw_regions)
    if len(scores.segments):
        draws.append(heat_map_axes.draw_segments)
    layout = _layout(scores, threshold, len(shown), aspect, draws)
    for axes, index in zip(layout.frames, shown, strict=True):
        _show_frame(axes, frames_rgb[index], localization)
        caption = f"{localization.frame_times_s[index]:g} s"
        for region in _ascending_regions(scores, index)[-1:]:
            axes.add_patch(_box(localization.boxes[region], _BEST_COLOR))
            caption += f": {scores.regions[region]:.2f}"
            _mark(layout.maps[0], region)
        axes.set_xlabel(caption)
    return layout.figure


def figure_4(
    frames_rgb: Sequence[np.ndarray],
    frame_times_s: Sequence[float],
    localization: ClipLocalization,
    class_name: str,
    threshold: float | None = None,
) -> Figure:
    """Draws frames above the time axis of the segment heat map.

    Each part of the clip shows its best frame, with boxes whose opacity is
    their scaled score; a line leads from a frame to its instant. A system
    without segments shows the best region of each frame instead of them.

    Args:
        frames_rgb: uint8 [H, W, 3] each, one for each sampled frame, or none.
        frame_times_s: Their instants.
        localization: Scores of the clip, F sampled frames.
        class_name: The class to show.
        threshold: Its threshold, for the title.

    Raises:
        ValueError: if the system does not know the class, or the number of
            frames or of instants is not F.
    """
    scores = ClassLocalization(localization, class_name)
    _check_frames(frames_rgb, localization)
    _check_frames(frame_times_s, localization)
    aspect = _aspect(frames_rgb)
    shown = _frames_over_time(scores, aspect) if len(frames_rgb) else []
    draws = []
    if len(scores.segments):
        draws.append(heat_map_axes.draw_segments)
    elif len(scores.regions):
        draws.append(heat_map_axes.draw_frames)
    layout = _layout(scores, threshold, len(shown), aspect, draws)
    for axes, index in zip(layout.frames, shown, strict=True):
        _show_frame(axes, frames_rgb[index], localization)
        for region in _ascending_regions(scores, index):
            box, opacity = localization.boxes[region], scores.regions[region]
            axes.add_patch(_box(box, _OPACITY_COLOR, opacity))
        for map_axes in layout.maps:
            _connect(axes, map_axes, frame_times_s[index])
    return layout.figure


def _check_frames(given: Sequence, localization: ClipLocalization) -> None:
    expected = len(localization.frame_times_s)
    if len(given) not in (0, expected):
        raise ValueError(
            f"Clip {localization.clip_id}: Expected all {expected} sampled "
            f"frames or none, received {len(given)}."
        )


def _best_frames(scores: ClassLocalization, limit: int) -> list[int]:
    """Frames with the highest score, in temporal order."""
    values = scores.frames
    if not len(scores.regions) and len(scores.segments):
        times_s, edges_s = scores.clip.frame_times_s, scores.segment_edges_s
        heard_s = times_s[times_s < edges_s[-1]]
        values = scores.segments[timeline.part_at(edges_s, heard_s)]
    best = np.argsort(-values, kind="stable")[:limit]
    return sorted(best.tolist())


def _ascending_regions(scores: ClassLocalization, frame: int) -> np.ndarray:
    """The regions of a frame, the best one last."""
    regions = np.flatnonzero(scores.region_frames == frame)
    return regions[np.argsort(scores.regions[regions], kind="stable")]


def _frames_over_time(scores: ClassLocalization, aspect: float) -> list[int]:
    """Of equal parts of the clip the best frame each, or the middle one."""
    times_s = scores.clip.frame_times_s
    fitting = figure_layout.most_frames(aspect)
    num_parts = min(len(times_s), fitting, _MOST_FRAMES)
    edges_s = np.linspace(0, scores.clip.duration_s, num_parts + 1)
    parts = np.searchsorted(edges_s[1:-1], times_s, side="right")
    shown = []
    for part in range(num_parts):
        frames = np.flatnonzero(parts == part)
        if len(frames):
            middle_s = edges_s[part : part + 2].mean()
            distance_s = np.abs(times_s[frames] - middle_s)
            order = np.lexsort((distance_s, -scores.frames[frames]))
            shown.append(int(frames[order[0]]))
    return shown


def _layout(
    scores: ClassLocalization,
    threshold: float | None,
    num_frames: int,
    aspect: float,
    draws: list[Callable[[Axes, ClassLocalization], QuadMesh]],
) -> FigureLayout:
    """Lays a figure out and draws its heat maps."""
    clip = scores.clip
    detail = f"clip {clip.clip_id}, score {scores.score:.3f}"
    if threshold is not None:
        relation = "above" if scores.score > threshold else "not above"
        detail += f", {relation} the threshold {threshold:.3f}"
    layout = FigureLayout(
        scores.class_name, detail, num_frames, aspect, len(draws)
    )
    for draw, axes in zip(draws, layout.maps, strict=True):
        mesh = draw(axes, scores)
    if draws:
        layout.add_color_bar(mesh)
    return layout


def _aspect(frames_rgb: Sequence[np.ndarray]) -> float:
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


def _mark(map_axes: Axes, region: int) -> None:
    map_axes.plot(
        region + 0.5, 1.2, "v", color="#12a020", markersize=5, clip_on=False
    )
    map_axes.set_ylim(0, 1)


def _connect(frame_axes: Axes, map_axes: Axes, time_s: float) -> None:
    """Draws a line from a frame to its instant on a time axis."""
    line = ConnectionPatch(
        (0.5, 0),
        (time_s, 1),
        coordsA=frame_axes.transAxes,
        coordsB=map_axes.transData,
        color="0.55",
        linewidth=1,
    )
    frame_axes.figure.add_artist(line)
