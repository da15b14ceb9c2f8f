"""Rows of the tables: the runs of one system that differ only in their seed."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from avmil.evaluation import bootstrap, metrics, paper
from avmil.evaluation.evaluation import Chance, Result
from avmil.evaluation.localization import ALL, LocalizationResult

_AnyResult = TypeVar("_AnyResult", Result, LocalizationResult)


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
        return self.results[0].identity.system

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names, in the order of all arrays."""
        return self.results[0].class_names

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(result.identity.run_name for result in self.results)

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

        All rows of a table share the draws.
        """
        return bootstrap.resampled_scores(
            self.results[0].test.labels,
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
    groups = _grouped(results)
    for group in groups:
        _check_seeds(group)
    return sorted(
        (Row(tuple(group)) for group in groups),
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


class LocalizationRow(NamedTuple):
    """Runs of one system, and their scores of what is heard, or seen.

    Attributes:
        results: One, or several seeds.
        means: Group -> [F], in the order of the scores' fields.
        stds: Group -> sample standard deviations [F], NaN of a single run.
    """

    results: tuple[LocalizationResult, ...]
    means: dict[str, np.ndarray]
    stds: dict[str, np.ndarray]

    @property
    def system(self) -> str:
        """The system's name."""
        return self.results[0].identity.system

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(result.identity.run_name for result in self.results)


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
            f"{r.identity.run_name}: {len(r.class_names)} classes, "
            f"{r.num_test_clips} clips, {r.num_pairs[ALL]} pairs"
            for r in results
        )
        raise ValueError(
            "Expected results on one test split with one truth, received "
            f"{received or 'none'}."
        )
    return sorted(results, key=lambda r: paper.place(r.identity.system))


def localization_rows(
    results: Sequence[LocalizationResult], part: str
) -> list[LocalizationRow]:
    """Groups runs into the rows of a part of Table 3.

    Args:
        results: As `in_paper_order` returns them.
        part: `audio` or `visual`; systems without it are left out.
    """
    having = [result for result in results if getattr(result, part)]
    rows_found = []
    for group in _grouped(having):
        found = [getattr(result, part).scores for result in group]
        means, stds = {}, {}
        for name in found[0]:
            values = np.array([scores[name] for scores in found])  # [R, F]
            means[name], stds[name] = values.mean(axis=0), _sample_std(values)
        rows_found.append(LocalizationRow(tuple(group), means, stds))
    return rows_found


def _mean(scores: Sequence[metrics.Scores]) -> metrics.Scores:
    fields = zip(*scores, strict=True)
    return metrics.Scores(*(np.mean(field, axis=0) for field in fields))


def _std(scores: Sequence[metrics.Scores]) -> metrics.Scores:
    fields = zip(*scores, strict=True)
    return metrics.Scores(*(_sample_std(np.array(field)) for field in fields))


def _sample_std(values: np.ndarray) -> np.ndarray:
    """Of values over their first axis; NaN of a single one."""
    if len(values) == 1:
        return np.full_like(values[0], np.nan)
    return np.std(values, axis=0, ddof=1)


def _grouped(results: Sequence[_AnyResult]) -> list[list[_AnyResult]]:
    """Results of one system and settings, which differ in their seed."""
    groups: dict[tuple[str, str], list[_AnyResult]] = {}
    for result in results:
        key = (result.identity.system, result.identity.settings)
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _check_seeds(group: Sequence[Result]) -> None:
    by_seed: dict[int | str, str] = {}
    for identity in (result.identity for result in group):
        if identity.seed is None:
            continue
        if identity.seed in by_seed:
            raise ValueError(
                "Expected runs of one system to differ in their seed or in "
                f"another setting, received {by_seed[identity.seed]} and "
                f"{identity.run_name} of {identity.system}, both of seed "
                f"{identity.seed}. Leave one out."
            )
        by_seed[identity.seed] = identity.run_name


def _check_one_split(results: Sequence[Result]) -> None:
    if not results:
        raise ValueError("Expected results on one test split, received none.")
    first = results[0]
    for other in results[1:]:
        if differing := first.test.difference(other.test):
            raise ValueError(
                "Expected results on one test split, the same clips in the "
                f"same order with one class list, received "
                f"{first.identity.run_name} and {other.identity.run_name} "
                f"with {differing}."
            )
