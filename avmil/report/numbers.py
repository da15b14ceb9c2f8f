"""The numbers behind the tables: a frame for each, CSV, and JSON of all.

Frames and JSON hold fractions in full; the text of Tables 1 and 2 and all CSV
are made of the frames. Rows are those of `aggregation.rows`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from avmil.evaluation import aggregation, bootstrap, metrics, paper
from avmil.evaluation.aggregation import Row
from avmil.evaluation.evaluation import Result
from avmil.evaluation.localization import NUM_DRAWS

_SCORES = metrics.Scores._fields


def percent(fraction: float) -> str:
    """Writes a fraction as the paper prints it: 0.642 becomes "64.2"."""
    return "-" if np.isnan(fraction) else f"{100 * fraction:.1f}"


def resampled(intervals_of: Row | bootstrap.Comparison) -> str:
    """Names what the bootstrap of a row or a comparison draws."""
    return "clips and seeds" if intervals_of.resamples_seeds else "clips"


def plain(value: float) -> str:
    """Writes a figure that is no fraction, with two decimals."""
    return "-" if np.isnan(value) else f"{value:.2f}"


def table_1(rows: Sequence[Row]) -> pd.DataFrame:
    """Table 1, with chance below; NaN where there is no figure."""
    paper_names = [f"paper_dcase2017_{name}" for name in _SCORES]
    entries: list[dict[str, Any]] = []
    for row in rows:
        published = paper.SYSTEMS.get(row.system)
        scores = published.scores if published else [np.nan] * len(_SCORES)
        entry = {
            "system": row.system,
            "run_name": ", ".join(row.run_names),
            "is_at_chance": row.is_at_chance,
            "num_test_clips": row.results[0].test.num_clips,
            "num_test_missing": row.results[0].test.num_missing,
            **row.micro._asdict(),
            **row.ranking._asdict(),
            **dict(zip(paper_names, scores, strict=True)),
            "num_runs": len(row.results),
            **_stds(row.micro_std, row.ranking_std),
        }
        for name, interval in zip(_SCORES, row.intervals, strict=True):
            entry[f"{name}_low"], entry[f"{name}_high"] = interval
        entry["resampled"] = resampled(row)
        entries.append(entry)
    for chance in aggregation.chances(rows):
        random = {"system": "chance_random_scores", "run_name": ""}
        every = {"system": "chance_every_class", "run_name": ""}
        entries.append(random | chance.random_mean._asdict())
        every |= chance.every_class._asdict()
        entries.append(every | chance.ranking._asdict())
    return pd.DataFrame(entries, dtype=object)


def table_2(rows: Sequence[Row]) -> pd.DataFrame:
    """Table 2 in long form: a row for each of its R rows and C classes.

    Means over several runs have no threshold.
    """
    frames = []
    for row in rows:
        published = paper.class_f1(row.system, row.class_names)
        thresholds = np.nan if row.has_seeds else row.results[0].thresholds
        frames.append(
            pd.DataFrame(
                {
                    "system": row.system,
                    "run_name": ", ".join(row.run_names),
                    "is_at_chance": row.is_at_chance,
                    "class_name": row.class_names,
                    **row.by_class._asdict(),
                    **row.class_ranking._asdict(),
                    "threshold": thresholds,
                    "paper_dcase2017_f1": [
                        published.get(name, np.nan) for name in row.class_names
                    ],
                    "num_runs": len(row.results),
                    **_stds(row.by_class_std, row.class_ranking_std),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def leads(rows: Sequence[Row]) -> pd.DataFrame:
    """The leads in F1: a row for each pair of the tables' rows."""
    return pd.DataFrame(
        {
            "first_system": first.system,
            "first_run_name": ", ".join(first.run_names),
            "second_system": second.system,
            "second_run_name": ", ".join(second.run_names),
            "f1_difference": comparison.difference,
            "f1_low": comparison.interval.low,
            "f1_high": comparison.interval.high,
            "resampled": resampled(comparison),
            "p_value": comparison.p_value,
            "first_is_at_chance": first.is_at_chance,
            "second_is_at_chance": second.is_at_chance,
        }
        for first, second, comparison in aggregation.pairs(rows)
    )


def table_3(rows: Sequence[Row]) -> pd.DataFrame:
    """Table 3 in long form: a row for each run, group and figure."""
    entries = [
        (
            row.system,
            result.identity.run_name,
            row.is_at_chance,
            field,
            group,
            *entry,
        )
        for row in rows
        for result in row.results
        for field in ("audio", "visual")
        if (measured := getattr(result.localization, field, None))
        for group, scores in measured.scores.items()
        for entry in zip(
            scores._fields,
            scores,
            measured.references["chance"][group],
            strict=True,
        )
    ]
    columns = "system run_name is_at_chance field pairs figure value chance"
    return pd.DataFrame(entries, columns=columns.split())


def to_csv(numbers: pd.DataFrame) -> str:
    """CSV: figures as the tables print them, in percent if so named."""
    numbers = numbers.copy()
    if "threshold" in numbers:  # In full, which no float format is.
        numbers["threshold"] = numbers["threshold"].astype(object)
    scores = (*_SCORES, "roc_auc")
    names = [n for n in numbers if any(score in n for score in scores)]
    numbers[names] = numbers[names].map(percent, na_action="ignore")
    others = [name for name in numbers if name.startswith("d_prime")]
    numbers[others] = numbers[others].map(plain, na_action="ignore")
    numbers = numbers.rename(columns={n: f"{n}_percent" for n in names})
    return numbers.to_csv(index=False, float_format="%.4f")


def run_dict(result: Result) -> dict[str, Any]:
    """All of a result and the paper's figures for its system."""
    return {
        "run_name": result.identity.run_name,
        "seed": result.identity.seed,
        "flags": result.identity.flags,
        **_row_dict(Row((result,)), threshold=result.thresholds),
        "counts": result.counts,
        "untuned_class_names": result.untuned_class_names,
        "fallback_argmax": result.fallback_argmax,
        "num_val_clips": result.val.num_clips,
        "num_val_missing": result.val.num_missing,
        "num_test_clips": result.test.num_clips,
        "num_test_missing": result.test.num_missing,
        "chance": result.chance,
    }


def comparison_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """The tables' rows and each pair of them."""
    return {
        "training_notes": aggregation.training_notes(rows),
        "bootstrap": {
            "num_resamples": len(rows[0].resampled.f1),
            "level": bootstrap.LEVEL,
        },
        "rows": [
            {
                "run_names": row.run_names,
                "seeds": [result.identity.seed for result in row.results],
                **_row_dict(
                    row, **_stds(row.by_class_std, row.class_ranking_std)
                ),
                "micro_std": row.micro_std,
                "ranking_std": row.ranking_std,
            }
            for row in rows
        ],
        "pairs": [
            {
                "first": first.run_names,
                "second": second.run_names,
                "f1_difference": comparison.difference,
                "interval": comparison.interval,
                "resampled": resampled(comparison),
                "p_value": comparison.p_value,
                "is_more_than_chance": comparison.is_more_than_chance,
            }
            for first, second, comparison in aggregation.pairs(rows)
        ],
    }


def localization_dict(result: Result) -> dict[str, Any]:
    """How a run localizes; NaN for a class that has no truth."""
    found = result.localization
    audio = found.audio or metrics.Benchmark({}, {})
    visual = found.visual or metrics.Benchmark({}, {})
    return {
        "system": result.identity.system,
        "run_name": result.identity.run_name,
        "training": result.identity.training,
        "audio": audio.scores,
        "audio_chance": audio.references.get("chance", {}),
        "audio_by_labels": found.audio_by_labels,
        "visual": visual.scores,
        "visual_chance": visual.references.get("chance", {}),
        "proposals": {
            group: {"corloc": best.corloc, "recall": best.average_precision}
            for group, best in visual.references.get("proposals", {}).items()
        },
        "video_parsing": _benchmark_dict(found.parsing),
        "audio_visual_events": _benchmark_dict(found.av_events),
        "modalities": _benchmark_dict(found.modalities),
        "classes": _records(
            name=result.class_names, **audio.by_class, **visual.by_class
        ),
        "num_pairs": found.num_pairs,
        "audio_pairs": audio.num_pairs,
        "visual_pairs": visual.num_pairs,
        "num_chance_draws": NUM_DRAWS,
        "num_val_clips": found.num_val_clips,
        "num_test_clips": found.num_test_clips,
        "num_test_missing": found.num_test_missing,
        "num_test_without_truth": result.test.num_clips - found.num_test_clips,
    }


def _benchmark_dict(measured: metrics.Benchmark | None) -> dict | None:
    return measured and {
        "scores": measured.scores,
        "references": measured.references,
    }


def jsonable(value: Any) -> Any:
    """Turns named tuples into dictionaries, NaN and infinity into None."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: jsonable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    is_float = isinstance(value, float)
    return None if is_float and not math.isfinite(value) else value


def _row_dict(row: Row, **of_classes: np.ndarray) -> dict[str, Any]:
    """The entries of one run or of a row of several; more of each class."""
    published = paper.SYSTEMS.get(row.system)
    return {
        "system": row.system,
        "training": row.training,
        "micro": row.micro,
        "ranking": row.ranking,
        "micro_intervals": row.intervals,
        "resampled": resampled(row),
        "is_at_chance": row.is_at_chance,
        "classes": _records(
            name=row.class_names,
            **row.by_class._asdict(),
            **row.class_ranking._asdict(),
            **of_classes,
        ),
        "paper": published
        and {
            "dataset": paper.DATASET,
            "name": published.name,
            "micro": published.scores,
            "class_f1": published.class_f1,
        },
    }


def _stds(*deviations: tuple) -> dict[str, Any]:
    """Fields of named tuples of standard deviations, with `_std` added."""
    return {
        f"{name}_std": value
        for named in deviations
        for name, value in named._asdict().items()
    }


def _records(**columns: Any) -> list[dict[str, Any]]:
    return pd.DataFrame(columns).to_dict("records")
