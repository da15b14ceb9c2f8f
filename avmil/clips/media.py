"""Decoding a clip: frames at regular instants and a 16 kHz waveform.

One pass over the file. Times count from the container's start, so a file whose
streams begin at 5 s gives what the same file beginning at 0 s would.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os

import av
import numpy as np

from avmil.clips.media_audio import (
    WaveformBuilder,
    is_sound_file,
    read_sound_file,
)
from avmil.clips.media_container import (
    check_file,
    decode_streams,
    first_stream,
    open_container,
    read_from_before,
)
from avmil.clips.media_section import Section
from avmil.clips.media_video import FrameSampler
from avmil.common.errors import MediaError

_NO_TIMES = np.empty(0, np.float32)


@dataclasses.dataclass(frozen=True)
class Clip:
    """Decoded clip.

    Attributes:
        frames_rgb: uint8 [H, W, 3] each, upright; F of them.
        frame_times_s: float32 [F], the instants at which the frames are shown,
            in seconds from the start of the clip: 0.5, 1.5, ... for 1 Hz.
        waveform: float32 [N], mono, 16 kHz, from the start of the clip; None
            where the file has no audio track or none was asked for.
        duration_s: End of the longer one of the decoded tracks, at most
            `end_s`, minus the start.
    """

    frames_rgb: list[np.ndarray]
    frame_times_s: np.ndarray
    waveform: np.ndarray | None
    duration_s: float


def decode_clip(
    path: str | os.PathLike[str],
    start_s: float | None = None,
    end_s: float | None = None,
    frame_rate_hz: float = 1.0,
    video: bool = True,
    audio: bool = True,
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
        video: Whether frames are wanted. If not, `frames_rgb` is empty.
        audio: Whether sound is wanted. If not, `waveform` is None.

    Returns:
        The clip. Without an audio track its `waveform` is None, also if sound
        is all that is wanted; its duration is then what the file declares.

    Raises:
        MediaError: If the file cannot give such a clip.
        ValueError: If an argument is out of range.
    """
    if not video and not audio:
        raise ValueError("Expected video or audio to be wanted, received none.")
    if not 0 < frame_rate_hz < math.inf:
        raise ValueError(
            f"Expected frame_rate_hz > 0, received {frame_rate_hz}."
        )
    section = Section(start_s or 0.0, math.inf if end_s is None else end_s)
    check_file(path)
    if is_sound_file(path):
        if video:
            raise MediaError("no video track")
        waveform, duration_s = read_sound_file(path, section)
        return Clip([], _NO_TIMES, waveform, duration_s)
    try:
        return _decode_container(path, section, frame_rate_hz, video, audio)
    except av.FFmpegError as error:
        raise MediaError(f"cannot be decoded: {error.strerror}") from error


def _decode_container(
    path: str | os.PathLike[str],
    section: Section,
    frame_rate_hz: float,
    video: bool,
    audio: bool,
) -> Clip:
    decode = functools.partial(
        _decode_from, path, section, frame_rate_hz, video, audio
    )
    return read_from_before(section.start_s, decode)


def _decode_from(
    path: str | os.PathLike[str],
    section: Section,
    frame_rate_hz: float,
    video: bool,
    audio: bool,
    seek_s: float | None,
) -> Clip:
    sampler = builder = None
    sinks = {}
    with open_container(path) as container:
        if video:
            stream = first_stream(container, "video")
            if stream is None:
                raise MediaError("no video track")
            sampler = sinks[stream] = FrameSampler(
                stream, section, frame_rate_hz
            )
        stream = first_stream(container, "audio") if audio else None
        if stream is not None:
            builder = sinks[stream] = WaveformBuilder(stream, section)
        if not sinks:
            file_end_s = (container.duration or 0) / av.time_base
            return Clip([], _NO_TIMES, None, section.duration_s(file_end_s))
        decode_streams(container, sinks, section, seek_s)
    return _clip(section, sampler, builder)


def _clip(
    section: Section,
    sampler: FrameSampler | None,
    builder: WaveformBuilder | None,
) -> Clip:
    sinks = [sink for sink in (sampler, builder) if sink is not None]
    duration_s = section.duration_s(max(sink.end_s for sink in sinks))
    frames_rgb, frame_times_s = [], _NO_TIMES
    if sampler is not None:
        frames_rgb = sampler.finish(section.start_s + duration_s)
        frame_times_s = sampler.frame_times_s
    waveform = None if builder is None else builder.waveform()
    return Clip(frames_rgb, frame_times_s, waveform, duration_s)
