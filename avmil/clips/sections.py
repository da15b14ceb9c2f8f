"""Copying a section of a media file, not encoded anew, into a small file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import av
import av.container
import av.stream

from avmil.clips.media_container import (
    Section,
    SeekMissedError,
    first_stream,
    read_from_before,
)
from avmil.common.errors import MediaError

# What video sites serve as one file. Playlists, which name other addresses,
# are left out on purpose.
_DEMUXERS = "mov,matroska,flv,avi,mpegts"

# MP4 keeps time stamps to the sample. Matroska rounds them to milliseconds, so
# that what comes from it stays in it: rounded again they would differ.
_MP4_CODECS = frozenset(
    {"h264", "hevc", "av1", "vp9", "mpeg4", "aac", "mp3", "opus", "flac"}
)
# MP4 rounds the beginnings of tracks to milliseconds unless told otherwise.
_MUXER_OPTIONS = {"mp4": {"movie_timescale": "1000000"}, "matroska": {}}
SUFFIXES = {"mp4": ".mp4", "matroska": ".mkv"}

# The sound's decoder needs so much before the section.
_WARM_UP_S = 0.2
# Copied behind the section, for decoders that look ahead.
_POSTROLL_S = 0.5
# For so long one track is waited for that may have ended before the other.
_PATIENCE_S = 5.0


class ReadableFile(Protocol):
    """What PyAV reads a file through."""

    error: Exception | None

    def read(self, amount: int) -> bytes:
        """Returns at most so many bytes."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a position."""

    def tell(self) -> int:
        """Returns the position."""


def copy_section(
    sources: Sequence[ReadableFile], section: Section, path: str
) -> tuple[str, Section]:
    """Copies the packets of a section, picture and sound, into a new file.

    `decode_clip` gives the same frames and sound from the place returned as
    from the section of the whole file: the keyframe and the sound before it
    are copied too.

    Args:
        sources: One file with picture and sound, or a file for each, which
            begin together.
        section: Wanted part, from the files' zero. Where the files end
            before it does, so does the copy.
        path: File to write.

    Returns:
        The new file's format, a key of `SUFFIXES`, and the section in it.

    Raises:
        MediaError: If a file has no video, no audio or nothing of the section.
        av.FFmpegError: If a file cannot be read, or the copy not be written.
        Exception: What a source's `read` raises.
    """
    # As decoding of the whole file does, so that decoders give the same.
    return read_from_before(
        section.start_s,
        lambda seek_s: _copy_from(sources, section, seek_s, path),
    )


def _copy_from(
    sources: Sequence[ReadableFile],
    section: Section,
    seek_s: float | None,
    path: str,
) -> tuple[str, Section]:
    with contextlib.ExitStack() as stack:
        containers = [stack.enter_context(_open(file)) for file in sources]
        tracks = _tracks(containers)
        packets = _read(tracks, section, seek_s)
        for file in sources:
            if file.error:  # A demuxer may take it for the file's end.
                raise file.error
        shift_s = _align(tracks, packets)
        file_format = _format(tracks)
        path = f"file:{path}"  # FFmpeg takes "x:y.mp4" for a protocol x.
        _write(tracks, packets, file_format, path)
    # Start times are exact to the microsecond.
    moved_s = round(tracks[0].origin_s - shift_s - _start_time_s(path), 6)
    start_s = max(section.start_s + moved_s, 0.0)
    return file_format, Section(
        round(start_s, 6), round(section.end_s + moved_s, 6)
    )


class _Track:
    """One stream of a source.

    Attributes:
        stream: The stream.
        container: Its file.
        origin_s: The file's zero in the stream's own time.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.stream.Stream,
    ) -> None:
        self.container = container
        self.stream = stream
        self.origin_s = (container.start_time or 0) / av.time_base

    def time_s(self, packet: av.Packet) -> float:
        """Begin of a packet in the order of decoding, from the file's zero."""
        ticks = packet.pts if packet.dts is None else packet.dts
        return float(ticks * self.stream.time_base) - self.origin_s

    def check_begin(self, packets: list[av.Packet], section: Section) -> None:
        """Raises SeekMissedError if decoding the packets begins too late."""
        if not packets:
            raise SeekMissedError
        first = packets[0]
        shown = first.dts if first.pts is None else first.pts
        shown_s = float(shown * self.stream.time_base) - self.origin_s
        is_late = shown_s > section.start_s - _WARM_UP_S
        if is_late or (self.stream.type == "video" and not first.is_keyframe):
            raise SeekMissedError

    def check_end(self, packets: list[av.Packet], section: Section) -> None:
        """Raises MediaError if the packets end before the section begins."""
        end_s = self.time_s(packets[-1]) + _POSTROLL_S if packets else 0.0
        if end_s <= section.start_s:
            raise MediaError(f"no {self.stream.type} {section}")

    def move(self, packets: list[av.Packet], shift_s: float) -> None:
        """Moves packets to an earlier time."""
        shift = round(shift_s / self.stream.time_base)
        for packet in packets:
            if packet.pts is not None:
                packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift


_Packets = dict[_Track, list[av.Packet]]


def _open(file: ReadableFile) -> av.container.InputContainer:
    file.seek(0)
    return av.open(
        file,
        container_options={
            "protocol_whitelist": "none",
            "format_whitelist": _DEMUXERS,
        },
        metadata_errors="replace",
    )


def _tracks(containers: list[av.container.InputContainer]) -> list[_Track]:
    tracks = []
    for kind in ("video", "audio"):
        found = [
            _Track(container, stream)
            for container in containers
            if (stream := first_stream(container, kind)) is not None
        ]
        if not found:
            raise MediaError(f"no {kind} track")
        tracks.append(found[0])
    return tracks


def _read(
    tracks: list[_Track], section: Section, seek_s: float | None
) -> _Packets:
    packets: _Packets = {track: [] for track in tracks}
    for container in dict.fromkeys(track.container for track in tracks):
        own = [track for track in tracks if track.container is container]
        if seek_s is not None:
            _seek(container, own[0].origin_s + seek_s)
        for track, packet in _demux(container, own, section.end_s):
            packets[track].append(packet)
    for track in tracks:
        if seek_s is not None:
            track.check_begin(packets[track], section)
        track.check_end(packets[track], section)
        _fill_decoding_times(packets[track])
    return packets


def _seek(container: av.container.InputContainer, time_s: float) -> None:
    try:
        container.seek(int(time_s * av.time_base))
    except av.FFmpegError as error:
        raise SeekMissedError from error


def _demux(
    container: av.container.InputContainer, tracks: list[_Track], end_s: float
) -> Iterator[tuple[_Track, av.Packet]]:
    """Yields the packets up to the end of the section."""
    track_of = {track.stream.index: track for track in tracks}
    waited_for = set(tracks)
    for packet in container.demux([track.stream for track in tracks]):
        track = track_of[packet.stream_index]
        if packet.size == 0 or (packet.pts is None and packet.dts is None):
            continue
        time_s = track.time_s(packet)
        if time_s < end_s + _POSTROLL_S:
            yield track, packet
            continue
        waited_for.discard(track)
        if not waited_for or time_s > end_s + _PATIENCE_S:
            return


def _fill_decoding_times(packets: list[av.Packet]) -> None:
    """Tells when to decode the first packets, which Matroska leaves open."""
    following = None
    for packet in reversed(packets):
        if packet.dts is None:
            packet.dts = packet.pts
            if following is not None:
                before = following.dts - max(packet.duration or 0, 1)
                packet.dts = min(packet.pts, before)
        following = packet


def _align(tracks: list[_Track], packets: _Packets) -> float:
    """Moves all packets close behind 0 and returns by how much.

    The first track's clock moves by whole seconds, which every time base can
    express.
    """
    first_s = min(track.time_s(packets[track][0]) for track in tracks)
    shift_s = math.floor(first_s + tracks[0].origin_s)
    for track in tracks:
        origin_s = track.origin_s - tracks[0].origin_s
        track.move(packets[track], shift_s + origin_s)
    return shift_s


def _format(tracks: list[_Track]) -> str:
    if any("matroska" in track.container.format.name for track in tracks):
        return "matroska"
    names = {
        track.stream.codec_context.codec.canonical_name for track in tracks
    }
    return "mp4" if names <= _MP4_CODECS else "matroska"


def _write(
    tracks: list[_Track], packets: _Packets, file_format: str, path: str
) -> None:
    options = _MUXER_OPTIONS[file_format]
    with av.open(
        path, "w", format=file_format, container_options=options
    ) as output:
        timed = []
        for track in tracks:
            stream = output.add_stream_from_template(track.stream, opaque=True)
            for packet in packets[track]:
                packet.stream = stream
                timed.append(packet)
        timed.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in timed:
            output.mux(packet)


def _start_time_s(path: str) -> float:
    with av.open(path) as container:
        return (container.start_time or 0) / av.time_base
