"""Places title, frames, heat maps and color bar of a figure, in inches."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from avmil.report.images import INK

_WIDTH, _LEFT, _RIGHT = 10.0, 0.95, 0.6
_ROW = _WIDTH - _LEFT - _RIGHT
_MARGIN, _TITLE_LINE, _DETAIL_LINE = 0.12, 0.26, 0.3
_MAP, _BELOW_MAP, _BELOW_FRAMES = 0.4, 0.56, 0.4
_BAR_LEFT, _BAR_WIDTH = _WIDTH - _RIGHT + 0.12, 0.12
_LETTERS_A_LINE = 78

_LOWEST_FRAME, _HIGHEST_FRAME, _FRAME_GAP = 0.9, 2.3, 0.08


class FigureLayout:
    """A figure with a title, a row of frames and heat maps below each other.

    Args:
        title: First lines, wrapped where they are long.
        detail: Line below the title.
        num_frames: Frames in the row; without any there is no row.
        aspect: Width of a frame divided by its height.
        num_maps: Heat maps.

    Attributes:
        figure: The figure.
        frames: Axes of the frames, from left to right.
        maps: Axes of the heat maps, from top to bottom.
    """

    def __init__(
        self,
        title: str,
        detail: str,
        num_frames: int,
        aspect: float,
        num_maps: int,
    ) -> None:
        lines = textwrap.wrap(title, _LETTERS_A_LINE) or [title]
        height = _frame_height(num_frames, aspect)
        below_title = num_maps * (_MAP + _BELOW_MAP) + (
            height + _BELOW_FRAMES if num_frames else 0
        )
        head = _MARGIN + len(lines) * _TITLE_LINE + _DETAIL_LINE
        self._height = head + below_title
        self.figure = Figure((_WIDTH, self._height), facecolor="white")
        self._write_title(lines, detail)
        slot = _ROW / max(num_frames, 1)
        width = height * aspect
        top = self._height - head
        self.frames = [
            self._axes(
                _LEFT + (number + 0.5) * slot - width / 2, top, width, height
            )
            for number in range(num_frames)
        ]
        for axes in self.frames:
            axes.set(xticks=[], yticks=[])
        top = below_title - (height + _BELOW_FRAMES if num_frames else 0)
        self.maps = [
            self._axes(_LEFT, top - number * (_MAP + _BELOW_MAP), _ROW, _MAP)
            for number in range(num_maps)
        ]

    def add_color_bar(self, colors: ScalarMappable) -> None:
        """Draws the scale of the heat maps beside all of them."""
        bottom = _BELOW_MAP
        height = (len(self.maps) - 1) * (_MAP + _BELOW_MAP) + _MAP
        axes = self._axes(_BAR_LEFT, bottom + height, _BAR_WIDTH, height)
        self.figure.colorbar(colors, cax=axes, ticks=[0, 1])

    def _axes(
        self, left: float, top: float, width: float, height: float
    ) -> Axes:
        return self.figure.add_axes(
            (
                left / _WIDTH,
                (top - height) / self._height,
                width / _WIDTH,
                height / self._height,
            )
        )

    def _write_title(self, lines: list[str], detail: str) -> None:
        # Names are no formulas: `$` stays what it is.
        shared = {"va": "top", "color": INK, "parse_math": False}
        left, top = _LEFT / _WIDTH, 1 - _MARGIN / self._height
        self.figure.text(
            left, top, "\n".join(lines), size=13, weight="bold", **shared
        )
        top -= len(lines) * _TITLE_LINE / self._height
        self.figure.text(left, top, detail, size=10, **shared)


def most_frames(aspect: float) -> int:
    """How many frames of an aspect fit beside each other."""
    return max(1, int(_ROW / (_LOWEST_FRAME * aspect + _FRAME_GAP)))


def _frame_height(num_frames: int, aspect: float) -> float:
    if not num_frames:
        return 0.0
    return min(_HIGHEST_FRAME, (_ROW / num_frames - _FRAME_GAP) / aspect)
