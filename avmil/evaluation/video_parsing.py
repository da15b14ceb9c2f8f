"""Audio-visual video parsing: which seconds of a video are heard and seen.

Source: Tian, Li and Xu, "Unified multisensory perception: weakly-supervised
audio-visual video parsing", ECCV 2020, whose official scorer this equals
(AVVP-ECCV20, utils/eval_metrics.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avmil.evaluation import checks, metrics, thresholds
from avmil.evaluation.audio_localization import SECOND_S, time_table
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import TrueEvent, Truth


class LevelScores(NamedTuple):
    """F-scores of one level, segments or events, in [0, 1].

    Each is the mean over videos of the mean over the classes that a video
    holds or is said to hold; a video without any such class counts as 1.
    """

    audio: float
    visual: float
    audio_visual: float  # Heard and seen at once.
    type_at_av: float  # Mean of the three.
    event_at_av: float  # Of what audio and visual find, counted together.


class ParsingScores(NamedTuple):
    """How well videos are parsed.

    Segments are seconds. Events are runs of seconds; one is found if a
    predicted run has an intersection over union of 0.5 or more with it.
    """

    segment: LevelScores
    event: LevelScores


class Parsing(NamedTuple):
    """How well a run parses the test videos, beside two trivial references.

    Each maps `segment` and `event` to the scores of that level.
    """

    scores: Mapping[str, LevelScores]
    predicted_tags: Mapping[str, LevelScores]  # In every second.
    true_tags: Mapping[str, LevelScores]  # The labels in every second.


class _Counts(NamedTuple):
    """Of each video and class, [N, C]."""

    hits: np.ndarray
    false_alarms: np.ndarray
    misses: np.ndarray

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(*map(np.add, self, other))

    def f_score(self) -> float:
        errors = self.false_alarms + self.misses
        f1 = metrics.ratio(2 * self.hits, 2 * self.hits + errors)  # [N, C]
        occurs = self.hits + errors > 0
        by_video = metrics.ratio(
            (f1 * occurs).sum(axis=1), occurs.sum(axis=1), undefined=1.0
        )  # [N]
        return float(by_video.mean())


def parsing_scores(
    audio: npt.ArrayLike,
    visual: npt.ArrayLike,
    true_audio: npt.ArrayLike,
    true_visual: npt.ArrayLike,
) -> ParsingScores:
    """Compares predicted seconds with the truth.

    All arguments are bool (or {0, 1}) of shape [N, C, S]: videos, classes and
    seconds.

    Raises:
        ValueError: if the shapes differ, are empty, or hold other values.
    """
    names = ("audio", "visual", "true_audio", "true_visual")
    given = (audio, visual, true_audio, true_visual)
    arrays = [np.asarray(array) for array in given]
    shape = arrays[0].shape
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 3 or not array.size or array.shape != shape:
            raise ValueError(
                "Expected arrays of one shape [videos, classes, seconds], "
                f"received {name} of {array.shape} and audio of {shape}."
            )
        flat = array.reshape(-1, shape[-1])
        checks.indicator_matrix(flat, name)
    audio, visual, true_audio, true_visual = (a.astype(bool) for a in arrays)
    pairs = (
        (audio, true_audio),
        (visual, true_visual),
        (audio & visual, true_audio & true_visual),
    )
    return ParsingScores(
        _level([_segment_counts(*pair) for pair in pairs]),
        _level([_event_counts(*pair) for pair in pairs]),
    )


def measure(
    val: Sequence[ClipLocalization],
    test: Sequence[ClipLocalization],
    truth: Truth,
    predicted_tags: npt.ArrayLike,
    true_tags: npt.ArrayLike,
) -> Parsing:
    """Tunes thresholds of seconds on validation and parses test with them.

    In each modality a class has one threshold, which maximizes the F1 of its
    seconds on validation. A second is seen as well as the best region of its
    frames. A modality that the system lacks finds nothing.

    Args:
        val: Validation clips, which the truth names.
        test: N test clips, which it names as well.
        truth: When events are heard and seen.
        predicted_tags: Classes that the run finds in the test clips, [N, C].
        true_tags: Their labels, [N, C].
    """
    seen = {
        clip_id: tuple(
            TrueEvent(e.class_name, e.sight.interval) for e in events if e.sight
        )
        for clip_id, events in truth.items()
    }
    parsed = [
        _parse(val, test, truth),
        _parse(*(list(map(_over_frames, of)) for of in (val, test)), seen),
    ]
    num_seconds = max(found.shape[-1] for found, _ in parsed)
    shape = (*parsed[0][0].shape[:2], num_seconds)
    predicted, true = (
        [_filled(seconds, shape) for seconds in of]
        for of in zip(*parsed, strict=True)
    )

    found = [predicted]
    for tags in (predicted_tags, true_tags):
        everywhere = np.broadcast_to(np.asarray(tags)[..., np.newaxis], shape)
        found.append([everywhere, everywhere])
    return Parsing(*(parsing_scores(*f, *true)._asdict() for f in found))


def _over_frames(clip: ClipLocalization) -> ClipLocalization:
    """Scores the frames of a clip, by their best region, as segments."""
    frames = np.unique(clip.region_frames)
    scores = np.full((len(clip.frame_times_s), len(clip.class_names)), -np.inf)
    np.maximum.at(scores, clip.region_frames, clip.region_scores)
    edges_s = clip.frame_edges_s
    times_s = np.stack([edges_s[:-1], edges_s[1:]], axis=1)  # [F, 2]
    return dataclasses.replace(
        clip, segment_times_s=times_s[frames], segment_scores=scores[frames]
    )


def _parse(
    val: Sequence[ClipLocalization],
    test: Sequence[ClipLocalization],
    truth: Truth,
) -> tuple[np.ndarray, np.ndarray]:
    """Found and true seconds of the test clips, bool [N, C, S]."""
    tables = [time_table(clips, truth, SECOND_S) for clips in (val, test)]
    class_thresholds = np.full(len(test[0].class_names), np.inf)
    if any(len(clip.segment_scores) for clip in val):
        class_thresholds = thresholds.tune(tables[0].labels, tables[0].scores)
    table = tables[1]
    counts = np.bincount(table.clips, minlength=len(test))
    seconds = np.concatenate(list(map(np.arange, counts)))
    found = np.zeros((2, len(test), counts.max(), len(class_thresholds)), bool)
    found[:, table.clips, seconds] = (
        table.scores > class_thresholds,
        table.labels,
    )
    return tuple(found.swapaxes(2, 3))


def _filled(seconds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Adds seconds in which nothing is, to the shape [N, C, S]."""
    missing = shape[-1] - seconds.shape[-1]
    return np.pad(seconds, [(0, 0), (0, 0), (0, missing)])


def _level(counts: list[_Counts]) -> LevelScores:
    by_modality = [one.f_score() for one in counts]
    audio, visual, _ = counts
    mean = sum(by_modality) / len(by_modality)
    return LevelScores(*by_modality, mean, (audio + visual).f_score())


def _segment_counts(predicted: np.ndarray, true: np.ndarray) -> _Counts:
    return _Counts(
        (predicted & true).sum(axis=-1),
        (predicted & ~true).sum(axis=-1),
        (~predicted & true).sum(axis=-1),
    )


def _event_counts(predicted: np.ndarray, true: np.ndarray) -> _Counts:
    predicted_runs, true_runs = _runs(predicted), _runs(true)  # [N, C, S]
    lengths, true_lengths = map(_lengths, (predicted_runs, true_runs))
    # Which runs share seconds, and how many.
    (run, true_run), shared = np.unique(
        np.stack([predicted_runs, true_runs])[:, predicted & true],
        axis=1,
        return_counts=True,
    )
    union = lengths[run] + true_lengths[true_run] - shared
    meets = 2 * shared >= union
    found = np.isin(np.arange(len(lengths)), run[meets])
    is_met = np.isin(np.arange(len(true_lengths)), true_run[meets])
    return _Counts(
        _begin_in(predicted_runs, found),
        _begin_in(predicted_runs, ~found),
        _begin_in(true_runs, ~is_met),
    )


def _runs(seconds: np.ndarray) -> np.ndarray:
    """Numbers the runs of each row from 1, 0 between them, int [N, C, S]."""
    begins = seconds & ~_shifted(seconds)
    return np.cumsum(begins).reshape(seconds.shape) * seconds


def _lengths(runs: np.ndarray) -> np.ndarray:
    """Seconds of each run, behind those of no run."""
    return np.bincount(runs.ravel())


def _begin_in(runs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """How many of the chosen runs a video and class has, [N, C]."""
    begins = (runs > 0) & (_shifted(runs) == 0)
    return (begins & chosen[runs]).sum(axis=-1)


def _shifted(array: np.ndarray) -> np.ndarray:
    """The value one second earlier; 0 before the first."""
    return np.pad(array[..., :-1], [(0, 0), (0, 0), (1, 0)])
