"""When and where a run localizes the classes: all that Table 3 shows.

The paper shows this in one figure (Fig. 4) and measures none of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from avmil.evaluation import audio_localization, visual_localization
from avmil.evaluation.asynchrony import pair_groups
from avmil.evaluation.audio_localization import Audio, AudioScores
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import Event, detect_events, normalized
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.truth import TrueEvent, Truth
from avmil.evaluation.visual_localization import Visual, VisualScores, sightings

ALL = "all"
NUM_DRAWS = 10

_Scores = TypeVar("_Scores", AudioScores, VisualScores)
_Clips = Sequence[ClipLocalization]


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizationResult:
    """How a run localizes on the test split.

    Attributes:
        identity: The run.
        class_names: C names, in the order of all arrays.
        num_pairs: Group -> true pairs of clip and class, whether or not the
            features show them: of `all`, and of each group by asynchrony
            where the truth knows of sight.
        num_val_clips: Validation clips of the truth.
        num_test_clips: Test clips of the truth.
        num_test_missing: Those without features; they count as missed.
        num_test_without_truth: Test clips that the truth does not name; they
            are left out.
        audio: Scores of when classes are heard; None of a system without
            audio or a truth without sounds.
        visual: Scores of where classes are seen; None of a system without
            regions or a truth without boxes.
        event_thresholds: [C], tuned on validation; None without audio.
        events: Detected on test with these thresholds.
    """

    identity: RunIdentity
    class_names: tuple[str, ...]
    num_pairs: Mapping[str, int]
    num_val_clips: int
    num_test_clips: int
    num_test_missing: int
    num_test_without_truth: int
    audio: Audio | None = None
    visual: Visual | None = None
    event_thresholds: np.ndarray | None = None
    events: tuple[Event, ...] = ()


def missing_clip(
    clip_id: str,
    events: Sequence[TrueEvent],
    class_names: tuple[str, ...],
    frame_rate_hz: float,
) -> ClipLocalization:
    """A clip without features, in which a system finds nothing.

    Args:
        clip_id: Its name.
        events: Its true events, all of which are missed.
        class_names: C classes.
        frame_rate_hz: Rate of the frames that would have been sampled.
    """
    sounds = [event.sound for event in events if event.sound]
    sights = [event.sight.interval for event in events if event.sight]
    duration_s = max((part.end_s for part in sounds + sights), default=0.0)
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
    identity: RunIdentity,
    normalize_segments: bool,
    num_test_missing: int = 0,
    num_test_without_truth: int = 0,
    seed: int = 0,
) -> LocalizationResult:
    """Tunes event thresholds on validation and measures on test.

    Args:
        val: Validation clips of the truth, localized or missing.
        test: Test clips of the truth.
        truth: Events of all of them.
        identity: The run.
        normalize_segments: Whether to apply `events.normalized`.
        num_test_missing: As in the result.
        num_test_without_truth: As in the result.
        seed: Seed of the random scores behind the chance levels.

    Raises:
        ValueError: if no validation clip is scored, no test clip has features,
            or no event of the test clips has a time.
    """
    groups, num_pairs = _groups(test, truth)
    if normalize_segments:
        val, test = (tuple(map(normalized, part)) for part in (val, test))
    has_audio = any(len(clip.segment_scores) for clip in test)
    has_visual = any(len(clip.region_scores) for clip in test)
    if not (has_audio or has_visual):
        raise ValueError(
            "Expected regions or segments in a test clip of the truth, "
            f"received none in {len(test)}. See failed.csv of the features."
        )
    audio = visual = event_thresholds = None
    events: list[Event] = []
    if has_audio:
        audio = _audio(val, test, truth, groups, seed)
        event_thresholds = audio.thresholds
        for clip in test:
            events += detect_events(clip, event_thresholds)
    if has_visual:
        visual = _visual(test, truth, groups, seed)
    return LocalizationResult(
        identity=identity,
        class_names=test[0].class_names,
        num_pairs=num_pairs,
        num_val_clips=len(val),
        num_test_clips=len(test),
        num_test_missing=num_test_missing,
        num_test_without_truth=num_test_without_truth,
        audio=audio if audio and audio.scores else None,
        visual=visual,
        event_thresholds=event_thresholds,
        events=tuple(events),
    )


def _groups(
    test: _Clips, truth: Truth
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """All pairs and, where the truth knows of sight, those by asynchrony."""
    class_names = test[0].class_names
    groups = pair_groups([c.clip_id for c in test], truth, class_names)
    num_pairs = {name: int(pairs.sum()) for name, pairs in groups.items()}
    total = {ALL: sum(num_pairs.values())}
    if not total[ALL]:
        raise ValueError(
            "Expected events with times in the test clips of the truth, "
            f"received none in {len(test)}."
        )
    everything = {ALL: np.ones((len(test), len(class_names)), bool)}
    events = itertools.chain.from_iterable(truth[c.clip_id] for c in test)
    if not any(event.sight for event in events):
        return everything, total
    return everything | groups, total | num_pairs


def _audio(
    val: _Clips,
    test: _Clips,
    truth: Truth,
    groups: Mapping[str, np.ndarray],
    seed: int,
) -> Audio:
    """Scores of the segments, and of random ones."""
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(NUM_DRAWS):
        random_val = _random(val, "segment_scores", generator)
        random_test = _random(test, "segment_scores", generator)
        drawn = audio_localization.measure(
            random_val, random_test, truth, groups
        )
        draws.append(drawn.scores)
    measured = audio_localization.measure(val, test, truth, groups)
    return measured._replace(chance=_mean(draws))


def _visual(
    test: _Clips,
    truth: Truth,
    groups: Mapping[str, np.ndarray],
    seed: int,
) -> Visual | None:
    """Scores of the regions, and of random ones; None without true boxes."""
    found = [sightings(clip, truth[clip.clip_id]) for clip in test]
    if not any(found):
        return None
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(NUM_DRAWS):
        random_test = _random(test, "region_scores", generator)
        drawn = visual_localization.measure(random_test, found, groups)
        draws.append(drawn.scores)
    measured = visual_localization.measure(test, found, groups)
    return measured._replace(chance=_mean(draws))


def _random(
    clips: _Clips, field: str, generator: np.random.Generator
) -> list[ClipLocalization]:
    """Gives all regions, or all segments, random scores."""
    return [
        dataclasses.replace(
            clip, **{field: generator.random(getattr(clip, field).shape)}
        )
        for clip in clips
    ]


def _mean(draws: Sequence[Mapping[str, _Scores]]) -> dict[str, _Scores]:
    return {
        name: type(first)(*np.mean([d[name] for d in draws], axis=0).tolist())
        for name, first in draws[0].items()
    }
