"""Scores of where and when classes are localized, of groups of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avmil.evaluation import localization_audio, localization_visual, thresholds
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import Truth

Clips = Sequence[ClipLocalization]
# Name -> pairs of clip and class, bool [N, C].
Groups = Mapping[str, np.ndarray]


class AudioScores(NamedTuple):
    """When a class is heard, as fractions: floats, or arrays [C].

    Attributes:
        f1: Segment-based, seconds of all clips and classes pooled.
        error_rate: The same; it may exceed 1.
        average_precision: Of frames of 0.1 s, mean over classes.
    """

    f1: float | np.ndarray
    error_rate: float | np.ndarray
    average_precision: float | np.ndarray


class VisualScores(NamedTuple):
    """Where a class is seen, as fractions.

    Attributes:
        corloc: Share of pairs of clip and class whose best region, of the
            frames in which the class is visible, has an IoU of 0.5 or more
            with a true box.
        clip_corloc: The same of the best region of all frames: it must also
            lie in a frame in which the class is visible.
        pointing: Share of pairs in which the center of the region of `corloc`
            lies in a true box.
        average_precision: Of detections at an IoU of 0.5, mean over classes.
    """

    corloc: float
    clip_corloc: float
    pointing: float
    average_precision: float


class Bounds(NamedTuple):
    """What the proposals leave possible, as fractions.

    Attributes:
        corloc: Share of pairs in which any region meets a true box; bounds
            both kinds of CorLoc.
        recall: Share of true boxes that any region meets, mean over classes;
            bounds average precision.
    """

    corloc: float
    recall: float


class Audio(NamedTuple):
    """What `measure_audio` finds.

    Attributes:
        scores: Group in which something is heard -> floats.
        num_pairs: The same groups -> their pairs that are heard.
        by_class: Over all pairs, arrays [C]; NaN for a class never heard.
        thresholds: [C], to be exceeded.
    """

    scores: dict[str, AudioScores]
    num_pairs: dict[str, int]
    by_class: AudioScores
    thresholds: np.ndarray


class Visual(NamedTuple):
    """What `measure_visual` finds.

    Attributes:
        scores: Group in which something is seen -> floats.
        num_pairs: The same groups -> their pairs that are seen in a sampled
            frame.
        by_class: Average precision over all pairs, [C]; NaN for a class never
            seen.
        bounds: The same groups -> what is possible.
    """

    scores: dict[str, VisualScores]
    num_pairs: dict[str, int]
    by_class: np.ndarray
    bounds: dict[str, Bounds]


def measure_audio(
    val: Clips, test: Clips, truth: Truth, groups: Groups
) -> Audio:
    """Tunes thresholds on validation and measures with them on test.

    Args:
        val: Clips to tune on.
        test: Clips to measure on.
        truth: Events of both.
        groups: Group -> pairs of test clip and class, bool [N, C]. Truth and
            detections of other pairs are left out, so that a group says how
            well a class is placed in time in clips that are known to hold it.

    Raises:
        ValueError: if no validation clip is scored.
    """
    seconds_of_val, seconds, frames = (
        localization_audio.time_table(clips, truth, resolution_s)
        for clips, resolution_s in (
            (val, localization_audio.SECOND_S),
            (test, localization_audio.SECOND_S),
            (test, localization_audio.FRAME_S),
        )
    )
    tuned = thresholds.tune(seconds_of_val.labels, seconds_of_val.scores)
    scores, num_pairs = {}, {}
    for name, pairs in groups.items():
        inside = seconds.within(pairs)
        if inside.labels.any():
            pooled, _ = localization_audio.segment_scores(inside, tuned)
            precision = localization_audio.average_precision(
                frames.within(pairs)
            )
            scores[name] = AudioScores(*pooled, float(np.nanmean(precision)))
            num_pairs[name] = inside.num_pairs
    _, by_class = localization_audio.segment_scores(seconds, tuned)
    precision = localization_audio.average_precision(frames)
    return Audio(scores, num_pairs, AudioScores(*by_class, precision), tuned)


def measure_visual(
    clips: Clips,
    found: Sequence[Sequence[localization_visual.Sighting]],
    groups: Groups,
) -> Visual:
    """Measures where classes are seen.

    Args:
        clips: Clips to measure on.
        found: Their sightings.
        groups: Group -> pairs of clip and class, bool [N, C].
    """
    outcomes = localization_visual.outcomes(clips, found)
    detections = localization_visual.detections(clips, found)
    scores, num_pairs, bounds = {}, {}, {}
    for name, pairs in groups.items():
        seen, detected = outcomes.within(pairs), detections.within(pairs)
        if not len(seen.clips):
            continue
        precision = localization_visual.average_precision(detected)
        scores[name] = VisualScores(
            float(seen.corloc.mean()),
            float(seen.clip_corloc.mean()),
            float(seen.pointing.mean()),
            float(np.nanmean(precision)),
        )
        num_pairs[name] = len(seen.clips)
        bounds[name] = Bounds(
            float(seen.reachable.mean()),
            _reachable_recall(detected),
        )
    by_class = localization_visual.average_precision(detections)
    return Visual(scores, num_pairs, by_class, bounds)


def _reachable_recall(detected: localization_visual.Detections) -> float:
    num_boxes = detected.num_boxes.sum(axis=0)  # [C]
    num_reached = detected.num_reached.sum(axis=0)
    shown = num_boxes > 0
    return float(np.mean(num_reached[shown] / num_boxes[shown]))
