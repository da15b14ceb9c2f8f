"""The paper's Table 1 and Table 2, with the paper's figures beside ours.

All figures are percentages with one decimal, as the paper prints them; those
of several seeds are means with their sample standard deviation. The best
figure of a column is bold: of ours where there are several rows, of the
paper's among all that it publishes. Rows are those of `aggregation.rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from avmil.common.dcase2017_classes import CLASS_GROUPS, is_dcase
from avmil.evaluation import aggregation, bootstrap, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.report import numbers
from avmil.report.numbers import percent

LEVEL = f"{100 * bootstrap.LEVEL:.0f} %"
_CHANCE_NAMES = {
    "chance_random_scores": "Chance: random scores",
    "chance_every_class": "Chance: every class",
}


class Table:
    """A table as a reader sees it; `writers` writes it in every format.

    Attributes:
        title: One line.
        cells: Texts. Columns are pairs of a group and a head; the group "" is
            the first and names the rows.
        bold: Which cells are bold, of the shape of `cells`; none at first.
        notes: Lines below the table.
    """

    def __init__(
        self,
        title: str,
        groups: Mapping[str, Iterable[str]],
        rows: Iterable[Sequence[object]],
        notes: Iterable[str] = (),
    ) -> None:
        """Makes a table of groups of heads and rows of a cell for each head."""
        columns = pd.MultiIndex.from_tuples(
            [(group, head) for group, heads in groups.items() for head in heads]
        )
        self.title = title
        self.cells = pd.DataFrame(rows, columns=columns, dtype=str)
        self.bold = np.zeros(self.cells.shape, bool)
        self.notes = tuple(notes)

    @property
    def groups(self) -> dict[str, list[int]]:
        """Each group and the places of its columns."""
        places: dict[str, list[int]] = {}
        for place, (group, _) in enumerate(self.cells.columns):
            places.setdefault(group, []).append(place)
        return places


def table_1(rows: Sequence[Row]) -> Table:
    """Figures of all classes, a row for each system and for chance."""
    figures = numbers.table_1(rows)
    names = aggregation.row_names(rows)
    names += [_CHANCE_NAMES[name] for name in figures["system"][len(rows) :]]
    scores = ["f1", "precision", "recall"]
    ranking = {
        "mean_average_precision": percent,
        "roc_auc": percent,
        "d_prime": numbers.plain,
    }
    published = [f"paper_dcase2017_{name}" for name in scores]
    table = Table(
        "Table 1. Scores on the test set, in percent",
        {
            "": ("System", "Run"),
            "Ours, micro average": ("F1", LEVEL, "Precision", "Recall"),
            "Ours, macro average": ("mAP", "ROC AUC", "d'"),
            f"Paper, {paper.DATASET}": ("F1", "Precision", "Recall"),
        },
        [
            (
                name,
                f"{row.num_runs} seeds" if row.num_runs > 1 else row.run_name,
                figure(row.f1, row.f1_std),
                percent_interval(row.f1_low, row.f1_high),
                figure(row.precision, row.precision_std),
                figure(row.recall, row.recall_std),
                *(
                    figure(getattr(row, n), getattr(row, f"{n}_std"), write)
                    for n, write in ranking.items()
                ),
                *(percent(getattr(row, name)) for name in published),
            )
            for name, row in zip(names, figures.itertuples(), strict=True)
        ],
        _table_1_notes(rows),
    )
    figures = figures[: len(rows)]  # Without chance.
    table.bold[: len(rows), [2, 4, 5]] = best_places(figures[scores])
    table.bold[: len(rows), 6:9] = best_places(
        figures[[*ranking]], writes=[*ranking.values()]
    )
    table.bold[: len(rows), 9:] = best_places(
        figures[published], [s.scores for s in paper.SYSTEMS.values()]
    )
    return table


def table_2(rows: Sequence[Row]) -> Table:
    """Class-wise F1; for the paper's classes in its order, with its figures.

    Other class lists keep their own names and order.
    """
    class_names = rows[0].class_names
    groups = {"Classes": {name: name for name in class_names}}
    if is_dcase(class_names):
        groups = CLASS_GROUPS
    shown_names = [name for heads in groups.values() for name in heads]
    order = [class_names.index(name) for name in shown_names]
    figures = numbers.table_2(rows)
    f1, std, published = (
        figures[name].to_numpy().reshape(len(rows), -1)[:, order]
        for name in ("f1", "f1_std", "paper_dcase2017_f1")
    )  # [R, C]
    competitors = [
        [system.class_f1.get(name, -np.inf) for name in shown_names]
        for system in paper.SYSTEMS.values()
    ]
    is_best = best_places(f1), best_places(published, competitors)
    cells, bold = [], []
    for index, name in enumerate(aggregation.row_names(rows, short=True)):
        cells.append([name, *map(figure, f1[index], std[index])])
        bold.append(is_best[0][index])
        if not np.isnan(published[index]).all():
            cells.append(["    paper", *map(percent, published[index])])
            bold.append(is_best[1][index])
    heads = {group: [*heads.values()] for group, heads in groups.items()}
    table = Table(
        "Table 2. Class-wise F1 on the test set, in percent",
        {"": ["System"], **heads},
        cells,
        aggregation.training_notes(rows),
    )
    table.bold[:, 1:] = bold
    return table


def leads(rows: Sequence[Row]) -> Table:
    """The best row's lead in F1 over each other row, with its uncertainty.

    Where either is at chance it is a difference, but no lead.
    """
    best = max(rows, key=lambda row: row.micro.f1)  # The first of several.
    names = aggregation.row_names(rows)
    verdicts = {None: "-", True: "yes", False: "no"}
    cells = []
    for row, name in zip(rows, names, strict=True):
        if row is not best:
            compared = aggregation.compare(best, row)
            p = f"{compared.p_value:.3f}" if compared.resamples_seeds else "-"
            cells.append(
                (
                    name,
                    percent(compared.difference),
                    percent_interval(*compared.interval),
                    numbers.resampled(compared),
                    p,
                    verdicts[compared.is_more_than_chance],
                )
            )
    what = "Differences from" if best.is_at_chance else "Leads of"
    notes = [
        "Paired bootstrap: both rows on the same resamples of the test "
        "clips, and each on resamples of its own seeds. p is two-sided; it is "
        "not corrected for several comparisons. A lead has p below "
        f"{1 - bootstrap.LEVEL:.2g}, and neither row is at chance.",
        f"With fewer than {bootstrap.MIN_SEEDS} seeds of either row only test "
        "clips are resampled. Such an interval is that of these runs; it does "
        "not say whether other seeds would show the lead.",
    ]
    return Table(
        f"{what} {names[rows.index(best)]}, in percentage points",
        {"": ("Row",), "Difference": ("F1", LEVEL, "Resampled", "p", "Lead")},
        cells,
        notes,
    )


def figure(
    mean: float, std: float, write: Callable[[float], str] = percent
) -> str:
    """Writes a mean, with its standard deviation unless that is NaN."""
    return write(mean) + ("" if np.isnan(std) else f" ± {write(std)}")


def percent_interval(low: float, high: float) -> str:
    """Writes an interval of fractions as "[60.1, 68.0]"."""
    return "-" if np.isnan(low) else f"[{percent(low)}, {percent(high)}]"


def seeds_notes(rows: Sequence[Row]) -> list[str]:
    """The note below a table on its rows of several runs, if there are any."""
    runs = "; ".join(
        f"{name}: {', '.join(row.run_names)}"
        for row, name in zip(rows, aggregation.short_names(rows), strict=True)
        if row.has_seeds
    )
    return [f"Mean ± sample standard deviation of {runs}."] if runs else []


def best_places(
    values: npt.ArrayLike,
    competitors: npt.ArrayLike | None = None,
    writes: Sequence[Callable[[float], str]] | None = None,
) -> np.ndarray:
    """Finds the highest of the values, [R, F], of each column: bool [R, F].

    A single row is none. It is sought among the competitors, [Q, F], or else
    among the values. Equal is what `writes` (else percent), one
    for each column, prints alike. NaN is never the best.
    """
    values = np.asarray(values, float)
    if len(values) == 1:
        return np.zeros(values.shape, bool)
    best = np.fmax.reduce(values if competitors is None else competitors)
    writes = writes or [percent] * len(best)

    def texts(row: np.ndarray) -> list[str]:
        pairs = zip(writes, row, strict=True)
        return [write(value) for write, value in pairs]

    are_alike = np.array(list(map(texts, values))) == texts(best)
    return are_alike & ~np.isnan(values)


def _table_1_notes(rows: Sequence[Row]) -> list[str]:
    results = [result for row in rows for result in row.results]
    notes = [
        *aggregation.training_notes(rows),
        *seeds_notes(rows),
        f"{LEVEL}: interval of F1 over {len(rows[0].resampled.f1)} bootstrap "
        f"resamples of {_resampled(rows)}, with thresholds as they are.",
    ]
    for system in dict.fromkeys(row.system for row in rows):
        peers = [row for row in rows if row.system == system]
        if flags := aggregation.differing_flags(peers):
            letter = paper.letter(system)
            notes.append(f"Rows of {letter} differ in {', '.join(flags)}.")
    if any(row.is_at_chance for row in rows):
        notes.append(
            "At chance: the interval reaches down to the F1 of random scores "
            "or of every class."
        )
    names = [result.identity.run_name for result in results]
    for texts in zip(*map(_run_notes, results), strict=True):
        found = aggregation.rows_by_value(zip(texts, strict=True), names)
        notes += [
            f"{of}: {text}" if of else text
            for text, of in found.items()
            if text
        ]
    notes.append(
        "mAP: mean of the classes' average precision; d': square root of 2 "
        "times the normal quantile of ROC AUC, no percentage. Clips without "
        "features are ranked last."
    )
    notes += _undefined_notes(rows[0])
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


def _undefined_notes(row: Row) -> list[str]:
    """Notes on classes left out of means over classes, for all rows."""
    held = row.results[0].test.labels.any(axis=0)
    undefined = np.isnan(row.class_ranking.roc_auc)
    names = np.array(row.class_names)
    texts = {
        "Held by no test clip and left out of mAP, ROC AUC and d'": ~held,
        "Held by all test clips, out of ROC AUC and d'": held & undefined,
    }
    return [
        f"{text}: {'; '.join(names[places])}."
        for text, places in texts.items()
        if places.any()
    ]


def _resampled(rows: Sequence[Row]) -> str:
    """Says what the rows' intervals resample."""
    if len(set(map(numbers.resampled, rows))) == 1:
        return f"the test {numbers.resampled(rows[0])}"
    few = bootstrap.MIN_SEEDS
    return f"the test clips, in rows of {few} seeds or more of the seeds too"


def _run_notes(result: Result) -> tuple[str, str, str]:
    """Notes on missing clips, on thresholds and on untuned classes, or ""."""
    fallback = "with" if result.fallback_argmax else "without"
    untuned = "; ".join(result.untuned_class_names)
    return (
        f"{result.test.num_missing} of {result.test.num_clips} test clips "
        "have no features and count as missed.",
        f"Thresholds tuned on {result.val.num_clips} validation clips "
        f"({result.val.num_missing} without features), {fallback} arg-max "
        "fallback.",
        untuned and f"No validation clip to tune on: {untuned}.",
    )
