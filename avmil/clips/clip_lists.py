"""Gathering clips from published lists, whose every row is checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ManifestError

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


def is_youtube_id(text: str) -> bool:
    """Says whether a text has the form of a YouTube video's id."""
    return _YOUTUBE_ID.fullmatch(text) is not None


class ClipLists:
    """Clips of one or more list files, and what is wrong with the files.

    Args:
        directory: Folder of the lists.
        class_names: The classes; a clip's labels come in this order.

    Attributes:
        problems: What is wrong, with file and line.
    """

    def __init__(self, directory: str, class_names: Collection[str]) -> None:
        self.problems: list[str] = []
        self._directory = directory
        self._position = {name: i for i, name in enumerate(class_names)}
        self._rows: dict[str, ManifestEntry] = {}
        self._first_place: dict[tuple[str, str], str] = {}
        self._place = ""

    def lines(self, name: str) -> Iterator[str]:
        """Yields a list's lines; a problem belongs to the last one yielded.

        Empty lines are left out. A list in another encoding than UTF-8 is a
        problem and gives no lines after the first that is not UTF-8.

        Raises:
            FileNotFoundError: if there is no such list.
        """
        content = files.read_bytes(files.join(self._directory, name))
        content = content.removeprefix(b"\xef\xbb\xbf")
        for number, line in enumerate(content.split(b"\n"), start=1):
            self._place = f"{name}, line {number}"
            try:
                text = line.decode("utf-8").removesuffix("\r")
            except UnicodeDecodeError:
                self.report("Expected UTF-8, received another encoding.")
                return
            if text.strip():
                yield text

    def knows(self, name: str) -> bool:
        """Says whether a class is one of the list's."""
        return name in self._position

    def report(self, problem: str) -> None:
        """Keeps a problem of the current line."""
        self.problems.append(f"{self._place}: {problem}")

    def add(
        self,
        youtube_id: str,
        start: str,
        end: str,
        labels: Collection[str],
        split: str,
    ) -> None:
        """Adds labels to a clip, or reports why it cannot.

        Args:
            youtube_id: The video.
            start: Start of the clip in the video, in seconds, as listed.
            end: Its end.
            labels: Class names.
            split: The split that the list stands for.
        """
        times_s = self._times_s(start, end)
        labels_known = self._check_labels(labels)
        if not is_youtube_id(youtube_id):
            self.report(
                "Expected a YouTube id of 11 letters, digits, - and _, "
                f"received {youtube_id!r}."
            )
        elif times_s and labels_known:
            self._merge(youtube_id, *times_s, labels, split)

    def rows(self) -> list[ManifestEntry]:
        """The clips in the order of the lists.

        Raises:
            ManifestError: lists every problem with file and line.
        """
        if not self._rows and not self.problems:
            self.problems.append("Expected clips, received none.")
        if self.problems:
            raise ManifestError(self._directory, self.problems)
        return list(self._rows.values())

    def _times_s(self, start: str, end: str) -> tuple[float, float] | None:
        if _SECONDS.fullmatch(start) and _SECONDS.fullmatch(end):
            start_s, end_s = float(start), float(end)
            if start_s < end_s:
                return start_s, end_s
        self.report(
            "Expected start and end in seconds, received "
            f"{start!r} and {end!r}."
        )
        return None

    def _check_labels(self, labels: Collection[str]) -> bool:
        unknown = [name for name in labels if not self.knows(name)]
        for name in unknown:
            self.report(f"label {name!r} is not in the class list.")
        return not unknown

    def _merge(
        self,
        youtube_id: str,
        start_s: float,
        end_s: float,
        labels: Collection[str],
        split: str,
    ) -> None:
        clip_id = f"{youtube_id}_{start_s:.3f}_{end_s:.3f}"
        for label in labels:
            first = self._first_place.setdefault((clip_id, label), self._place)
            if first != self._place:
                self.report(f"{clip_id} has {label!r} already in {first}.")
                return
        known = self._rows.get(clip_id)
        if known and known.split != split:
            self.report(f"{clip_id} is already a clip of {known.split!r}.")
            return
        wanted = {*labels, *(known.labels if known else ())}
        self._rows[clip_id] = ManifestEntry(
            clip_id,
            f"{youtube_id}.mp4",
            tuple(sorted(wanted, key=self._position.__getitem__)),
            split,
            start_s,
            end_s,
        )
