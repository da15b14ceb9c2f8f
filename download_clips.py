r"""Fetches the clips of a manifest from a video site.

    python download_clips.py --manifest=lists/manifest.csv --clips_dir=clips

Only the wanted section of a video is fetched, and kept as it is encoded. The
folder gets a manifest.csv of its own for extract_features.py. Videos that are
not to be had are listed in missing_clips.csv; they stay in the manifest, so
that an evaluation counts them as missed. Started again with the same flags it
goes on where it stopped.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import os

from avmil.common.errors import ConfigError, ManifestError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.clips import clip_lists, manifest
from avmil.clips.download_journal import JOURNAL_NAME, Journal, video_id
from avmil.clips.downloading import Downloader
from avmil.clips.manifest import ManifestEntry
from avmil.clips.rate_limit import RateLimit
from avmil.clips.video_site import SiteOptions
from avmil.common import files
from avmil.common.progress import Progress

_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def download(config: flags.DownloadConfig) -> int:
    """Fetches all clips; returns 1 if the work stopped or gave no clip."""
    _check(config)
    class_names, rows = _read_clips(config.manifest)
    rate_limit = RateLimit(config.rate_limit_s)
    downloader = _downloader(config, rate_limit)
    files.make_directory(config.clips_dir)
    with files.exclusive(config.clips_dir):
        _refuse_other_manifest(config.clips_dir)
        site = (
            f"{config.source_url} up to {config.max_height_px} px, "
            f"{'with' if config.cookies else 'without'} cookies"
        )
        journal = Journal(config.clips_dir, rows, site, config.retry_missing)
        try:
            _run(downloader, rows, journal)
        finally:
            _write_lists(config.clips_dir, class_names, rows, journal)
    print(_summary(rows, journal, config.clips_dir))
    if rate_limit.stop_reason:
        print(
            f"Stopped: {rate_limit.stop_reason}\nThe same command goes on. A "
            "server that refuses wants a pause of some hours, fewer --workers, "
            "a longer --rate_limit_s or --cookies."
        )
    fetched = any(outcome.file for outcome in journal.outcomes.values())
    return int(bool(rate_limit.stop_reason) or not fetched)


def _check(config: flags.DownloadConfig) -> None:
    if files.is_remote(config.clips_dir):
        raise ConfigError(
            f"Expected a local --clips_dir, received {config.clips_dir}."
        )
    manifest_dir = os.path.dirname(config.manifest)
    if os.path.realpath(config.clips_dir) == os.path.realpath(manifest_dir):
        raise ConfigError(
            "Expected a --clips_dir of its own, received the manifest's "
            f"folder {config.clips_dir}: its manifest would be replaced."
        )
    is_http = config.source_url.startswith(("http://", "https://"))
    if not is_http or "{id}" not in config.source_url:
        raise ConfigError(
            "Expected --source_url with http:// or https:// and {id}, "
            f"received {config.source_url}."
        )
    if config.cookies and not os.path.isfile(config.cookies):
        raise ConfigError(
            f"Expected a file in --cookies, received {config.cookies}: there "
            "is none."
        )


def _refuse_other_manifest(clips_dir: str) -> None:
    mine = files.exists(files.join(clips_dir, JOURNAL_NAME))
    if files.exists(files.join(clips_dir, "manifest.csv")) and not mine:
        raise ConfigError(
            f"Expected a --clips_dir of its own, received {clips_dir} with a "
            "manifest.csv that is not a download's. Name another folder."
        )


def _read_clips(path: str) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    files.enable_remote(path)
    class_names, rows = manifest.read(path)
    problems = [
        f"clip {row.clip_id}: Expected a path {{id}}.mp4 with a video's id of "
        f"11 characters, received {os.path.basename(row.path)!r}."
        for row in rows
        if not clip_lists.is_youtube_id(video_id(row))
    ]
    if problems:
        raise ManifestError(path, problems)
    return class_names, rows


def _downloader(
    config: flags.DownloadConfig, rate_limit: RateLimit
) -> Downloader:
    options = SiteOptions(
        config.source_url,
        config.max_height_px,
        config.cookies,
        config.timeout_s,
        config.rate_limit_s,
    )
    try:
        return Downloader(
            config.clips_dir,
            options,
            rate_limit,
            config.workers,
            config.retries,
        )
    except ValueError as error:
        raise ConfigError(f"--cookies: {error}") from error


def _run(
    downloader: Downloader, rows: list[ManifestEntry], journal: Journal
) -> None:
    open_rows = [row for row in rows if row.clip_id not in journal.outcomes]
    num_done = len(rows) - len(open_rows)
    with journal, Progress(len(rows), "clip", num_done) as progress:
        downloader.run(open_rows, journal, progress)


def _write_lists(
    clips_dir: str,
    class_names: tuple[str, ...],
    rows: list[ManifestEntry],
    journal: Journal,
) -> None:
    """Writes the clips' manifest, class list and list of missing clips."""
    names = "".join(f"{name}\n" for name in class_names)
    files.write_text(files.join(clips_dir, "classes.txt"), names)
    manifest.write_manifest(
        files.join(clips_dir, "manifest.csv"),
        [_fetched_row(row, journal, clips_dir) for row in rows],
    )
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(("clip_id", "split", "reason", "message"))
    for row in rows:
        outcome = journal.outcomes.get(row.clip_id)
        if outcome and outcome.reason:
            table.writerow(
                (row.clip_id, row.split, outcome.reason, outcome.message)
            )
    files.write_text(
        files.join(clips_dir, "missing_clips.csv"), text.getvalue()
    )


def _fetched_row(
    row: ManifestEntry, journal: Journal, clips_dir: str
) -> ManifestEntry:
    outcome = journal.outcomes.get(row.clip_id)
    if outcome is None or not outcome.file:
        missing_path = files.join(clips_dir, f"{row.clip_id}.mp4")
        return dataclasses.replace(row, path=missing_path)
    return dataclasses.replace(
        row,
        path=files.join(clips_dir, outcome.file),
        start_s=outcome.start_s,
        end_s=outcome.end_s,
    )


def _summary(
    rows: list[ManifestEntry], journal: Journal, clips_dir: str
) -> str:
    """The counts in the paper's form (section 4.1), and the reasons."""
    wanted = collections.Counter(row.split for row in rows)
    outcomes = journal.outcomes
    fetched = collections.Counter(
        row.split
        for row in rows
        if row.clip_id in outcomes and outcomes[row.clip_id].file
    )
    counts = ", ".join(
        f"{fetched[split]:,} of {wanted[split]:,} {name} clips"
        for split, name in _SPLIT_NAMES.items()
        if wanted[split]
    )
    lines = [f"{counts} are in {clips_dir}."]
    reasons = collections.Counter(
        outcome.reason for outcome in outcomes.values() if outcome.reason
    )
    if reasons:
        lines.append(f"{reasons.total():,} missing, see missing_clips.csv:")
    lines += [
        f"  {count:7,}  {reason}" for reason, count in reasons.most_common()
    ]
    if num_open := len(rows) - len(outcomes):
        lines.append(f"{num_open:,} not tried yet.")
    return "\n".join(lines)


def main() -> int:
    """Reads the flags and downloads."""
    return download(flags.read(flags.DownloadConfig))


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.DownloadConfig)


if __name__ == "__main__":
    console_entry_point()
