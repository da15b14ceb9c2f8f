"""Table 3: where and when systems localize, which the paper does not measure.

All figures but error rates are percentages with one decimal; those of several
seeds are means with their sample standard deviation.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from avmil.evaluation import paper
from avmil.evaluation.localization import ALL, NUM_DRAWS, LocalizationResult
from avmil.evaluation.localization_rows import (
    AUDIO,
    VISUAL,
    Part,
    Row,
    in_paper_order,
    rows,
)
from avmil.report.rendering import ColumnGroup, Table
from avmil.report.tables import percent

_Value = TypeVar("_Value", bound=Hashable)
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
        "region of all frames; pointing: its center lies in the true box. AP: "
        "average precision of boxes at an IoU of 0.5, mean over classes.",
        "Proposals: what the best choice among the proposals would reach; "
        "under AP the share of true boxes that a proposal meets, mean over "
        "classes.",
    ),
}
_ASYNCHRONY_NOTE = (
    "Pairs of clip and class, their number in brackets, by the temporal IoU "
    "of sight and sound: in sync from 0.5, partly above 0, apart 0. Within a "
    "group only its pairs are scored, in clips known to hold the class."
)


def table_3(results: Sequence[LocalizationResult]) -> tuple[Table, ...]:
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
        groups = _common_groups(shown)
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
    num_pairs = _by_value(
        rows,
        lambda r: tuple(getattr(r, f"{part.field}_pairs")[g] for g in groups),
    )
    cells = [
        (_system_name(row.system), _runs(row), *_figures(row, part, groups))
        for row in rows
    ]
    cells += _shared_rows(
        "Chance: random scores",
        rows,
        lambda r: _levels(getattr(r, f"{part.field}_chance"), part, groups),
    )
    if part is VISUAL:
        cells += _shared_rows("Proposals", rows, lambda r: _bounds(r, groups))
    return Table(
        title,
        ("System", "Run"),
        tuple(
            ColumnGroup(title, heads) for title in _titles(groups, num_pairs)
        ),
        tuple(cells),
        (*notes, *_num_pairs_notes(num_pairs)),
        _best_places(rows, part, groups),
    )


def _common_groups(rows: Sequence[Row]) -> list[str]:
    """Groups by asynchrony of which every row has some pair."""
    return [
        group
        for group in rows[0].means
        if group != ALL and all(group in row.means for row in rows)
    ]


def _titles(
    groups: Sequence[str], num_pairs: Mapping[tuple[int, ...], str]
) -> Iterator[str]:
    """Groups with their pairs, of each kind of features where they differ."""
    for group, *counts in zip(groups, *num_pairs, strict=True):
        if len(set(counts)) == 1:
            del counts[1:]
        yield f"{group[0].upper()}{group[1:]} ({'/'.join(map(str, counts))})"


def _num_pairs_notes(num_pairs: Mapping[tuple[int, ...], str]) -> Iterator[str]:
    if len(num_pairs) > 1:
        yield (
            "Where a head gives several numbers of pairs, they are those of "
            f"{' / '.join(num_pairs.values())}, whose sampled frames differ."
        )


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


def _levels(
    scores: Mapping[str, Sequence[float]], part: Part, groups: Sequence[str]
) -> tuple[str, ...]:
    return tuple(
        _written(name, value)
        for group in groups
        for name, value in zip(part.figures, scores[group], strict=True)
    )


def _bounds(
    result: LocalizationResult, groups: Sequence[str]
) -> tuple[str, ...]:
    cells: list[str] = []
    for group in groups:
        corloc, recall = map(percent, result.bounds[group])
        cells += [corloc, corloc, "-", recall]
    return tuple(cells)


def _by_value(
    rows: Sequence[Row], value_of: Callable[[LocalizationResult], _Value]
) -> dict[_Value, str]:
    """What depends on the features alone, which runs may share.

    Args:
        rows: The rows of a table.
        value_of: Takes it from a result.

    Returns:
        Value -> short names of the rows with it; "" if all rows have one.
    """
    names: dict[_Value, list[str]] = {}
    for row, name in zip(rows, _short_names(rows), strict=True):
        for value in dict.fromkeys(map(value_of, row.results)):
            names.setdefault(value, []).append(name)
    if len(names) == 1:
        return dict.fromkeys(names, "")
    return {value: ", ".join(of) for value, of in names.items()}


def _shared_rows(
    title: str,
    rows: Sequence[Row],
    cells_of: Callable[[LocalizationResult], tuple[str, ...]],
) -> list[tuple[str, ...]]:
    return [
        (f"{title}, as {names}" if names else title, "", *cells)
        for cells, names in _by_value(rows, cells_of).items()
    ]


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
    counts = _by_value(
        rows,
        lambda r: (
            r.num_test_missing,
            r.num_val_clips,
            r.num_test_without_truth,
        ),
    )
    for (num_missing, num_val, num_without_truth), names in counts.items():
        clips = (
            f"{rows[0].results[0].num_test_clips} test clips, of which "
            f"{num_missing} have no features and count as missed; {num_val} "
            "validation clips."
        )
        if num_without_truth:
            clips += (
                f" {num_without_truth} test clips are not in the truth and "
                "left out."
            )
        yield f"{names}: {clips}" if names else clips
    yield (
        f"Chance: mean of {NUM_DRAWS} draws of random scores for all regions "
        "and segments."
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


def _short_names(rows: Sequence[Row]) -> list[str]:
    """Letters, with the runs of a system that has several rows."""
    num_rows = collections.Counter(row.system for row in rows)
    names = []
    for row in rows:
        published = paper.SYSTEMS.get(row.system)
        name = f"({published.letter})" if published else row.system
        if num_rows[row.system] > 1:
            name += f" {'/'.join(result.run_name for result in row.results)}"
        names.append(name)
    return names
