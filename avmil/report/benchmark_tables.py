"""Tables 4 to 6: the field's benchmarks LLP, AVE and VGGSounder.

Each has a row for each system, trivial references, and published systems where
the clips' classes are those of the benchmark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avmil.common.ave_classes import AVE_CLASSES
from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation.aggregation import (
    localization_rows,
    row_names,
    rows_by_value,
    short_names,
    training_notes,
)
from avmil.evaluation.localization import LocalizationResult
from avmil.report.numbers import percent
from avmil.report.tables import Table, best_places, figure, seeds_notes


class _Benchmark(NamedTuple):
    """What stands in one of the tables."""

    field: str  # Of the results.
    title: str
    parts: Mapping[str, str]  # Part of the benchmark -> its head.
    heads: tuple[str, ...]  # In the order of the scores' fields.
    references: Mapping[str, str]  # Name -> as a reader sees it.
    note: str
    classes: tuple[str, ...] = ()  # For which figures are published.
    published: Mapping[str, tuple[float, ...]] = {}


_PUBLISHED_NOTE = (
    "Published systems, without a run: trained from the same labels, with "
    "features of other networks, as quoted in arXiv 2505.09615."
)
_BENCHMARKS = (
    _Benchmark(
        "parsing",
        "Table 4. Audio-visual video parsing on the test set, in percent",
        {"segment": "Seconds", "event": "Events (runs of seconds)"},
        ("audio", "visual", "audio-visual", "Type@AV", "Event@AV"),
        {"predicted_tags": "Predicted classes", "true_tags": "True labels"},
        "F-scores, mean over videos of the mean over classes, as of LLP's "
        "official scorer; thresholds of seconds tuned on validation. Events "
        "match from a temporal IoU of 0.5. Type@AV: mean of the three; "
        "Event@AV: audio and visual counted together. Predicted classes, true "
        "labels: of the video, in every second.",
        LLP_CLASSES,
        {
            "HAN": (60.1, 52.9, 48.9, 54.0),
            "VALOR": (61.8, 65.9, 58.4, 62.0),
            "CoLeaF": (64.2, 64.4, 59.3, 62.6),
            "PPL": (65.9, 66.7, 61.9, 64.8),
            "UWAV": (64.2, 70.0, 63.4, 65.9),
        },
    ),
    _Benchmark(
        "av_events",
        "Table 5. Audio-visual event localization on the test set, in percent",
        {"seconds": "Accuracy of seconds"},
        ("all", "with an event", "background"),
        {
            "predicted_class": "Predicted class in all seconds",
            "true_class": "True class in all seconds",
            "background": "Background in all seconds",
            "random_label": "Chance: random label",
        },
        "Each second has one label: the class of an event that is heard and "
        "seen in it, or background. Systems: the best class of the clip, where "
        "the second's score passes a threshold tuned on validation.",
        AVE_CLASSES,
        {"HAN": (75.3,), "UWAV": (80.6,)},
    ),
    _Benchmark(
        "modalities",
        "Table 6. Audible and visible classes of the test clips, in percent",
        {"audible": "Audible", "visible": "Visible", "both": "Both"},
        ("F1", "mAP"),
        {"every_class": "Chance: every class"},
        "Audible: by the scores of sound alone; visible: of pictures alone; "
        "both: of a system that has both. Micro F1 with thresholds tuned on "
        "validation; mAP: mean over classes; of clips with any such class.",
    ),
)


def benchmark_tables(
    results: Sequence[LocalizationResult],
    at_chance: Collection[tuple[str, str]] = (),
) -> list[Table]:
    """The tables that the truth allows.

    Arguments as of `table_3.table_3`.
    """
    found = (_table(one, results, at_chance) for one in _BENCHMARKS)
    return [table for table in found if table]


def _table(
    benchmark: _Benchmark,
    results: Sequence[LocalizationResult],
    at_chance: Collection[tuple[str, str]],
) -> Table | None:
    rows = localization_rows(results, benchmark.field, at_chance)
    if not rows:
        return None

    def joined(by_part: Mapping[str, Sequence[float]]) -> np.ndarray:
        return np.concatenate([by_part[part] for part in benchmark.parts])

    cells = []
    for name, row in zip(row_names(rows), rows, strict=True):
        run, *others = row.run_names
        runs = f"{len(row.results)} seeds" if others else run
        figures = map(figure, joined(row.means), joined(row.stds))
        cells.append((name, runs, *figures))
    for key, name in benchmark.references.items():
        texts = []
        for row in rows:
            of = [getattr(r, benchmark.field).references for r in row.results]
            means = np.mean([joined(one[key]) for one in of], axis=0)
            texts.append([tuple(map(percent, means))])
        for shown, names in rows_by_value(texts, short_names(rows)).items():
            cells.append((f"{name}, {names}" if names else name, "", *shown))
    notes = [benchmark.note, *training_notes(rows), *seeds_notes(rows)]
    if benchmark.classes and results[0].class_names == benchmark.classes:
        for name, figures in benchmark.published.items():
            missing = ("-",) * (len(cells[0]) - 2 - len(figures))
            cells.append((name, "", *map(str, figures), *missing))
        notes.append(_PUBLISHED_NOTE)
    heads = dict.fromkeys(benchmark.parts.values(), benchmark.heads)
    table = Table(
        benchmark.title, {"": ("System", "Run")} | heads, cells, notes
    )
    means = [joined(row.means) for row in rows]
    table.bold[: len(rows), 2:] = best_places(means)
    return table
