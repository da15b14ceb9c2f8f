"""Fetching the clips of a manifest from a video site, several at a time.

yt-dlp finds a video and has FFmpeg copy its section, packet by packet. The copy
begins at the keyframe before the section and keeps the video's own clock, so
that the new manifest can say exactly where the section lies in it: decoding it
gives the same frames and sound as the section of the whole video.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import av
import av.stream

from avmil.clips import manifest
from avmil.clips.download_outcomes import (
    JOURNAL_NAME,
    PASSING,
    Outcome,
    explain,
    read_outcomes,
    site_name,
    source,
    summary,
    video_id,
    write_lists,
)
from avmil.clips.list_files import YOUTUBE_ID
from avmil.clips.manifest import ManifestEntry
from avmil.clips.video_site import (
    DISK_ERRORS,
    Site,
    check_flags,
    copy_section,
    open_site,
)
from avmil.common import files
from avmil.common.errors import ConfigError, ManifestError, MediaError
from avmil.common.progress import Progress
from flags import DownloadConfig

_MAX_PAUSE_S = 300.0
# So many failures in a row that waiting did not mend end the work.
_MAX_FAILURES = 20


def download(config: DownloadConfig) -> int:
    """Fetches the clips of a manifest and prints what became of them.

    The folder gets a manifest.csv and a classes.txt of its own with every
    clip, and missing_clips.csv. Called again it tries what it has not tried,
    what may have passed and, with `retry_missing`, all that is missing.

    Returns:
        1 if the work stopped or no clip is there, else 0.

    Raises:
        ConfigError: If the folder is remote or holds another manifest, or for
            an address or cookies that cannot be used.
        ManifestError: If the manifest has problems or paths without video ids.
    """
    check_flags(config)
    clips_dir = config.clips_dir
    _check_folder(config.manifest, clips_dir)
    class_names, entries = manifest.read(config.manifest)
    if problems := [
        f"clip {entry.clip_id}: Expected a path {{id}}.mp4 with a video's id "
        f"of 11 characters, received {os.path.basename(entry.path)!r}."
        for entry in entries
        if not YOUTUBE_ID.fullmatch(video_id(entry))
    ]:
        raise ManifestError(config.manifest, problems)
    with files.exclusive(clips_dir):
        outcomes = read_outcomes(config, entries)
        waiting = [e for e in entries if e.clip_id not in outcomes]
        journal_path = files.join(clips_dir, JOURNAL_NAME)
        stop_reason = ""
        num_missing = num_failures = 0
        try:
            with (
                open(journal_path, "a", encoding="utf-8") as journal,
                Progress(len(entries), "clip", len(outcomes)) as progress,
                _fetched(waiting, config) as fetched,
            ):
                for outcome in fetched:
                    outcomes[outcome.clip_id] = outcome
                    # A killed process may have left half a line.
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


@contextlib.contextmanager
def _fetched(
    entries: list[ManifestEntry], config: DownloadConfig
) -> Iterator[Iterator[Outcome]]:
    """Yields what becomes of each clip, in the order in which they end."""
    folder = os.path.abspath(files.join(config.clips_dir, ".unfinished"))
    shutil.rmtree(folder, ignore_errors=True)  # A killed process left it.
    os.makedirs(folder)
    stopped = threading.Event()
    worker = threading.local()

    def start() -> None:
        worker.site = open_site(config)

    def fetch(entry: ManifestEntry) -> Outcome:
        return _fetch(worker.site, config, entry, folder, stopped)

    pool = ThreadPoolExecutor(config.workers, initializer=start)
    try:
        futures = [pool.submit(fetch, entry) for entry in entries]
        yield (future.result() for future in as_completed(futures))
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(
    site: Site,
    config: DownloadConfig,
    entry: ManifestEntry,
    folder: str,
    stopped: threading.Event,
) -> Outcome:
    """Fetches a clip in several tries; its failure stops no other clip."""
    own_folder = files.join(folder, entry.clip_id)
    wanted = entry.clip_id, source(entry), site_name(config)
    for num_tries in range(1, config.retries + 2):
        try:
            copy = copy_section(site, config.source_url, entry, own_folder)
            start_s, end_s = _section_in_copy(copy, entry)
            name = entry.clip_id + os.path.splitext(copy)[1]
            os.replace(copy, files.join(config.clips_dir, name))
            return Outcome(*wanted, name, start_s, end_s)
        except Exception as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            reason, message = explain(error)
        finally:
            shutil.rmtree(own_folder, ignore_errors=True)
        pause_s = min(config.rate_limit_s * 2.0**num_tries, _MAX_PAUSE_S)
        if reason not in PASSING or stopped.wait(pause_s):
            break
    return Outcome(*wanted, reason=reason.value, message=message)


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
    if entry.end_s is None:  # The whole video was copied.
        return entry.start_s, None
    start_s = entry.start_s or 0.0
    if not begin_s <= start_s <= last_s:
        raise MediaError(
            f"no video at {start_s:g} s, but from {begin_s:g} to {last_s:g} s"
        )
    return round(start_s - begin_s, 6), round(entry.end_s - begin_s, 6)
