"""When and where a run localizes the classes: all that Table 3 shows.

The paper shows this in one figure (Fig. 4) and measures none of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import Event, detect_events
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.localization_asynchrony import pair_groups
from avmil.evaluation.localization_audio import normalized
from avmil.evaluation.localization_measures import (
    AudioScores,
    Bounds,
    Clips,
    Groups,
    VisualScores,
    measure_audio,
    measure_visual,
)
from avmil.evaluation.localization_visual import sightings
from avmil.evaluation.truth import TrueEvent, Truth

ALL = "all"
NUM_DRAWS = 10

_Scores = TypeVar("_Scores", AudioScores, VisualScores)


def _nothing() -> Any:
    return dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizationResult:
    """How a run localizes on the test split.

    Figures are given for `all` pairs of clip and class and for each group of
    `localization_asynchrony` that has some; mappings of what a system or a
    truth lacks are empty.

    Attributes:
        identity: System, name, seed and settings of the run.
        class_names: C names, in the order of all arrays.
        num_pairs: Group -> true pairs of clip and class, whether or not the
            features show them.
        num_val_clips: Validation clips of the truth.
        num_test_clips: Test clips of the truth.
        num_test_missing: Those without features; they count as missed.
        num_test_without_truth: Test clips that the truth does not name; they
            are left out.
        audio: Group -> scores.
        audio_pairs: The same groups -> pairs scored: those that are heard.
        audio_chance: The same of random segment scores, mean over draws.
        audio_by_class: Arrays [C], NaN for a class never heard; or None.
        event_thresholds: [C], tuned on validation; or None.
        events: Detected on test with these thresholds.
        visual: Group -> scores.
        visual_pairs: The same groups -> pairs scored: those that are seen in
            a sampled frame.
        visual_chance: The same of random region scores, mean over draws.
        visual_by_class: Average precision, [C], NaN for a class never seen;
            or None.
        bounds: Group -> what the proposals leave possible.
    """

    identity: RunIdentity
    class_names: tuple[str, ...]
    num_pairs: Mapping[str, int]
    num_val_clips: int
    num_test_clips: int
    num_test_missing: int
    num_test_without_truth: int
    audio: Mapping[str, AudioScores] = _nothing()
    audio_pairs: Mapping[str, int] = _nothing()
    audio_chance: Mapping[str, AudioScores] = _nothing()
    audio_by_class: AudioScores | None = None
    event_thresholds: np.ndarray | None = None
    events: tuple[Event, ...] = ()
    visual: Mapping[str, VisualScores] = _nothing()
    visual_pairs: Mapping[str, int] = _nothing()
    visual_chance: Mapping[str, VisualScores] = _nothing()
    visual_by_class: np.ndarray | None = None
    bounds: Mapping[str, Bounds] = _nothing()

    @property
    def system(self) -> str:
        """The system's name, as in `model.systems`."""
        return self.identity.system

    @property
    def run_name(self) -> str:
        """What tells the run from others of the system."""
        return self.identity.run_name

    @property
    def settings(self) -> str:
        """What must be the same in runs that differ in their seed."""
        return self.identity.settings


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
    val: Clips,
    test: Clips,
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
        identity: As in the result.
        normalize_segments: Whether to apply `localization_audio.normalized`.
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
    return LocalizationResult(
        identity=identity,
        class_names=test[0].class_names,
        num_pairs=num_pairs,
        num_val_clips=len(val),
        num_test_clips=len(test),
        num_test_missing=num_test_missing,
        num_test_without_truth=num_test_without_truth,
        **_measured(val, test, truth, groups, seed),
    )


def _measured(
    val: Clips, test: Clips, truth: Truth, groups: Groups, seed: int
) -> dict[str, Any]:
    """The fields of the result for what the system hears and sees."""
    hears, sees = (
        any(len(getattr(clip, field)) for clip in test)
        for field in ("segment_scores", "region_scores")
    )
    if not (hears or sees):
        raise ValueError(
            "Expected regions or segments in a test clip of the truth, "
            f"received none in {len(test)}. See failed.csv of the features."
        )
    fields: dict[str, Any] = {}
    if hears:
        fields |= _audio(val, test, truth, groups, seed)
    if sees:
        fields |= _visual(test, truth, groups, seed)
    return fields


def _groups(test: Clips, truth: Truth) -> tuple[Groups, dict[str, int]]:
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
    val: Clips, test: Clips, truth: Truth, groups: Groups, seed: int
) -> dict[str, Any]:
    measured = measure_audio(val, test, truth, groups)
    generator = np.random.default_rng(seed)
    draws = [
        measure_audio(
            _random(val, "segment_scores", generator),
            _random(test, "segment_scores", generator),
            truth,
            groups,
        ).scores
        for _ in range(NUM_DRAWS)
    ]
    events = (detect_events(clip, measured.thresholds) for clip in test)
    return {
        "audio": measured.scores,
        "audio_pairs": measured.num_pairs,
        "audio_chance": _mean(draws),
        "audio_by_class": measured.by_class,
        "event_thresholds": measured.thresholds,
        "events": tuple(itertools.chain.from_iterable(events)),
    }


def _visual(
    test: Clips, truth: Truth, groups: Groups, seed: int
) -> dict[str, Any]:
    found = [sightings(clip, truth[clip.clip_id]) for clip in test]
    if not any(found):
        return {}
    measured = measure_visual(test, found, groups)
    generator = np.random.default_rng(seed)
    draws = [
        measure_visual(
            _random(test, "region_scores", generator), found, groups
        ).scores
        for _ in range(NUM_DRAWS)
    ]
    return {
        "visual": measured.scores,
        "visual_pairs": measured.num_pairs,
        "visual_chance": _mean(draws),
        "visual_by_class": measured.by_class,
        "bounds": measured.bounds,
    }


def _random(clips: Clips, field: str, generator: np.random.Generator) -> Clips:
    """Gives all regions, or all segments, random scores."""
    shapes = [getattr(clip, field).shape for clip in clips]
    return [
        dataclasses.replace(clip, **{field: generator.random(shape)})
        for clip, shape in zip(clips, shapes, strict=True)
    ]


def _mean(draws: Sequence[Mapping[str, _Scores]]) -> dict[str, _Scores]:
    return {
        name: type(first)(*np.mean([d[name] for d in draws], axis=0).tolist())
        for name, first in draws[0].items()
    }
