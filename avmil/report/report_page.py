"""The report of an evaluation: tables and figures as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import markupsafe
import numpy as np
from matplotlib.figure import Figure

from avmil.evaluation import aggregation, paper, precision_recall
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.report import evaluation_figures, figure_style, images, offline_page
from avmil.report.evaluation_figures import RunOnClass
from avmil.report.figure_style import Style
from avmil.report.rendering import ColumnGroup, Table


class _Panel(NamedTuple):
    """A figure of the page with its title and what a screen reader says."""

    title: str
    subtitle: str
    description: str
    svg: markupsafe.Markup


class _LegendEntry(NamedTuple):
    key: markupsafe.Markup
    label: str
    name: str
    run_names: tuple[str, ...]


def render(results: Sequence[Result], tables: Sequence[Table]) -> str:
    """Renders the page, one HTML file that works without a network.

    Args:
        results: Runs on one test split, in any order.
        tables: Tables 1, 2 and whatever else, in the order of the page.

    Returns:
        The HTML text, to be written as UTF-8.

    Raises:
        ValueError: if there are no results or their test splits differ.
    """
    rows = aggregation.rows(results)
    styles = figure_style.styles(rows)
    first = rows[0].results[0]
    return offline_page.render(
        "report",
        num_runs=len(results),
        first=first,
        is_dcase=paper.is_dcase(first.class_names),
        paper_dataset=paper.DATASET,
        legend=[_legend_entry(*pair) for pair in _pairs(rows, styles)],
        tables=[*tables, _runs_table(rows, styles)],
        f1_panels=list(_f1_panels(rows, styles)),
        curve_panels=list(_curve_panels(rows, styles)),
        strip_panels=[_strip_panel(*pair) for pair in _pairs(rows, styles)],
        class_tables=[_class_table(*pair) for pair in _pairs(rows, styles)],
    )


def _pairs(
    rows: Sequence[Row], styles: Sequence[Style]
) -> Iterator[tuple[Row, Style]]:
    return zip(rows, styles, strict=True)


def _name(row: Row) -> str:
    published = paper.SYSTEMS.get(row.system)
    return published.name if published else row.system


def _legend_entry(row: Row, style: Style) -> _LegendEntry:
    key = _svg(figure_style.legend_key(style))
    return _LegendEntry(key, style.label, _name(row), row.run_names)


def _f1_panels(
    rows: Sequence[Row], styles: Sequence[Style]
) -> Iterator[_Panel]:
    class_names = rows[0].results[0].class_names
    published = [paper.class_f1(row.system, class_names) for row in rows]
    for index, name in enumerate(class_names):
        f1 = [[r.by_class.f1[index] for r in row.results] for row in rows]
        figure = evaluation_figures.class_f1_bars(
            f1, styles, [figures.get(name) for figures in published]
        )
        means = ", ".join(
            f"{style.label} {100 * np.mean(values):.1f}"
            for style, values in zip(styles, f1, strict=True)
        )
        description = f"F1 of {name} in percent: {means}."
        yield _Panel(name, "", description, _svg(figure))


def _curve_panels(
    rows: Sequence[Row], styles: Sequence[Style]
) -> Iterator[_Panel]:
    first = rows[0].results[0]
    num_held = first.test.labels.sum(axis=0)
    for index, name in enumerate(first.class_names):
        runs = [
            RunOnClass(
                style,
                result.test.labels[:, index],
                result.test.scores[:, index],
                result.by_class.precision[index],
                result.by_class.recall[index],
            )
            for row, style in _pairs(rows, styles)
            for result in row.results
        ]
        yield _Panel(
            name,
            f"{num_held[index]} of {first.num_test_clips} clips",
            f"Precision-recall curves of {name}.",
            _svg(evaluation_figures.precision_recall_curves(runs)),
        )


def _strip_panel(row: Row, style: Style) -> _Panel:
    result = row.results[0]
    figure = evaluation_figures.threshold_strips(
        result.class_names,
        result.test.labels,
        result.test.scores,
        result.thresholds,
        style,
    )
    return _Panel(
        f"{style.label} {_name(row)}",
        f"run {result.run_name}",
        f"Test scores and thresholds of {result.run_name} for each class.",
        _svg(figure),
    )


def _class_table(row: Row, style: Style) -> Table:
    """All numbers of each class, a group of columns for each run."""
    names = ("Threshold", "F1", "Precision", "Recall", "AP")
    first = row.results[0]
    num_held = first.test.labels.sum(axis=0)
    columns = [np.array(first.class_names), num_held.astype(str)]
    for result in row.results:
        columns += _class_columns(result)
    return Table(
        f"{style.label} {_name(row)}",
        ("Class",),
        (
            ColumnGroup("Test clips", ("with it",)),
            *(ColumnGroup(run_name, names) for run_name in row.run_names),
        ),
        tuple(zip(*columns, strict=True)),
    )


def _class_columns(result: Result) -> Iterator[list[str]]:
    """Threshold, F1, precision, recall and average precision of each class."""
    yield [f"{threshold:.4g}" for threshold in result.thresholds]
    for fractions in result.by_class:
        yield [f"{100 * fraction:.1f}" for fraction in fractions]
    curves = map(
        precision_recall.curve, result.test.labels.T, result.test.scores.T
    )
    yield [
        f"{100 * curve.average_precision:.1f}" if curve else "-"
        for curve in curves
    ]


def _runs_table(rows: Sequence[Row], styles: Sequence[Style]) -> Table:
    """What was evaluated, and how thresholds came about."""
    clips = ("clips", "without features")
    cells = [
        (
            f"{style.label} {_name(row)}",
            result.run_name,
            "-" if result.seed is None else str(result.seed),
            str(result.num_val_clips),
            str(result.num_val_missing),
            str(result.num_test_clips),
            str(result.num_test_missing),
            "with" if result.fallback_argmax else "without",
            "; ".join(result.untuned_class_names) or "-",
        )
        for row, style in _pairs(rows, styles)
        for result in row.results
    ]
    return Table(
        "Runs",
        ("System", "Run"),
        (
            ColumnGroup("Training", ("seed",)),
            ColumnGroup("Validation", clips),
            ColumnGroup("Test", clips),
            ColumnGroup("Thresholds", ("arg-max fallback", "no clip to tune")),
        ),
        tuple(cells),
    )


def _svg(figure: Figure) -> markupsafe.Markup:
    """The figure's element, in which matplotlib has escaped all text."""
    return markupsafe.Markup(images.to_svg(figure))
