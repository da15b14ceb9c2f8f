"""Figures of the report: one panel for each class or run.

The page lays the panels out and bears their titles. Color never tells alone:
rows have a letter, a marker and dashes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avmil.evaluation import aggregation, metrics, paper
from avmil.evaluation.aggregation import Row
from avmil.report.images import INK

_MUTED = "#868e96"
_TEXT = {"color": INK, "size": 8}
_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": _MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8,
    "grid.alpha": 0.35,
    "grid.color": _MUTED,
    "grid.linewidth": 0.5,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
# Okabe and Ito's palette; an olive of Tol's takes the place of its yellow,
# which does not show on white, and its black.
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
_MARKERS = tuple(zip("osD^vX", "●■◆▲▼✖", strict=True))
_DASHES = ("-", (0, (4, 1)), (0, (1.5, 0.8)), (0, (6, 1, 1.5, 1)))


class StyledRow(NamedTuple):
    """A row with its names and its look, the same in every figure."""

    row: Row
    label: str  # The letter in Table 1, or a number.
    name: str  # The label and the system's name.
    color: str
    marker: str  # Its name in Matplotlib,
    symbol: str  # and as a character.
    dashes: str | tuple[float, Sequence[float]]


def styled_rows(rows: Sequence[Row]) -> list[StyledRow]:
    """Gives each row, in the order of the tables, a look of its own."""
    systems = [row.system for row in rows]
    letters = {system: paper.letter(system) for system in systems}
    unlettered = [system for system in letters if letters[system] == system]
    names = aggregation.row_names(rows)
    found = []
    for index, (system, name) in enumerate(zip(systems, names, strict=True)):
        label = letters[system].strip("()")
        if system in unlettered:
            label = unlettered.index(system) + 1
        if systems.count(system) > 1:
            label = f"{label}.{systems[:index].count(system) + 1}"
        name = name.removeprefix(f"{letters[system]} ")
        found.append(
            StyledRow(
                rows[index],
                f"({label})",
                f"({label}) {name}",
                _COLORS[index % len(_COLORS)],
                *_MARKERS[index % len(_MARKERS)],
                _DASHES[index % len(_DASHES)],
            )
        )
    return found


def class_f1_bars(styled: Sequence[StyledRow], class_index: int) -> Figure:
    """F1 of one class: a bar for each row, with its number.

    A bar is as long as the mean; several runs have a dot each. A line across
    it marks the paper's figure, where it has one.
    """
    figure, axes = _panel(3.1, 0.17 * len(styled) + 0.4)
    labels = []
    for place, style in enumerate(styled):
        row, mean = style.row, style.row.by_class.f1[class_index]
        axes.barh(place, mean, 0.72, color=style.color)
        labels.append(f"{style.label} {100 * mean:.1f}")
        if row.has_seeds:
            f1 = [result.by_class.f1[class_index] for result in row.results]
            axes.plot(f1, [place] * len(f1), "o", color=INK, ms=1.6, alpha=0.8)
        published = paper.class_f1(row.system, row.class_names)
        published = published.get(row.class_names[class_index])
        if published is not None:
            edges = (place - 0.46, place + 0.46)
            axes.vlines(published, *edges, color=INK, linewidth=1.4)
    axes.set_yticks(range(len(styled)), labels)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "", "50", "", "100 %"))
    axes.set(xlim=(0, 1), ylim=(len(styled) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, grid_alpha=0)
    return figure


def precision_recall_curves(
    styled: Sequence[StyledRow], class_index: int
) -> Figure:
    """Precision against recall of one class, a line for each run.

    A marker shows each run's tuned threshold, a dashed line what random
    scores get: the share of the clips that hold the class. A class that no
    clip holds gets a note instead.
    """
    figure, axes = _panel(3.1, 2.75)
    labels = styled[0].row.results[0].test.labels[:, class_index]
    for style in styled:
        for result in style.row.results:
            curve = metrics.precision_recall_curve(
                labels, result.test.scores[:, class_index]
            )
            if curve:
                axes.plot(
                    *curve,
                    drawstyle="steps-post",
                    color=style.color,
                    linestyle=style.dashes,
                    linewidth=0.7 if style.row.has_seeds else 1.2,
                )
            axes.plot(
                result.by_class.recall[class_index],
                result.by_class.precision[class_index],
                style.marker,
                color=style.color,
                markersize=5.5,
                markeredgecolor=INK,
                markeredgewidth=0.7,
                clip_on=False,
                zorder=3,
            )
    axes.axhline(labels.mean(), color=INK, linewidth=0.8, dashes=(4, 3))
    if not labels.any():
        axes.text(0.5, 0.5, "no test clip holds it", ha="center", **_TEXT)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    return figure


def threshold_strips(styled: StyledRow) -> Figure:
    """Scores of a row's first run, a strip for each class with its threshold.

    A dot is a test clip: in the upper, colored band if it holds the class, in
    the lower, gray one if not. Clips without features have no dot.
    """
    result = styled.row.results[0]
    scores, held = result.test.scores, result.test.labels.astype(bool)
    num_classes = len(result.class_names)
    figure, axes = _panel(4.2, 0.4 * num_classes + 0.3)
    floors = np.arange(num_classes)[::-1]  # The first class is the highest.
    # Even jitter that needs no generator: multiples of the golden ratio.
    jitter = np.arange(len(scores))[:, np.newaxis] * 0.618034 % 1
    for shown, bottom, height, color in (
        (~held, 0.06, 0.22, _MUTED),
        (held, 0.32, 0.26, styled.color),
    ):
        shown = shown & np.isfinite(scores)
        heights = floors + bottom + height * jitter  # [N, C]
        axes.plot(
            scores[shown],
            heights[shown],
            "o",
            color=color,
            markersize=2.4,
            markeredgewidth=0,
            alpha=0.5,
        )
    lines = {"color": INK, "linewidth": 1.4}
    axes.vlines(result.thresholds, floors, floors + 0.64, **lines)
    for floor, name in zip(floors, result.class_names, strict=True):
        short = name if len(name) <= 55 else f"{name[:55]}…"
        across = {"transform": axes.get_yaxis_transform(), **_TEXT}
        # As it stands: `$` does not begin a formula.
        axes.text(0, floor + 0.66, short, parse_math=False, **across)
        axes.axhline(floor, color=_MUTED, linewidth=0.5)
    axes.set(ylim=(0, num_classes), yticks=())
    return figure


def _panel(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """An empty figure with one panel."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure, figure.add_subplot()
