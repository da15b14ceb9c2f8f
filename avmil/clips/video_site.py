"""A video site as yt-dlp asks it, and a clip's section as FFmpeg copies it.

What the site sends is not trusted: pages have a largest size and time, what
FFmpeg copies has a largest size and must not stand still.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import TypeVar

import imageio_ffmpeg
import psutil
import yt_dlp
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.networking import Request, Response
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.postprocessor import FFmpegPostProcessor

from avmil.clips.download_outcomes import video_id
from avmil.clips.manifest import ManifestEntry
from avmil.common import files, threads
from avmil.common.errors import ConfigError, MediaError
from flags import DownloadConfig

T = TypeVar("T")

# Copied around a section: what decoders need before it, and look ahead to.
_PREROLL_S = 1.0
_POSTROLL_S = 0.5
# No other clip can be written either.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
# FFmpeg's exit codes for what it cannot read, or is not to read:
# AVERROR_INVALIDDATA and EINVAL.
_UNREADABLE = (256 - ord("I"), 256 - errno.EINVAL)
_MAX_PAGE_BYTES = 64 << 20
_MAX_PAGE_S = 120.0
_MAX_COPY_BYTES = 4 << 30
_MAX_STANDSTILL_S = 120.0
_WATCH_EVERY_S = 1.0


def check_flags(config: DownloadConfig) -> None:
    """Raises a ConfigError for an address or cookies that cannot be used."""
    if not re.match(r"https?://.*\{id\}", config.source_url):
        raise ConfigError(
            "Expected --source_url with http:// or https:// and {id}, "
            f"received {config.source_url}."
        )
    if config.cookies:
        try:
            YoutubeDLCookieJar(config.cookies).load()
        except (OSError, ValueError) as error:
            raise ConfigError(
                "Expected a cookies file in Netscape's format in --cookies, "
                f"received {config.cookies}: {error}"
            ) from error


class Site(yt_dlp.YoutubeDL):
    """yt-dlp, whose pages are neither endless nor endlessly slow."""

    def urlopen(self, request: Request | str) -> Response:
        """Asks for a page; a TransportError where it takes too long."""
        end_s = time.monotonic() + _MAX_PAGE_S
        response = _until(end_s, super().urlopen, request)
        read = response.read

        def read_bounded(size: int | None = None) -> bytes:
            if size is not None:
                return _until(end_s, read, size)
            return _until(end_s, _read_all, read)

        response.read = read_bounded
        return response


def _read_all(read: Callable[[int], bytes]) -> bytes:
    content = bytearray()
    while part := read(1 << 16):
        content += part
        if len(content) > _MAX_PAGE_BYTES:
            raise TransportError(f"a page of more than {_MAX_PAGE_BYTES} bytes")
    return bytes(content)


def _until(end_s: float, function: Callable[..., T], *arguments: object) -> T:
    """Calls a function, in a thread that is left alone when time is over."""
    future = threads.start(function, *arguments)
    wait([future], timeout=end_s - time.monotonic())
    if not future.done():
        raise TransportError("timed out: the page comes too slowly")
    return future.result()


def open_site(config: DownloadConfig) -> Site:
    """A worker's yt-dlp."""
    # Always the FFmpeg that the copies' exactness is tested with. yt-dlp
    # looks for one before it reads the option ffmpeg_location.
    FFmpegPostProcessor._ffmpeg_location.set(imageio_ffmpeg.get_ffmpeg_exe())
    # Formats that are one file behind an address, not a playlist of pieces.
    http = "[protocol~='^https?$']"
    low = f"[height<=?{config.max_height_px}]{http}"
    return Site(
        {
            "format": f"bv{low}+ba{http}/b{low}/bv*{low}/ba{http}",
            # H.264 and AAC decode fastest; MP4 keeps their exact times.
            "format_sort": ["res", "vcodec:h264", "acodec:aac"],
            "cookiefile": config.cookies or None,
            "socket_timeout": config.timeout_s,
            "retries": config.retries,
            "sleep_interval": config.rate_limit_s * config.workers,
            "sleep_interval_requests": config.rate_limit_s,
            "external_downloader": {"default": "ffmpeg"},  # Whole videos too.
            "external_downloader_args": {
                # Without playlists, which name other addresses, and what
                # FFmpeg does not write with the times it read.
                "ffmpeg_i": (
                    "-format_whitelist mov,matroska "
                    "-protocol_whitelist http,https,tcp,tls,httpproxy "
                    f"-rw_timeout {1e6 * config.timeout_s:.0f} "
                    "-reconnect 1 -reconnect_delay_max 2"
                ).split(),
                # With the video's own clock; half a file is an error.
                "ffmpeg": [
                    *("-copyts", "-start_at_zero", "-xerror", "-sn", "-dn")
                ],
            },
            "fixup": "never",  # It needs ffprobe; nothing has to be fixed.
            "noplaylist": True,
            "quiet": True,
            "noprogress": True,
            "logger": logging.Logger("yt_dlp", logging.CRITICAL + 1),
        }
    )


def copy_section(
    site: Site, source_url: str, entry: ManifestEntry, folder: str
) -> str:
    """Has yt-dlp copy a clip's section, or a whole video, into a folder.

    `source_url` is the address of a video, with {id} in place of its id.
    """
    media: list[dict] = []

    def admit(info: dict, incomplete: bool = False) -> None:
        if incomplete:
            return
        # Another video, or one that a web page embeds.
        is_page = info.get("extractor_key") in ("Generic", "HTML5MediaEmbed")
        is_file = info.get("direct") or any(
            one.get("manifest_url") == info.get("webpage_url")
            for one in info.get("formats") or ()
        )
        if info.get("id") != video_id(entry) or (is_page and not is_file):
            raise MediaError("received a web page instead of the video")
        media[:] = info.get("requested_formats") or [info]

    def section(info: dict, _: yt_dlp.YoutubeDL) -> list[dict]:
        # Sites round it, and yt-dlp would end the section there.
        info["duration"] = None
        if entry.end_s is None:
            return [{}]
        start_s = max((entry.start_s or 0.0) - _PREROLL_S, 0.0)
        return [{"start_time": start_s, "end_time": entry.end_s + _POSTROLL_S}]

    site.params.update(match_filter=admit, download_ranges=section)
    name = files.join(folder.replace("%", "%%"), "clip.%(ext)s")
    site.params["outtmpl"]["default"] = name
    address = source_url.replace("{id}", video_id(entry))
    try:
        with _watched(folder):
            info = site.extract_info(address)
    except yt_dlp.utils.DownloadError as error:
        # yt-dlp passes on only the exit code of FFmpeg.
        match = re.search(r"ffmpeg exited with code (\d+)", str(error))
        if match is None:
            raise
        code = int(match[1])
        if 256 - code in DISK_ERRORS:
            raise OSError(256 - code, os.strerror(256 - code)) from error
        for one in media:
            # The server says to yt-dlp why it refuses.
            headers = {**(one.get("http_headers") or {}), "Range": "bytes=0-0"}
            site.urlopen(Request(one["url"], headers=headers)).close()
        if code in _UNREADABLE:
            expected = "Expected MP4, Matroska or WebM that is served in parts"
            raise MediaError(expected) from error
        raise ConnectionError(f"FFmpeg exited with code {code}") from error
    return info["requested_downloads"][0]["filepath"]


@contextlib.contextmanager
def _watched(folder: str) -> Iterator[None]:
    """Ends an FFmpeg that writes nothing, or too much, to a folder.

    Raises:
        MediaError: if it wrote too much.
        ConnectionError: if it wrote nothing for too long.
    """
    last_size, grown_s = -1, 0.0
    problem: Exception | None = None

    def is_well() -> bool:
        nonlocal last_size, grown_s, problem
        size = 0
        with contextlib.suppress(FileNotFoundError):  # It was renamed.
            found = pathlib.Path(folder).glob("*")
            size = sum(path.stat().st_size for path in found)
        copying = _copying(folder)
        if not copying or size > last_size:
            last_size, grown_s = size, time.monotonic()
        if size > _MAX_COPY_BYTES:
            problem = MediaError(f"more than {_MAX_COPY_BYTES} bytes")
        elif time.monotonic() > grown_s + _MAX_STANDSTILL_S:
            problem = ConnectionError("timed out: the video stands still")
        else:
            return True
        for process in copying:
            process.kill()
        return False

    try:
        with threads.repeating(is_well, _WATCH_EVERY_S):
            yield
    finally:
        if problem is None:
            is_well()  # It may have ended since the last look.
        if problem:
            raise problem


def _copying(folder: str) -> list[psutil.Process]:
    """The FFmpeg that writes to a folder, if there is one now."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if files.join(folder, "") in " ".join(process.cmdline()):
                found.append(process)
    return found
