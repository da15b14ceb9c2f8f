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
    num_classes = test.labels.shape[-1]
    true = [_with_background(of) for of in (val, test)]  # [N, S, C + 1]
    classes = [
        np.array([clip.scores.argmax() for clip in clips])
        for clips in (val_clips, test_clips)
    ]
    scores = [_scores(*of) for of in zip((val, test), classes, strict=True)]
    right = np.take_along_axis(true[0], classes[0][:, None, None], axis=2)
    gains = right[..., 0].astype(int) - true[0][..., -1]  # [N, S]
    threshold = _tune(gains[val.are_in_clip], scores[0][val.are_in_clip])

    everywhere = np.ones(scores[1].shape, int)  # [N, S]
    of_clip = classes[1][:, np.newaxis] * everywhere
    durations = true[1][..., :-1].sum(axis=1)  # [N, C]
    has_event = durations.any(axis=1)
    longest = np.where(has_event, durations.argmax(axis=1), num_classes)
    labels = {
        "run": np.where(scores[1] > threshold, of_clip, num_classes),
        "background": num_classes * everywhere,
        "predicted_class": of_clip,
        "true_class": longest[:, np.newaxis] * everywhere,
    }
    is_right = {
        name: np.take_along_axis(true[1], of[..., np.newaxis], axis=2)[..., 0]
        for name, of in labels.items()
    }
    scored = np.isfinite([clip.scores for clip in test_clips]).any(axis=1)
    for name in ("run", "predicted_class"):
        is_right[name] &= scored[:, np.newaxis]
    found = {
        name: {
            "seconds": Accuracies(
                _share(of[test.are_in_clip]),
                _share(of[test.are_in_clip & ~true[1][..., -1]]),
                _share(of[test.are_in_clip & true[1][..., -1]]),
            )
        }
        for name, of in is_right.items()
    }
    random = Accuracies(*[1 / (num_classes + 1)] * 3)
    run = found.pop("run")
    return Benchmark(run, found | {"random_label": {"seconds": random}})


def _with_background(seconds: Seconds) -> np.ndarray:
    """What is right in each second, background last, bool [N, S, C + 1]."""
    events = seconds.labels.all(axis=0)  # Heard and seen.
    return np.append(events, ~events.any(axis=2, keepdims=True), axis=2)


def _scores(seconds: Seconds, classes: np.ndarray) -> np.ndarray:
    """Scores of the seconds for the class of their clip, [N, S]."""
    found = [np.full(seconds.are_in_clip.shape, np.inf)]
    for scores in seconds.scores:  # [N, S, C]
        known = np.isfinite(scores)
        if known.any():
            of_clip = np.where(known, scores, 0).sum(axis=1)  # [N, C]
            norms = np.linalg.norm(of_clip, axis=1)[:, np.newaxis]
            scores = scores[np.arange(len(classes)), :, classes]  # [N, S]
            found.append(scores / np.where(norms > 0, norms, 1))
    lowest = np.min(found, axis=0)
    return np.where(np.isinf(lowest), -np.inf, lowest)  # Without any.


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
