"""Fetching the clips of a manifest from a video site, several at a time.

yt-dlp finds a video and has FFmpeg copy its section, packet by packet. The copy
begins at the keyframe before the section and keeps the video's own clock, so
that the new manifest can say exactly where the section lies in it: decoding it
gives the same frames and sound as the section of the whole video.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import av
import av.stream
import imageio_ffmpeg
import yt_dlp
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.networking import Request
from yt_dlp.postprocessor import FFmpegPostProcessor

from avmil.clips import manifest
from avmil.clips.download_outcomes import (
    JOURNAL_NAME,
    PASSING,
    Outcome,
    explain,
    read_outcomes,
    source,
    summary,
    video_id,
    write_lists,
)
from avmil.clips.list_files import YOUTUBE_ID
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ConfigError, ManifestError, MediaError
from avmil.common.progress import Progress

# Copied around a section: what decoders need before it, and look ahead to.
_PREROLL_S = 1.0
_POSTROLL_S = 0.5
_MAX_PAUSE_S = 300.0
# So many failures in a row that waiting did not mend end the work.
_MAX_FAILURES = 20
# With these no other clip can be written either.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
# FFmpeg's exit codes for what it cannot read, or is not to read:
# AVERROR_INVALIDDATA and EINVAL.
_UNREADABLE = (256 - ord("I"), 256 - errno.EINVAL)


@dataclasses.dataclass(frozen=True)
class SiteOptions:
    """How a site is asked for videos: the flags of download_clips.py."""

    source_url: str = "https://www.youtube.com/watch?v={id}"
    max_height_px: int = 480
    cookies: str = ""
    workers: int = 4
    rate_limit_s: float = 1.0
    retries: int = 3
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not re.match(r"https?://.*\{id\}", self.source_url):
            raise ConfigError(
                "Expected --source_url with http:// or https:// and {id}, "
                f"received {self.source_url}."
            )
        if self.cookies:
            try:
                YoutubeDLCookieJar(self.cookies).load()
            except (OSError, ValueError) as error:
                raise ConfigError(
                    "Expected a cookies file in Netscape's format in "
                    f"--cookies, received {self.cookies}: {error}"
                ) from error

    @property
    def name(self) -> str:
        """How the site is asked, in so far as other videos may come of it."""
        cookies = "with" if self.cookies else "without"
        height = f"up to {self.max_height_px} px"
        return f"{self.source_url} {height}, {cookies} cookies"


def download(
    manifest_path: str,
    clips_dir: str,
    options: SiteOptions,
    retry_missing: bool,
) -> int:
    """Fetches the clips of a manifest and prints what became of them.

    The folder gets a manifest.csv and a classes.txt of its own with every
    clip, and missing_clips.csv. Called again it tries what it has not tried,
    what may have passed and, with `retry_missing`, all that is missing.

    Returns:
        1 if the work stopped or no clip is there, else 0.

    Raises:
        ConfigError: If the folder is remote or holds another manifest.
        ManifestError: If the manifest has problems or paths without video ids.
    """
    _check_folder(manifest_path, clips_dir)
    class_names, entries = manifest.read(manifest_path)
    if problems := [
        f"clip {entry.clip_id}: Expected a path {{id}}.mp4 with a video's id "
        f"of 11 characters, received {os.path.basename(entry.path)!r}."
        for entry in entries
        if not YOUTUBE_ID.fullmatch(video_id(entry))
    ]:
        raise ManifestError(manifest_path, problems)
    with files.exclusive(clips_dir):
        outcomes = read_outcomes(
            clips_dir, entries, options.name, retry_missing
        )
        waiting = [e for e in entries if e.clip_id not in outcomes]
        journal_path = files.join(clips_dir, JOURNAL_NAME)
        stop_reason = ""
        num_missing = num_failures = 0
        try:
            with (
                open(journal_path, "a", encoding="utf-8") as journal,
                Progress(len(entries), "clip", len(outcomes)) as progress,
                _fetched(waiting, clips_dir, options) as fetched,
            ):
                for outcome in fetched:
                    outcomes[outcome.clip_id] = outcome
                    # Behind the half of a line that a killed process leaves.
                    journal.write(f"\n{outcome.to_json()}")
                    journal.flush()
                    num_missing += not outcome.file
                    progress.update(missing=num_missing)
                    may_pass = outcome.reason in PASSING
                    num_failures = num_failures + 1 if may_pass else 0
                    if num_failures == _MAX_FAILURES:
                        stop_reason = (
                            f"{num_failures} clips in a row failed, the last "
                            f"one with: {outcome.message}"
                        )
                        break
        except OSError as error:
            stop_reason = f"{clips_dir}: {error}"
        finally:
            write_lists(clips_dir, class_names, entries, outcomes)
    print(summary(entries, outcomes, clips_dir))
    if stop_reason:
        print(
            f"Stopped: {stop_reason}\nThe same command goes on. A server that "
            "refuses wants a pause of some hours, fewer --workers, a longer "
            "--rate_limit_s or --cookies."
        )
    has_clips = any(outcome.file for outcome in outcomes.values())
    return int(bool(stop_reason) or not has_clips)


def _check_folder(manifest_path: str, clips_dir: str) -> None:
    """Refuses a folder whose files are not a download's."""
    lists_dir = os.path.dirname(manifest_path)
    is_lists_dir = os.path.realpath(clips_dir) == os.path.realpath(lists_dir)
    has_manifest = os.path.exists(files.join(clips_dir, "manifest.csv"))
    has_journal = os.path.exists(files.join(clips_dir, JOURNAL_NAME))
    is_used = is_lists_dir or (has_manifest and not has_journal)
    if is_used or files.is_remote(clips_dir):
        raise ConfigError(
            "Expected a local --clips_dir without a manifest.csv of others, "
            f"received {clips_dir}. Name another folder."
        )


def _site(options: SiteOptions) -> yt_dlp.YoutubeDL:
    """A worker's yt-dlp."""
    # Formats that are one file behind an address, not a playlist of pieces.
    http = "[protocol~='^https?$']"
    low = f"[height<=?{options.max_height_px}]{http}"
    return yt_dlp.YoutubeDL(
        {
            "format": f"bv{low}+ba{http}/b{low}/bv*{low}/ba{http}",
            # H.264 and AAC decode fastest; MP4 keeps their exact times.
            "format_sort": ["res", "vcodec:h264", "acodec:aac"],
            "cookiefile": options.cookies or None,
            "socket_timeout": options.timeout_s,
            "retries": options.retries,
            "sleep_interval": options.rate_limit_s * options.workers,
            "sleep_interval_requests": options.rate_limit_s,
            "external_downloader_args": {
                # Without playlists, which name other addresses, and what
                # FFmpeg does not write with the times it read.
                "ffmpeg_i": (
                    "-format_whitelist mov,matroska "
                    "-protocol_whitelist http,https,tcp,tls,httpproxy "
                    f"-rw_timeout {1e6 * options.timeout_s:.0f} "
                    "-reconnect 1 -reconnect_delay_max 2"
                ).split(),
                # With the video's own clock; half a file is an error.
                "ffmpeg": [
                    *("-copyts", "-start_at_zero", "-xerror", "-sn", "-dn")
                ],
            },
            "fixup": "never",  # It takes ffprobe; there is nothing to mend.
            "noplaylist": True,
            "quiet": True,
            "noprogress": True,
            "logger": logging.Logger("yt_dlp", logging.CRITICAL + 1),
        }
    )


@contextlib.contextmanager
def _fetched(
    entries: list[ManifestEntry], clips_dir: str, options: SiteOptions
) -> Iterator[Iterator[Outcome]]:
    """Yields what becomes of each clip, in the order in which they end."""
    folder = os.path.abspath(files.join(clips_dir, ".unfinished"))
    shutil.rmtree(folder, ignore_errors=True)  # That of a killed process.
    os.makedirs(folder)
    stopped = threading.Event()
    worker = threading.local()

    def open_site() -> None:
        # Always the FFmpeg that the copies' exactness is tested with. yt-dlp
        # looks for one before it reads the option ffmpeg_location.
        ffmpeg_path = imageio_ffmpeg.get_ffmpeg_exe()
        FFmpegPostProcessor._ffmpeg_location.set(ffmpeg_path)
        worker.site = _site(options)

    def fetch(entry: ManifestEntry) -> Outcome:
        return _fetch(worker.site, options, entry, folder, stopped)

    pool = ThreadPoolExecutor(options.workers, initializer=open_site)
    try:
        futures = [pool.submit(fetch, entry) for entry in entries]
        yield (future.result() for future in as_completed(futures))
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(
    site: yt_dlp.YoutubeDL,
    options: SiteOptions,
    entry: ManifestEntry,
    folder: str,
    stopped: threading.Event,
) -> Outcome:
    """Fetches a clip in several tries; its failure stops no other clip."""
    own_folder = files.join(folder, entry.clip_id)
    wanted = entry.clip_id, source(entry), options.name
    for num_tries in range(1, options.retries + 2):
        try:
            copy = _copy_section(site, options, entry, own_folder)
            start_s, end_s = _section_in_copy(copy, entry)
            name = entry.clip_id + os.path.splitext(copy)[1]
            os.replace(copy, files.join(os.path.dirname(folder), name))
            return Outcome(*wanted, name, start_s, end_s)
        except Exception as error:
            if getattr(error, "errno", None) in _DISK_ERRORS:
                raise
            reason, message = explain(error)
        finally:
            shutil.rmtree(own_folder, ignore_errors=True)
        pause_s = min(options.rate_limit_s * 2.0**num_tries, _MAX_PAUSE_S)
        if reason not in PASSING or stopped.wait(pause_s):
            break
    return Outcome(*wanted, reason=reason.value, message=message)


def _copy_section(
    site: yt_dlp.YoutubeDL,
    options: SiteOptions,
    entry: ManifestEntry,
    folder: str,
) -> str:
    """Has yt-dlp copy a clip's section, or a whole video, into a folder."""
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
    address = options.source_url.replace("{id}", video_id(entry))
    try:
        info = site.extract_info(address)
    except yt_dlp.utils.DownloadError as error:
        # Of what FFmpeg met yt-dlp hands on the exit code only.
        match = re.search(r"ffmpeg exited with code (\d+)", str(error))
        if match is None:
            raise
        code = int(match[1])
        if 256 - code in _DISK_ERRORS:
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


def _section_in_copy(
    path: str, entry: ManifestEntry
) -> tuple[float | None, float | None]:
    """Finds where a clip's section starts and ends in its copy."""
    last_s = 0.0
    with av.open(f"file:{path}") as container:
        for kind in ("video", "audio"):
            cover = av.stream.Disposition.attached_pic
            streams = getattr(container.streams, kind)
            if all(stream.disposition & cover for stream in streams):
                raise MediaError(f"no {kind} track")
        begin_s = (container.start_time or 0) / av.time_base
        for packet in container.demux():
            if packet.pts is not None:
                last_s = max(last_s, float(packet.pts * packet.time_base))
    if entry.end_s is None:  # It is the whole video.
        return entry.start_s, None
    start_s = entry.start_s or 0.0
    if not begin_s <= start_s <= last_s:
        raise MediaError(
            f"no video at {start_s:g} s, but from {begin_s:g} to {last_s:g} s"
        )
    return round(start_s - begin_s, 6), round(entry.end_s - begin_s, 6)
