"""Audio-visual events: the class of each second, or that it is background.

Source: Tian, Shi, Li, Duan and Xu, "Audio-visual event localization in
unconstrained videos", ECCV 2018 (AVE-ECCV18, weak_supervised_main.py): the
accuracy over all seconds of the test videos, of which each has one label, one
of the classes or background. An event is heard and seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.metrics import Benchmark
from avmil.evaluation.video_parsing import Seconds


class Accuracies(NamedTuple):
    """Shares of seconds whose label is right; NaN without any such second."""

    all: float
    events: float  # Of seconds in which an event is heard and seen.
    background: float  # Of the others.


def measure(
    val: Seconds,
    test: Seconds,
    val_clips: Sequence[ClipLocalization],
    test_clips: Sequence[ClipLocalization],
) -> Benchmark:
    """Labels each second of the test clips.

    A clip has events of one class, that of its best score. Seconds whose score
    for it exceeds a threshold are the event and the others background; the
    threshold maximizes the accuracy on validation. As an event is heard and
    seen at once, the lower score of the two modalities counts, each divided by
    the l2 norm of the clip's scores in it, or that of the only one that the
    system has.

    Where several events are heard and seen in a second, each is right. A clip
    without features is wrong in all seconds.

    Returns:
        `seconds` -> `Accuracies`. The references are background in all seconds;
        the run's class and the true one (of the longest event) in all seconds
        of a clip; and a random label.
    """
    true, best, scores = _of_seconds(val, val_clips)
    right = np.take_along_axis(true, best[..., np.newaxis], axis=2)[..., 0]
    gains = right.astype(int) - true[..., -1]  # [N, S]
    threshold = _tune(gains[val.are_in_clip], scores[val.are_in_clip])

    true, best, scores = _of_seconds(test, test_clips)
    background = true.shape[2] - 1
    is_background = true[..., background]
    kinds = [True, ~is_background, is_background]
    scored = np.isfinite([clip.scores for clip in test_clips])
    scored = scored.any(axis=1, keepdims=True)  # Clips with features, [N, 1].

    def shares(labels: npt.ArrayLike, counted: npt.ArrayLike = True) -> dict:
        labels = np.broadcast_to(labels, scores.shape)[..., np.newaxis]
        is_right = np.take_along_axis(true, labels, axis=2)[..., 0] & counted
        found = (is_right[test.are_in_clip & kind] for kind in kinds)
        return {"seconds": Accuracies(*map(_share, found))}

    durations = true[..., :background].sum(axis=1)  # [N, C]
    longest = np.where(
        durations.any(axis=1), durations.argmax(axis=1), background
    )
    random = 1 / true.shape[2]
    return Benchmark(
        shares(np.where(scores > threshold, best, background), scored),
        {
            "background": shares(background),
            "predicted_class": shares(best, scored),
            "true_class": shares(longest[:, np.newaxis]),
            "random_label": {"seconds": Accuracies(random, random, random)},
        },
    )


def _of_seconds(
    seconds: Seconds, clips: Sequence[ClipLocalization]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is true, the best class of the clip, and scores for that class.

    Bool [N, S, C + 1] with background last, int [N, S] and float [N, S].
    """
    events = seconds.labels.all(axis=0)  # Heard and seen.
    true = np.append(events, ~events.any(axis=2, keepdims=True), axis=2)
    classes = np.array([clip.scores.argmax() for clip in clips])
    lowest = np.full(seconds.are_in_clip.shape, np.inf)
    for scores in seconds.scores:  # [N, S, C]
        known = np.isfinite(scores)
        if known.any():
            of_clip = np.where(known, scores, 0).sum(axis=1)  # [N, C]
            norms = np.linalg.norm(of_clip, axis=1)[:, np.newaxis]
            scores = scores[np.arange(len(classes)), :, classes]  # [N, S]
            scores = scores / np.where(norms > 0, norms, 1)
            lowest = np.minimum(lowest, scores)
    lowest[np.isinf(lowest)] = -np.inf  # Without any.
    best = np.repeat(classes[:, np.newaxis], lowest.shape[1], axis=1)
    return true, best, lowest


def _tune(gains: np.ndarray, scores: np.ndarray) -> float:
    """The threshold, to be exceeded, whose seconds gain most, {-1, 0, 1}.

    Midpoint of two scores, or the highest score; the highest of several.
    """
    values, places = np.unique([-np.inf, *scores], return_inverse=True)
    sums = np.bincount(places, weights=[0, *gains])
    gained = sums.sum() - np.cumsum(sums)  # Above each value.
    middles = (values + np.append(values[1:], values[-1])) / 2
    return float(middles[::-1][gained[::-1].argmax()])


def _share(is_right: np.ndarray) -> float:
    return float(is_right.mean()) if is_right.size else float("nan")
