"""Writing H.264 and AAC in MP4, which browsers play."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import av.audio.stream
import av.container
import cv2
import numpy as np
from av.codec.context import Flags

from avmil.clips.media import upright_rgb
from avmil.clips.media_audio import AudioSink
from avmil.clips.media_container import (
    Section,
    check_file,
    decode_streams,
    first_stream,
    open_container,
    read_from_before,
)
from avmil.common.errors import MediaError

Paint = Callable[[np.ndarray, float], np.ndarray]

_TICK_S = Fraction(1, 90_000)
_NOMINAL_RATE_HZ = 30  # Time stamps decide.
# A frame shown for longer is painted again: what moves on it goes on.
_LONGEST_FRAME_S = 0.25
_HELD_FRAME_S = 0.1
_VIDEO_OPTIONS = {
    "preset": "veryfast",
    "crf": "20",
    "bf": "0",
    # The same bytes on every run: with its look-ahead, one encoding in about
    # 30 comes out a little different, on a single thread too.
    "threads": "1",
    "x264-params": "rc-lookahead=0:mbtree=0:colormatrix=smpte170m",
}
_AUDIO_OPTIONS = {"aac_coder": "fast"}
_OTHER_RATE_HZ = 48_000
_BITS_PER_S = {"mono": 96_000, "stereo": 160_000}


def write_painted(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    section: Section,
    paint: Paint,
    size_px: tuple[int, int],
    sound: bool = True,
) -> int:
    """Writes a section of a video with its frames painted and its own sound.

    Frame by frame, so that memory does not grow with the video. The first
    frame is also shown before its time, the last one until the section ends.

    Args:
        source: A local file.
        target: MP4 file to write.
        section: Wanted part; its end is no later than the file's.
        paint: Takes an upright frame, uint8 [H, W, 3], and its time in
            seconds from the start of the section; gives the frame to write.
        size_px: Even width and height of the painted frames.
        sound: Whether the sound is taken over, where there is any.

    Returns:
        Number of frames written.

    Raises:
        MediaError: if the file cannot be decoded or encoded.
    """
    check_file(source)

    def write(seek_s: float | None) -> int:
        with (
            open_container(source) as container,
            av.open(
                os.fspath(target),
                "w",
                format="mp4",
                options={"movflags": "+faststart"},
            ) as output,
        ):
            stream = first_stream(container, "video")
            video = _PaintedVideo(output, section, paint, size_px)
            sinks = {stream: video}
            if sound and (stream := first_stream(container, "audio")):
                sinks[stream] = _CopiedSound(output, section, stream)
            decode_streams(container, sinks, section, seek_s)
            for sink in sinks.values():
                sink.finish()
            return video.num_frames

    try:
        return read_from_before(section.start_s, write)
    except av.FFmpegError as error:
        raise MediaError(f"cannot be written: {error.strerror}") from error


def write_video(
    path: str | os.PathLike[str],
    frames_rgb: Iterable[np.ndarray],
    frame_rate_hz: int,
    waveform: np.ndarray,
    rate_hz: int,
) -> None:
    """Writes frames of a fixed rate and their sound, the same bytes each time.

    Frames are uint8 [H, W, 3] of one even size; the waveform of rate_hz is
    float32 [N] in [-1, 1].
    """
    frames_rgb = iter(frames_rgb)
    first = next(frames_rgb)
    with av.open(os.fspath(path), "w", format="mp4") as output:
        options = _VIDEO_OPTIONS | {"crf": "23"}
        video = output.add_stream(
            "libx264", frame_rate_hz, options, pix_fmt="yuv420p"
        )
        video.height, video.width = first.shape[:2]
        audio = output.add_stream("aac", rate_hz, _AUDIO_OPTIONS, layout="mono")
        audio.bit_rate = _BITS_PER_S["mono"]
        sound = av.AudioFrame.from_ndarray(waveform[None], "fltp", "mono")
        sound.sample_rate, sound.pts = rate_hz, 0
        sound.time_base = Fraction(1, rate_hz)
        packets = [*audio.encode(sound), *audio.encode(None)]
        for number, image in enumerate(itertools.chain([first], frames_rgb)):
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate_hz)
            packets += video.encode(frame)
        packets += video.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)


class _PaintedVideo:
    """Paints and encodes the frames of a track, as `write_painted` says."""

    def __init__(
        self,
        output: av.container.OutputContainer,
        section: Section,
        paint: Paint,
        size_px: tuple[int, int],
    ) -> None:
        self.done = False
        self.num_frames = 0
        self._output, self._section, self._paint = output, section, paint
        self._stream = output.add_stream(
            "libx264", _NOMINAL_RATE_HZ, _VIDEO_OPTIONS, pix_fmt="yuv420p"
        )
        self._stream.width, self._stream.height = size_px
        codec = self._stream.codec_context
        codec.time_base = _TICK_S
        codec.flags |= Flags.frame_duration  # The last frame's is kept.
        self._length_s = section.end_s - section.start_s
        self._shown: av.VideoFrame | None = None
        self._shown_s = 0.0

    def add(self, frame: av.VideoFrame, time_s: float) -> None:
        """Takes the next frame, which begins `time_s` after the file's zero."""
        time_s -= self._section.start_s
        if time_s >= self._length_s:
            self.done = True
            return
        if self._shown is not None and time_s > self._shown_s:
            self._show_until(time_s)
            self._shown_s = time_s
        self._shown = frame

    def finish(self) -> None:
        """Writes the last frame, up to the end of the section."""
        if self._shown is not None:
            self._show_until(self._length_s)
        self._output.mux(self._stream.encode(None))

    def _show_until(self, stop_s: float) -> None:
        image = upright_rgb(self._shown)
        lasts_s = stop_s - self._shown_s
        count = 1
        if lasts_s > _LONGEST_FRAME_S:
            count = round(lasts_s / _HELD_FRAME_S)
        times_s = np.linspace(self._shown_s, stop_s, count, endpoint=False)
        for time_s in times_s.tolist():
            frame = av.VideoFrame.from_ndarray(self._paint(image, time_s))
            frame.time_base = _TICK_S
            frame.pts = round(time_s / _TICK_S)
            frame.duration = round(lasts_s / count / _TICK_S)
            self._output.mux(self._stream.encode(frame))
            self.num_frames += 1


class _CopiedSound(AudioSink):
    """Encodes the sound of a track, at the times that it has there."""

    def __init__(
        self,
        output: av.container.OutputContainer,
        section: Section,
        source: av.audio.stream.AudioStream,
    ) -> None:
        layout = "mono" if source.layout.nb_channels == 1 else "stereo"
        super().__init__(section, layout)
        self._output = output
        takes_rate = source.rate in av.Codec("aac", "w").audio_rates
        rate_hz = source.rate if takes_rate else _OTHER_RATE_HZ
        self._stream = output.add_stream(
            "aac", rate_hz, _AUDIO_OPTIONS, layout=layout
        )
        self._stream.bit_rate = _BITS_PER_S[layout]

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        self._output.mux(self._stream.encode(None))

    def _write(self, samples: np.ndarray) -> None:
        if samples.size:
            frame = av.AudioFrame.from_ndarray(
                samples.reshape(1, -1), "flt", self._layout
            )
            frame.sample_rate = self.rate_hz
            frame.time_base = Fraction(1, self.rate_hz)
            frame.pts = self._length
            self._output.mux(self._stream.encode(frame))
