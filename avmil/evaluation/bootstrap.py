"""The uncertainty of a figure due to test clips and seeds, by bootstrap.

Test clips are drawn with replacement, counts are pooled anew over the drawn
ones, and F1, precision and recall follow, with thresholds as they were tuned.
From `MIN_SEEDS` seeds on, a system's seeds are drawn with replacement as well,
and the drawn ones averaged (hierarchical bootstrap). Of S seeds S - 1 are
drawn: S would understate the variance by the factor (S - 1) / S, which is a
third with three seeds. With fewer seeds all of them are averaged, and the
intervals speak of the sampling of test clips alone.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13
(percentile intervals); Rao and Wu, Resampling inference with complex survey
data, JASA 1988 (one draw fewer).
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation import metrics

NUM_RESAMPLES = 2000
LEVEL = 0.95
MIN_SEEDS = 3  # Of a system, to draw among them.
_BATCH = 100  # Resamples at a time; more of them leave the cache.


class Interval(NamedTuple):
    """Where a figure lies in the middle `LEVEL` of the resamples."""

    low: float
    high: float


class Comparison(NamedTuple):
    """The difference between the figures of two systems, with uncertainty."""

    difference: float
    interval: Interval  # Of the difference.
    resamples_seeds: bool  # Or test clips alone, where seeds are too few.
    p_value: float  # That there is no difference; NaN of test clips alone.
    at_chance: bool  # Whether either system is: then it is no lead.

    @property
    def is_more_than_chance(self) -> bool | None:
        """Whether it is a lead; None where clips alone are resampled."""
        if self.at_chance:
            return False
        return self.p_value < 1 - LEVEL if self.resamples_seeds else None


def resampled_scores(
    labels: npt.ArrayLike, predictions: npt.ArrayLike
) -> metrics.Scores:
    """Micro F1, precision and recall in each resample of the clips, [S, R].

    The draws depend on the number of clips alone: systems that are measured
    on the same clips share them, which pairs the systems. Labels are {0, 1} of
    shape [N, C], predictions [S, N, C], of S seeds of one system.
    """
    predictions = np.asarray(predictions, bool)
    labels = np.broadcast_to(np.asarray(labels, bool), predictions.shape)
    pairs = np.stack([labels & predictions, predictions, labels])
    counts = pairs.sum(axis=-1, dtype=np.float32)  # [3, S, N]
    num_clips = counts.shape[-1]
    generator = np.random.default_rng(0)
    sums = []
    for _ in range(0, NUM_RESAMPLES, _BATCH):
        drawn = generator.integers(num_clips, size=(_BATCH, num_clips))
        sums.append(counts[..., drawn].sum(axis=-1))
    return metrics.from_counts(*np.concatenate(sums, axis=-1))


def over_drawn_seeds(scores: metrics.Scores, system: str) -> metrics.Scores:
    """Means over seeds that are drawn anew in each resample, [S, R] -> [R].

    The draws depend on the text `system` alone, and not on other systems.
    """
    num_seeds, num_resamples = scores.f1.shape
    generator = np.random.default_rng(zlib.crc32(system.encode()))
    drawn = generator.integers(num_seeds, size=(num_seeds - 1, num_resamples))
    return metrics.Scores(
        *(np.take_along_axis(s, drawn, axis=0).mean(axis=0) for s in scores)
    )


def interval(samples: np.ndarray) -> Interval:
    """Percentile interval of a figure over resamples, of shape [R]."""
    tail = 100 * (1 - LEVEL) / 2
    return Interval(*np.percentile(samples, (tail, 100 - tail)).tolist())


def compare(
    first: float,
    second: float,
    first_samples: np.ndarray,
    second_samples: np.ndarray,
    resamples_seeds: bool,
    at_chance: bool = False,
) -> Comparison:
    """Compares figures of two systems, and those of the same resamples, [R].

    The p value is the share of resamples in which the difference is 0 or on
    the other side of it, the smaller share of the two sides, doubled for the
    two sides, at most 1. Both the resamples and those on the other side count
    one more, the test set itself, so that p is never 0. Resamples of clips
    alone have none: they do not tell systems from seeds.
    """
    differences = first_samples - second_samples
    p_value = float("nan")
    if resamples_seeds:
        # Averages over seeds may differ by rounding alone.
        signs = np.sign(np.round(differences, 12))
        opposite = min(np.sum(signs <= 0), np.sum(signs >= 0)) + 1
        p_value = min(1.0, 2 * float(opposite) / (len(signs) + 1))
    return Comparison(
        first - second,
        interval(differences),
        resamples_seeds,
        p_value,
        at_chance,
    )
