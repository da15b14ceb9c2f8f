"""The paper's Table 1 and Table 2, with the paper's figures beside ours.

All figures are percentages with one decimal, as the paper prints them; those
of several seeds are means with their sample standard deviation. The best
figure of a column is bold: of ours where there are several rows, of the
paper's among all that it publishes.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from avmil.common.dcase2017_classes import CLASS_GROUPS, is_dcase
from avmil.evaluation import aggregation, bootstrap, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result

LEVEL = f"{100 * bootstrap.LEVEL:.0f} %"
_SCORE_NAMES = ("F1", "Precision", "Recall")
_NO_FIGURES = ("-",) * len(_SCORE_NAMES)


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A table as a reader sees it; `writers` writes it in every format.

    Attributes:
        title: One line.
        cells: Texts. Columns are pairs of a group and a head; the first ones,
            of the group "", name the rows.
        bold: Which cells are bold, bool of the shape of `cells`.
        notes: Lines below the table.
    """

    title: str
    cells: pd.DataFrame
    bold: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        title: str,
        groups: Mapping[str, Sequence[str]],
        rows: Iterable[Sequence[str]],
        notes: Iterable[str] = (),
    ) -> Table:
        """A table without bold cells.

        Args:
            title: One line.
            groups: Group -> heads of its columns; "" comes first.
            rows: A cell for each column.
            notes: Lines below the table.
        """
        columns = pd.MultiIndex.from_tuples(
            [(group, head) for group, heads in groups.items() for head in heads]
        )
        cells = pd.DataFrame(rows, columns=columns, dtype=str)
        return cls(title, cells, np.zeros(cells.shape, bool), tuple(notes))

    @property
    def groups(self) -> list[tuple[str, list[int]]]:
        """Each group and the places of its columns."""
        places = itertools.groupby(
            range(self.cells.shape[1]), lambda i: self.cells.columns[i][0]
        )
        return [(group, list(columns)) for group, columns in places]


def table_1(rows: Sequence[Row]) -> Table:
    """Micro-averaged scores, a row for each system and for chance.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    cells: list[tuple[str, ...]] = []
    for row in rows:
        published = paper.SYSTEMS.get(row.system)
        f1, precision, recall = map(figure, row.micro, row.micro_std)
        cells.append(
            (
                paper.numbered_name(row.system),
                runs_of(row.run_names),
                f1,
                percent_interval(row.intervals.f1),
                precision,
                recall,
                *(map(percent, published.scores) if published else _NO_FIGURES),
            )
        )
    for chance in aggregation.chances(rows):
        for name, scores in (
            ("Chance: random scores", chance.random_mean),
            ("Chance: every class", chance.every_class),
        ):
            f1, precision, recall = map(percent, scores)
            cells.append((name, "", f1, "-", precision, recall, *_NO_FIGURES))
    groups = {
        "": ("System", "Run"),
        "Ours": ("F1", LEVEL, "Precision", "Recall"),
        f"Paper, {paper.DATASET}": _SCORE_NAMES,
    }
    table = Table.of(
        "Table 1. Micro-averaged scores on the test set, in percent",
        groups,
        cells,
        _table_1_notes(rows),
    )
    if len(rows) > 1:  # A single row is not the best of anything.
        ours = np.array([row.micro for row in rows])
        table.bold[: len(rows), [2, 4, 5]] = best_places(ours, ours)
    all_published = {n: s.scores for n, s in paper.SYSTEMS.items()}
    unpublished = [np.nan] * len(_SCORE_NAMES)
    table.bold[: len(rows), 6:] = best_places(
        [all_published.get(row.system, unpublished) for row in rows],
        list(all_published.values()),
    )
    return table


def table_2(rows: Sequence[Row]) -> Table:
    """Class-wise F1; for the paper's classes in its order, with its figures.

    Other class lists keep their own names and order.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    class_names = rows[0].class_names
    groups = {"Classes": {name: name for name in class_names}}
    if is_dcase(class_names):
        groups = CLASS_GROUPS
    shown_names = [name for heads in groups.values() for name in heads]
    order = [class_names.index(name) for name in shown_names]
    all_published = {
        system: [f1[name] for name in shown_names]
        for system in paper.SYSTEMS
        if (f1 := paper.class_f1(system, class_names))
    }
    cells: list[list[str]] = []
    ours: list[int] = []  # Rows of the table that are ours,
    published: dict[int, Sequence[float]] = {}  # and that are the paper's.
    for row, name in zip(rows, row_names(rows, short=True), strict=True):
        ours.append(len(cells))
        f1, std = row.by_class.f1[order], row.by_class_std.f1[order]
        cells.append([name, *map(figure, f1, std)])
        if row.system in all_published:
            published[len(cells)] = f1 = all_published[row.system]
            cells.append(["    paper", *map(percent, f1)])
    table = Table.of(
        "Table 2. Class-wise F1 on the test set, in percent",
        {"": ("System",)}
        | {t: [*heads.values()] for t, heads in groups.items()},
        cells,
    )
    if len(rows) > 1:
        f1 = np.array([row.by_class.f1[order] for row in rows])
        table.bold[ours, 1:] = best_places(f1, f1)
    if published:
        table.bold[list(published), 1:] = best_places(
            list(published.values()), list(all_published.values())
        )
    return table


def leads(rows: Sequence[Row]) -> Table:
    """The best row's lead in F1 over each other row, and what chance makes.

    Args:
        rows: Two or more, as `aggregation.rows` returns them.
    """
    best = aggregation.best(rows)
    names = row_names(rows)
    cells = []
    for row, name in zip(rows, names, strict=True):
        if row is not best:
            lead = aggregation.compare(best, row)
            cells.append(
                (
                    name,
                    percent(lead.difference),
                    percent_interval(lead.interval),
                    f"{lead.p_value:.3f}",
                    "yes" if lead.is_more_than_chance else "no",
                )
            )
    return Table.of(
        f"Leads of {names[rows.index(best)]}, in percentage points",
        {"": ("Over",), "Lead": ("F1", LEVEL, "p", "More than chance")},
        cells,
        (
            "Paired bootstrap: both systems on the same resamples of the test "
            "clips, seeds averaged. p is two-sided and speaks of the sampling "
            "of test clips only; it is not corrected for several comparisons.",
        ),
    )


def row_names(rows: Sequence[Row], short: bool = False) -> list[str]:
    """Names rows as the paper does, and by their runs where that is not enough.

    Args:
        rows: The rows of a table.
        short: As in Table 2 instead of Table 1.
    """
    num_rows = collections.Counter(row.system for row in rows)
    return [
        paper.numbered_name(row.system, short)
        + f", {', '.join(row.run_names)}" * (num_rows[row.system] > 1)
        for row in rows
    ]


def percent(fraction: float) -> str:
    """Writes a fraction as the paper prints it: 0.642 becomes "64.2"."""
    return f"{100 * fraction:.1f}"


def figure(
    mean: float, std: float, write: Callable[[float], str] = percent
) -> str:
    """Writes a mean, with its standard deviation unless that is NaN."""
    return write(mean) + ("" if np.isnan(std) else f" ± {write(std)}")


def percent_interval(interval: bootstrap.Interval) -> str:
    """Writes an interval of fractions as "[60.1, 68.0]"."""
    return f"[{percent(interval.low)}, {percent(interval.high)}]"


def runs_of(run_names: Sequence[str]) -> str:
    """The cell that says which run a row is, or how many."""
    return run_names[0] if len(run_names) == 1 else f"{len(run_names)} seeds"


def seeds_note(system: str, run_names: Sequence[str]) -> str:
    """The note below a table that has a row of several runs."""
    return (
        f"{paper.numbered_name(system)}: mean ± sample standard deviation of "
        f"{', '.join(run_names)}."
    )


def best_places(
    values: Sequence[Sequence[float]],
    competitors: Sequence[Sequence[float]],
    writes: Sequence[Callable[[float], str]] | None = None,
) -> np.ndarray:
    """Finds the highest values of each column; equal is what prints alike.

    Args:
        values: Of R rows, [R, F].
        competitors: Those among which the best is sought, [Q, F].
        writes: How each of the F columns is printed; by default as percent.

    Returns:
        Bool [R, F].
    """
    writes = writes or [percent] * len(values[0])
    best = map(max, zip(*competitors, strict=True))
    columns = zip(zip(*values, strict=True), best, writes, strict=True)
    return np.array(
        [
            [write(value) == write(highest) for value in column]
            for column, highest, write in columns
        ]
    ).T


def _table_1_notes(rows: Sequence[Row]) -> list[str]:
    results = [result for row in rows for result in row.results]
    notes = [seeds_note(r.system, r.run_names) for r in rows if r.has_seeds]
    notes.append(
        f"{LEVEL}: interval of F1 over {len(rows[0].resampled.f1)} bootstrap "
        "resamples of the test clips, with thresholds and seeds as they are."
    )
    for describe in (_missing_note, _threshold_note, _untuned_note):
        texts = [describe(result) for result in results]
        if len(set(texts)) == 1:  # It holds for all runs.
            notes += filter(None, texts[:1])
        else:
            pairs = zip(results, texts, strict=True)
            notes += [f"{r.identity.run_name}: {t}" for r, t in pairs if t]
    for chance in aggregation.chances(rows):
        std = percent(chance.random_std.f1)
        notes.append(
            f"Random scores: mean of {chance.num_draws} draws with thresholds "
            f"tuned likewise; standard deviation of F1 {std}."
        )
    if not is_dcase(results[0].class_names):
        notes.append(
            f"The paper's figures are for {paper.DATASET}, other clips and "
            "classes than these: for orientation only."
        )
    return notes


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
