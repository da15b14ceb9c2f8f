"""Rows of the tables: the runs of one system that differ only in their seed."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from avmil.evaluation import bootstrap, metrics, paper
from avmil.evaluation.chance import Chance
from avmil.evaluation.evaluation import Result


class Intervals(NamedTuple):
    """Bootstrap intervals of micro scores."""

    f1: bootstrap.Interval
    precision: bootstrap.Interval
    recall: bootstrap.Interval


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """Runs of one system with the same settings: one, or several seeds.

    Attributes:
        results: One or more, in the order given.
    """

    results: tuple[Result, ...]

    @property
    def system(self) -> str:
        """The system's name."""
        return self.results[0].system

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names, in the order of all arrays."""
        return self.results[0].class_names

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(result.run_name for result in self.results)

    @property
    def has_seeds(self) -> bool:
        """Whether the figures are means of several runs."""
        return len(self.results) > 1

    @functools.cached_property
    def micro(self) -> metrics.Scores:
        """Means over the seeds, floats."""
        return _mean([result.micro for result in self.results])

    @functools.cached_property
    def micro_std(self) -> metrics.Scores:
        """Sample standard deviations over the seeds; NaN of a single one."""
        return _std([result.micro for result in self.results])

    @functools.cached_property
    def by_class(self) -> metrics.Scores:
        """Means over the seeds, arrays [C]."""
        return _mean([result.by_class for result in self.results])

    @functools.cached_property
    def by_class_std(self) -> metrics.Scores:
        """Sample standard deviations, arrays [C]; NaN of a single seed."""
        return _std([result.by_class for result in self.results])

    @functools.cached_property
    def resampled(self) -> metrics.Scores:
        """Micro scores in each bootstrap resample of the clips, arrays [R].

        The draws depend on the number of clips alone, so that all rows of a
        table share them.
        """
        test = self.results[0].test
        return bootstrap.resampled_scores(
            bootstrap.resample(len(test.clip_ids)),
            test.labels,
            np.stack([result.predictions for result in self.results]),
        )

    @functools.cached_property
    def intervals(self) -> Intervals:
        """Of the micro scores, over the resamples."""
        return Intervals(*map(bootstrap.interval, self.resampled))


def chances(rows: Sequence[Row]) -> list[Chance]:
    """What chance gets, once for all runs of which it is the same."""
    results = itertools.chain.from_iterable(row.results for row in rows)
    return list(dict.fromkeys(result.chance for result in results))


def rows(results: Sequence[Result]) -> list[Row]:
    """Groups runs into rows, in Table 1's order, systems that it lacks last.

    Args:
        results: Runs on one test split, in any order.

    Raises:
        ValueError: if there are none, if their test splits differ, or if two
            runs differ in nothing, not even in their seed.
    """
    _check_one_split(results)
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.system, result.settings), []).append(result)
    for group in groups.values():
        _check_seeds(group)
    return sorted(
        (Row(tuple(group)) for group in groups.values()),
        key=lambda row: paper.place(row.system),
    )


def best(found: Sequence[Row]) -> Row:
    """The row of the highest mean F1, the first of several."""
    return max(found, key=lambda row: row.micro.f1)


def compare(first: Row, second: Row) -> bootstrap.Comparison:
    """Compares the F1 of two rows on the same resamples of the test clips."""
    return bootstrap.compare(
        first.micro.f1,
        second.micro.f1,
        first.resampled.f1,
        second.resampled.f1,
    )


def pairs(
    found: Sequence[Row],
) -> Iterator[tuple[Row, Row, bootstrap.Comparison]]:
    """Yields each pair of rows with its comparison."""
    for first, second in itertools.combinations(found, 2):
        yield first, second, compare(first, second)


def _mean(scores: Sequence[metrics.Scores]) -> metrics.Scores:
    fields = zip(*scores, strict=True)
    return metrics.Scores(*(np.mean(field, axis=0) for field in fields))


def _std(scores: Sequence[metrics.Scores]) -> metrics.Scores:
    if len(scores) == 1:
        return metrics.Scores(*(np.full_like(s, np.nan) for s in scores[0]))
    fields = zip(*scores, strict=True)
    return metrics.Scores(*(np.std(field, axis=0, ddof=1) for field in fields))


def _check_seeds(group: Sequence[Result]) -> None:
    by_seed: dict[int | str, str] = {}
    for result in group:
        if result.seed is None:
            continue
        if result.seed in by_seed:
            raise ValueError(
                "Expected runs of one system to differ in their seed or in "
                f"another setting, received {by_seed[result.seed]} and "
                f"{result.run_name} of {result.system}, both of seed "
                f"{result.seed}. Leave one out."
            )
        by_seed[result.seed] = result.run_name


def _check_one_split(results: Sequence[Result]) -> None:
    if not results:
        raise ValueError("Expected results on one test split, received none.")
    first = results[0]
    for other in results[1:]:
        if differing := first.test.difference(other.test):
            raise ValueError(
                "Expected results on one test split, the same clips in the "
                f"same order with one class list, received {first.run_name} "
                f"and {other.run_name} with {differing}."
            )
