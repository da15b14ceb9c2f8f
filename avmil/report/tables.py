"""The paper's Table 1 and Table 2, with the paper's figures beside ours.

All figures are percentages with one decimal, as the paper prints them; those
of several seeds are means with their sample standard deviation. The best
figure of a column is bold: of ours where there are several rows, of the
paper's among all that it publishes.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from avmil.evaluation import aggregation, bootstrap, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.report.rendering import ColumnGroup, Table

LEVEL = f"{100 * bootstrap.LEVEL:.0f} %"
_SCORE_NAMES = ("F1", "Precision", "Recall")
_NO_FIGURES = ("-",) * len(_SCORE_NAMES)
# Table 1's columns of F1, precision and recall.
_OURS = (2, 4, 5)
_PAPER = (6, 7, 8)

# Index of a table's row to fractions.
_Figures = Mapping[int, Sequence[float]]


def table_1(rows: Sequence[Row]) -> Table:
    """Micro-averaged scores, a row for each system and for chance.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    published = {
        index: paper.SYSTEMS[row.system].scores
        for index, row in enumerate(rows)
        if row.system in paper.SYSTEMS
    }
    all_published = [system.scores for system in paper.SYSTEMS.values()]
    return Table(
        "Table 1. Micro-averaged scores on the test set, in percent",
        ("System", "Run"),
        (
            ColumnGroup("Ours", ("F1", LEVEL, "Precision", "Recall")),
            ColumnGroup(f"Paper, {paper.DATASET}", _SCORE_NAMES),
        ),
        (*map(_table_1_row, rows), *_chance_rows(rows)),
        tuple(_table_1_notes(rows)),
        _best_of_ours(_OURS, {i: row.micro for i, row in enumerate(rows)})
        | _best_places(_PAPER, published, all_published),
    )


def table_2(rows: Sequence[Row]) -> Table:
    """Class-wise F1; for the paper's classes in its order, with its figures.

    Other class lists keep their own names and order.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    groups = _class_groups(rows[0].class_names)
    class_names = [name for heads in groups.values() for name in heads]
    order = [rows[0].class_names.index(name) for name in class_names]
    all_published = _published_class_f1(class_names)
    cells: list[tuple[str, ...]] = []
    ours: dict[int, Sequence[float]] = {}
    published: dict[int, Sequence[float]] = {}
    for row, name in zip(rows, row_names(rows, short=True), strict=True):
        ours[len(cells)] = f1 = row.by_class.f1[order]
        cells.append((name, *_figures(f1, row.by_class_std.f1[order])))
        if row.system in all_published:
            published[len(cells)] = f1 = all_published[row.system]
            cells.append(("    paper", *map(percent, f1)))
    columns = range(1, 1 + len(class_names))
    return Table(
        "Table 2. Class-wise F1 on the test set, in percent",
        ("System",),
        tuple(ColumnGroup(t, tuple(h.values())) for t, h in groups.items()),
        tuple(cells),
        bold=_best_of_ours(columns, ours)
        | _best_places(columns, published, all_published.values()),
    )


def row_names(rows: Sequence[Row], short: bool = False) -> list[str]:
    """Names rows as the paper does, and by their runs where that is not enough.

    Args:
        rows: The rows of a table.
        short: As in Table 2 instead of Table 1.
    """
    num_rows = collections.Counter(row.system for row in rows)
    return [
        _system_name(row.system, short)
        + f", {', '.join(row.run_names)}" * (num_rows[row.system] > 1)
        for row in rows
    ]


def percent(fraction: float) -> str:
    """Writes a fraction as the paper prints it: 0.642 becomes "64.2"."""
    return f"{100 * fraction:.1f}"


def percent_interval(interval: bootstrap.Interval) -> str:
    """Writes an interval of fractions as "[60.1, 68.0]"."""
    return f"[{percent(interval.low)}, {percent(interval.high)}]"


def _table_1_row(row: Row) -> tuple[str, ...]:
    published = paper.SYSTEMS.get(row.system)
    f1, precision, recall = _figures(row.micro, row.micro_std)
    return (
        _system_name(row.system),
        f"{len(row.results)} seeds" if row.has_seeds else row.run_names[0],
        f1,
        percent_interval(row.intervals.f1),
        precision,
        recall,
        *(map(percent, published.scores) if published else _NO_FIGURES),
    )


def _chance_rows(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    cells = []
    for chance in aggregation.chances(rows):
        levels = {
            "Chance: random scores": chance.random_mean,
            "Chance: every class": chance.every_class,
        }
        for name, scores in levels.items():
            f1, precision, recall = map(percent, scores)
            cells.append((name, "", f1, "-", precision, recall, *_NO_FIGURES))
    return cells


def _class_groups(class_names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Maps group titles to class names and what heads their columns."""
    if paper.is_dcase(class_names):
        return {title: dict(g) for title, g in paper.CLASS_GROUPS.items()}
    return {"Classes": {name: name for name in class_names}}


def _published_class_f1(class_names: Sequence[str]) -> dict[str, list[float]]:
    """Maps systems to their rows of the paper's Table 2, where it has them."""
    found = {
        system: paper.class_f1(system, class_names) for system in paper.SYSTEMS
    }
    return {
        system: [f1[name] for name in class_names]
        for system, f1 in found.items()
        if f1
    }


def _best_of_ours(columns: Sequence[int], figures: _Figures) -> frozenset:
    """A single row is not the best of anything."""
    if len(figures) < 2:
        return frozenset()
    return _best_places(columns, figures, figures.values())


def _best_places(
    columns: Sequence[int],
    figures: _Figures,
    competitors: Iterable[Sequence[float]],
) -> frozenset[tuple[int, int]]:
    """Finds the figures that are the best of their column.

    Figures that print alike are equally good.

    Args:
        columns: The table's columns in which the figures stand.
        figures: A fraction for each of the columns, of some of the rows.
        competitors: Fractions for each of the columns.

    Returns:
        Places (row, column).
    """
    best = [percent(max(column)) for column in zip(*competitors, strict=True)]
    return frozenset(
        (index, column)
        for index, fractions in figures.items()
        for column, value, highest in zip(columns, fractions, best, strict=True)
        if percent(value) == highest
    )


def _table_1_notes(rows: Sequence[Row]) -> list[str]:
    results = [result for row in rows for result in row.results]
    notes = list(filter(None, map(_seeds_note, rows)))
    notes.append(
        f"{LEVEL}: interval of F1 over {len(rows[0].resampled.f1)} bootstrap "
        "resamples of the test clips, with thresholds and seeds as they are."
    )
    for describe in (_missing_note, _threshold_note, _untuned_note):
        notes += _run_notes(results, describe)
    for chance in aggregation.chances(rows):
        std = percent(chance.random_std.f1)
        notes.append(
            f"Random scores: mean of {chance.num_draws} draws with thresholds "
            f"tuned likewise; standard deviation of F1 {std}."
        )
    if not paper.is_dcase(results[0].class_names):
        notes.append(
            f"The paper's figures are for {paper.DATASET}, other clips and "
            "classes than these: for orientation only."
        )
    return notes


def _seeds_note(row: Row) -> str:
    if not row.has_seeds:
        return ""
    return (
        f"{_system_name(row.system)}: mean ± sample standard deviation of "
        f"{', '.join(row.run_names)}."
    )


def _run_notes(
    results: Sequence[Result], describe: Callable[[Result], str]
) -> list[str]:
    """One note if it holds for all runs, else one for each run."""
    texts = [describe(result) for result in results]
    if len(set(texts)) == 1:
        return [text for text in texts[:1] if text]
    pairs = zip(results, texts, strict=True)
    return [f"{result.run_name}: {text}" for result, text in pairs if text]


def _missing_note(result: Result) -> str:
    return (
        f"{result.num_test_missing} of {result.num_test_clips} test clips "
        "have no features and count as missed."
    )


def _threshold_note(result: Result) -> str:
    fallback = "with" if result.fallback_argmax else "without"
    return (
        f"Thresholds tuned on {result.num_val_clips} validation clips "
        f"({result.num_val_missing} without features), {fallback} arg-max "
        "fallback."
    )


def _untuned_note(result: Result) -> str:
    names = "; ".join(result.untuned_class_names)
    return f"No validation clip to tune on: {names}." if names else ""


def _system_name(system: str, short: bool = False) -> str:
    published = paper.SYSTEMS.get(system)
    if published is None:
        return system
    name = published.short_name if short else published.name
    return f"({published.letter}) {name}"


def _figures(means: Iterable[float], stds: Iterable[float]) -> list[str]:
    """Writes means, with their standard deviations where there are any."""
    return [
        percent(mean) + ("" if np.isnan(std) else f" ± {percent(std)}")
        for mean, std in zip(means, stds, strict=True)
    ]
