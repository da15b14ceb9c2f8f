"""Rows of Table 3: the runs of a system, and what of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from avmil.evaluation import paper
from avmil.evaluation.localization import ALL, LocalizationResult
from avmil.evaluation.localization_measures import AudioScores, VisualScores


class Part(NamedTuple):
    """Half of the table: what is heard, or what is seen.

    Attributes:
        title: What is measured.
        letters: Those of its tables, of all pairs and by asynchrony.
        field: The result's mapping of groups to scores.
        figures: The scores' names.
    """

    title: str
    letters: str
    field: str
    figures: tuple[str, ...]


AUDIO = Part(
    "When classes are heard",
    "ac",
    "audio",
    AudioScores._fields,
)
VISUAL = Part(
    "Where classes are seen",
    "bd",
    "visual",
    VisualScores._fields,
)


def in_paper_order(
    results: Sequence[LocalizationResult],
) -> list[LocalizationResult]:
    """Sorts runs as Table 1 does, systems that it lacks last.

    Raises:
        ValueError: if there are none or their test splits differ.
    """
    splits = {
        (r.class_names, r.num_test_clips, tuple(r.num_pairs.items()))
        for r in results
    }
    if len(splits) != 1:
        received = "; ".join(
            f"{r.run_name}: {len(r.class_names)} classes, "
            f"{r.num_test_clips} clips, {r.num_pairs[ALL]} pairs"
            for r in results
        )
        raise ValueError(
            "Expected results on one test split with one truth, received "
            f"{received or 'none'}."
        )
    return sorted(results, key=lambda r: paper.place(r.system))


class Row(NamedTuple):
    """Runs of one system, and their scores by group.

    Attributes:
        results: One, or several seeds.
        means: Group -> [F].
        stds: Group -> sample standard deviations [F], NaN of a single run.
    """

    results: tuple[LocalizationResult, ...]
    means: dict[str, np.ndarray]
    stds: dict[str, np.ndarray]

    @property
    def system(self) -> str:
        """The system's name."""
        return self.results[0].system


def rows(results: Sequence[LocalizationResult], part: Part) -> list[Row]:
    """Groups runs into the rows of a part, which some systems lack.

    Args:
        results: As `in_paper_order` returns them.
        part: What to show.
    """
    seeds: dict[tuple[str, str], list[LocalizationResult]] = {}
    for result in results:
        if getattr(result, part.field):
            key = (result.system, result.settings)
            seeds.setdefault(key, []).append(result)
    return [_row(group, part) for group in seeds.values()]


def _row(results: Sequence[LocalizationResult], part: Part) -> Row:
    found = [getattr(result, part.field) for result in results]
    values = {
        group: np.array([scores[group] for scores in found])
        for group in found[0]
    }  # [R, F] each
    single = len(results) == 1
    return Row(
        tuple(results),
        {group: value.mean(axis=0) for group, value in values.items()},
        {
            group: np.full(value.shape[1], np.nan)
            if single
            else value.std(axis=0, ddof=1)
            for group, value in values.items()
        },
    )
