"""Results for other programs: JSON-able dictionaries and CSV.

JSON holds fractions in full; CSV holds the tables' figures, percentages with
one decimal, and nothing where there is no figure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from report import metrics, paper, tables
from report.evaluation import Result

_RUN = ("system", "run_name")
_CLIPS = ("num_test_clips", "num_test_missing")
_OURS = tuple(f"{name}_percent" for name in metrics.Scores._fields)
_PAPER = tuple(f"paper_dcase2017_{name}" for name in _OURS)


def to_dict(result: Result) -> dict[str, Any]:
    """All of a result and the paper's figures for its system, JSON-able."""
    chance = result.chance
    return {
        "system": result.system,
        "run_name": result.run_name,
        "micro": result.micro._asdict(),
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


def table_1_csv(results: Sequence[Result]) -> str:
    """CSV of Table 1: a row for each run and for chance.

    Raises:
        ValueError: if there are no results or their test splits differ.
    """
    results = tables.in_paper_order(results)
    rows: list[dict[str, Any]] = []
    for result in results:
        published = paper.SYSTEMS.get(result.system)
        rows.append(
            {name: getattr(result, name) for name in _RUN + _CLIPS}
            | _percents(_OURS, result.micro)
            | (_percents(_PAPER, published.scores) if published else {})
        )
    for chance in dict.fromkeys(result.chance for result in results):
        levels = {
            "chance_random_scores": chance.random_mean,
            "chance_every_class": chance.every_class,
        }
        for name, scores in levels.items():
            rows.append({"system": name} | _percents(_OURS, scores))
    return _csv(_RUN + _CLIPS + _OURS + _PAPER, rows)


def table_2_csv(results: Sequence[Result]) -> str:
    """CSV of Table 2 in long form: a row for each run and class.

    Raises:
        ValueError: if there are no results or their test splits differ.
    """
    rows: list[dict[str, Any]] = []
    for result in tables.in_paper_order(results):
        published = paper.class_f1(result.system, result.class_names)
        for entry in _class_dicts(result):
            name = entry["name"]
            scores = (entry[field] for field in metrics.Scores._fields)
            rows.append(
                {field: getattr(result, field) for field in _RUN}
                | {"class_name": name, "threshold": entry["threshold"]}
                | _percents(_OURS, scores)
            )
            if name in published:
                rows[-1] |= _percents(_PAPER[:1], [published[name]])
    return _csv((*_RUN, "class_name", *_OURS, "threshold", _PAPER[0]), rows)


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


def _percents(
    names: Sequence[str], fractions: Iterable[float]
) -> dict[str, str]:
    return dict(zip(names, map(tables.percent, fractions), strict=True))


def _csv(header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
