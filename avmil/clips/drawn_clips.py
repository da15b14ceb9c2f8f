"""Drawn clips: a small data set with exact truth, made on the spot.

Objects of six classes move over landscapes, and their sounds are in the audio
over noise; sight and sound are placed independently, and some classes of a
clip are only seen or only heard. Nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from avmil.clips import drawn_pictures, drawn_sounds
from avmil.clips.manifest import SPLITS, ManifestEntry, write
from avmil.clips.media_writer import write_video
from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.common.progress import Progress

CLASS_NAMES = tuple(sorted(drawn_sounds.CLASS_SOUNDS))
SIZE_PX = WIDTH_PX, HEIGHT_PX = 320, 240
FRAME_RATE_HZ = 10
AUDIO_RATE_HZ = 16_000

# Raised whenever the same config would give other clips.
_VERSION = 4
_MARGIN_PX = 2.0
_FADE_S = 0.2  # Sights fade in and out.
_ATTACK_S, _RELEASE_S = 0.01, 0.05  # Slopes of a sound.
_PHASES_HZ = 5.0
_PEAK = 0.89


@dataclasses.dataclass(frozen=True)
class DrawnClipsConfig:
    """How many drawn clips there are, and of what kind."""

    num_train: int = 240
    num_val: int = 36
    num_test: int = 48
    duration_s: float = 10.0  # 3 s or more.
    seed: int = 0  # Determines everything.

    @property
    def num_clips(self) -> int:
        """Number of clips in all splits."""
        return self.num_train + self.num_val + self.num_test


@dataclasses.dataclass(frozen=True)
class Sight:
    """When and where an object is seen; its motion is linear.

    Boxes are (x1, y1, x2, y2) in pixels; x2 - x1 is the width.
    """

    start_s: float
    end_s: float  # Time of the first frame without it.
    start_box: tuple[float, float, float, float]
    end_box: tuple[float, float, float, float]

    def boxes(self, times_s: ArrayLike) -> np.ndarray:
        """Boxes at times inside the sight, [...] -> [..., 4]."""
        share = np.subtract(times_s, self.start_s) / (self.end_s - self.start_s)
        start, end = np.array(self.start_box), np.array(self.end_box)
        return start + share[..., None] * (end - start)

    def overlap_px(self, other: Sight) -> float:
        """Greatest area shared with another, in square pixels."""
        start_s = max(self.start_s, other.start_s)
        end_s = max(min(self.end_s, other.end_s), start_s)
        times_s = np.linspace(start_s, end_s, 16 * (end_s > start_s))
        boxes = np.stack([self.boxes(times_s), other.boxes(times_s)])
        sides_px = boxes[..., 2:].min(axis=0) - boxes[..., :2].max(axis=0)
        return np.prod(sides_px.clip(0), axis=1).max(initial=0.0)

    def truth(self) -> dict[str, Any]:
        """Returns the entry of truth.json."""

        def timed(times_s: ArrayLike) -> list[list[float]]:
            boxes = np.column_stack([times_s, self.boxes(times_s)])
            return np.round(boxes, 2).tolist()

        times_s = np.arange(0.0, self.end_s, 0.5)
        is_inside = times_s >= self.start_s
        is_whole = times_s % 1 == 0
        return {
            "t0": self.start_s,
            "t1": self.end_s,
            "boxes": timed(times_s[is_inside & is_whole]),
            "boxes_half": timed(times_s[is_inside & ~is_whole]),
            "track": timed([self.start_s, self.end_s]),
        }


@dataclasses.dataclass(frozen=True)
class DrawnEvent:
    """Something seen, heard, or both; a class or a distractor."""

    name: str
    sight: Sight | None = None
    sound: tuple[float, float] | None = None  # Onset and offset in seconds.
    snr_db: float = 0.0  # Level of the sound above the background.

    def truth(self) -> dict[str, Any]:
        """Returns the entry of truth.json."""
        return {
            "class": self.name,
            "sound": self.sound and list(self.sound),
            "sight": self.sight and self.sight.truth(),
        } | ({"snr_db": self.snr_db} if self.sound else {})


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """One clip to be made: the truth of it, and what determines the rest."""

    clip_id: str
    split: str
    events: tuple[DrawnEvent, ...]  # One for each label.
    distractors: tuple[DrawnEvent, ...]  # Seen or heard besides.
    duration_s: float
    seed: tuple[int, ...]  # Determines colors, background and noise.

    def rng(self, purpose: int) -> np.random.Generator:
        """Returns the random numbers for a purpose from 1 on."""
        return np.random.default_rng((*self.seed, purpose))


def plan_clips(config: DrawnClipsConfig) -> list[ClipPlan]:
    """Plans all clips, split after split."""
    counts = config.num_train, config.num_val, config.num_test
    return [
        _plan_clip((config.seed, split, number), config.duration_s)
        for split, count in enumerate(counts)
        for number in range(count)
    ]


def _plan_clip(seed: tuple[int, int, int], duration_s: float) -> ClipPlan:
    """Plans a clip from the seed, the split and the clip's number alone."""
    rng = np.random.default_rng(seed)
    _, split, number = seed
    sights: list[Sight] = []

    def interval(least_s: float, greatest_s: float) -> tuple[float, float]:
        length_s = rng.uniform(least_s, min(greatest_s, 0.8 * duration_s))
        start_s = rng.uniform(0.0, duration_s - length_s)
        return round(start_s, 4), round(start_s + length_s, 4)

    def sight(name: str) -> Sight:
        attempts = [_draw_sight(rng, name, interval(2, 7)) for _ in range(6)]
        # The one that hides least of what is there.
        sights.append(
            min(attempts, key=lambda a: sum(a.overlap_px(s) for s in sights))
        )
        return sights[-1]

    # Every class leads in equally many clips of a split: they take turns.
    turn, second = number % len(CLASS_NAMES), rng.integers(1, len(CLASS_NAMES))
    names = [CLASS_NAMES[turn], CLASS_NAMES[turn - second]]
    if rng.random() >= 0.3:
        names.pop()
    events = []
    for name in names:
        only = rng.random()
        seen = sight(name) if only < 0.85 else None
        heard = interval(1.5, 5.0) if only >= 0.15 else None
        snr_db = round(rng.uniform(6.0, 20.0), 2)
        events.append(DrawnEvent(name, seen, heard, snr_db))
    distractors = []
    for name in drawn_pictures.DISTRACTORS:
        if rng.random() < 0.6:
            distractors.append(DrawnEvent(name, sight(name)))
    if rng.random() < 0.6:
        name = str(rng.choice(drawn_sounds.DISTRACTORS))
        snr_db = round(rng.uniform(3.0, 12.0), 2)
        distractors.append(DrawnEvent(name, None, interval(0.3, 1.2), snr_db))
    name = SPLITS[split]
    things = tuple(events), tuple(distractors)
    return ClipPlan(f"{name}{number:04d}", name, *things, duration_s, seed)


def _draw_sight(
    rng: np.random.Generator, name: str, times_s: tuple[float, float]
) -> Sight:
    """Draws the way of an object through the frames of an interval."""
    picture = drawn_pictures.PICTURES[name]
    start_s, end_s = (round(t * FRAME_RATE_HZ) / FRAME_RATE_HZ for t in times_s)
    size, bottom = rng.uniform(*picture.height), rng.uniform(*picture.bottom)
    boxes = []
    for _ in range(2):
        height_px = HEIGHT_PX * size * rng.uniform(0.9, 1.1)
        width_px = height_px * picture.size[0] / picture.size[1]
        x1 = rng.uniform(_MARGIN_PX, WIDTH_PX - _MARGIN_PX - width_px)
        y2 = HEIGHT_PX * min(bottom + rng.uniform(-0.02, 0.02), 0.99)
        y1 = max(y2 - height_px, _MARGIN_PX)
        boxes.append((x1, y1, x1 + width_px, y2))
    return Sight(start_s, end_s, *boxes)


def render_frames(plan: ClipPlan) -> Iterator[np.ndarray]:
    """Yields the frames of a clip, uint8 [height, width, 3], RGB."""
    scene = drawn_pictures.Scene(plan.rng(1), SIZE_PX, plan.duration_s)
    actors = []
    # Distractors come first: they never hide an object of a class.
    for number, event in enumerate(plan.distractors + plan.events):
        if event.sight:
            boxes = np.array([event.sight.start_box, event.sight.end_box])
            width_px, height_px = (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)
            sprites = drawn_pictures.PICTURES[event.name].sprites(
                plan.rng(3 + number), (round(width_px), round(height_px))
            )
            if boxes[1, 0] < boxes[0, 0]:  # It faces where it goes.
                sprites = [np.fliplr(sprite) for sprite in sprites]
            actors.append((event.sight, sprites))
    for number in range(round(plan.duration_s * FRAME_RATE_HZ)):
        time_s = number / FRAME_RATE_HZ
        frame = scene.frame(time_s)
        for sight, sprites in actors:
            # Half-way through a frame's display, so that both ends fade alike.
            middle_s = time_s + 0.5 / FRAME_RATE_HZ
            inside_s = min(middle_s - sight.start_s, sight.end_s - middle_s)
            if inside_s > 0:
                sprite = sprites[int(time_s * _PHASES_HZ) % len(sprites)]
                _paint(frame, sprite, sight.boxes(time_s), inside_s / _FADE_S)
        yield frame


def _paint(
    frame: np.ndarray, sprite: np.ndarray, box: np.ndarray, opacity: float
) -> None:
    """Draws a sprite into a box of fractional pixels, in place."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    scale = (box[2:] - box[:2]) / sprite.shape[1::-1]
    # Pixel i of the sprite covers [i, i + 1], its center is at i + 0.5.
    shift = box[:2] - (left, top) + 0.5 * scale - 0.5
    placing = np.column_stack([np.diag(scale), shift])
    size_px = int(right - left), int(bottom - top)
    placed = cv2.warpAffine(sprite, placing, size_px)
    placed = cv2.convertScaleAbs(placed, alpha=min(opacity, 1.0))
    drawn_pictures.overlay(frame[top:bottom, left:right], placed)


def render_waveform(plan: ClipPlan) -> np.ndarray:
    """Returns the sound of a clip, float32 [N] in [-1, 1]."""
    rng = plan.rng(2)
    num_samples = round(plan.duration_s * AUDIO_RATE_HZ)
    level, exponent = 10 ** rng.uniform(-2.2, -1.6), rng.uniform(0.3, 1.6)
    noise = drawn_sounds.colored_noise(rng, num_samples, exponent)
    mix = drawn_sounds.set_rms(noise, level)
    for number, event in enumerate(plan.distractors + plan.events):
        if event.sound:
            start, end = (round(t * AUDIO_RATE_HZ) for t in event.sound)
            times_s = np.arange(end - start) / AUDIO_RATE_HZ
            synthesize = drawn_sounds.SOUNDS[event.name]
            waveform = synthesize(plan.rng(3 + number), times_s)
            slopes = times_s / _ATTACK_S, times_s[::-1] / _RELEASE_S
            waveform = waveform * np.minimum(1.0, np.minimum(*slopes))
            gain = 10 ** (event.snr_db / 20)
            mix[start:end] += drawn_sounds.set_rms(waveform, gain * level)
    return mix * min(1.0, _PEAK / np.abs(mix).max())


def write_clip(plan: ClipPlan, path: str | pathlib.Path) -> None:
    """Makes a clip, H.264 and AAC in MP4, under its name once complete."""
    frames_rgb, waveform = render_frames(plan), render_waveform(plan)
    with files.replacing(path) as unfinished:
        write_video(
            unfinished, frames_rgb, FRAME_RATE_HZ, waveform, AUDIO_RATE_HZ
        )


def write_drawn_clips(
    directory: str | pathlib.Path, config: DrawnClipsConfig, progress: Progress
) -> pathlib.Path:
    """Makes the drawn clips, or those of them that are missing.

    Writes `clips/*.mp4`, `classes.txt`, `truth.json`, `drawn_clips.json` (the
    config) and, once all the rest is there, `manifest.csv`, whose path it
    returns. Progress counts those that are there too.

    Raises:
        ConfigError: if the directory holds clips of another config, or a
            manifest of other clips.
        DirectoryInUseError: if another process is writing to the directory.
    """
    directory = pathlib.Path(directory)
    manifest, made = directory / "manifest.csv", directory / "drawn_clips.json"
    wanted = {"version": _VERSION, **dataclasses.asdict(config)}
    plans = plan_clips(config)

    def path(plan: ClipPlan) -> pathlib.Path:
        return directory / "clips" / f"{plan.clip_id}.mp4"

    with files.exclusive(directory):
        found = None
        if made.exists():
            found = files.read_json(made, dict[str, Any])
        if found != wanted and (found or manifest.exists()):
            raise ConfigError(
                f"Expected drawn clips of {wanted} in {directory}, received "
                f"{found or 'another manifest.csv'}. Name another directory, "
                "or remove this one to make its clips anew."
            )
        files.write_json(made, wanted)
        files.make_directory(directory / "clips")
        missing = [plan for plan in plans if not path(plan).exists()]
        progress.update(len(plans) - len(missing))
        # Threads, as most of the work is done outside of Python's lock.
        pool = ThreadPoolExecutor(2)
        try:
            for _ in pool.map(write_clip, missing, map(path, missing)):
                progress.update()
        finally:
            # An interrupt does not wait for the clips that have not begun.
            pool.shutdown(cancel_futures=True)
        truth = {p.clip_id: [e.truth() for e in p.events] for p in plans}
        files.write_json(directory / "truth.json", truth, indent=None)
        rows = []
        for plan in plans:
            names = tuple(sorted(event.name for event in plan.events))
            name = str(path(plan))
            rows.append(ManifestEntry(plan.clip_id, name, names, plan.split))
        # The manifest comes last: whoever finds it finds all the rest.
        write(str(manifest), CLASS_NAMES, rows)
    return manifest
