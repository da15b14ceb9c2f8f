"""The paper's Table 1 and Table 2, with the paper's figures beside ours.

All figures are percentages with one decimal, as the paper prints them.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence

from report import paper
from report.evaluation import Result
from report.rendering import ColumnGroup, Table

_SCORE_NAMES = ("F1", "Precision", "Recall")
_NO_FIGURES = ("-",) * len(_SCORE_NAMES)


def table_1(results: Sequence[Result]) -> Table:
    """Micro-averaged scores, a row for each run and for chance.

    Args:
        results: Runs on one test split, in any order; the rows come in the
            paper's order, systems that it lacks last.

    Raises:
        ValueError: if there are none or their test splits differ.
    """
    results = in_paper_order(results)
    rows = [_table_1_row(result) for result in results]
    for chance in dict.fromkeys(result.chance for result in results):
        levels = {
            "Chance: random scores": chance.random_mean,
            "Chance: every class": chance.every_class,
        }
        for name, scores in levels.items():
            rows.append((name, "", *_percents(scores), *_NO_FIGURES))
    return Table(
        "Table 1. Micro-averaged scores on the test set, in percent",
        ("System", "Run"),
        (
            ColumnGroup("Ours", _SCORE_NAMES),
            ColumnGroup(f"Paper, {paper.DATASET}", _SCORE_NAMES),
        ),
        tuple(rows),
        tuple(_table_1_notes(results)),
    )


def table_2(results: Sequence[Result]) -> Table:
    """Class-wise F1; for the paper's classes in its order, with its figures.

    Other class lists keep their own names and order.

    Args:
        results: Runs on one test split, in any order.

    Raises:
        ValueError: if there are none or their test splits differ.
    """
    results = in_paper_order(results)
    groups = _class_groups(results[0].class_names)
    class_names = [name for heads in groups.values() for name in heads]
    num_runs = collections.Counter(result.system for result in results)
    rows = []
    for result in results:
        row_name = _row_name(result.system, short=True)
        if num_runs[result.system] > 1:
            row_name += f", {result.run_name}"
        ours = dict(zip(result.class_names, result.by_class.f1, strict=True))
        published = paper.class_f1(result.system, class_names)
        for key, f1 in ((row_name, ours), ("    paper", published)):
            if f1:
                rows.append((key, *_percents(f1[name] for name in class_names)))
    return Table(
        "Table 2. Class-wise F1 on the test set, in percent",
        ("System",),
        tuple(ColumnGroup(t, tuple(h.values())) for t, h in groups.items()),
        tuple(rows),
    )


def in_paper_order(results: Sequence[Result]) -> list[Result]:
    """Sorts runs as Table 1 does, systems that it lacks last.

    Raises:
        ValueError: if there are none or their test splits differ.
    """
    splits = {(r.class_names, r.num_test_clips) for r in results}
    if len(splits) != 1:
        received = "; ".join(
            f"{r.run_name}: {len(r.class_names)} classes, "
            f"{r.num_test_clips} clips"
            for r in results
        )
        raise ValueError(
            "Expected results on one test split with one class list, "
            f"received {received or 'none'}."
        )
    places = {system: place for place, system in enumerate(paper.SYSTEMS)}
    return sorted(results, key=lambda r: places.get(r.system, len(places)))


def percent(fraction: float) -> str:
    """Writes a fraction as the paper prints it: 0.642 becomes "64.2"."""
    return f"{100 * fraction:.1f}"


def _table_1_row(result: Result) -> tuple[str, ...]:
    published = paper.SYSTEMS.get(result.system)
    return (
        _row_name(result.system),
        result.run_name,
        *_percents(result.micro),
        *(_percents(published.scores) if published else _NO_FIGURES),
    )


def _class_groups(class_names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Maps group titles to class names and what heads their columns."""
    if paper.is_dcase(class_names):
        return {title: dict(g) for title, g in paper.CLASS_GROUPS.items()}
    return {"Classes": {name: name for name in class_names}}


def _table_1_notes(results: Sequence[Result]) -> list[str]:
    notes = [
        note
        for describe in (_missing_note, _threshold_note, _untuned_note)
        for note in _run_notes(results, describe)
    ]
    for chance in dict.fromkeys(result.chance for result in results):
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


def _row_name(system: str, short: bool = False) -> str:
    published = paper.SYSTEMS.get(system)
    if published is None:
        return system
    name = published.short_name if short else published.name
    return f"({published.letter}) {name}"


def _percents(fractions: Iterable[float]) -> tuple[str, ...]:
    return tuple(map(percent, fractions))
