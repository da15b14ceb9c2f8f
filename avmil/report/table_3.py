"""Table 3: where and when systems localize, which the paper does not measure.

All figures but error rates are percentages with one decimal; those of several
seeds are means with their sample standard deviation.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Mapping,
    Sequence,
)
from typing import NamedTuple, TypeVar

import numpy as np

from avmil.evaluation.aggregation import (
    LocalizationRow,
    localization_rows,
    row_names,
    rows_by_value,
    short_names,
    training_notes,
)
from avmil.evaluation.localization import ALL, NUM_DRAWS, LocalizationResult
from avmil.report.numbers import percent
from avmil.report.tables import Table, best_places, figure, seeds_notes

_Value = TypeVar("_Value", bound=Hashable)


class _Part(NamedTuple):
    """Half of the table: what is heard, or what is seen."""

    field: str  # Of the results.
    letters: str  # Of its tables, of all pairs and by asynchrony.
    title: str
    heads: tuple[str, ...]  # In the order of the scores' fields.
    notes: tuple[str, ...]  # What the heads mean.


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
_CHANCE_NOTE = (
    f"Chance: mean of {NUM_DRAWS} draws of random scores for all regions and "
    "segments."
)
_AT_CHANCE_NOTE = "At chance: in F1 of whole clips, by Table 1."
_ASYNCHRONY_NOTE = (
    "Pairs of clip and class, their number in brackets, by the temporal IoU "
    "of sight and sound: in sync from 0.5, partly above 0, apart 0. Within a "
    "group only its pairs are scored, in clips known to hold the class."
)


def table_3(
    results: Sequence[LocalizationResult],
    at_chance: Collection[tuple[str, str]] = (),
) -> list[Table]:
    """Tables of all pairs, for sound and sight, and of both by asynchrony.

    A part that no system has is left out. Runs come as
    `aggregation.in_paper_order` returns them; those that differ in their seed
    share a row. `at_chance` as of `aggregation.localization_rows`.
    """
    tables, by_asynchrony = [], []
    for part in _PARTS:
        rows = localization_rows(results, part.field, at_chance)
        if not rows:
            continue
        title = f"Table 3{part.letters[0]}. {part.title} on the test set"
        notes = [
            *part.notes,
            *_clip_notes(rows),
            *(_label_notes(rows) if part.field == "audio" else ()),
            _CHANCE_NOTE,
            *[_AT_CHANCE_NOTE] * any(row.is_at_chance for row in rows),
            *training_notes(rows),
            *seeds_notes(rows),
        ]
        tables.append(_table(title, rows, part, [ALL], notes))
        groups = [
            group
            for group in rows[0].means
            if group != ALL and all(group in row.means for row in rows)
        ]
        if groups:
            title = f"Table 3{part.letters[1]}. {part.title}, by asynchrony"
            notes = [_ASYNCHRONY_NOTE, *training_notes(rows)]
            by_asynchrony.append(_table(title, rows, part, groups, notes))
    return tables + by_asynchrony


def _table(
    title: str,
    rows: Sequence[LocalizationRow],
    part: _Part,
    groups: Sequence[str],
    notes: list[str],
) -> Table:
    ratio = "{:.2f}".format
    writes = [ratio if head == "ER" else percent for head in part.heads]
    writes *= len(groups)

    def joined(by_group: Mapping[str, Sequence[float]]) -> np.ndarray:
        return np.concatenate([by_group[group] for group in groups])

    def texts(by_group: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
        pairs = zip(writes, joined(by_group), strict=True)
        return tuple(write(value) for write, value in pairs)

    cells = []
    for row, name in zip(rows, row_names(rows), strict=True):
        run, *others = row.run_names
        cells.append(
            (
                name,
                f"{len(row.results)} seeds" if others else run,
                *map(figure, joined(row.means), joined(row.stds), writes),
            )
        )
    levels = {
        "Chance: random scores": lambda r: texts(getattr(r, part.field).chance)
    }
    if part.field == "visual":
        levels["Proposals"] = lambda r: texts(
            {
                group: (corloc, corloc, np.nan, recall)
                for group, (corloc, recall) in r.visual.bounds.items()
            }
        )
    for name, level in levels.items():
        for found, names in _by_value(rows, level).items():
            cells.append((f"{name}, as {names}" if names else name, "", *found))
    num_pairs = _by_value(
        rows,
        lambda r: tuple(getattr(r, part.field).num_pairs[g] for g in groups),
    )
    if len(num_pairs) > 1:
        notes.append(
            "Where a head gives several numbers of pairs, they are those of "
            f"{' / '.join(num_pairs.values())}, whose sampled frames differ."
        )
    heads = {"": ("System", "Run")}
    for group, *counts in zip(groups, *num_pairs, strict=True):
        shown = counts[:1] if len(set(counts)) == 1 else counts
        numbers = "/".join(map(str, shown))
        heads[f"{group.capitalize()} ({numbers})"] = part.heads
    table = Table(title, heads, cells, notes)
    # The least error rate is the best one.
    signs = [-1 if write is ratio else 1 for write in writes]
    table.bold[: len(rows), 2:] = best_places(
        [joined(row.means) * signs for row in rows], writes=writes
    )
    return table


def _by_value(
    rows: Sequence[LocalizationRow],
    value_of: Callable[[LocalizationResult], _Value],
) -> dict[_Value, str]:
    """What depends on the features alone, which runs may share."""
    values = [map(value_of, row.results) for row in rows]
    return rows_by_value(values, short_names(rows))


def _clip_notes(rows: Sequence[LocalizationRow]) -> list[str]:
    """How many clips are scored, for all rows or for each."""

    def note(result: LocalizationResult) -> str:
        text = (
            f"{result.num_test_clips} test clips, of which "
            f"{result.num_test_missing} have no features and count as missed; "
            f"{result.num_val_clips} validation clips."
        )
        if result.num_test_without_truth:
            text += (
                f" {result.num_test_without_truth} test clips are not in the "
                "truth and left out."
            )
        return text

    return [
        f"{names}: {text}" if names else text
        for text, names in _by_value(rows, note).items()
    ]


def _label_notes(rows: Sequence[LocalizationRow]) -> list[str]:
    """F1 by thresholds that no truth was needed for, of each row."""
    listed = []
    for row, name in zip(rows, short_names(rows), strict=True):
        f1s = [r.audio_by_labels.f1 for r in row.results if r.audio_by_labels]
        if f1s:
            listed.append(f"{name} {percent(np.mean(f1s))}")
    if not listed:
        return []
    return [
        "F1 by thresholds from the labels of validation alone, as localize.py "
        f"has them without a truth: {', '.join(listed)}."
    ]
