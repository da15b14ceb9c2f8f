"""Sample clips made from their plans: frames, sound, MP4."""

from __future__ import annotations

import fractions
import os
from collections.abc import Iterator

import av
import cv2
import numpy as np

from avmil.clips.sample_events import FADE_S, ClipPlan, Event, Sight
from avmil.clips.sample_pictures import (
    CLASS_PICTURES,
    DISTRACTOR_PICTURES,
    draw_sprites,
)
from avmil.clips.sample_plans import SampleClipsConfig
from avmil.clips.sample_scenes import Scene
from avmil.clips.sample_sounds import (
    CLASS_SOUNDS,
    DISTRACTOR_SOUNDS,
    colored_noise,
    set_rms,
)

_PICTURES = CLASS_PICTURES | DISTRACTOR_PICTURES
_SOUNDS = CLASS_SOUNDS | DISTRACTOR_SOUNDS
_PHASES_HZ = 5.0
_ATTACK_S, _RELEASE_S = 0.01, 0.05
_PEAK = 0.89
# The default coder takes four times as long, half of a clip's time.
_AUDIO_OPTIONS = {"aac_coder": "fast"}
_VIDEO_OPTIONS = {
    "preset": "veryfast",
    "crf": "23",
    # No B-frames: no delay.
    "bf": "0",
    # The same bytes on every run: with its look-ahead, one encoding in about
    # 30 comes out a little different, on a single thread too.
    "threads": "1",
    "x264-params": "rc-lookahead=0:mbtree=0",
}


def write_clip(
    plan: ClipPlan, config: SampleClipsConfig, path: str | os.PathLike[str]
) -> None:
    """Makes a clip: H.264 and AAC in MP4, under its name once complete."""
    waveform = render_waveform(plan, config)
    unfinished = f"{path}.part"
    with av.open(unfinished, "w", format="mp4") as container:
        video = container.add_stream(
            "libx264", config.rate_hz, _VIDEO_OPTIONS, pix_fmt="yuv420p"
        )
        video.width, video.height = config.width_px, config.height_px
        layout = "stereo" if plan.num_channels == 2 else "mono"
        audio = container.add_stream(
            "aac", plan.audio_rate_hz, _AUDIO_OPTIONS, layout=layout
        )
        audio.bit_rate = 64_000 * plan.num_channels
        packets = _encode_audio(audio, waveform, layout)
        packets += _encode_video(
            video, render_frames(plan, config), config.rate_hz
        )
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    os.replace(unfinished, path)


def render_frames(
    plan: ClipPlan, config: SampleClipsConfig
) -> Iterator[np.ndarray]:
    """Yields the frames of a clip, uint8 [height, width, 3], RGB."""
    rng = np.random.default_rng((plan.seed, 0))
    scene = Scene(rng, config.width_px, config.height_px, config.duration_s)
    # Distractors come first: they never hide an object of a class.
    events = [e for e in plan.distractors + plan.events if e.sight]
    actors = [_Actor(event, config.rate_hz) for event in events]
    for number in range(round(config.duration_s * config.rate_hz)):
        time_s = number / config.rate_hz
        frame = scene.frame(time_s)
        for actor in actors:
            actor.paint(frame, time_s)
        yield frame


class _Actor:
    """An object that moves along its track."""

    def __init__(self, event: Event, rate_hz: int) -> None:
        self._sight: Sight = event.sight
        self._frame_s = 1.0 / rate_hz
        boxes = np.array([self._sight.start_box, self._sight.end_box])
        width_px, height_px = (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)
        self._sprites = draw_sprites(
            _PICTURES[event.name],
            event.seed,
            (round(width_px), round(height_px)),
        )
        if boxes[1, 0] < boxes[0, 0]:
            self._sprites = [np.fliplr(sprite) for sprite in self._sprites]

    def paint(self, frame: np.ndarray, time_s: float) -> None:
        """Draws the object onto a frame, where it is visible then."""
        opacity = self._opacity(time_s)
        if opacity <= 0:
            return
        x1, y1, x2, y2 = self._sight.boxes(time_s)
        left, top = int(x1), int(y1)
        size = int(np.ceil(x2)) - left, int(np.ceil(y2)) - top
        sprite = self._sprites[int(time_s * _PHASES_HZ) % len(self._sprites)]
        scale_x = (x2 - x1) / sprite.shape[1]
        scale_y = (y2 - y1) / sprite.shape[0]
        # Pixel i of the sprite covers [i, i + 1], its center is at i + 0.5.
        placing = np.array(
            [
                [scale_x, 0.0, x1 - left + 0.5 * scale_x - 0.5],
                [0.0, scale_y, y1 - top + 0.5 * scale_y - 0.5],
            ]
        )
        placed = cv2.warpAffine(sprite, placing, size).astype(np.float32)
        placed *= opacity
        region = frame[top : top + size[1], left : left + size[0]]
        covered = placed[..., 3:] / 255.0
        region[:] = np.rint(region * (1.0 - covered) + placed[..., :3])

    def _opacity(self, time_s: float) -> float:
        sight = self._sight
        # Half-way through a frame's display, so that both ends fade alike.
        middle_s = time_s + 0.5 * self._frame_s
        since_s, left_s = middle_s - sight.start_s, sight.end_s - middle_s
        if min(since_s, left_s) < 0:
            return 0.0
        return min(since_s / FADE_S, left_s / FADE_S, 1.0)


def render_waveform(plan: ClipPlan, config: SampleClipsConfig) -> np.ndarray:
    """Returns the sound of a clip, float32 [num_channels, N] in [-1, 1]."""
    rng = np.random.default_rng((plan.seed, 1))
    num_samples = round(config.duration_s * plan.audio_rate_hz)
    level, exponent = 10 ** rng.uniform(-2.2, -1.6), rng.uniform(0.3, 1.6)
    mix = np.stack(
        [
            set_rms(colored_noise(rng, num_samples, exponent), level)
            for _ in range(plan.num_channels)
        ]
    )
    for event in plan.events + plan.distractors:
        if event.sound:
            _add_sound(mix, event, plan.audio_rate_hz, level)
    return mix * min(1.0, _PEAK / np.abs(mix).max())


def _add_sound(
    mix: np.ndarray, event: Event, rate_hz: int, background_rms: float
) -> None:
    sound = event.sound
    start, end = (
        round(time_s * rate_hz) for time_s in (sound.onset_s, sound.offset_s)
    )
    rng = np.random.default_rng(event.seed)
    waveform = _SOUNDS[event.name](rng, end - start, rate_hz)
    waveform = waveform * _envelope(end - start, rate_hz)
    level = background_rms * 10 ** (sound.snr_db / 20)
    waveform = set_rms(waveform, level)
    if len(mix) == 1:
        mix[0, start:end] += waveform
        return
    # Constant power over both channels.
    gains = np.sqrt([2 * (1 - sound.pan), 2 * sound.pan])
    mix[:, start:end] += np.float32(gains)[:, None] * waveform


def _envelope(num_samples: int, rate_hz: int) -> np.ndarray:
    times_s = np.arange(num_samples, dtype=np.float32) / rate_hz
    left_s = times_s[::-1]
    return np.minimum(np.minimum(times_s / _ATTACK_S, left_s / _RELEASE_S), 1.0)


def _encode_audio(
    stream: av.AudioStream, waveform: np.ndarray, layout: str
) -> list[av.Packet]:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(waveform, np.float32), "fltp", layout
    )
    frame.sample_rate = stream.rate
    frame.pts = 0
    frame.time_base = fractions.Fraction(1, stream.rate)
    return [*stream.encode(frame), *stream.encode(None)]


def _encode_video(
    stream: av.VideoStream, frames_rgb: Iterator[np.ndarray], rate_hz: int
) -> list[av.Packet]:
    packets = []
    for number, image in enumerate(frames_rgb):
        planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = number
        frame.time_base = fractions.Fraction(1, rate_hz)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
