"""What became of each clip of a download, kept so that it can go on."""

from __future__ import annotations

import dataclasses
import json
import os
from types import TracebackType

from avmil.clips.download_failures import PERMANENT
from avmil.clips.manifest import ManifestEntry
from avmil.common import files

JOURNAL_NAME = "downloads.jsonl"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A fetched or a missing clip.

    Attributes:
        clip_id: The clip.
        source: Video and section that were wanted.
        file: Name of the clip's file; "" for a missing clip.
        start_s: Start of the section in that file.
        end_s: Its end; None for the end of the file.
        reason: Why it is missing.
        message: What exactly happened.
        site: How the site was asked.
    """

    clip_id: str
    source: str
    file: str = ""
    start_s: float | None = None
    end_s: float | None = None
    reason: str = ""
    message: str = ""
    site: str = ""


def video_id(row: ManifestEntry) -> str:
    """The id of a clip's video: its path without folder and suffix."""
    return os.path.splitext(os.path.basename(row.path))[0]


def source(row: ManifestEntry) -> str:
    """Names the video and the section that a clip is."""
    return f"{video_id(row)} {row.start_s} {row.end_s}"


class Journal:
    """Outcomes in a folder of clips, each written as soon as it is known.

    Args:
        clips_dir: The folder.
        rows: The wanted clips; what is known of others is forgotten.
        site: How the site is asked: what was missing when it was asked
            otherwise is forgotten.
        retry_missing: Whether missing clips are forgotten too.

    Attributes:
        outcomes: Outcome of each clip that need not be tried again.
    """

    def __init__(
        self,
        clips_dir: str,
        rows: list[ManifestEntry],
        site: str,
        retry_missing: bool,
    ) -> None:
        self._path = files.join(clips_dir, JOURNAL_NAME)
        self._file = None
        self._site = site
        wanted = {row.clip_id: source(row) for row in rows}
        self.outcomes = {
            known.clip_id: known
            for known in self._read()
            if wanted.get(known.clip_id) == known.source
        }
        for known in list(self.outcomes.values()):
            if known.file:
                is_settled = files.exists(files.join(clips_dir, known.file))
            else:
                is_settled = known.reason in PERMANENT and known.site == site
                is_settled = is_settled and not retry_missing
            if not is_settled:
                del self.outcomes[known.clip_id]

    def add(self, outcome: Outcome) -> None:
        """Keeps an outcome."""
        outcome = dataclasses.replace(outcome, site=self._site)
        self.outcomes[outcome.clip_id] = outcome
        self._file.write(_line(outcome))
        self._file.flush()

    def __enter__(self) -> Journal:
        # Written anew, because a killed process may leave half a line.
        text = "".join(map(_line, self.outcomes.values()))
        files.write_text(self._path, text)
        self._file = open(self._path, "a", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _read(self) -> list[Outcome]:
        if not files.exists(self._path):
            return []
        outcomes = []
        for line in files.read_bytes(self._path).splitlines():
            try:
                outcomes.append(Outcome(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # Half a line: that clip is fetched again.
        return outcomes


def _line(outcome: Outcome) -> str:
    return json.dumps(dataclasses.asdict(outcome)) + "\n"
