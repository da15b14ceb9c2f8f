"""What happens in a sample clip, with its exact truth."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FADE_S = 0.2


@dataclasses.dataclass(frozen=True)
class Sight:
    """When and where an object is seen.

    Attributes:
        start_s: Time of its first frame.
        end_s: Time of the first frame without it.
        start_box: (x1, y1, x2, y2) in pixels at start_s; x2 - x1 is the width.
        end_box: The same at end_s; the motion between them is linear.
    """

    start_s: float
    end_s: float
    start_box: tuple[float, float, float, float]
    end_box: tuple[float, float, float, float]

    def boxes(self, times_s: ArrayLike) -> np.ndarray:
        """Returns the boxes at times inside the sight, [...] -> [..., 4]."""
        times_s = np.asarray(times_s, np.float64)
        share = (times_s - self.start_s) / (self.end_s - self.start_s)
        start, end = np.array(self.start_box), np.array(self.end_box)
        return start + share[..., None] * (end - start)

    def overlap(self, other: Sight) -> float:
        """Returns the greatest overlap with another, a share of the smaller."""
        start_s = max(self.start_s, other.start_s)
        end_s = min(self.end_s, other.end_s)
        if end_s <= start_s:
            return 0.0
        times_s = np.linspace(start_s, end_s, 16)
        first, second = self.boxes(times_s), other.boxes(times_s)
        low = np.maximum(first[:, :2], second[:, :2])
        high = np.minimum(first[:, 2:], second[:, 2:])
        shared = np.prod(np.maximum(high - low, 0.0), axis=1)
        areas = [
            np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
            for boxes in (first, second)
        ]
        return float(np.max(shared / np.minimum(*areas)))

    def truth(self) -> dict[str, Any]:
        """Returns the entry of truth.json."""

        def at(times_s: np.ndarray) -> list[list[float]]:
            inside = (times_s >= self.start_s) & (times_s < self.end_s)
            return _timed_boxes(times_s[inside], self.boxes(times_s[inside]))

        seconds = np.arange(np.ceil(self.end_s) + 1)
        ends_s = np.array([self.start_s, self.end_s])
        return {
            # Rounded down: a frame at the very start or end stays on its side.
            "t0": _rounded_down(self.start_s),
            "t1": _rounded_down(self.end_s),
            "boxes": at(seconds),
            "boxes_half": at(seconds + 0.5),
            "track": _timed_boxes(ends_s, self.boxes(ends_s)),
        }


@dataclasses.dataclass(frozen=True)
class Sound:
    """When and how loudly something is heard.

    Attributes:
        onset_s: Start.
        offset_s: End.
        snr_db: Level between onset and offset above the background.
        pan: Position between left (0) and right (1).
    """

    onset_s: float
    offset_s: float
    snr_db: float
    pan: float


@dataclasses.dataclass(frozen=True)
class Event:
    """Something seen, heard, or both; a class or a distractor."""

    name: str
    sight: Sight | None
    sound: Sound | None
    seed: int

    def truth(self) -> dict[str, Any]:
        """Returns the entry of truth.json."""
        sound, sight = self.sound, self.sight
        entry = {
            "class": self.name,
            "sound": sound and [sound.onset_s, sound.offset_s],
            "sight": sight and sight.truth(),
        }
        return entry | ({"snr_db": sound.snr_db} if sound else {})


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """One clip to be made.

    Attributes:
        clip_id: Its name.
        split: Its split.
        events: What it is labeled with, one event a class.
        distractors: What is seen or heard besides.
        audio_rate_hz: Sampling rate of the sound.
        num_channels: 1 or 2.
        seed: Settles background and noise.
    """

    clip_id: str
    split: str
    events: tuple[Event, ...]
    distractors: tuple[Event, ...]
    audio_rate_hz: int
    num_channels: int
    seed: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that are seen or heard, in the order of the class list."""
        return tuple(sorted(event.name for event in self.events))


def _timed_boxes(times_s: np.ndarray, boxes: np.ndarray) -> list[list[float]]:
    return [
        [round(float(time_s), 4), *np.round(box, 2).tolist()]
        for time_s, box in zip(times_s, boxes, strict=True)
    ]


def _rounded_down(time_s: float) -> float:
    # The small part keeps products such as 2.3 * 1e4 at their whole number.
    return math.floor(time_s * 1e4 + 1e-6) / 1e4
