"""Table 3: where and when systems localise, which the paper does not measure.

All figures but error rates are percentages with one decimal; those of several
seeds are means with their sample standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from report import paper
from report.localisation import ALL, NUM_DRAWS, LocalisationResult
from report.localisation_rows import (
    AUDIO,
    VISUAL,
    Part,
    Row,
    in_paper_order,
    rows,
)
from report.rendering import ColumnGroup, Table
from report.tables import percent

_FIGURE_NAMES = {
    "f1": "F1",
    "error_rate": "ER",
    "average_precision": "AP",
    "corloc": "CorLoc",
    "clip_corloc": "whole clip",
    "pointing": "pointing",
}
_NOTES = {
    "audio": (
        "F1 and ER (error rate, a ratio that may exceed 1): of seconds, "
        "pooled, with a threshold for each class tuned on validation. AP: "
        "average precision of frames of 0.1 s, mean over classes.",
    ),
    "visual": (
        "CorLoc: the best region of the frames in which a class of the clip "
        "is visible has an IoU of 0.5 with it; whole clip: so has the best "
        "region of all frames; pointing: its centre lies in the true box. AP: "
        "average precision of boxes at an IoU of 0.5, mean over classes.",
        "Proposals: what the best choice among the proposals would reach; "
        "under AP the share of true boxes that a proposal meets.",
    ),
}
_ASYNCHRONY_NOTE = (
    "Pairs of clip and class, their number in brackets, by the temporal IoU "
    "of sight and sound: in sync from 0.5, partly above 0, apart 0. Within a "
    "group only its pairs are scored, in clips known to hold the class."
)


def table_3(results: Sequence[LocalisationResult]) -> tuple[Table, ...]:
    """Tables of all pairs, for sound and sight, and of both by asynchrony.

    A part that no system has is left out.

    Args:
        results: Runs on one test split, in any order; the rows come in the
            paper's order, and runs that differ in their seed share one.

    Raises:
        ValueError: if there are none or their test splits differ.
    """
    results = in_paper_order(results)
    tables, by_asynchrony = [], []
    for part in (AUDIO, VISUAL):
        shown = rows(results, part)
        if not shown:
            continue
        title = f"Table 3{part.letters[0]}. {part.title} on the test set"
        notes = (*_NOTES[part.field], *_notes(shown))
        tables.append(_table(title, shown, part, [ALL], notes))
        groups = [group for group in shown[0].means if group != ALL]
        if groups:
            title = f"Table 3{part.letters[1]}. {part.title}, by asynchrony"
            by_asynchrony.append(
                _table(title, shown, part, groups, [_ASYNCHRONY_NOTE])
            )
    return (*tables, *by_asynchrony)


def _table(
    title: str,
    rows: Sequence[Row],
    part: Part,
    groups: Sequence[str],
    notes: Sequence[str],
) -> Table:
    heads = tuple(_FIGURE_NAMES[name] for name in part.figures)
    num_pairs = dict(rows[0].results[0].num_pairs)
    num_pairs[ALL] -= num_pairs.get(part.without, 0)
    cells = [
        (_system_name(row.system), _runs(row), *_figures(row, part, groups))
        for row in rows
    ]
    cells += _chance_rows(rows, part, groups)
    if part is VISUAL:
        cells.append(("Proposals", "", *_bounds(rows[0].results[0], groups)))
    return Table(
        title,
        ("System", "Run"),
        tuple(
            ColumnGroup(f"{_title(group)} ({num_pairs[group]})", heads)
            for group in groups
        ),
        tuple(cells),
        tuple(notes),
        _best_places(rows, part, groups),
    )


def _title(group: str) -> str:
    return group[0].upper() + group[1:]


def _runs(row: Row) -> str:
    if len(row.results) > 1:
        return f"{len(row.results)} seeds"
    return row.results[0].run_name


def _figures(row: Row, part: Part, groups: Sequence[str]) -> list[str]:
    return [
        _written(name, mean)
        + ("" if np.isnan(std) else f" ± {_written(name, std)}")
        for group in groups
        for name, mean, std in zip(
            part.figures, row.means[group], row.stds[group], strict=True
        )
    ]


def _written(name: str, value: float) -> str:
    return f"{value:.2f}" if name == "error_rate" else percent(value)


def _chance_rows(
    rows: Sequence[Row], part: Part, groups: Sequence[str]
) -> list[tuple[str, ...]]:
    """Chance, once for all systems of the same proposals."""
    systems: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        for result in row.results:
            chance = getattr(result, f"{part.field}_chance")
            cells = tuple(
                _written(name, value)
                for group in groups
                for name, value in zip(part.figures, chance[group], strict=True)
            )
            systems.setdefault(cells, []).append(_letter(result.system))
    if len(systems) == 1:
        return [("Chance: random scores", "", *cells) for cells in systems]
    return [
        (
            f"Chance: random scores, as {', '.join(dict.fromkeys(of))}",
            "",
            *cells,
        )
        for cells, of in systems.items()
    ]


def _bounds(result: LocalisationResult, groups: Sequence[str]) -> list[str]:
    cells = []
    for group in groups:
        corloc, recall = map(percent, result.bounds[group])
        cells += [corloc, corloc, "-", recall]
    return cells


def _best_places(
    rows: Sequence[Row], part: Part, groups: Sequence[str]
) -> frozenset[tuple[int, int]]:
    """The best of several systems; figures that print alike are equal."""
    if len(rows) < 2:
        return frozenset()
    places = set()
    names = [(group, i) for group in groups for i in range(len(part.figures))]
    for column, (group, index) in enumerate(names, start=2):
        name = part.figures[index]
        pick = min if name == "error_rate" else max
        best = _written(name, pick(row.means[group][index] for row in rows))
        places |= {
            (place, column)
            for place, row in enumerate(rows)
            if _written(name, row.means[group][index]) == best
        }
    return frozenset(places)


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    first = rows[0].results[0]
    yield (
        f"{first.num_test_clips} test clips, of which "
        f"{first.num_test_missing} have no features and count as missed; "
        f"{first.num_val_clips} validation clips. Chance: mean of {NUM_DRAWS} "
        "draws of random scores for all regions and segments."
    )
    if first.num_test_without_truth:
        yield (
            f"{first.num_test_without_truth} test clips are not in the truth "
            "and left out."
        )
    for row in rows:
        if len(row.results) > 1:
            names = ", ".join(result.run_name for result in row.results)
            yield (
                f"{_system_name(row.system)}: mean ± sample standard deviation "
                f"of {names}."
            )


def _system_name(system: str) -> str:
    published = paper.SYSTEMS.get(system)
    return f"({published.letter}) {published.name}" if published else system


def _letter(system: str) -> str:
    published = paper.SYSTEMS.get(system)
    return f"({published.letter})" if published else system
