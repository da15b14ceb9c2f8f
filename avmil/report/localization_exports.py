"""Table 3 for other programs: JSON-able dictionaries and CSV, as fractions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from avmil.evaluation import localization_rows
from avmil.evaluation.localization import NUM_DRAWS, LocalizationResult


def to_dict(result: LocalizationResult) -> dict[str, Any]:
    """All of a result but its events, JSON-able, as fractions."""
    by_group = {
        field: {
            group: scores._asdict()
            for group, scores in getattr(result, field).items()
        }
        for field in ("audio", "audio_chance", "visual", "visual_chance")
    }
    return {
        "system": result.system,
        "run_name": result.run_name,
        **by_group,
        "proposals": {g: b._asdict() for g, b in result.bounds.items()},
        "classes": [
            {"name": name, **_class_figures(result, index)}
            for index, name in enumerate(result.class_names)
        ],
        "num_pairs": dict(result.num_pairs),
        "audio_pairs": dict(result.audio_pairs),
        "visual_pairs": dict(result.visual_pairs),
        "num_chance_draws": NUM_DRAWS,
        "num_val_clips": result.num_val_clips,
        "num_test_clips": result.num_test_clips,
        "num_test_missing": result.num_test_missing,
        "num_test_without_truth": result.num_test_without_truth,
    }


def table_3_csv(results: Sequence[LocalizationResult]) -> str:
    """CSV in long form: a row for each run, group and figure, as fractions.

    Raises:
        ValueError: if there are no results or their test splits differ.
    """
    results = localization_rows.in_paper_order(results)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ("system", "run_name", "field", "pairs", "figure", "value", "chance")
    )
    for result in results:
        for part in (localization_rows.AUDIO, localization_rows.VISUAL):
            chance = getattr(result, f"{part.field}_chance")
            for group, scores in getattr(result, part.field).items():
                about = (result.system, result.run_name, part.field, group)
                for name, value, level in zip(
                    part.figures, scores, chance[group], strict=True
                ):
                    writer.writerow(
                        (*about, name, f"{value:.4f}", f"{level:.4f}")
                    )
    return buffer.getvalue()


def _class_figures(result: LocalizationResult, index: int) -> dict[str, Any]:
    """Figures of a class; None where the truth does not hold it."""
    columns: dict[str, np.ndarray] = {}
    if result.audio_by_class is not None:
        columns |= result.audio_by_class._asdict()
        columns["event_threshold"] = result.event_thresholds
    if result.visual_by_class is not None:
        columns["box_average_precision"] = result.visual_by_class
    values = {name: float(column[index]) for name, column in columns.items()}
    return {n: None if math.isnan(v) else v for n, v in values.items()}
