"""How the rows of a table look in figures, also to the color-blind."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avmil.evaluation import paper
from avmil.evaluation.aggregation import Row
from avmil.report.images import INK

FONT_SIZE_PT = 8
# Legible on white and on black.
MUTED = "#868e96"

# Okabe and Ito's palette; an olive of Tol's takes the place of its yellow and
# its black, each of which shows on one of the two backgrounds only.
_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#999933",
)
# Of another number than the colors: the pairs repeat after 42 rows only.
_MARKERS = ("o", "s", "D", "^", "v", "X")
_DASHES = ("-", (0, (4, 1)), (0, (1.5, 0.8)), (0, (6, 1, 1.5, 1)))


class Style(NamedTuple):
    """The looks of a row, the same in every figure.

    Attributes:
        label: A few characters: the row's letter in the paper's Table 1, or a
            number.
        color: Of its bars and lines.
        marker: Matplotlib's name of its marker.
        dashes: Matplotlib's dash pattern of its lines.
    """

    label: str
    color: str
    marker: str
    dashes: str | tuple[float, Sequence[float]]


def styles(rows: Sequence[Row]) -> list[Style]:
    """Gives each row a style of its own.

    Args:
        rows: In the order of the tables.
    """
    counts = collections.Counter(row.system for row in rows)
    places: collections.Counter[str] = collections.Counter()
    unpublished = list(
        dict.fromkeys(r.system for r in rows if r.system not in paper.SYSTEMS)
    )
    found = []
    for index, row in enumerate(rows):
        if row.system in paper.SYSTEMS:
            name = paper.SYSTEMS[row.system].letter
        else:
            name = str(unpublished.index(row.system) + 1)
        places[row.system] += 1
        if counts[row.system] > 1:
            name += f".{places[row.system]}"
        found.append(
            Style(
                f"({name})",
                _COLORS[index % len(_COLORS)],
                _MARKERS[index % len(_MARKERS)],
                _DASHES[index % len(_DASHES)],
            )
        )
    return found


def legend_key(style: Style) -> Figure:
    """A short line with the row's marker."""
    figure, axes = panel(0.45, 0.17, (0, 0, 0, 0))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(-1, 1))
    axes.plot((0, 1), (0, 0), ls=style.dashes, color=style.color, lw=1.6)
    axes.plot(0.5, 0, style.marker, color=style.color, ms=6)
    return figure


def panel(
    width_in: float,
    height_in: float,
    margins_in: tuple[float, float, float, float],
) -> tuple[Figure, Axes]:
    """A figure of one axes in ink on nothing.

    Args:
        width_in: Width of the figure in inches.
        height_in: Its height.
        margins_in: Around the axes: left, bottom, right, top.
    """
    left, bottom, right, top = margins_in
    figure = Figure(figsize=(width_in, height_in), facecolor="none")
    axes = figure.add_axes(
        (
            left / width_in,
            bottom / height_in,
            1 - (left + right) / width_in,
            1 - (bottom + top) / height_in,
        ),
        facecolor="none",
    )
    axes.spines[:].set(color=MUTED, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(
        length=2.5,
        width=0.6,
        color=MUTED,
        labelcolor=INK,
        labelsize=FONT_SIZE_PT,
    )
    axes.set_axisbelow(True)
    return figure, axes
