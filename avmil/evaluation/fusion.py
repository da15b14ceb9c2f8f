"""Fusion of several scorings of the same clips: their mean probability.

Source: `recognise` of CVSSP's code for DCASE 2017 task 4 (yongxuUSTC/
dcase2017_task4_cvssp), which averages the probabilities of ten checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from avmil.evaluation.scores import ScoreSet


def fuse(members: Mapping[str, ScoreSet]) -> ScoreSet:
    """Averages probabilities.

    A clip gets the mean over the members that have scores of it, and stays
    without scores where none has.

    Args:
        members: What errors call them, to their scores of one split.

    Returns:
        Mean probabilities of the same clips and classes.

    Raises:
        ValueError: if there are none, if their clips, classes or labels
            differ, or if scores are no probabilities.
    """
    if not members:
        raise ValueError("Expected scores to fuse, received none.")
    name, first = next(iter(members.items()))
    for other_name, other in members.items():
        if differing := first.difference(other):
            raise ValueError(
                "Expected scores of the same clips and classes to fuse, "
                f"received {name} and {other_name} with {differing}."
            )
        _check_probabilities(other_name, other.scores)
    scores = np.stack([member.scores for member in members.values()])
    scores = scores.astype(np.float64)  # [S, N, C]
    known = np.isfinite(scores)
    total = np.where(known, scores, 0).sum(axis=0)
    mean = np.where(
        known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), -np.inf
    )
    return ScoreSet(first.clip_ids, first.class_names, first.labels, mean)


def _check_probabilities(name: str, scores: np.ndarray) -> None:
    finite = scores[np.isfinite(scores)]
    if ((finite < 0) | (finite > 1)).any():
        raise ValueError(
            "Expected probabilities to fuse, in [0, 1], received scores from "
            f"{finite.min():.3g} to {finite.max():.3g} of {name}."
        )
