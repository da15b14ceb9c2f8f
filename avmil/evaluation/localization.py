"""When and where a run localizes the classes: all that Table 3 shows.

The paper shows this in one figure (Fig. 4) and measures none of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from avmil.evaluation import audio_localization, visual_localization
from avmil.evaluation.audio_localization import SECOND_S, AudioScores
from avmil.evaluation.clip_localization import (
    ClipLocalization,
    Event,
    detect_events,
)
from avmil.evaluation.metrics import Benchmark
from avmil.evaluation.truth import TrueEvent, Truth, pair_groups
from avmil.evaluation.visual_localization import sightings

ALL = "all"
NUM_DRAWS = 10

_Clips = Sequence[ClipLocalization]


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizationResult:
    """How a run localizes on the test split.

    Numbers of clips are of those that the truth names. Parts are None of a
    system without audio (regions) or of a truth without sounds (boxes).
    """

    # Group -> true pairs of clip and class, whether or not the features show
    # them; groups by asynchrony only where the truth knows of sight.
    num_pairs: Mapping[str, int]
    num_val_clips: int
    num_test_clips: int
    num_test_missing: int  # Without features; they count as missed.
    audio: Benchmark | None = None
    visual: Benchmark | None = None
    event_thresholds: np.ndarray | None = None  # [C], tuned on validation.
    # Of all pairs, by thresholds that the labels of validation alone gave.
    audio_by_labels: AudioScores | None = None
    # Where the truth knows sound and sight: `video_parsing`, `av_events` and
    # `modalities`.
    parsing: Benchmark | None = None
    av_events: Benchmark | None = None
    modalities: Benchmark | None = None
    events: tuple[Event, ...] = ()  # Detected on test with them.


def missing_clip(
    clip_id: str,
    events: Sequence[TrueEvent],
    class_names: tuple[str, ...],
    frame_rate_hz: float,
) -> ClipLocalization:
    """A clip without features, in which a system misses all true events.

    `frame_rate_hz` is that of the frames that would have been sampled.
    """
    ends_s = [event.sound.end_s for event in events if event.sound]
    ends_s += [event.sight.interval.end_s for event in events if event.sight]
    duration_s = max(ends_s, default=0.0)
    num_frames = math.ceil(duration_s * frame_rate_hz)
    return ClipLocalization(
        clip_id=clip_id,
        class_names=class_names,
        scores=np.full(len(class_names), -np.inf),
        duration_s=duration_s,
        frame_size_px=(0, 0),
        frame_times_s=(np.arange(num_frames) + 0.5) / frame_rate_hz,
        boxes=np.zeros((0, 4)),
        region_times_s=np.zeros(0),
        region_scores=np.zeros((0, len(class_names))),
        segment_times_s=np.zeros((0, 2)),
        segment_scores=np.zeros((0, len(class_names))),
    )


def evaluate(
    val: _Clips,
    test: _Clips,
    truth: Truth,
    *,
    label_thresholds: np.ndarray | None = None,
) -> LocalizationResult:
    """Tunes event thresholds on validation and measures on test.

    The truth names all clips, which are localized or `missing_clip`s.
    `label_thresholds`, [C], of events are measured beside.

    Raises:
        ValueError: if no validation clip is scored, no test clip has features,
            or no event of the test clips has a time.
    """
    class_names = test[0].class_names
    groups = pair_groups([clip.clip_id for clip in test], truth, class_names)
    num_pairs = {name: int(pairs.sum()) for name, pairs in groups.items()}
    num_pairs = {ALL: sum(num_pairs.values())} | num_pairs
    if not num_pairs[ALL]:
        raise ValueError(
            "Expected events with times in the test clips of the truth, "
            f"received none in {len(test)}."
        )
    groups = {ALL: np.ones((len(test), len(class_names)), bool)} | groups
    if not any(e.sight for clip in test for e in truth[clip.clip_id]):
        groups, num_pairs = ({ALL: of[ALL]} for of in (groups, num_pairs))
    has_audio = any(len(clip.segment_scores) for clip in test)
    has_visual = any(len(clip.region_scores) for clip in test)
    if not (has_audio or has_visual):
        raise ValueError(
            "Expected regions or segments in a test clip of the truth, "
            f"received none in {len(test)}. See failed.csv of the features."
        )
    audio = visual = event_thresholds = by_labels = None
    events: list[Event] = []
    if has_audio:
        audio = _with_chance(
            lambda *splits: audio_localization.measure(*splits, truth, groups),
            (val, test),
            "segment_scores",
        )
        if audio.scores and label_thresholds is not None:
            by_labels = _by_labels(audio, test, truth, label_thresholds)
        event_thresholds = audio.by_class["event_threshold"]
        for clip in test:
            events += detect_events(clip, event_thresholds)
    found = [sightings(clip, truth[clip.clip_id]) for clip in test]
    if has_visual and any(found):
        visual = _with_chance(
            lambda clips: visual_localization.measure(clips, found, groups),
            (test,),
            "region_scores",
        )
    return LocalizationResult(
        num_pairs=num_pairs,
        num_val_clips=len(val),
        num_test_clips=len(test),
        num_test_missing=sum(np.isneginf(clip.scores).all() for clip in test),
        audio=audio if audio and audio.scores else None,
        visual=visual,
        event_thresholds=event_thresholds,
        audio_by_labels=by_labels,
        events=tuple(events),
    )


def _by_labels(
    audio: Benchmark, test: _Clips, truth: Truth, class_thresholds: np.ndarray
) -> AudioScores:
    """Scores with other thresholds, which average precision does not need."""
    seconds = audio_localization.time_table(test, truth, SECOND_S)
    pooled, _ = audio_localization.segment_scores(seconds, class_thresholds)
    return AudioScores(*pooled, audio.scores[ALL].average_precision)


def _with_chance(
    measure: Callable[..., Benchmark], splits: Sequence[_Clips], field: str
) -> Benchmark:
    """Measures some splits, and as chance the mean of random scores."""
    generator = np.random.default_rng(0)

    def randomized(clip: ClipLocalization) -> ClipLocalization:
        scores = generator.random(getattr(clip, field).shape)
        return dataclasses.replace(clip, **{field: scores})

    draws = [
        measure(*(list(map(randomized, clips)) for clips in splits)).scores
        for _ in range(NUM_DRAWS)
    ]
    chance = {
        name: type(first)(*np.mean([d[name] for d in draws], axis=0).tolist())
        for name, first in draws[0].items()
    }
    measured = measure(*splits)
    references = {"chance": chance} | measured.references
    return measured._replace(references=references)
