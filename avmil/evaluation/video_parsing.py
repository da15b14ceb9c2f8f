"""Audio-visual video parsing: which seconds of a video are heard and seen.

Source: Tian, Li and Xu, "Unified multisensory perception: weakly-supervised
audio-visual video parsing", ECCV 2020, whose official scorer this equals
(AVVP-ECCV20, utils/eval_metrics.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from avmil.evaluation import metrics, thresholds
from avmil.evaluation.audio_localization import SECOND_S, time_table
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import TrueEvent, Truth

# Seconds of one video and class that follow each other.
_NEIGHBORS = np.pad(np.ones((1, 1, 3)), [(1, 1), (1, 1), (0, 0)])


class LevelScores(NamedTuple):
    """F-scores of one level, in [0, 1].

    Segments are seconds. Events are runs of seconds; one is found if a
    predicted run has an intersection over union of 0.5 or more with it.
    Each is the mean over videos of the mean over the classes that a video
    holds or is said to hold; a video without any such class counts as 1.
    """

    audio: float
    visual: float
    audio_visual: float  # Heard and seen at once.
    type_at_av: float  # Mean of the three.
    event_at_av: float  # Of what audio and visual find, counted together.


class Seconds(NamedTuple):
    """Truth and scores of the seconds of N clips, S of the longest one.

    Audio and visual on the first axis. Nothing is true, and nothing scored, of
    seconds behind the end of a clip.
    """

    are_in_clip: np.ndarray  # Bool [N, S].
    labels: np.ndarray  # What is heard and what is seen, bool [2, N, S, C].
    scores: np.ndarray  # [2, N, S, C]; -inf where the system says nothing.


def parsing_scores(
    audio: npt.ArrayLike,
    visual: npt.ArrayLike,
    true_audio: npt.ArrayLike,
    true_visual: npt.ArrayLike,
) -> dict[str, LevelScores]:
    """Compares predicted seconds with the truth: levels `segment`, `event`.

    All arguments are bool (or {0, 1}) of shape [N, C, S]: videos, classes and
    seconds.
    """
    given = audio, visual, true_audio, true_visual
    audio, visual, true_audio, true_visual = np.array(given, bool)
    pairs = (
        (audio, true_audio),
        (visual, true_visual),
        (audio & visual, true_audio & true_visual),
    )
    return {
        "segment": _level([_segment_counts(*pair) for pair in pairs]),
        "event": _level([_event_counts(*pair) for pair in pairs]),
    }


def measure(
    val: Seconds,
    test: Seconds,
    predicted_tags: npt.ArrayLike,
    true_tags: npt.ArrayLike,
) -> metrics.Benchmark:
    """Tunes thresholds of seconds on validation and parses test with them.

    In each modality a class has one threshold, which maximizes the F1 of its
    seconds on validation. A modality that the system lacks finds nothing.

    Args:
        val: Of the validation clips.
        test: Of N test clips.
        predicted_tags: Classes that the run finds in the test clips, [N, C].
        true_tags: Their labels, [N, C].

    Returns:
        Levels `segment` and `event` -> `LevelScores`; the references are these
        tags in every second.
    """
    num_classes = val.labels.shape[-1]
    passed = np.zeros(test.labels.shape, bool)  # [2, N, S, C]
    for index, scores in enumerate(val.scores):
        if np.isfinite(scores).any():
            tuned = thresholds.tune(
                val.labels[index].reshape(-1, num_classes),
                scores.reshape(-1, num_classes),
            )
            passed[index] = test.scores[index] > tuned
    true = test.labels.swapaxes(2, 3)  # [2, N, C, S]
    found = [passed.swapaxes(2, 3)]
    for tags in (predicted_tags, true_tags):
        everywhere = np.asarray(tags)[np.newaxis, ..., np.newaxis]
        found.append(np.broadcast_to(everywhere, true.shape))
    scores, predicted, labels = (parsing_scores(*of, *true) for of in found)
    references = {"predicted_tags": predicted, "true_tags": labels}
    return metrics.Benchmark(scores, references)


def seconds(clips: Sequence[ClipLocalization], truth: Truth) -> Seconds:
    """What is true and what a run says of the seconds of clips.

    A second is seen as well as the best region of its frames. The truth names
    all clips.
    """
    seen = {
        clip.clip_id: tuple(
            TrueEvent(e.class_name, e.sight.interval)
            for e in truth[clip.clip_id]
            if e.sight
        )
        for clip in clips
    }
    tables = [
        time_table(clips, truth, SECOND_S),
        time_table(list(map(_over_frames, clips)), seen, SECOND_S),
    ]
    counts = [np.bincount(t.clips, minlength=len(clips)) for t in tables]
    length = np.max(counts)
    shape = (2, len(clips), length, len(clips[0].class_names))
    labels, scores = np.zeros(shape, bool), np.full(shape, -np.inf)
    for index, (table, count) in enumerate(zip(tables, counts, strict=True)):
        place = table.clips, np.concatenate([*map(np.arange, count)])
        labels[index][place], scores[index][place] = table.labels, table.scores
    are_in_clip = np.arange(length) < np.max(counts, axis=0)[:, np.newaxis]
    return Seconds(are_in_clip, labels, scores)


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


def _level(counts: Sequence[np.ndarray]) -> LevelScores:
    """F-scores of the counts of audio, visual and both, [3, N, C] each."""
    scores = list(map(_f_score, counts))
    audio, visual, _ = counts
    return LevelScores(*scores, sum(scores) / 3, _f_score(audio + visual))


def _f_score(counts: np.ndarray) -> float:
    hits, false_alarms, misses = counts  # Of each video and class, [N, C].
    errors = false_alarms + misses
    f1 = metrics.ratio(2 * hits, 2 * hits + errors)
    num_occurring = (hits + errors > 0).sum(axis=1)  # [N]
    by_video = metrics.ratio(f1.sum(axis=1), num_occurring, undefined=1.0)
    return float(by_video.mean())


def _segment_counts(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    kinds = np.array([predicted & true, predicted & ~true, ~predicted & true])
    return kinds.sum(axis=-1)


def _event_counts(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    # Runs are numbered from 1, [N, C, S].
    predicted_runs, true_runs = (
        scipy.ndimage.label(seconds, _NEIGHBORS)[0]
        for seconds in (predicted, true)
    )
    lengths, true_lengths = (
        np.bincount(runs.ravel()) for runs in (predicted_runs, true_runs)
    )
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
    return np.array(
        [
            _begin_in(predicted_runs, found),
            _begin_in(predicted_runs, ~found),
            _begin_in(true_runs, ~is_met),
        ]
    )


def _begin_in(runs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Counts the chosen runs of each video and class, [N, C]."""
    begins = np.diff(runs, axis=-1, prepend=0) > 0
    return (begins & chosen[runs]).sum(axis=-1)
