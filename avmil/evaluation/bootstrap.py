"""What chance in the choice of test clips does to a figure, by bootstrap.

Test clips are drawn with replacement, counts are pooled anew over the drawn
ones, and F1, precision and recall follow. Thresholds stay as they were tuned,
and the seeds of a system are averaged in each resample: the intervals speak of
the sampling of test clips, not of that of seeds.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13
(percentile intervals). `scipy.stats.bootstrap` defines the same intervals, but
draws for each call anew. Here one set of draws serves all systems, which
pairs them, and pooled counts become one matrix product.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation import metrics

NUM_RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """Where a figure lies in the middle `LEVEL` of the resamples."""

    low: float
    high: float


class Comparison(NamedTuple):
    """A figure of one system against that of another.

    Attributes:
        difference: The first's figure less the second's.
        interval: Of the difference, over the same resamples for both.
        p_value: Two-sided, that there is no difference; see `compare`.
    """

    difference: float
    interval: Interval
    p_value: float

    @property
    def is_more_than_chance(self) -> bool:
        """Whether a difference this large is rare among resamples."""
        return self.p_value < 1 - LEVEL


@functools.lru_cache(maxsize=1)
def resample(
    num_clips: int, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Draws as many clips as there are, with replacement, many times.

    Args:
        num_clips: N.
        num_resamples: R, how often.
        seed: Seed of the draws.

    Returns:
        How often each clip is drawn, float32 [R, N], read-only; rows sum to N.
    """
    generator = np.random.default_rng(seed)
    even = np.full(num_clips, 1 / num_clips)
    draws = generator.multinomial(num_clips, even, num_resamples)
    # A type that BLAS multiplies; whole numbers up to 2^24 stay exact.
    draws = draws.astype(np.float32)
    draws.flags.writeable = False  # Shared by all callers.
    return draws


def resampled_scores(
    draws: np.ndarray, labels: npt.ArrayLike, predictions: npt.ArrayLike
) -> metrics.Scores:
    """Micro F1, precision and recall in each resample.

    Args:
        draws: How often each clip is drawn, [R, N].
        labels: {0, 1} of shape [N, C].
        predictions: {0, 1} of shape [S, N, C], of S seeds of one system.

    Returns:
        Means over the seeds, arrays [R]; 0 where a denominator is 0.
    """
    labels = np.asarray(labels, bool)
    predictions = np.asarray(predictions, bool)
    hits, predicted, positive = (
        (draws @ pairs.sum(axis=-1, dtype=np.float32).T).astype(np.float64)
        for pairs in (
            predictions & labels,
            predictions,
            np.broadcast_to(labels, predictions.shape),
        )
    )  # [R, S] each
    return metrics.Scores(
        f1=_ratio(2 * hits, predicted + positive).mean(axis=1),
        precision=_ratio(hits, predicted).mean(axis=1),
        recall=_ratio(hits, positive).mean(axis=1),
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
) -> Comparison:
    """Compares two systems on the same resamples.

    The p value is the share of resamples in which the difference is 0 or on
    the other side of it, the smaller share of the two sides, doubled for the
    two sides, at most 1. Both the resamples and those on the other side count
    one more, the test set itself, so that p is never 0.

    Args:
        first: A figure of the first system, on the test set itself.
        second: The same figure of the second system.
        first_samples: The first's figure in each resample, [R].
        second_samples: The second's in the same resamples, [R].
    """
    differences = first_samples - second_samples
    # Averages over seeds may differ by rounding alone.
    signs = np.sign(np.round(differences, 12))
    opposite = min(np.sum(signs <= 0), np.sum(signs >= 0)) + 1
    p_value = min(1.0, 2 * float(opposite) / (len(signs) + 1))
    return Comparison(first - second, interval(differences), p_value)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator,
        denominator,
        out=np.zeros_like(numerator),
        where=denominator > 0,
    )
