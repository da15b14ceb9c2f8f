"""Figures of the report: one panel for each class or run.

Each is a pure function of arrays; the page lays the panels out and bears
their titles. Color never tells alone: rows have a letter, a marker and dashes
too.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avmil.evaluation import metrics, paper
from avmil.evaluation.aggregation import Row
from avmil.report.images import INK

_FONT_SIZE_PT = 8
_MUTED = "#868e96"
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
_MARKERS = (
    ("o", "\N{BLACK CIRCLE}"),
    ("s", "\N{BLACK SQUARE}"),
    ("D", "\N{BLACK DIAMOND}"),
    ("^", "\N{BLACK UP-POINTING TRIANGLE}"),
    ("v", "\N{BLACK DOWN-POINTING TRIANGLE}"),
    ("X", "\N{HEAVY MULTIPLICATION X}"),
)
_DASHES = ("-", (0, (4, 1)), (0, (1.5, 0.8)), (0, (6, 1, 1.5, 1)))
_BAR_HEIGHT_IN = 0.17
_STRIP_HEIGHT_IN = 0.4
# Of a row of the strips, from its lower edge: the dots of clips without the
# class, of those with it, and the class name above both.
_NEGATIVE_BAND = (0.06, 0.28)
_POSITIVE_BAND = (0.32, 0.58)
_NAME_HEIGHT = 0.66
_NAME_LENGTH = 55


class Style(NamedTuple):
    """The looks of a row, the same in every figure.

    Attributes:
        label: A few characters: the row's letter in the paper's Table 1, or a
            number.
        color: Of its bars and lines.
        marker: Matplotlib's name of its marker.
        symbol: The marker as a character.
        dashes: Matplotlib's dash pattern of its lines.
    """

    label: str
    color: str
    marker: str
    symbol: str
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
                *_MARKERS[index % len(_MARKERS)],
                _DASHES[index % len(_DASHES)],
            )
        )
    return found


class RunOnClass(NamedTuple):
    """What a run makes of one class on the N test clips.

    Attributes:
        style: The looks of its system.
        labels: {0, 1} of shape [N].
        scores: [N], -inf for clips without features.
        precision: At the tuned threshold.
        recall: At the tuned threshold.
    """

    style: Style
    labels: np.ndarray
    scores: np.ndarray
    precision: float
    recall: float


def class_f1_bars(
    f1: Sequence[Sequence[float]],
    styles: Sequence[Style],
    published: Sequence[float | None],
) -> Figure:
    """F1 of one class: a bar for each system, with its number.

    Args:
        f1: Of each run of each of R systems, in [0, 1]. A bar is as long as
            their mean; several runs have a dot each.
        styles: Of the R systems.
        published: The paper's F1 or None for each of the R systems, marked by
            a line across the bar and written beside it.
    """
    height_in = _BAR_HEIGHT_IN * len(f1)
    figure, axes = _panel(3.1, height_in + 0.4, (0.36, 0.22, 0.78, 0.18))
    means = [float(np.mean(values)) for values in f1]
    places = np.arange(len(f1))
    axes.barh(places, means, 0.72, color=[style.color for style in styles])
    for place, values in zip(places, f1, strict=True):
        if len(values) > 1:
            axes.plot(
                values, [place] * len(values), "o", color=INK, ms=1.6, alpha=0.8
            )
    marked = [i for i, value in enumerate(published) if value is not None]
    axes.vlines(
        [published[i] for i in marked],
        places[marked] - 0.46,
        places[marked] + 0.46,
        color=INK,
        linewidth=1.4,
    )
    _write_figures(axes, "F1", 1.19, dict(zip(places, means, strict=True)))
    _write_figures(
        axes, "paper", 1.38, {i: published[i] for i in marked}, _MUTED
    )
    axes.set_yticks(places, [style.label for style in styles])
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "", "50", "", "100 %"))
    axes.set(xlim=(0, 1), ylim=(len(f1) - 0.4, -0.6))
    axes.grid(axis="x", color=_MUTED, alpha=0.35, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    return figure


def precision_recall_curves(runs: Sequence[RunOnClass]) -> Figure:
    """Precision against recall of one class, a line for each run.

    A marker shows each run's tuned threshold, a dashed line what random
    scores get: the share of the clips that hold the class. A class that no
    clip holds gets a note instead.

    Args:
        runs: One or more, on the same clips.
    """
    figure, axes = _panel(3.1, 2.75, (0.42, 0.4, 0.1, 0.08))
    num_runs = collections.Counter(run.style for run in runs)
    for run in runs:
        curve = metrics.precision_recall_curve(run.labels, run.scores)
        if curve is None:
            continue
        axes.plot(
            *curve,
            drawstyle="steps-post",
            color=run.style.color,
            linestyle=run.style.dashes,
            linewidth=1.2 if num_runs[run.style] == 1 else 0.7,
        )
    for run in runs:
        axes.plot(
            run.recall,
            run.precision,
            run.style.marker,
            color=run.style.color,
            markersize=5.5,
            markeredgecolor=INK,
            markeredgewidth=0.7,
            clip_on=False,
            zorder=3,
        )
    prevalence = float(np.mean(runs[0].labels))
    axes.axhline(prevalence, color=INK, linewidth=0.8, dashes=(4, 3))
    if not prevalence:
        _write(axes, 0.5, 0.5, "no test clip holds it", ha="center")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("Recall", color=INK, size=_FONT_SIZE_PT, labelpad=2)
    axes.set_ylabel("Precision", color=INK, size=_FONT_SIZE_PT, labelpad=2)
    axes.grid(color=_MUTED, alpha=0.3, linewidth=0.5)
    return figure


def threshold_strips(
    class_names: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    thresholds: np.ndarray,
    style: Style,
) -> Figure:
    """Scores of one run, a strip for each class with its threshold.

    A dot is a test clip: in the upper, colored band if it holds the class, in
    the lower, gray one if not. Clips without features have no dot.

    Args:
        class_names: C names.
        labels: {0, 1} of shape [N, C].
        scores: [N, C], -inf for clips without features.
        thresholds: [C], a line across each strip.
        style: The looks of the run's system.
    """
    num_classes = len(class_names)
    figure, axes = _panel(
        4.2, _STRIP_HEIGHT_IN * num_classes + 0.3, (0.1, 0.25, 0.1, 0.05)
    )
    _draw_scores(axes, labels, scores, style.color)
    floors = np.arange(num_classes)[::-1]
    axes.vlines(thresholds, floors, floors + 0.64, color=INK, linewidth=1.4)
    transform = axes.get_yaxis_transform()
    for floor, name in zip(floors, class_names, strict=True):
        short = name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…"
        _write(axes, 0, floor + _NAME_HEIGHT, short, transform=transform)
    axes.hlines(floors, 0, 1, color=_MUTED, linewidth=0.5, transform=transform)
    axes.set(ylim=(0, num_classes), yticks=())
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=_MUTED, alpha=0.3, linewidth=0.5)
    return figure


def _draw_scores(
    axes: Axes, labels: np.ndarray, scores: np.ndarray, color: str
) -> None:
    """Draws a dot for each score, the first class in the highest strip."""
    top = scores.shape[1] - 1
    clips, classes = np.nonzero(np.isfinite(scores))
    # Even jitter that needs no generator: multiples of the golden ratio.
    jitter = (np.arange(len(scores)) * 0.618034 % 1)[clips]
    held = labels[clips, classes].astype(bool)
    for mask, band, band_color in (
        (~held, _NEGATIVE_BAND, _MUTED),
        (held, _POSITIVE_BAND, color),
    ):
        heights = band[0] + jitter[mask] * (band[1] - band[0])
        axes.plot(
            scores[clips[mask], classes[mask]],
            top - classes[mask] + heights,
            "o",
            color=band_color,
            markersize=2.4,
            markeredgewidth=0,
            alpha=0.5,
        )


def _write_figures(
    axes: Axes,
    head: str,
    place: float,
    fractions: dict[int, float],
    color: str = INK,
) -> None:
    """Writes a column of percentages to the right of the bars."""
    if not fractions:
        return
    _write(axes, place, -0.62, head, ha="right", va="bottom", color=_MUTED)
    for row, fraction in fractions.items():
        text = f"{100 * fraction:.1f}"
        _write(axes, place, row, text, ha="right", va="center", color=color)


def _write(
    axes: Axes, x: float, y: float, text: str, **options: object
) -> None:
    """Writes text as it stands: `$` does not begin a formula."""
    settings = {"color": INK, "size": _FONT_SIZE_PT} | options
    axes.text(x, y, text, parse_math=False, **settings)


def _panel(
    width_in: float,
    height_in: float,
    margins_in: tuple[float, float, float, float],
) -> tuple[Figure, Axes]:
    """A figure of one axes.

    Args:
        width_in: Width of the figure in inches.
        height_in: Its height.
        margins_in: Around the axes: left, bottom, right, top.
    """
    left, bottom, right, top = margins_in
    figure = Figure(figsize=(width_in, height_in))
    axes = figure.add_axes(
        (
            left / width_in,
            bottom / height_in,
            1 - (left + right) / width_in,
            1 - (bottom + top) / height_in,
        )
    )
    axes.spines[:].set(color=_MUTED, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(
        length=2.5,
        width=0.6,
        color=_MUTED,
        labelcolor=INK,
        labelsize=_FONT_SIZE_PT,
    )
    axes.set_axisbelow(True)
    return figure, axes
