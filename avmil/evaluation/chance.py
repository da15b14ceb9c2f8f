"""What a system gets that has seen and heard nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation import checks, metrics, thresholds


class Chance(NamedTuple):
    """Micro scores of two scorers without knowledge of the clips.

    Attributes:
        random_mean: Mean over the draws of random scores.
        random_std: Standard deviation over the draws.
        num_draws: How many draws.
        every_class: Every class predicted for every clip.
    """

    random_mean: metrics.Scores
    random_std: metrics.Scores
    num_draws: int
    every_class: metrics.Scores


def chance_scores(
    val_labels: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    fallback_argmax: bool = False,
    num_draws: int = 200,
    seed: int = 0,
) -> Chance:
    """Sends random scores through the procedure that systems go through.

    Each draw scores all clips uniformly at random, tunes thresholds on
    validation and is measured on test. Clips without features are scored too:
    chance needs none.

    Args:
        val_labels: {0, 1} of shape [V, C].
        test_labels: {0, 1} of shape [N, C].
        fallback_argmax: As for `thresholds.apply`.
        num_draws: How often to draw scores.
        seed: Seed of the draws.

    Raises:
        ValueError: if the input is malformed.
    """
    val_labels = checks.indicator_matrix(val_labels, "validation labels")
    test_labels = checks.indicator_matrix(test_labels, "test labels")
    if val_labels.shape[1] != test_labels.shape[1]:
        raise ValueError(
            "Expected labels of the same classes, received "
            f"{val_labels.shape[1]} on validation and {test_labels.shape[1]} "
            "on test."
        )
    generator = np.random.default_rng(seed)

    def draw() -> metrics.Scores:
        tuned = thresholds.tune(val_labels, generator.random(val_labels.shape))
        predictions = thresholds.apply(
            generator.random(test_labels.shape), tuned, fallback_argmax
        )
        return metrics.micro_scores(test_labels, predictions)

    drawn = np.array([draw() for _ in range(num_draws)])  # [num_draws, 3]
    return Chance(
        metrics.Scores(*drawn.mean(axis=0).tolist()),
        metrics.Scores(*drawn.std(axis=0).tolist()),
        num_draws,
        metrics.micro_scores(test_labels, np.ones_like(test_labels)),
    )
