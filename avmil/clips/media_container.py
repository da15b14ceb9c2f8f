"""Untrusted media files: the wanted section, opening, seeking, decoding."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import av
import av.container
import av.stream

from avmil.common.errors import MediaError, NoTrackError

# Longest clip that is decoded in one piece. It also bounds what a file with
# wrong time stamps can ask for: repeated frames and silence in its gaps.
MAX_CLIP_S = 3600.0

# Container formats that hold one file's own pictures and sound. Playlists and
# scripts (hls, dash, concat, sdp, image2, lavfi, ...) name other files or
# addresses and are left out on purpose.
_DEMUXERS = "mov,matroska,avi,flv,mpeg,mpegts,asf,ogg,mp3,aac,ac3,wav,aiff,flac"

# How far before a section reading begins: the first is enough for files with
# an index; in others a seek may land behind the keyframe that is needed.
_PREROLLS_S = (1.0, 4.0, 16.0)

# After a seek, decoders need some packets before their output is right (AAC
# and Opus overlap blocks, MP3 refers back to its bit reservoir).
_WARM_UP_S = 0.2

# A file that was cut off ends with one broken packet.
_MAX_BROKEN_PACKETS = 1
_MAX_BROKEN_SHARE = 0.1

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class Section:
    """Wanted part of a file, in seconds from the file's zero."""

    start_s: float
    end_s: float  # Infinity for the end of the file.

    def __post_init__(self):
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(
                "Expected 0 <= start_s < end_s, "
                f"received start_s={self.start_s} and end_s={self.end_s}."
            )

    def __str__(self):
        if self.end_s == math.inf:
            return f"after {self.start_s:g} s"
        return f"between {self.start_s:g} s and {self.end_s:g} s"

    def check_length(self, time_s: float) -> None:
        """Raises MediaError if decoding up to a time would be too long."""
        if min(time_s, self.end_s) > self.start_s + MAX_CLIP_S:
            raise MediaError(
                f"longer than {MAX_CLIP_S:g} s: set start_s and end_s"
            )

    def duration_s(self, file_end_s: float) -> float:
        """The length of what the file has of it; MediaError if none, or long.

        What a file declares (its last frame may last for years) counts here.
        """
        self.check_length(file_end_s)
        if self.start_s >= file_end_s:
            raise MediaError(
                f"start_s={self.start_s:g} is not before the end of the file "
                f"at {file_end_s:g} s"
            )
        return min(self.end_s, file_end_s) - self.start_s


class SeekMissedError(Exception):
    """Reading after a seek began too late to cover the wanted section."""


def read_from_before(
    start_s: float, read: Callable[[float | None], _Result]
) -> _Result:
    """Calls `read` with ever earlier times, if missed; in the end with None."""
    for preroll_s in _PREROLLS_S:
        if start_s > preroll_s:
            with contextlib.suppress(SeekMissedError):
                return read(start_s - preroll_s)
    return read(None)


class Sink(Protocol):
    """Takes the frames of one track in the order of decoding."""

    done: bool  # No later frame can change the result.

    def add(self, frame: av.VideoFrame | av.AudioFrame, time_s: float) -> None:
        """Takes a frame that begins `time_s` after the file's zero."""


def check_file(path: str | os.PathLike[str]) -> None:
    """Raises MediaError for what is no regular file with something in it."""
    if not os.path.exists(path):
        raise MediaError("missing file")
    if not os.path.isfile(path):
        raise MediaError("not a regular file")
    if os.path.getsize(path) == 0:
        raise MediaError("empty file")


def open_container(
    path: str | os.PathLike[str],
) -> av.container.InputContainer:
    """Opens a media file that can reach for nothing else, or MediaError."""
    try:
        return av.open(
            # The prefix keeps "rtp:1.mp4", "-.mp4" or "%d.mp4" a plain name.
            f"file:{os.fspath(path)}",
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": _DEMUXERS,
            },
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        raise MediaError(f"cannot be opened: {error.strerror}") from error


def first_stream(
    container: av.container.InputContainer, kind: str
) -> av.stream.Stream | None:
    """The first "video" or "audio" stream; a MediaError if there is no video.

    Cover art is no video.
    """
    for stream in getattr(container.streams, kind):
        if stream.disposition & av.stream.Disposition.attached_pic:
            continue
        if stream.codec_context is None:
            raise MediaError(f"no decoder for the {kind} track")
        # Clips are decoded side by side; more threads for one gain nothing.
        stream.codec_context.thread_count = 1
        return stream
    if kind == "video":
        raise NoTrackError("no video track")
    return None


def decode_streams(
    container: av.container.InputContainer,
    sinks: dict[av.stream.Stream, Sink],
    section: Section,
    seek_s: float | None,
) -> None:
    """Decodes streams into their sinks until all are done or the file ends.

    It begins at `seek_s` from the file's zero, None for its first packet.

    Raises:
        SeekMissedError: If decoding from there does not cover the section.
        MediaError: If a stream cannot be decoded, or for too long.
    """
    origin_s = (container.start_time or 0) / av.time_base
    seeked = seek_s is not None
    if seeked:
        try:
            container.seek(int((origin_s + seek_s) * av.time_base))
        except (av.FFmpegError, OverflowError) as error:
            raise SeekMissedError from error
    tracks = {
        stream.index: _Track(stream, sink, section, origin_s, seeked)
        for stream, sink in sinks.items()
    }
    for packet in _packets(container, list(sinks)):
        tracks[packet.stream_index].feed(packet)
        if all(sink.done for sink in sinks.values()):
            break
    for track in tracks.values():
        track.finish()


def _packets(
    container: av.container.InputContainer, streams: list[av.stream.Stream]
) -> Iterator[av.Packet]:
    try:
        for packet in container.demux(streams):
            # PyAV ends with empty packets; `decode_streams` flushes by itself,
            # also after a file that ends in an error.
            if packet.size:
                yield packet
    except (av.FFmpegError, IndexError):
        # PyAV's flushing trips over streams that first appeared on the way.
        return


@dataclasses.dataclass
class _Track:
    """Decodes one stream into a sink; broken packets are skipped."""

    stream: av.stream.Stream
    sink: Sink
    section: Section
    origin_s: float  # The file's zero in the stream's own time.
    seeked: bool
    _num_packets: int = 0
    _num_broken: int = 0
    _started: bool = False
    _time_s: float = 0.0

    def feed(self, packet: av.Packet | None) -> None:
        """Decodes a packet; None takes out the last frames."""
        if self.sink.done:
            return
        self._num_packets += self._started
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._num_broken += self._started
            return
        for frame in frames:
            pts = frame.dts if frame.pts is None else frame.pts
            # Frames without any time stamp all take the last known time.
            if pts is not None:
                time_s = float(pts * self.stream.time_base)
                self._time_s = time_s - self.origin_s
            latest_s = self.section.start_s - _WARM_UP_S
            if self.seeked and not self._started and self._time_s > latest_s:
                raise SeekMissedError
            self.section.check_length(self._time_s)
            self._started = True
            self.sink.add(frame, self._time_s)

    def finish(self) -> None:
        """Decodes what is left; refuses a track that is mostly broken."""
        self.feed(None)
        if not self._started:
            if self.seeked:
                raise SeekMissedError
            raise MediaError(f"no {self.stream.type} frame can be decoded")
        if self._num_broken > max(
            _MAX_BROKEN_PACKETS, _MAX_BROKEN_SHARE * self._num_packets
        ):
            raise MediaError(
                f"{self._num_broken} of {self._num_packets} "
                f"{self.stream.type} packets are broken"
            )
