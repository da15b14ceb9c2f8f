"""What lies below the picture of an annotated video: heat maps over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from avmil.evaluation.class_localization import ClassLocalization
from avmil.report import heat_map_axes

ColorRgb = tuple[int, int, int]

_BACKGROUND, _INK = "#16181c", "#f0f2f5"
_CURSOR_RGB = (64, 224, 255)
# Inches, at a resolution that follows the width of the video.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.78, 0.14, 0.06, 0.26
_NAME, _MAP, _GAP = 0.23, 0.15, 0.04
_LETTER = 0.088
_DPI, _NOMINAL_WIDTH_PX = 100, 640
_SPARE_PX = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Strips:
    """Heat maps of some classes, to be shown with a moving cursor.

    Attributes:
        image_rgb: uint8 [H, W, 3] without the cursor; H is even.
        left_px: Where the time axis begins.
        right_px: Where it ends.
        top_px: Upper end of the cursor.
        bottom_px: Lower end of the cursor.
        duration_s: Time at the right end.
    """

    image_rgb: np.ndarray
    left_px: float
    right_px: float
    top_px: int
    bottom_px: int
    duration_s: float

    def cursor_px(self, time_s: float) -> int:
        """Column of the cursor's middle."""
        share = min(max(time_s / self.duration_s, 0.0), 1.0)
        return round(self.left_px + share * (self.right_px - self.left_px))

    def at(self, time_s: float) -> np.ndarray:
        """The strips with the cursor, uint8 [H, W, 3]."""
        image = self.image_rgb.copy()
        column = self.cursor_px(time_s)
        rows = slice(self.top_px, self.bottom_px)
        image[rows, max(column - 2, 0) : column + 3] = 0
        image[rows, max(column - 1, 0) : column + 2] = _CURSOR_RGB
        return image


def render(
    classes: Sequence[ClassLocalization],
    colors: Sequence[ColorRgb],
    width_px: int,
) -> Strips:
    """Draws the heat maps of classes below each other.

    Args:
        classes: The classes of one clip.
        colors: Their colors.
        width_px: Width of the video.
    """
    draws = _draws(classes[0])
    canvas = empty_canvas(width_px, len(classes), len(draws))
    figure, dpi = canvas.figure, canvas.figure.dpi
    width, height = figure.get_size_inches()
    top = height - _TOP
    for scores, color in zip(classes, colors, strict=True):
        _write_name(figure, scores, color, top)
        top -= _NAME
        for draw in draws:
            bounds = (
                _LEFT / width,
                (top - _MAP) / height,
                (width - _LEFT - _RIGHT) / width,
                _MAP / height,
            )
            axes = figure.add_axes(bounds)
            draw(axes, scores)
            _style(axes)
            top -= _MAP + _GAP
    if draws:
        axes.tick_params(labelbottom=True)
    return Strips(
        image_rgb=_pixels(canvas),
        left_px=_LEFT * dpi,
        right_px=(width - _RIGHT) * dpi,
        top_px=round((_TOP + _NAME) * dpi),
        bottom_px=round((height - top - _GAP) * dpi),
        duration_s=classes[0].clip.duration_s,
    )


def empty_canvas(
    width_px: int, num_classes: int, num_maps: int
) -> FigureCanvasAgg:
    """A canvas of a video's width; the strips give it an even height.

    Args:
        width_px: Width of the video.
        num_classes: Classes to show.
        num_maps: Heat maps of each class.
    """
    dpi = resolution_dpi(width_px)
    block = _NAME + num_maps * (_MAP + _GAP)
    height = _TOP + num_classes * block + _BOTTOM
    size_px = width_px, 2 * round(height * dpi / 2)
    # Inches times dpi is rounded down: 1.16 x 100 would be 115.
    size = [(side_px + _SPARE_PX) / dpi for side_px in size_px]
    return FigureCanvasAgg(Figure(size, dpi=dpi, facecolor=_BACKGROUND))


def render_label(text: str, color: ColorRgb, dpi: float) -> np.ndarray:
    """Draws black text on a color, uint8 [H, W, 3] of its size."""
    figure = Figure(dpi=dpi, facecolor=_share(color))
    label = figure.text(0.5, 0.5, text, size=9, ha="center", va="center")
    label.set_parse_math(False)
    canvas = FigureCanvasAgg(figure)
    extent = label.get_window_extent(canvas.get_renderer())
    figure.set_size_inches((extent.width + 8) / dpi, (extent.height + 6) / dpi)
    return _pixels(canvas)


def resolution_dpi(width_px: int) -> float:
    """Pixels of an inch: text grows with the video."""
    return _DPI * max(1.0, width_px / _NOMINAL_WIDTH_PX)


def _draws(scores: ClassLocalization) -> list:
    draws = []
    if len(scores.regions):
        draws.append(heat_map_axes.draw_frames)
    if len(scores.segments):
        draws.append(heat_map_axes.draw_segments)
    return draws


def _write_name(
    figure: Figure, scores: ClassLocalization, color: ColorRgb, top: float
) -> None:
    width, height = figure.get_size_inches()
    letters = max(8, int((width - _LEFT) / _LETTER) - 8)
    name = scores.class_name
    name = name if len(name) <= letters else f"{name[: letters - 1]}…"
    figure.text(
        _LEFT / width,
        (top - 0.45 * _NAME) / height,
        f"{name}  {scores.score:.2f}",
        color=_share(color),
        size=9,
        weight="bold",
        va="center",
        parse_math=False,
    )


def _style(axes: Axes) -> None:
    axes.set_xlabel("")
    axes.tick_params(
        colors=_INK, labelsize=8, length=2, pad=1.5, labelbottom=False
    )
    axes.yaxis.label.set(color=_INK, size=8)
    for spine in axes.spines.values():
        spine.set(color="0.45", linewidth=0.6)


def _share(color: ColorRgb) -> tuple[float, ...]:
    return tuple(value / 255 for value in color)


def _pixels(canvas: FigureCanvasAgg) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # [H, W, 3]
