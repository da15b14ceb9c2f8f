"""What became of each clip of a download, and why.

`downloads.jsonl` keeps it for the next start, `manifest.csv` and
`missing_clips.csv` tell others.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import json
import os
import re

import av
from yt_dlp import utils
from yt_dlp.networking import exceptions

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ConfigError, MediaError
from flags import DownloadConfig

# yt-dlp's own archive knows videos only, not sections, places and reasons.
JOURNAL_NAME = "downloads.jsonl"
_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


class Reason(str, enum.Enum):
    """Reason that `missing_clips.csv` gives."""

    REMOVED = "removed"
    PRIVATE = "private"
    BLOCKED = "blocked in this country"
    AGE_RESTRICTED = "age-restricted"
    NO_AUDIO = "no audio"
    NO_VIDEO = "no video"
    REFUSED = "refused"
    NETWORK = "network"
    OTHER = "other"


# Reasons that may pass while one waits.
PASSING = frozenset({Reason.REFUSED, Reason.NETWORK})
# Reasons that will hold tomorrow too: such clips are not tried again.
PERMANENT = frozenset(Reason) - PASSING - {Reason.OTHER}

_STATUS_REASONS = {
    401: Reason.PRIVATE,
    403: Reason.REFUSED,
    404: Reason.REMOVED,
    408: Reason.NETWORK,
    410: Reason.REMOVED,
    429: Reason.REFUSED,
    451: Reason.BLOCKED,
}

# What YouTube, yt-dlp and `download` say; the first match counts. YouTube
# begins many messages with "Video unavailable", which therefore comes late.
_MESSAGE_REASONS = {
    r"^no audio": Reason.NO_AUDIO,
    r"^no video|requested format is not available": Reason.NO_VIDEO,
    r"not a (ro)?bot|rate.?limit|too many requests": Reason.REFUSED,
    r"try again later": Reason.NETWORK,
    r"(your|this) country|your location|geo.?restrict|on copyright grounds": (
        Reason.BLOCKED
    ),
    r"confirm your age|age.?restricted|inappropriate for some": (
        Reason.AGE_RESTRICTED
    ),
    r"private|members.?only|channel's members|requires payment": (
        Reason.PRIVATE
    ),
    r"timed? ?out|connection|getaddrinfo|name resolution": Reason.NETWORK,
    r"removed|terminated|no longer available|unavailable|closed their"
    r"|isn.t available|not available anymore|does not exist"
    r"|(video|recording) is not available": Reason.REMOVED,
}


def explain(error: Exception) -> tuple[Reason, str]:
    """Finds the reason for what fetching a clip raised; says it in a line."""
    text = utils.remove_terminal_sequences(str(error)).removeprefix("ERROR: ")
    # Without yt-dlp's advice on reporting bugs.
    text = re.split(r"; please report this issue| \(caused by <?\w", text)[0]
    message = " ".join(text.split()) or type(error).__name__
    if isinstance(error, utils.DownloadError) and error.exc_info:
        error = error.exc_info[1] or error
    if isinstance(
        cause := getattr(error, "cause", None), exceptions.RequestError
    ):
        error = cause
    if isinstance(error, exceptions.HTTPError):
        other = Reason.NETWORK if error.status >= 500 else Reason.OTHER
        return _STATUS_REASONS.get(error.status, other), message
    if isinstance(error, av.FFmpegError):
        return Reason.OTHER, message
    if isinstance(error, (exceptions.TransportError, OSError)):
        return Reason.NETWORK, message
    if isinstance(error, utils.GeoRestrictedError):
        return Reason.BLOCKED, message
    if not isinstance(error, (MediaError, utils.YoutubeDLError)):
        return Reason.OTHER, f"{type(error).__name__}: {message}"
    for pattern, reason in _MESSAGE_REASONS.items():
        if re.search(pattern, message, re.IGNORECASE):
            return reason, message
    return Reason.OTHER, message


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a clip; a line of downloads.jsonl."""

    clip_id: str
    source: str  # Video and section that were wanted.
    site: str  # How the site was asked.
    file: str = ""  # The clip's file; "" for a missing clip.
    start_s: float | None = None  # Where the section lies in that file.
    end_s: float | None = None
    reason: str = ""  # Why the clip is missing.
    message: str = ""  # What exactly happened.

    def to_json(self) -> str:
        """The outcome as a line."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


def video_id(entry: ManifestEntry) -> str:
    """The id of a clip's video: its path without folder and suffix."""
    return os.path.splitext(os.path.basename(entry.path))[0]


def source(entry: ManifestEntry) -> str:
    """Names the video and the section that a clip is."""
    return f"{video_id(entry)} {entry.start_s} {entry.end_s}"


def site_name(config: DownloadConfig) -> str:
    """How the site is asked, in so far as other videos may come of it."""
    cookies = "with" if config.cookies else "without"
    height = f"up to {config.max_height_px} px"
    return f"{config.source_url} {height}, {cookies} cookies"


def read_outcomes(
    config: DownloadConfig, entries: list[ManifestEntry]
) -> dict[str, Outcome]:
    """Reads which clips need not be tried again, by their ids.

    What was missing when the site was asked otherwise is left out, and with
    `retry_missing` all that was missing.
    """
    path = files.join(config.clips_dir, JOURNAL_NAME)
    wanted = {entry.clip_id: source(entry) for entry in entries}
    outcomes = {}
    text = files.read_bytes(path) if files.exists(path) else b""
    for line in text.splitlines():
        # A clip with half a line is fetched again.
        with contextlib.suppress(ConfigError):
            outcome = files.parse_json(line, Outcome, path)
            outcomes[outcome.clip_id] = outcome
    if text:  # Only the last outcome of each clip is kept.
        files.write_text(path, "".join(map(Outcome.to_json, outcomes.values())))

    def holds(outcome: Outcome) -> bool:
        if wanted.get(outcome.clip_id) != outcome.source:
            return False
        if outcome.file:
            return os.path.exists(files.join(config.clips_dir, outcome.file))
        is_permanent = outcome.reason in PERMANENT
        is_same_site = outcome.site == site_name(config)
        return is_permanent and is_same_site and not config.retry_missing

    return {name: one for name, one in outcomes.items() if holds(one)}


def write_lists(
    clips_dir: str,
    class_names: tuple[str, ...],
    entries: list[ManifestEntry],
    outcomes: dict[str, Outcome],
) -> None:
    """Writes the clips' manifest, class list and list of missing clips."""
    listed = []
    missing = [("clip_id", "split", "reason", "message")]
    for entry in entries:
        path = files.join(clips_dir, f"{entry.clip_id}.mp4")
        times_s = {"start_s": entry.start_s, "end_s": entry.end_s}
        outcome = outcomes.get(entry.clip_id)
        if outcome and outcome.file:
            path = files.join(clips_dir, outcome.file)
            times_s = {"start_s": outcome.start_s, "end_s": outcome.end_s}
        elif outcome:
            why = outcome.reason, outcome.message
            missing.append((entry.clip_id, entry.split, *why))
        listed.append(dataclasses.replace(entry, path=path, **times_s))
    manifest.write(files.join(clips_dir, "manifest.csv"), class_names, listed)
    files.write_csv(files.join(clips_dir, "missing_clips.csv"), missing)


def summary(
    entries: list[ManifestEntry], outcomes: dict[str, Outcome], clips_dir: str
) -> str:
    """The counts in the paper's form (section 4.1), and the reasons."""
    wanted = collections.Counter(entry.split for entry in entries)
    split_of = {entry.clip_id: entry.split for entry in entries}
    fetched = collections.Counter(
        split_of[one.clip_id] for one in outcomes.values() if one.file
    )
    counts = ", ".join(
        f"{fetched[split]:,} of {wanted[split]:,} {name} clips"
        for split, name in _SPLIT_NAMES.items()
        if wanted[split]
    )
    lines = [f"{counts} are in {clips_dir}."]
    reasons = [one.reason for one in outcomes.values() if one.reason]
    if reasons:
        lines.append(f"{len(reasons):,} missing, see missing_clips.csv:")
    for reason, count in collections.Counter(reasons).most_common():
        lines.append(f"  {count:7,}  {reason}")
    if num_waiting := len(entries) - len(outcomes):
        lines.append(f"{num_waiting:,} not tried yet.")
    return "\n".join(lines)
