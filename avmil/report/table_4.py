"""Table 4: audio-visual video parsing, which later work measures on LLP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation.aggregation import (
    localization_rows,
    row_names,
    short_names,
    training_notes,
)
from avmil.evaluation.localization import LocalizationResult
from avmil.report.numbers import percent
from avmil.report.tables import Table, best_places, figure, seeds_notes

_LEVELS = {"segment": "Seconds", "event": "Events (runs of seconds)"}
_HEADS = ("audio", "visual", "audio-visual", "Type@AV", "Event@AV")
_NOTES = (
    "F-scores, mean over videos of the mean over classes, as LLP's official "
    "scorer computes them; thresholds of seconds tuned on validation. An event "
    "is found by a run of seconds with a temporal IoU of 0.5. Type@AV: mean of "
    "the three; Event@AV: audio and visual counted together.",
    "Predicted classes, true labels: those of the video, in every second of "
    "both modalities.",
)
# Of seconds, on LLP's test set, as the UWAV paper quotes them.
_PUBLISHED = {
    "HAN": (60.1, 52.9, 48.9, 54.0),
    "VALOR": (61.8, 65.9, 58.4, 62.0),
    "CoLeaF": (64.2, 64.4, 59.3, 62.6),
    "PPL": (65.9, 66.7, 61.9, 64.8),
    "UWAV": (64.2, 70.0, 63.4, 65.9),
}
_PUBLISHED_NOTE = (
    "HAN to UWAV: published systems on LLP's test set, with features of other "
    "networks, as quoted in arXiv 2505.09615."
)


def table_4(
    results: Sequence[LocalizationResult],
    at_chance: Collection[tuple[str, str]] = (),
) -> list[Table]:
    """The table, or none where the truth lacks sound or sight.

    Arguments as of `table_3.table_3`.
    """
    rows = localization_rows(results, "parsing", at_chance)
    if not rows:
        return []

    def joined(by_level: Mapping[str, Sequence[float]]) -> np.ndarray:
        return np.concatenate([by_level[level] for level in _LEVELS])

    cells = []
    for name, row in zip(row_names(rows), rows, strict=True):
        run, *others = row.run_names
        runs = f"{len(row.results)} seeds" if others else run
        figures = map(figure, joined(row.means), joined(row.stds))
        cells.append((name, runs, *figures))
    for name, row in zip(short_names(rows), rows, strict=True):
        tags = [joined(r.parsing.predicted_tags) for r in row.results]
        means = map(percent, np.mean(tags, axis=0))
        cells.append((f"Predicted classes of {name}", "", *means))
    labels = joined(rows[0].results[0].parsing.true_tags)
    cells.append(("True labels", "", *map(percent, labels)))
    notes = [*_NOTES, *training_notes(rows), *seeds_notes(rows)]
    if results[0].class_names == LLP_CLASSES:
        missing = ("-",) * (len(labels) - len(_PUBLISHED["HAN"]))
        for name, figures in _PUBLISHED.items():
            cells.append((name, "", *map(str, figures), *missing))
        notes.append(_PUBLISHED_NOTE)
    heads = {"": ("System", "Run")} | dict.fromkeys(_LEVELS.values(), _HEADS)
    title = "Table 4. Audio-visual video parsing on the test set, in percent"
    table = Table(title, heads, cells, notes)
    means = [joined(row.means) for row in rows]
    table.bold[: len(rows), 2:] = best_places(means)
    return [table]
