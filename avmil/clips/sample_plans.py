"""What each sample clip shows and sounds, drawn before it is made.

A clip's plan comes from a random stream of its own, settled by the seed, the
split and the clip's number alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from avmil.clips.manifest import SPLITS
from avmil.clips.sample_events import ClipPlan, Event, Sight, Sound
from avmil.clips.sample_pictures import (
    CLASS_PICTURES,
    DISTRACTOR_PICTURES,
    Picture,
)
from avmil.clips.sample_sounds import DISTRACTOR_SOUNDS

CLASS_NAMES = tuple(sorted(CLASS_PICTURES))

_TWO_CLASSES_SHARE = 0.3
_ONLY_HEARD_SHARE = 0.15
_ONLY_SEEN_SHARE = 0.15
_DISTRACTOR_SHARE = 0.6
_AUDIO_RATES_HZ = (16000, 22050, 44100)
_SIGHT_ATTEMPTS = 8
_MARGIN_PX = 2.0
_SEED_LIMIT = 2**31


@dataclasses.dataclass(frozen=True)
class SampleClipsConfig:
    """How many sample clips there are, and of what kind.

    Attributes:
        num_train: Clips to train on.
        num_val: Clips to choose thresholds on.
        num_test: Clips to test on.
        width_px: Width of the frames, even.
        height_px: Height of the frames, even.
        rate_hz: Video frames a second, a whole number.
        duration_s: Length of a clip.
        seed: Settles everything.

    Raises:
        ValueError: if a value cannot be.
    """

    num_train: int = 120
    num_val: int = 36
    num_test: int = 48
    width_px: int = 320
    height_px: int = 240
    rate_hz: int = 10
    duration_s: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        counts = self.num_clips.values()
        _expect(min(counts) >= 0 and any(counts), "clips", self.num_clips)
        size = (self.width_px, self.height_px)
        shape = 1.2 * self.height_px <= self.width_px <= 3 * self.height_px
        _expect(
            min(size) >= 96 and shape and not any(n % 2 for n in size),
            "even width_px and height_px of 96 or more, 1.2:1 to 3:1",
            size,
        )
        _expect(self.rate_hz >= 5, "rate_hz of 5 or more", self.rate_hz)
        _expect(
            self.duration_s >= 4, "duration_s of 4 or more", self.duration_s
        )
        _expect(self.seed >= 0, "a seed of 0 or more", self.seed)

    @property
    def num_clips(self) -> dict[str, int]:
        """Number of clips in each split."""
        counts = (self.num_train, self.num_val, self.num_test)
        return dict(zip(SPLITS, counts, strict=True))


def plan_clips(config: SampleClipsConfig) -> list[ClipPlan]:
    """Plans all clips, split after split."""
    return [
        plan_clip(config, split, number)
        for split, num_clips in config.num_clips.items()
        for number in range(num_clips)
    ]


def plan_clip(config: SampleClipsConfig, split: str, number: int) -> ClipPlan:
    """Plans one clip.

    Every class leads in equally many clips of a split: they take turns.
    """
    rng = np.random.default_rng((config.seed, SPLITS.index(split), number))
    planner = _Planner(config, rng)
    leading = CLASS_NAMES[number % len(CLASS_NAMES)]
    names = [leading]
    if rng.random() < _TWO_CLASSES_SHARE:
        others = [name for name in CLASS_NAMES if name != leading]
        names.append(others[rng.integers(len(others))])
    return ClipPlan(
        clip_id=f"{split}{number:04d}",
        split=split,
        events=tuple(planner.event(name) for name in names),
        distractors=tuple(planner.distractors()),
        audio_rate_hz=int(rng.choice(_AUDIO_RATES_HZ)),
        num_channels=int(rng.integers(1, 3)),
        seed=int(rng.integers(_SEED_LIMIT)),
    )


class _Planner:
    """Draws the events of one clip."""

    def __init__(
        self, config: SampleClipsConfig, rng: np.random.Generator
    ) -> None:
        self._config, self._rng = config, rng
        self._sights: list[Sight] = []

    def event(self, name: str) -> Event:
        """Draws an event of a class: its sight and sound do not depend."""
        chance = self._rng.random()
        heard = chance >= _ONLY_SEEN_SHARE
        seen = chance < 1.0 - _ONLY_HEARD_SHARE
        sight = self._free_sight(CLASS_PICTURES[name]) if seen else None
        sound = self._sound((1.5, 5.0), (6.0, 20.0)) if heard else None
        return Event(name, sight, sound, self._seed())

    def distractors(self) -> list[Event]:
        """Draws what belongs to no class: at most one sight and one sound."""
        events = []
        if self._rng.random() < _DISTRACTOR_SHARE:
            name = self._rng.choice(sorted(DISTRACTOR_PICTURES))
            sight = self._free_sight(DISTRACTOR_PICTURES[name])
            events.append(Event(str(name), sight, None, self._seed()))
        if self._rng.random() < _DISTRACTOR_SHARE:
            name = self._rng.choice(sorted(DISTRACTOR_SOUNDS))
            sound = self._sound((0.3, 1.2), (3.0, 12.0))
            events.append(Event(str(name), None, sound, self._seed()))
        return events

    def _seed(self) -> int:
        return int(self._rng.integers(_SEED_LIMIT))

    def _sound(
        self, duration_s: tuple[float, float], snr_db: tuple[float, float]
    ) -> Sound:
        start_s, end_s = self._interval(duration_s)
        return Sound(
            onset_s=round(start_s, 4),
            offset_s=round(end_s, 4),
            snr_db=round(self._rng.uniform(*snr_db), 2),
            pan=self._rng.uniform(0.2, 0.8),
        )

    def _interval(self, duration_s: tuple[float, float]) -> tuple[float, float]:
        least_s, greatest_s = duration_s
        clip_s = self._config.duration_s
        length_s = self._rng.uniform(least_s, min(greatest_s, 0.8 * clip_s))
        start_s = self._rng.uniform(0.0, clip_s - length_s)
        return start_s, start_s + length_s

    def _free_sight(self, picture: Picture) -> Sight:
        """Draws a sight that hides little of those before."""
        attempts = [self._sight(picture) for _ in range(_SIGHT_ATTEMPTS)]
        sight = min(attempts, key=self._hidden)
        self._sights.append(sight)
        return sight

    def _hidden(self, sight: Sight) -> float:
        # Little overlaps do no harm, so most sights stay a free choice.
        overlap = max((sight.overlap(s) for s in self._sights), default=0.0)
        return max(overlap, 0.1)

    def _sight(self, picture: Picture) -> Sight:
        rate_hz = self._config.rate_hz
        first, last = (
            round(time_s * rate_hz) for time_s in self._interval((2.0, 7.0))
        )
        height_px = self._rng.uniform(*picture.height) * self._config.height_px
        aspect = picture.aspect * self._rng.uniform(0.93, 1.07)
        bottom = self._rng.uniform(*picture.bottom)
        boxes = [
            self._box(height_px * self._rng.uniform(0.9, 1.1), aspect, bottom)
            for _ in range(2)
        ]
        return Sight(first / rate_hz, last / rate_hz, *boxes)

    def _box(
        self, height_px: float, aspect: float, bottom: float
    ) -> tuple[float, float, float, float]:
        config = self._config
        width_px = height_px * aspect
        free_px = config.width_px - width_px - 2 * _MARGIN_PX
        x1 = _MARGIN_PX + free_px * self._rng.random()
        y2 = config.height_px * (bottom + self._rng.uniform(-0.02, 0.02))
        y2 = min(y2, config.height_px - _MARGIN_PX)
        return x1, max(y2 - height_px, _MARGIN_PX), x1 + width_px, y2


def _expect(condition: bool, wanted: str, received: object) -> None:
    if not condition:
        raise ValueError(
            f"Expected {wanted} of the sample clips, received {received}."
        )
