"""Results for other programs: JSON-able dictionaries, and frames for CSV.

JSON holds fractions in full; the frames hold the tables' figures, Tables 1 and
2 as percentages with one decimal, and nothing where there is no figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from avmil.evaluation import aggregation, bootstrap, metrics, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.evaluation.localization import NUM_DRAWS, LocalizationResult
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
        "system": result.identity.system,
        "run_name": result.identity.run_name,
        "seed": result.identity.seed,
        "micro": result.micro._asdict(),
        "micro_intervals": _interval_dict(Row((result,))),
        "counts": result.counts._asdict(),
        "classes": pd.DataFrame(
            {
                "name": result.class_names,
                **result.by_class._asdict(),
                "threshold": result.thresholds,
            }
        ).to_dict("records"),
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
        "paper": _published_dict(result.identity.system),
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


def table_1(rows: Sequence[Row]) -> pd.DataFrame:
    """Table 1: a row for each of its rows, and for chance.

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
    return pd.DataFrame(entries, dtype=object, columns=header)


def table_2(rows: Sequence[Row]) -> pd.DataFrame:
    """Table 2 in long form: a row for each of its rows and classes.

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
    columns = (*header, "num_runs", *_STD)
    return pd.DataFrame(entries, dtype=object, columns=columns)


def leads(rows: Sequence[Row]) -> pd.DataFrame:
    """The leads in F1: a row for each pair of the tables' rows.

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
    return pd.DataFrame(
        entries, dtype=object, columns=(*header, *names, "p_value")
    )


def localization_dict(result: LocalizationResult) -> dict[str, Any]:
    """All of a result but its events, JSON-able, as fractions."""
    audio, visual = result.audio, result.visual
    figures = {
        "audio": audio.scores if audio else {},
        "audio_chance": audio.chance if audio else {},
        "visual": visual.scores if visual else {},
        "visual_chance": visual.chance if visual else {},
        "proposals": visual.bounds if visual else {},
    }
    return {
        "system": result.identity.system,
        "run_name": result.identity.run_name,
        **{
            field: {group: s._asdict() for group, s in by_group.items()}
            for field, by_group in figures.items()
        },
        "classes": [
            {"name": name, **_localization_class_dict(result, index)}
            for index, name in enumerate(result.class_names)
        ],
        "num_pairs": dict(result.num_pairs),
        "audio_pairs": audio.num_pairs if audio else {},
        "visual_pairs": visual.num_pairs if visual else {},
        "num_chance_draws": NUM_DRAWS,
        "num_val_clips": result.num_val_clips,
        "num_test_clips": result.num_test_clips,
        "num_test_missing": result.num_test_missing,
        "num_test_without_truth": result.num_test_without_truth,
    }


def table_3(results: Sequence[LocalizationResult]) -> pd.DataFrame:
    """Table 3 in long form: a row for each run, group and figure, as fractions.

    Raises:
        ValueError: if there are no results or their test splits differ.
    """
    entries = [
        {
            "system": result.identity.system,
            "run_name": result.identity.run_name,
            "field": field,
            "pairs": group,
            "figure": name,
            "value": f"{value:.4f}",
            "chance": f"{chance:.4f}",
        }
        for result in aggregation.in_paper_order(results)
        for field in ("audio", "visual")
        if (measured := getattr(result, field))
        for group, scores in measured.scores.items()
        for name, value, chance in zip(
            scores._fields, scores, measured.chance[group], strict=True
        )
    ]
    columns = (*_RUN, "field", "pairs", "figure", "value", "chance")
    return pd.DataFrame(entries, dtype=object, columns=columns)


def _row_dict(row: Row) -> dict[str, Any]:
    by_class = row.by_class._asdict()
    stds = row.by_class_std._asdict()
    return {
        "system": row.system,
        "run_names": list(row.run_names),
        "seeds": [result.identity.seed for result in row.results],
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


def _localization_class_dict(
    result: LocalizationResult, index: int
) -> dict[str, Any]:
    """Figures of a class; None where the truth does not hold it."""
    columns: dict[str, np.ndarray] = {}
    if result.audio:
        columns |= result.audio.by_class._asdict()
        columns["event_threshold"] = result.event_thresholds
    if result.visual:
        columns["box_average_precision"] = result.visual.by_class
    values = {name: float(column[index]) for name, column in columns.items()}
    return {n: None if math.isnan(v) else v for n, v in values.items()}
