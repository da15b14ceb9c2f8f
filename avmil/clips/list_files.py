"""List files of a folder, read line by line with all their problems."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import re
from collections.abc import Iterator

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ManifestError

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


def train_or_val(youtube_id: str, val_percent: int) -> str:
    """The split of a training video, of which a share becomes validation.

    Its id alone decides, so that all clips of a video share a split.
    """
    digest = hashlib.sha256(f"{youtube_id}.mp4".encode()).hexdigest()
    return "val" if int(digest[:16], 16) % 100 < val_percent else "train"


class Lists:
    """Clips of list files in a folder, and all that is wrong with the files."""

    def __init__(self, directory: str, class_names: tuple[str, ...]) -> None:
        self.problems: list[str] = []
        self._directory = directory
        self._position = {name: i for i, name in enumerate(class_names)}
        self._entries: dict[str, ManifestEntry] = {}
        self._first_place: dict[tuple[str, str], str] = {}
        self._place = ""

    def lines(self, name: str) -> Iterator[str]:
        """Yields lines that are not empty; problems are the last one's."""
        try:
            text = manifest.read_text(files.join(self._directory, name))
        except ManifestError as error:
            self.problems += [f"{name}, {one}" for one in error.problems]
            return
        for number, line in enumerate(text.split("\n"), start=1):
            self._place = f"{name}, line {number}"
            if line.strip():
                yield line.removesuffix("\r")

    def rows(
        self, name: str, header: str, delimiter: str = ","
    ) -> Iterator[list[str]]:
        """Yields the CSV fields of lines, without header and comments."""
        columns = header.split(",")
        for line in self.lines(name):
            if line.startswith("#"):
                continue
            form = {"delimiter": delimiter, "skipinitialspace": True}
            fields: list[str] = []
            with contextlib.suppress(csv.Error):
                fields = next(csv.reader([line], strict=True, **form))
            if len(fields) != len(columns):
                self.report(f"Expected {header}, received {line!r}.")
            elif fields != columns:
                yield fields

    def report(self, problem: str) -> None:
        """Notes what is wrong with the last line."""
        self.problems.append(f"{self._place}: {problem}")

    def add(
        self,
        youtube_id: str,
        start: str,
        end: str,
        labels: list[str],
        split: str,
        clip_id: str = "",
    ) -> None:
        """Adds labels to a clip, or reports why it cannot."""
        is_time = all(_SECONDS.fullmatch(text) for text in (start, end))
        start_s, end_s = map(float, (start, end)) if is_time else (0.0, 0.0)
        if not YOUTUBE_ID.fullmatch(youtube_id) or start_s >= end_s:
            self.report(
                "Expected a YouTube id of 11 letters, digits, - and _, and "
                "start and end in seconds, received "
                f"{youtube_id!r}, {start!r} and {end!r}."
            )
            return
        if unknown := [name for name in labels if name not in self._position]:
            self.report(f"Expected labels of the classes, received {unknown}.")
            return
        clip_id = clip_id or f"{youtube_id}_{start_s:.3f}_{end_s:.3f}"
        for label in labels:
            first = self._first_place.setdefault((clip_id, label), self._place)
            if first != self._place:
                self.report(f"{clip_id} has {label!r} already in {first}.")
                return
        path = f"{youtube_id}.mp4"
        new = ManifestEntry(clip_id, path, (), split, start_s, end_s)
        entry = self._entries.get(clip_id, new)
        if entry.split != split:
            self.report(f"{clip_id} is already a clip of {entry.split!r}.")
            return
        names = sorted({*entry.labels, *labels}, key=self._position.get)
        self._entries[clip_id] = dataclasses.replace(entry, labels=(*names,))

    def entries(self) -> list[ManifestEntry]:
        """The clips in the order of the lists, if nothing was reported."""
        self.raise_problems(bool(self._entries))
        return list(self._entries.values())

    def raise_problems(self, has_clips: bool) -> None:
        """Raises a ManifestError of what was reported, or without clips."""
        if not has_clips and not self.problems:
            self.problems.append("Expected clips, received none.")
        if self.problems:
            raise ManifestError(self._directory, self.problems)
