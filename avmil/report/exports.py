"""Results for other programs: JSON-able dictionaries and CSV.

JSON holds fractions in full; CSV holds the tables' figures, percentages with
one decimal, and nothing where there is no figure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from avmil.evaluation import aggregation, bootstrap, metrics, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.report import tables

_SCORES = metrics.Scores._fields
_RUN = ("system", "run_name")
_CLIPS = ("num_test_clips", "num_test_missing")
_OURS = tuple(f"{name}_percent" for name in _SCORES)
_PAPER = tuple(f"paper_dcase2017_{name}" for name in _OURS)
_STD = tuple(f"{name}_std_percent" for name in _SCORES)
_LIMITS = tuple(
    f"{name}_{limit}_percent"
    for name in _SCORES
    for limit in bootstrap.Interval._fields
)


def to_dict(result: Result) -> dict[str, Any]:
    """All of a result and the paper's figures for its system, JSON-able."""
    chance = result.chance
    return {
        "system": result.system,
        "run_name": result.run_name,
        "seed": result.seed,
        "micro": result.micro._asdict(),
        "micro_intervals": _interval_dict(Row((result,))),
        "counts": result.counts._asdict(),
        "classes": _class_dicts(result),
        "untuned_class_names": list(result.untuned_class_names),
        "fallback_argmax": result.fallback_argmax,
        "num_val_clips": result.num_val_clips,
        "num_val_missing": result.num_val_missing,
        "num_test_clips": result.num_test_clips,
        "num_test_missing": result.num_test_missing,
        "chance": {
            "random_mean": chance.random_mean._asdict(),
            "random_std": chance.random_std._asdict(),
            "num_draws": chance.num_draws,
            "every_class": chance.every_class._asdict(),
        },
        "paper": _published_dict(result.system),
    }


def comparison_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """The tables' rows and each pair of them, JSON-able.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    return {
        "bootstrap": {
            "num_resamples": len(rows[0].resampled.f1),
            "level": bootstrap.LEVEL,
        },
        "rows": [_row_dict(row) for row in rows],
        "pairs": [
            {
                "first": list(first.run_names),
                "second": list(second.run_names),
                "f1_difference": comparison.difference,
                "interval": comparison.interval._asdict(),
                "p_value": comparison.p_value,
                "is_more_than_chance": comparison.is_more_than_chance,
            }
            for first, second, comparison in aggregation.pairs(rows)
        ],
    }


def table_1_csv(rows: Sequence[Row]) -> str:
    """CSV of Table 1: a row for each of its rows, and for chance.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    entries: list[dict[str, Any]] = []
    for row in rows:
        published = paper.SYSTEMS.get(row.system)
        limits = [limit for interval in row.intervals for limit in interval]
        entries.append(
            _keys(row)
            | {name: getattr(row.results[0], name) for name in _CLIPS}
            | _percents(_OURS, row.micro)
            | (_percents(_PAPER, published.scores) if published else {})
            | _percents(_STD, row.micro_std)
            | _percents(_LIMITS, limits)
        )
    for chance in aggregation.chances(rows):
        levels = {
            "chance_random_scores": chance.random_mean,
            "chance_every_class": chance.every_class,
        }
        for name, scores in levels.items():
            entries.append({"system": name} | _percents(_OURS, scores))
    header = (*_RUN, *_CLIPS, *_OURS, *_PAPER, "num_runs", *_STD, *_LIMITS)
    return _csv(header, entries)


def table_2_csv(rows: Sequence[Row]) -> str:
    """CSV of Table 2 in long form: a row for each of its rows and classes.

    Means over several runs have no threshold.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    entries: list[dict[str, Any]] = []
    for row in rows:
        published = paper.class_f1(row.system, row.class_names)
        for index, name in enumerate(row.class_names):
            entries.append(
                _keys(row)
                | {"class_name": name}
                | _percents(_OURS, [s[index] for s in row.by_class])
                | _percents(_STD, [s[index] for s in row.by_class_std])
            )
            if not row.has_seeds:
                threshold = float(row.results[0].thresholds[index])
                entries[-1]["threshold"] = threshold
            if name in published:
                entries[-1] |= _percents(_PAPER[:1], [published[name]])
    header = (*_RUN, "class_name", *_OURS, "threshold", _PAPER[0])
    return _csv((*header, "num_runs", *_STD), entries)


def leads_csv(rows: Sequence[Row]) -> str:
    """CSV of the leads in F1: a row for each pair of the tables' rows.

    Args:
        rows: As `aggregation.rows` returns them.
    """
    figures = ("difference", *bootstrap.Interval._fields)
    names = [f"f1_{figure}_percent" for figure in figures]
    entries = [
        {f"first_{name}": value for name, value in _names(first).items()}
        | {f"second_{name}": value for name, value in _names(second).items()}
        | _percents(names, (comparison.difference, *comparison.interval))
        | {"p_value": f"{comparison.p_value:.4f}"}
        for first, second, comparison in aggregation.pairs(rows)
    ]
    header = [
        f"{place}_{name}" for place in ("first", "second") for name in _RUN
    ]
    return _csv((*header, *names, "p_value"), entries)


def _row_dict(row: Row) -> dict[str, Any]:
    by_class = row.by_class._asdict()
    stds = row.by_class_std._asdict()
    return {
        "system": row.system,
        "run_names": list(row.run_names),
        "seeds": [result.seed for result in row.results],
        "micro": _floats(row.micro._asdict()),
        "micro_std": _floats(row.micro_std._asdict()),
        "micro_intervals": _interval_dict(row),
        "classes": [
            {"name": name}
            | _floats({field: by_class[field][index] for field in _SCORES})
            | _floats({f"{field}_std": stds[field][index] for field in _SCORES})
            for index, name in enumerate(row.class_names)
        ],
        "paper": _published_dict(row.system),
    }


def _interval_dict(row: Row) -> dict[str, dict[str, float]]:
    return {
        name: interval._asdict()
        for name, interval in row.intervals._asdict().items()
    }


def _class_dicts(result: Result) -> list[dict[str, Any]]:
    columns = {**result.by_class._asdict(), "threshold": result.thresholds}
    return [
        {"name": name}
        | {field: float(column[i]) for field, column in columns.items()}
        for i, name in enumerate(result.class_names)
    ]


def _published_dict(system: str) -> dict[str, Any] | None:
    published = paper.SYSTEMS.get(system)
    if published is None:
        return None
    return {
        "dataset": paper.DATASET,
        "name": published.name,
        "micro": published.scores._asdict(),
        "class_f1": dict(published.class_f1),
    }


def _names(row: Row) -> dict[str, str]:
    return {"system": row.system, "run_name": ", ".join(row.run_names)}


def _keys(row: Row) -> dict[str, Any]:
    return _names(row) | {"num_runs": len(row.results)}


def _floats(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in values.items()
    }


def _percents(
    names: Sequence[str], fractions: Iterable[float]
) -> dict[str, str]:
    return {
        name: "" if np.isnan(fraction) else tables.percent(fraction)
        for name, fraction in zip(names, fractions, strict=True)
    }


def _csv(header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
