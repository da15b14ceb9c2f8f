"""Tables 3 to 6: where and when systems localize, and the field's benchmarks.

The paper measures none of it. Each table has a row for each system, what it
takes no system to reach, and published systems where the clips' classes are
those of the benchmark. All figures but error rates are percentages; those of
several seeds are means with their sample standard deviation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avmil.common.ave_classes import AVE_CLASSES
from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation.aggregation import (
    Row,
    row_names,
    rows_by_value,
    sample_std,
    short_names,
    training_notes,
)
from avmil.evaluation.evaluation import Result
from avmil.evaluation.localization import ALL, NUM_DRAWS
from avmil.evaluation.metrics import Benchmark
from avmil.evaluation.truth import GROUPS
from avmil.report.numbers import percent, plain
from avmil.report.tables import Table, best_places, figure, seeds_notes


class _Layout(NamedTuple):
    """What stands in one of the tables."""

    field: str  # The benchmark in the results.
    title: str
    parts: Mapping[str, str]  # Of the benchmark -> head; those of all rows.
    heads: tuple[str, ...]  # In the order of the scores' fields.
    references: Mapping[str, str]  # Name -> as a reader sees it.
    notes: tuple[str, ...]  # What the heads and references mean.
    classes: tuple[str, ...] = ()  # For which figures are published.
    published: Mapping[str, tuple[float, ...]] = {}


_HEARD = ("F1", "ER", "AP")
_SEEN = ("CorLoc", "whole clip", "pointing", "AP")
_CHANCE = {"chance": "Chance: random scores"}
_CHANCE_NOTE = (
    f"Chance: mean of {NUM_DRAWS} draws of random scores for all regions and "
    "segments."
)
_AT_CHANCE_NOTE = "At chance: in F1 of whole clips, by Table 1."
_ASYNCHRONY = {group: group.capitalize() for group in GROUPS}
_ASYNCHRONY_NOTE = (
    "Pairs of clip and class, their number in brackets, by the temporal IoU "
    "of sight and sound: in sync from 0.5, partly above 0, apart 0. Within a "
    "group only its pairs are scored, in clips known to hold the class."
)
_PUBLISHED_NOTE = (
    "Published systems, without a run: trained from the same labels, with "
    "features of other networks, as quoted in arXiv 2505.09615."
)
_LAYOUTS = (
    _Layout(
        "audio",
        "Table 3a. When classes are heard on the test set",
        {ALL: "All"},
        _HEARD,
        _CHANCE,
        (
            "F1 and ER (error rate, a ratio that may exceed 1): of seconds, "
            "pooled, with a threshold for each class tuned on validation. AP: "
            "average precision of frames of 0.1 s, mean over classes.",
            _CHANCE_NOTE,
        ),
    ),
    _Layout(
        "visual",
        "Table 3b. Where classes are seen on the test set",
        {ALL: "All"},
        _SEEN,
        _CHANCE | {"proposals": "Proposals"},
        (
            "CorLoc: the best region of the frames in which a class of the "
            "clip is visible has an IoU of 0.5 with it; whole clip: so has "
            "the best region of all frames; pointing: its center lies in the "
            "true box. AP: average precision of boxes at an IoU of 0.5, mean "
            "over classes.",
            "Proposals: what the best choice among the proposals would reach; "
            "under AP the share of true boxes that a proposal meets, mean "
            "over classes.",
            _CHANCE_NOTE,
        ),
    ),
    _Layout(
        "audio",
        "Table 3c. When classes are heard, by asynchrony",
        _ASYNCHRONY,
        _HEARD,
        _CHANCE,
        (_ASYNCHRONY_NOTE,),
    ),
    _Layout(
        "visual",
        "Table 3d. Where classes are seen, by asynchrony",
        _ASYNCHRONY,
        _SEEN,
        _CHANCE | {"proposals": "Proposals"},
        (_ASYNCHRONY_NOTE,),
    ),
    _Layout(
        "parsing",
        "Table 4. Audio-visual video parsing on the test set, in percent",
        {"segment": "Seconds", "event": "Events (runs of seconds)"},
        ("audio", "visual", "audio-visual", "Type@AV", "Event@AV"),
        {"predicted_tags": "Predicted classes", "true_tags": "True labels"},
        (
            "F-scores, mean over videos of the mean over classes, as of LLP's "
            "official scorer; thresholds of seconds tuned on validation. "
            "Events match from a temporal IoU of 0.5. Type@AV: mean of the "
            "three; Event@AV: audio and visual counted together. Predicted "
            "classes, true labels: of the video, in every second.",
        ),
        LLP_CLASSES,
        {
            "HAN": (60.1, 52.9, 48.9, 54.0),
            "VALOR": (61.8, 65.9, 58.4, 62.0),
            "CoLeaF": (64.2, 64.4, 59.3, 62.6),
            "PPL": (65.9, 66.7, 61.9, 64.8),
            "UWAV": (64.2, 70.0, 63.4, 65.9),
        },
    ),
    _Layout(
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
        (
            "Each second has one label: the class of an event that is heard "
            "and seen in it, or background. Systems: the best class of the "
            "clip, where the second's score passes a threshold tuned on "
            "validation.",
        ),
        AVE_CLASSES,
        {"HAN": (75.3,), "UWAV": (80.6,)},
    ),
    _Layout(
        "modalities",
        "Table 6. Audible and visible classes of the test clips, in percent",
        {"audible": "Audible", "visible": "Visible", "both": "Both"},
        ("F1", "mAP"),
        {"every_class": "Chance: every class"},
        (
            "Audible: by the scores of sound alone; visible: of pictures "
            "alone; both: of a system that has both. Micro F1 with thresholds "
            "tuned on validation; mAP: mean over classes; of clips with any "
            "such class.",
        ),
    ),
)


def localization_tables(rows: Sequence[Row]) -> list[Table]:
    """The tables that the systems and the truth allow."""
    tables = []
    for layout in _LAYOUTS:
        localizing = [row for row in rows if row.localized(layout.field)]
        measured = [row.localized(layout.field) for row in localizing]
        parts = {
            part: head
            for part, head in layout.parts.items()
            if measured and all(part in runs[0].scores for runs in measured)
        }
        if parts:
            tables.append(_table(layout, localizing, measured, parts))
    return tables


def _table(
    layout: _Layout,
    rows: Sequence[Row],
    measured: Sequence[Sequence[Benchmark]],
    parts: Mapping[str, str],
) -> Table:
    """A table of some parts, of the runs of each row."""
    writes = [plain if head == "ER" else percent for head in layout.heads]
    writes *= len(parts)

    def joined(by_part: Mapping[str, Sequence[float]]) -> np.ndarray:
        return np.concatenate([by_part[part] for part in parts])

    values = [np.array([joined(m.scores) for m in runs]) for runs in measured]
    means = [of_runs.mean(axis=0) for of_runs in values]
    stds = map(sample_std, values)
    cells = []
    for row, name, *of_row in zip(
        rows, row_names(rows), means, stds, strict=True
    ):
        run = f"{len(row.results)} seeds" if row.has_seeds else row.run_names[0]
        cells.append((name, run, *map(figure, *of_row, writes)))
    for key, name in layout.references.items():
        texts = []
        for runs in measured:
            levels = [joined(m.references[key]) for m in runs]
            pairs = zip(writes, np.mean(levels, axis=0), strict=True)
            texts.append([tuple(write(level) for write, level in pairs)])
        for shown, names in rows_by_value(texts, short_names(rows)).items():
            cells.append((f"{name}, as {names}" if names else name, "", *shown))
    num_pairs = rows_by_value(
        [
            [tuple(m.num_pairs.get(part) for part in parts) for m in runs]
            for runs in measured
        ],
        short_names(rows),
    )
    heads = {"": ("System", "Run")}
    for head, *counts in zip(parts.values(), *num_pairs, strict=True):
        shown = counts[:1] if len(set(counts)) == 1 else counts
        numbers = "/".join(map(str, shown))
        heads[f"{head} ({numbers})" if counts[0] else head] = layout.heads
    notes = _notes(layout, rows, num_pairs.values())
    if layout.classes and rows[0].class_names == layout.classes:
        for name, figures in layout.published.items():
            shown = [*map(str, figures), *["-"] * len(writes)]
            cells.append((name, "", *shown[: len(writes)]))
        notes.append(_PUBLISHED_NOTE)
    table = Table(layout.title, heads, cells, notes)
    # The least error rate is the best one.
    signs = [-1 if write is plain else 1 for write in writes]
    table.bold[: len(rows), 2:] = best_places(
        np.multiply(means, signs), writes=writes
    )
    return table


def _notes(
    layout: _Layout,
    rows: Sequence[Row],
    rows_of_pairs: Collection[str],
) -> list[str]:
    """What the table shows and of which clips, for all rows or for each."""
    names = short_names(rows)
    counts = [list(map(_clip_note, row.results)) for row in rows]
    notes = [*layout.notes]
    for text, of_rows in rows_by_value(counts, names).items():
        notes.append(f"{of_rows}: {text}" if of_rows else text)
    if layout.field == "audio" and ALL in layout.parts:
        notes += _label_notes(rows, names)
    if any(row.is_at_chance for row in rows):
        notes.append(_AT_CHANCE_NOTE)
    notes += training_notes(rows) + seeds_notes(rows)
    if len(rows_of_pairs) > 1:
        notes.append(
            "Where a head gives several numbers of pairs, they are those of "
            f"{' / '.join(rows_of_pairs)}, whose sampled frames differ."
        )
    return notes


def _clip_note(result: Result) -> str:
    found = result.localization
    text = (
        f"{found.num_test_clips} test clips, of which "
        f"{found.num_test_missing} have no features and count as missed; "
        f"{found.num_val_clips} validation clips."
    )
    if left_out := result.test.num_clips - found.num_test_clips:
        text += f" {left_out} test clips are not in the truth and left out."
    return text


def _label_notes(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """The F1 of each row by thresholds that need no truth."""
    listed = []
    for row, name in zip(rows, names, strict=True):
        by_labels = [r.localization.audio_by_labels for r in row.results]
        if all(by_labels):
            f1 = np.mean([scores.f1 for scores in by_labels])
            listed.append(f"{name} {percent(f1)}")
    if not listed:
        return []
    return [
        "F1 by thresholds from the labels of validation alone, as localize.py "
        f"has them without a truth: {', '.join(listed)}."
    ]
