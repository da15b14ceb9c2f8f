"""Rows of the tables: the runs of one system that differ only in their seed."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, TypeVar

import numpy as np

from avmil.evaluation import bootstrap, metrics, paper
from avmil.evaluation.evaluation import Chance, Result
from avmil.evaluation.identity import Training

_MAX_NAMED_FLAGS = 2  # More would not fit a table.

_Value = TypeVar("_Value", bound=Hashable)
_mean = functools.partial(np.mean, axis=0)


def sample_std(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the seeds, axis 0; NaN of a single one."""
    if len(values) == 1:
        return values[0] * np.nan
    with np.errstate(invalid="ignore"):  # NaN too of an infinite d-prime.
        return values.std(axis=0, ddof=1)


def _over_seeds(
    name: str, statistic: Callable[[np.ndarray], np.ndarray]
) -> functools.cached_property:
    """A statistic of each field of one of the results' named tuples."""

    def of_row(row: Row) -> Any:
        tuples = [getattr(result, name) for result in row.results]
        fields = zip(*tuples, strict=True)
        return type(tuples[0])(*map(statistic, map(np.array, fields)))

    return functools.cached_property(of_row)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A row of the tables: a system with its settings, one seed or several.

    Its figures are means over the seeds, and standard deviations of a sample of
    seeds, NaN of a single one.
    """

    results: tuple[Result, ...]

    # Of the types of the fields of `Result`.
    micro = _over_seeds("micro", _mean)
    micro_std = _over_seeds("micro", sample_std)
    by_class = _over_seeds("by_class", _mean)
    by_class_std = _over_seeds("by_class", sample_std)
    ranking = _over_seeds("ranking", _mean)
    ranking_std = _over_seeds("ranking", sample_std)
    class_ranking = _over_seeds("class_ranking", _mean)
    class_ranking_std = _over_seeds("class_ranking", sample_std)

    @property
    def system(self) -> str:
        """Its name, as of `RunIdentity`."""
        return self.results[0].identity.system

    @property
    def flags(self) -> Mapping[str, str]:
        """The settings as a reader sees them; flag -> value."""
        return self.results[0].identity.flags

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(result.identity.run_name for result in self.results)

    @property
    def training(self) -> Training:
        """How far the runs were trained, and from where."""
        return Training.joined(r.identity.training for r in self.results)

    @property
    def has_seeds(self) -> bool:
        """Whether the figures are means of several runs."""
        return len(self.results) > 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names, in the order of all arrays."""
        return self.results[0].class_names

    def localized(self, part: str) -> list[metrics.Benchmark]:
        """A part of `LocalizationResult` of each run; none if one lacks it."""
        parts = [getattr(r.localization, part, None) for r in self.results]
        return parts if all(parts) else []

    @functools.cached_property
    def resampled_clips(self) -> metrics.Scores:
        """Micro scores in each bootstrap resample of the clips, arrays [R].

        All rows of a table share the draws; seeds are averaged.
        """
        return metrics.Scores(*map(_mean, self._resampled_by_seed))

    @functools.cached_property
    def resampled(self) -> metrics.Scores:
        """Like `resampled_clips`, of drawn seeds too if there are enough."""
        if not self.resamples_seeds:
            return self.resampled_clips
        named = f"{self.system} {self.results[0].identity.settings}"
        return bootstrap.over_drawn_seeds(self._resampled_by_seed, named)

    @property
    def resamples_seeds(self) -> bool:
        """Whether there are enough seeds to draw among them."""
        return len(self.results) >= bootstrap.MIN_SEEDS

    @functools.cached_property
    def intervals(self) -> metrics.Scores:
        """`bootstrap.Interval`s of the micro scores, over the resamples."""
        return metrics.Scores(*map(bootstrap.interval, self.resampled))

    @functools.cached_property
    def is_at_chance(self) -> bool:
        """Whether the interval of F1 reaches down to what chance gets."""
        chance = max(result.chance.f1 for result in self.results)
        return self.intervals.f1.low <= chance

    @functools.cached_property
    def _resampled_by_seed(self) -> metrics.Scores:
        # Draws must not depend on the order in which runs are named.
        ordered = sorted(self.results, key=lambda r: r.identity.run_name)
        return bootstrap.resampled_scores(
            ordered[0].test.labels,
            np.stack([result.predictions for result in ordered]),
        )


def rows(results: Sequence[Result]) -> list[Row]:
    """Groups runs into rows, in Table 1's order, systems that it lacks last.

    Raises:
        ValueError: if their test splits differ, or if two runs differ in
            nothing, not even in their seed.
    """
    first = results[0]
    for other in results[1:]:
        if differing := first.test.difference(other.test):
            raise ValueError(
                "Expected results on one test split, the same clips in the "
                f"same order with one class list, received "
                f"{first.identity.run_name} and {other.identity.run_name} "
                f"with {differing}."
            )
    identities = [result.identity for result in results]
    for one, other in itertools.combinations(identities, 2):
        renamed = dataclasses.replace(other, run_name=one.run_name)
        if one == renamed and one.seed is not None:
            raise ValueError(
                "Expected runs of one system to differ in their seed or in "
                f"another setting, received {one.run_name} and "
                f"{other.run_name} of {one.system}, both of seed {one.seed}. "
                "Leave one out."
            )
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        key = result.identity.system, result.identity.settings
        groups.setdefault(key, []).append(result)
    found = [Row(tuple(group)) for group in groups.values()]
    return sorted(found, key=lambda row: paper.place(row.system))


def chances(rows: Sequence[Row]) -> list[Chance]:
    """The different chance results of all runs, usually one."""
    found = (result.chance for row in rows for result in row.results)
    return list(dict.fromkeys(found))


def compare(first: Row, second: Row) -> bootstrap.Comparison:
    """Compares the F1 of two rows on the same resamples of the test clips.

    Seeds are drawn too if both rows have enough of them.
    """
    resamples_seeds = first.resamples_seeds and second.resamples_seeds
    name = "resampled" if resamples_seeds else "resampled_clips"
    return bootstrap.compare(
        first.micro.f1,
        second.micro.f1,
        getattr(first, name).f1,
        getattr(second, name).f1,
        resamples_seeds,
        first.is_at_chance or second.is_at_chance,
    )


def pairs(rows: Sequence[Row]) -> list[tuple[Row, Row, bootstrap.Comparison]]:
    """Each pair of rows with its comparison."""
    return [(a, b, compare(a, b)) for a, b in itertools.combinations(rows, 2)]


def row_names(rows: Sequence[Row], short: bool = False) -> list[str]:
    """Names rows as the paper's Table 1 does, or in short its Table 2.

    Behind the name stands what distinguishes rows of one system, and "at
    chance" where a row is.
    """
    names = []
    for row, told in zip(rows, _told_apart(rows), strict=True):
        parts = [paper.numbered_name(row.system, short), *told]
        if row.is_at_chance:
            parts.append("at chance")
        names.append(", ".join(parts))
    return names


def short_names(rows: Sequence[Row]) -> list[str]:
    """Like `row_names`, with the letter alone and no comma, for lists."""
    names = []
    for row, told in zip(rows, _told_apart(rows), strict=True):
        name = paper.letter(row.system)
        if told:
            name += f" {'/'.join(told)}"
        names.append(name)
    return names


def differing_flags(rows: Sequence[Row]) -> list[str]:
    """Flags whose values differ between rows, those with words first."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.flags.items():
            values.setdefault(name, set()).add(value)
    differing = [name for name, found in values.items() if len(found) > 1]
    return sorted(differing, key=lambda name: min(values[name])[:1].isdigit())


def _told_apart(rows: Sequence[Row]) -> list[Sequence[str]]:
    """What distinguishes each row from others of its system, if there are.

    The fewest flags that do it, or the runs if it takes many.
    """
    found: list[Sequence[str]] = []
    for row in rows:
        peers = [other for other in rows if other.system == row.system]
        differing = differing_flags(peers)
        telling = (
            flags
            for number in range(_MAX_NAMED_FLAGS + 1)
            for flags in itertools.combinations(differing, number)
            if len({tuple(map(p.flags.get, flags)) for p in peers})
            == len(peers)
        )
        flags = next(telling, None)
        found.append(
            row.run_names
            if flags is None
            else [f"{flag}={row.flags.get(flag, '-')}" for flag in flags]
        )
    return found


def training_notes(rows: Sequence[Row]) -> list[str]:
    """How far rows were trained, from where, and if they are comparable."""
    trainings = [row.training for row in rows]
    travels = [training.weight_travel for training in trainings]
    # CVSSP's rows have a recipe of their own: 3,000 steps at 1e-3.
    kinds = [row.system.startswith("cvssp_") for row in rows]
    limits = {
        (kind, f"{t.weight_travel_limit:.3g}" if t.weight_travels else "")
        for kind, t in zip(kinds, trainings, strict=True)
    }
    fcs = [", ".join(t.fc_initializations) for t in trainings]
    differing, notes = [], []
    if len(limits) > len(set(kinds)):
        differing.append("weight travel")
    if len({fc for fc in fcs if fc}) > 1:
        differing.append("the initialization of fc6 and fc7")
    names = short_names(rows)
    if differing:
        notes.append(
            "These rows are not comparable: they differ in "
            f"{' and in '.join(differing)}."
        )
    notes.append(
        "Weight travel (training steps times learning rate; the paper's is "
        f"0.25): {_by_row(travels, names)}."
    )
    if any(fcs):
        notes.append(f"fc6 and fc7 start: {_by_row(fcs, names)}.")
    return notes


def rows_by_value(
    values: Iterable[Iterable[_Value]], names: Sequence[str]
) -> dict[_Value, str]:
    """Maps each value to the names of its rows, or "" if all share it."""
    names_of: dict[_Value, list[str]] = {}
    for of_row, name in zip(values, names, strict=True):
        for value in dict.fromkeys(of_row):
            names_of.setdefault(value, []).append(name)
    several = len(names_of) > 1
    return {v: ", ".join(n) if several else "" for v, n in names_of.items()}


def _by_row(texts: Iterable[str], names: Sequence[str]) -> str:
    """Lists each distinct text with its rows; empty ones are left out."""
    found = rows_by_value(([text] if text else [] for text in texts), names)
    return "; ".join(
        f"{text} in {of_rows}" if of_rows else text
        for text, of_rows in found.items()
    )
