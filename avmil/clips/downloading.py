"""Fetching the clips of a manifest from a video site, several at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import os
import queue

import av
from yt_dlp.utils import YoutubeDLError

from avmil.clips.download_failures import PASSING, DownloadError, explain
from avmil.clips.download_journal import Journal, Outcome, source, video_id
from avmil.clips.manifest import ManifestEntry
from avmil.clips.media_container import Section
from avmil.clips.rate_limit import RateLimit, StoppedError
from avmil.clips.sections import SUFFIXES, copy_section
from avmil.clips.video_site import SiteOptions, VideoSite
from avmil.common import files
from avmil.common.errors import MediaError
from avmil.common.progress import Progress

_PART = ".part"
_CLIP_ERRORS = (DownloadError, YoutubeDLError, MediaError, av.FFmpegError)
# With these no other clip can be written either.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class Downloader:
    """Fetches clips into a folder.

    Args:
        clips_dir: The folder, on a local disk.
        options: How the video site is asked.
        rate_limit: Spaces out and ends the requests of all workers.
        num_workers: How many clips are fetched at a time.
        num_retries: How often a clip is tried again after a failure that may
            pass.

    Raises:
        ValueError: If the cookies file cannot be read.
    """

    def __init__(
        self,
        clips_dir: str,
        options: SiteOptions,
        rate_limit: RateLimit,
        num_workers: int,
        num_retries: int,
    ) -> None:
        self._clips_dir = clips_dir
        self._rate_limit = rate_limit
        self._num_workers = num_workers
        self._num_retries = num_retries
        self._sites: queue.SimpleQueue[VideoSite] = queue.SimpleQueue()
        for _ in range(num_workers):
            self._sites.put(VideoSite(options, rate_limit))

    def run(
        self, rows: list[ManifestEntry], journal: Journal, progress: Progress
    ) -> None:
        """Fetches clips; whatever becomes of one, the others go on.

        Args:
            rows: The clips.
            journal: Receives the outcome of each.
            progress: Updated for each, with the number of missing clips.
        """
        for row in rows:
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._part(row))
        pool = concurrent.futures.ThreadPoolExecutor(self._num_workers)
        try:
            row_of = {pool.submit(self._fetch, row): row for row in rows}
            num_missing = 0
            for future in concurrent.futures.as_completed(row_of):
                outcome = self._outcome(future, row_of[future])
                if outcome is not None:
                    journal.add(outcome)
                    num_missing += not outcome.file
                    progress.update(missing=num_missing)
        except KeyboardInterrupt:
            self._rate_limit.stop("interrupted")
            progress.write(
                "Stopping, as soon as the requests under way end; interrupt "
                "once more to stop at once."
            )
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _part(self, row: ManifestEntry) -> str:
        """Where a clip is written; a killed download may leave it there."""
        return files.join(self._clips_dir, row.clip_id + _PART)

    def _outcome(
        self, future: concurrent.futures.Future[Outcome], row: ManifestEntry
    ) -> Outcome | None:
        """What became of a clip; None where the work stopped before."""
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, StoppedError):
            return None
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            self._rate_limit.stop(
                f"{self._clips_dir} cannot be written to: {error}"
            )
            return None
        return _missing(row, explain(error))

    def _fetch(self, row: ManifestEntry) -> Outcome:
        for _ in range(1 + self._num_retries):
            self._rate_limit.wait()
            try:
                outcome = self._fetch_once(row)
            except _CLIP_ERRORS as error:
                if getattr(error, "errno", None) in _DISK_ERRORS:
                    raise
                failure = explain(error)
            else:
                self._rate_limit.served()
                return outcome
            if failure.reason not in PASSING:
                self._rate_limit.served()
                break
            self._rate_limit.failed(failure.message, failure.retry_after_s)
        return _missing(row, failure)

    def _fetch_once(self, row: ManifestEntry) -> Outcome:
        end_s = float("inf") if row.end_s is None else row.end_s
        wanted = Section(row.start_s or 0.0, end_s)
        part = self._part(row)
        site = self._sites.get()
        try:
            sources = site.open(video_id(row))
            file_format, section = copy_section(sources, wanted, part)
            self._rate_limit.check()
            name = row.clip_id + SUFFIXES[file_format]
            os.replace(part, files.join(self._clips_dir, name))
        finally:
            self._sites.put(site)
            with contextlib.suppress(FileNotFoundError):
                os.remove(part)
        return Outcome(
            row.clip_id,
            source(row),
            name,
            section.start_s,
            None if row.end_s is None else section.end_s,
        )


def _missing(row: ManifestEntry, failure: DownloadError) -> Outcome:
    return Outcome(
        row.clip_id,
        source(row),
        reason=failure.reason.value,
        message=failure.message,
    )
