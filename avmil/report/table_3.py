"""Table 3: where and when systems localize, which the paper does not measure.

All figures but error rates are percentages with one decimal; those of several
seeds are means with their sample standard deviation.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from avmil.evaluation import paper
from avmil.evaluation.aggregation import (
    LocalizationRow,
    in_paper_order,
    localization_rows,
)
from avmil.evaluation.localization import ALL, NUM_DRAWS, LocalizationResult
from avmil.report.tables import (
    Table,
    best_places,
    figure,
    percent,
    runs_of,
    seeds_note,
)

_Value = TypeVar("_Value", bound=Hashable)


class _Part(NamedTuple):
    """Half of the table: what is heard, or what is seen.

    Attributes:
        field: Of the results.
        letters: Of its tables, of all pairs and by asynchrony.
        title: What is measured.
        heads: Of the columns, in the order of the scores' fields.
        notes: What the heads mean.
    """

    field: str
    letters: str
    title: str
    heads: tuple[str, ...]
    notes: tuple[str, ...]


_PARTS = (
    _Part(
        "audio",
        "ac",
        "When classes are heard",
        ("F1", "ER", "AP"),
        (
            "F1 and ER (error rate, a ratio that may exceed 1): of seconds, "
            "pooled, with a threshold for each class tuned on validation. AP: "
            "average precision of frames of 0.1 s, mean over classes.",
        ),
    ),
    _Part(
        "visual",
        "bd",
        "Where classes are seen",
        ("CorLoc", "whole clip", "pointing", "AP"),
        (
            "CorLoc: the best region of the frames in which a class of the "
            "clip is visible has an IoU of 0.5 with it; whole clip: so has "
            "the best region of all frames; pointing: its center lies in the "
            "true box. AP: average precision of boxes at an IoU of 0.5, mean "
            "over classes.",
            "Proposals: what the best choice among the proposals would reach; "
            "under AP the share of true boxes that a proposal meets, mean "
            "over classes.",
        ),
    ),
)
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
    for part in _PARTS:
        rows = localization_rows(results, part.field)
        if not rows:
            continue
        title = f"Table 3{part.letters[0]}. {part.title} on the test set"
        notes = (*part.notes, *_notes(rows))
        tables.append(_table(title, rows, part, [ALL], notes))
        groups = [
            group
            for group in rows[0].means
            if group != ALL and all(group in row.means for row in rows)
        ]
        if groups:
            title = f"Table 3{part.letters[1]}. {part.title}, by asynchrony"
            by_asynchrony.append(
                _table(title, rows, part, groups, [_ASYNCHRONY_NOTE])
            )
    return (*tables, *by_asynchrony)


def _table(
    title: str,
    rows: Sequence[LocalizationRow],
    part: _Part,
    groups: Sequence[str],
    notes: Sequence[str],
) -> Table:
    writes = [_ratio if head == "ER" else percent for head in part.heads]

    def scores(by_group: Callable[[str], Sequence[float]]) -> tuple[str, ...]:
        return tuple(
            write(value)
            for group in groups
            for write, value in zip(writes, by_group(group), strict=True)
        )

    def chance(result: LocalizationResult) -> tuple[str, ...]:
        return scores(getattr(result, part.field).chance.__getitem__)

    def bounds(result: LocalizationResult) -> tuple[str, ...]:
        found = [result.visual.bounds[group] for group in groups]
        return tuple(
            cell
            for corloc, recall in found
            for cell in (percent(corloc),) * 2 + ("-", percent(recall))
        )

    cells = [
        (
            paper.numbered_name(row.system),
            runs_of(row.run_names),
            *(
                figure(mean, std, write)
                for group in groups
                for mean, std, write in zip(
                    row.means[group], row.stds[group], writes, strict=True
                )
            ),
        )
        for row in rows
    ]
    cells += _shared_rows("Chance: random scores", rows, chance)
    if part.field == "visual":
        cells += _shared_rows("Proposals", rows, bounds)
    num_pairs = _by_value(
        rows,
        lambda r: tuple(getattr(r, part.field).num_pairs[g] for g in groups),
    )
    if len(num_pairs) > 1:
        notes = [
            *notes,
            "Where a head gives several numbers of pairs, they are those of "
            f"{' / '.join(num_pairs.values())}, whose sampled frames differ.",
        ]
    heads = {"": ("System", "Run")}
    for group, *counts in zip(groups, *num_pairs, strict=True):
        shown = counts[:1] if len(set(counts)) == 1 else counts
        heads[f"{group.capitalize()} ({'/'.join(map(str, shown))})"] = (
            part.heads
        )
    table = Table.of(title, heads, cells, notes)
    if len(rows) > 1:
        # The least error rate is the best one.
        signs = [-1 if head == "ER" else 1 for head in part.heads]
        values = [
            np.concatenate([row.means[group] * signs for group in groups])
            for row in rows
        ]
        table.bold[: len(rows), 2:] = best_places(
            values, values, writes * len(groups)
        )
    return table


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _by_value(
    rows: Sequence[LocalizationRow],
    value_of: Callable[[LocalizationResult], _Value],
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
    rows: Sequence[LocalizationRow],
    cells_of: Callable[[LocalizationResult], tuple[str, ...]],
) -> list[tuple[str, ...]]:
    return [
        (f"{title}, as {names}" if names else title, "", *cells)
        for cells, names in _by_value(rows, cells_of).items()
    ]


def _short_names(rows: Sequence[LocalizationRow]) -> list[str]:
    """Letters, with the runs of a system that has several rows."""
    num_rows = collections.Counter(row.system for row in rows)
    names = []
    for row in rows:
        published = paper.SYSTEMS.get(row.system)
        name = f"({published.letter})" if published else row.system
        if num_rows[row.system] > 1:
            name += f" {'/'.join(row.run_names)}"
        names.append(name)
    return names


def _notes(rows: Sequence[LocalizationRow]) -> Iterator[str]:
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
            yield seeds_note(row.system, row.run_names)
