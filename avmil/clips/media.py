"""Decoding a clip: frames at regular instants and a 16 kHz waveform.

One pass over the file. Times count from the container's start, so a file whose
streams begin at 5 s gives what the same file beginning at 0 s would.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable

import av
import av.video.stream
import numpy as np
from av.sidedata.sidedata import SideDataContainer

from avmil.clips.media_audio import (
    WaveformBuilder,
    is_sound_file,
    read_sound_file,
)
from avmil.clips.media_container import (
    Section,
    check_file,
    decode_streams,
    first_stream,
    open_container,
    read_from_before,
)
from avmil.common.errors import MediaError, NoTrackError

# The container's start is rounded to microseconds: a frame that is due within
# this time counts as shown.
_TIME_TOLERANCE_S = 1e-5

# Video tracks often end a few frames before the sound: that long the last frame
# stays.
_LAST_FRAME_HOLD_S = 0.25
_DEFAULT_FRAME_S = 0.04  # If neither the frame nor the track tells.


@dataclasses.dataclass(frozen=True)
class Clip:
    """Decoded clip; times are seconds from its start."""

    frames_rgb: list[np.ndarray]  # F of uint8 [H, W, 3], upright.
    frame_times_s: np.ndarray  # float32 [F]: 0.5, 1.5, ... for 1 Hz.
    waveform: np.ndarray | None  # float32 [N], mono, 16 kHz, if there is any.
    duration_s: float  # Of the longer decoded track.


def decode_clip(
    path: str | os.PathLike[str],
    start_s: float | None = None,
    end_s: float | None = None,
    frame_rate_hz: float = 1.0,
    video: bool = True,
    audio: bool = True,
    on_frame: Callable[[np.ndarray], None] | None = None,
    least_duration_s: float = 0.0,
) -> Clip:
    """Decodes a file, or the section of it that a manifest row names.

    The frame of an instant is the one being shown then (time stamps, not frame
    counts, decide); where the video ends before the sound, instants more than
    0.25 s after its end have none. A clip that shows any frame gives at least
    one. WAV, FLAC and OGG files, told by their suffix, are read by soundfile,
    all others by PyAV.

    Args:
        path: A local file.
        start_s: Start of the section from the file's zero; None for 0.
        end_s: End of the section; None for the end of the file. A section that
            reaches beyond the file ends with it.
        frame_rate_hz: Frames for each second, at (k + 0.5) / frame_rate_hz.
        video: Whether frames are wanted.
        audio: Whether sound is wanted. If it is all that is wanted and the
            file has none, the duration is what the file declares.
        on_frame: Takes each frame as soon as it is decoded. `frames_rgb` is
            empty then: a long video needs no more memory than a short one.
        least_duration_s: Duration of the clip, where it is known and the track
            that makes it this long is not wanted.

    Raises:
        MediaError: If the file cannot give such a clip.
        ValueError: If an argument is out of range.
    """
    if not 0 < frame_rate_hz < math.inf:
        raise ValueError(
            f"Expected frame_rate_hz > 0, received {frame_rate_hz}."
        )
    section = Section(start_s or 0.0, math.inf if end_s is None else end_s)
    check_file(path)

    frames_rgb: list[np.ndarray] = []
    num_frames = 0

    def take(number: int, frame_rgb: np.ndarray) -> None:
        nonlocal num_frames
        if number == num_frames:  # Otherwise it was taken before.
            num_frames += 1
            (on_frame or frames_rgb.append)(frame_rgb)

    def decode(seek_s: float | None) -> tuple[np.ndarray | None, float]:
        frames = sound = None
        sinks = {}
        with open_container(path) as container:
            if video:
                stream = first_stream(container, "video")
                frames = _FrameSampler(stream, section, frame_rate_hz, take)
                sinks[stream] = frames
            if audio and (stream := first_stream(container, "audio")):
                sound = sinks[stream] = WaveformBuilder(stream, section)
            if not sinks:
                file_end_s = (container.duration or 0) / av.time_base
                return None, section.duration_s(file_end_s)
            decode_streams(container, sinks, section, seek_s)
        ends_s = [sink.end_s for sink in sinks.values()]
        if least_duration_s:
            ends_s.append(section.start_s + least_duration_s)
        duration_s = section.duration_s(max(ends_s))
        if frames:
            frames.finish(section.start_s + duration_s)
        return sound.waveform() if sound else None, duration_s

    if is_sound_file(path):
        if video:
            raise NoTrackError("no video track")
        waveform, duration_s = read_sound_file(path, section)
    else:
        try:
            waveform, duration_s = read_from_before(section.start_s, decode)
        except av.FFmpegError as error:
            raise MediaError(f"cannot be decoded: {error.strerror}") from error
    times_s = (np.arange(num_frames) + 0.5) / frame_rate_hz
    return Clip(frames_rgb, times_s.astype(np.float32), waveform, duration_s)


class _FrameSampler:
    """Takes out the frames shown at (k + 0.5) / frame_rate_hz in a section.

    The frame of an instant is the last one that begins no later than it;
    before the first frame of the file it is the first frame. `take` is given k
    and the frame.
    """

    def __init__(
        self,
        stream: av.video.stream.VideoStream,
        section: Section,
        frame_rate_hz: float,
        take: Callable[[int, np.ndarray], None],
    ):
        self.end_s = 0.0  # End of the last frame, cut to the section.
        self.done = False  # Whether the frames reach the section's end.
        self._section = section
        self._frame_rate_hz = frame_rate_hz
        self._time_base = stream.time_base
        rate_hz = stream.average_rate or stream.guessed_rate
        self._frame_s = float(1 / rate_hz) if rate_hz else _DEFAULT_FRAME_S
        self._take = take
        self._num_frames = 0
        self._shown: av.VideoFrame | None = None
        self._shown_rgb: np.ndarray | None = None

    def add(self, frame: av.VideoFrame, time_s: float) -> None:
        """Takes the next frame, which begins `time_s` after the file's zero."""
        if time_s >= self._section.end_s - _TIME_TOLERANCE_S:
            self.done = True
            if self._shown is not None:
                self.end_s = self._section.end_s
            return
        self._take_until(time_s)
        self._shown, self._shown_rgb = frame, None
        duration_s = float(frame.duration * self._time_base) or self._frame_s
        self.end_s = max(
            self.end_s, min(time_s + duration_s, self._section.end_s)
        )

    def finish(self, clip_end_s: float) -> None:
        """Takes the last frames of a clip that ends then, or MediaError."""
        self._take_until(min(clip_end_s, self.end_s + _LAST_FRAME_HOLD_S))
        if not self._num_frames:
            if self.end_s <= self._section.start_s:
                raise MediaError(f"no video frame {self._section}")
            self._take_shown()

    def _take_until(self, stop_s: float) -> None:
        while self._shown is not None:
            since_s = (self._num_frames + 0.5) / self._frame_rate_hz
            if self._section.start_s + since_s >= stop_s - _TIME_TOLERANCE_S:
                break
            self._take_shown()

    def _take_shown(self) -> None:
        if self._shown_rgb is None:
            self._shown_rgb = upright_rgb(self._shown)
        self._take(self._num_frames, self._shown_rgb)
        self._num_frames += 1


def upright_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Converts a frame to RGB, turned and mirrored as its track asks for.

    The track's display matrix [a b u; c d v; x y w] sends column p and row q
    to column a p + c q + x and row b p + d q + y (ISO/IEC 14496-12, 8.3.2). Of
    its values only the signs matter here: multiples of 90 degrees, with or
    without mirroring. Non-square pixels stay as they are. -> uint8 [H, W, 3]
    """
    image = frame.to_ndarray(format="rgb24", threads=1)  # [H, W, 3]
    # `frame.side_data` would hold the frame until the garbage is collected.
    side_data = SideDataContainer(frame).get("DISPLAYMATRIX")
    if side_data is not None:
        matrix = np.frombuffer(bytes(side_data), dtype=np.int32).reshape(3, 3)
        (a, b), (c, d) = matrix[:2, :2].tolist()
        if abs(b) > abs(a):
            image = image.swapaxes(0, 1)  # [W, H, 3]
            a, d = c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
