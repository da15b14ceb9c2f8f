"""The list of clips: a manifest CSV and a class list."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import re

import numpy as np

from avmil.common import files
from avmil.common.errors import ManifestError

SPLITS = ("train", "val", "test")
_REQUIRED = ("clip_id", "path", "labels", "split")
_OPTIONAL = ("start_s", "end_s")
# A clip id becomes a file name, hence no separators and no leading dot.
_CLIP_ID = re.compile(r"(?!\.)[\w.+=-]{1,200}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class ManifestEntry:
    """One clip.

    Attributes:
        clip_id: Unique name, safe as a file name.
        path: The media file.
        labels: Names of the classes that the clip shows or sounds.
        split: `train`, `val` or `test`.
        start_s: Start of the clip in the file; None for the file's start.
        end_s: End of the clip in the file; None for the file's end.
    """

    clip_id: str
    path: str
    labels: tuple[str, ...]
    split: str
    start_s: float | None = None
    end_s: float | None = None


def read_class_names(path: str) -> tuple[str, ...]:
    """Reads a class list, one name a line, in the order of the tables.

    Raises:
        ManifestError: names every empty, repeated or unusable line.
    """
    lines = _decode(path, files.read_bytes(path)).splitlines()
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    problems = [] if names else ["Expected class names, received none."]
    for number, name in enumerate(names, start=1):
        if not name:
            problems.append(f"line {number}: Expected a name, received none.")
        elif ";" in name:
            problems.append(
                f"line {number}: Expected a name without ';', which joins "
                f"labels, received {name!r}."
            )
        elif name in names[: number - 1]:
            problems.append(f"line {number}: {name!r} is listed twice.")
    if problems:
        raise ManifestError(path, problems)
    return tuple(names)


def read(
    path: str, classes: str = "", allow_outside_paths: bool = False
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads a class list and the manifest that uses it.

    Args:
        path: The manifest.
        classes: The class list; by default classes.txt beside the manifest.
        allow_outside_paths: As for `read_manifest`.

    Returns:
        The class names and the rows.

    Raises:
        FileNotFoundError: if one of the two is not there.
        ManifestError: lists every problem with its line.
    """
    if not files.exists(path):
        raise FileNotFoundError(
            f"Expected a manifest, received {path}: there is none."
        )
    class_names = read_class_names(
        classes or files.join(os.path.dirname(path), "classes.txt")
    )
    return class_names, read_manifest(path, class_names, allow_outside_paths)


def read_manifest(
    path: str,
    class_names: tuple[str, ...],
    allow_outside_paths: bool = False,
) -> list[ManifestEntry]:
    """Reads and checks a manifest.

    Args:
        path: CSV file in UTF-8 with the header
            `clip_id,path,labels,split` and optionally `start_s,end_s`. Labels
            are joined by `;`, media paths are relative to the manifest.
        class_names: The known classes.
        allow_outside_paths: Whether media files may lie outside the
            manifest's folder.

    Returns:
        The rows in the order of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ManifestError: lists every problem with its line.
    """
    text = _decode(path, files.read_bytes(path))
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="_more")
    header = tuple(reader.fieldnames or ())
    if problems := _header_problems(header):
        raise ManifestError(path, problems)
    parser = _RowParser(path, class_names, allow_outside_paths)
    try:
        rows = [parser.parse(record, reader.line_num) for record in reader]
    except csv.Error as error:
        raise ManifestError(
            path, [f"line {reader.line_num + 1}: Expected CSV: {error}."]
        ) from error
    if not rows:
        parser.problems.append("Expected clips, received a header only.")
    if parser.problems:
        raise ManifestError(path, parser.problems)
    return [row for row in rows if row is not None]


def write(
    path: str, class_names: tuple[str, ...], entries: list[ManifestEntry]
) -> None:
    """Writes classes.txt and then the manifest beside it, as `read` reads them.

    Media files are named relative to the manifest's folder.
    """
    names = "".join(f"{name}\n" for name in class_names)
    folder = os.path.dirname(path)
    files.write_text(files.join(folder, "classes.txt"), names)
    write_manifest(path, entries)


def write_manifest(path: str, rows: list[ManifestEntry]) -> None:
    """Writes a manifest that `read_manifest` reads as the same rows.

    Media files are named relative to the manifest's folder.
    """
    folder = os.path.dirname(str(path))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_REQUIRED + _OPTIONAL)
    for row in rows:
        media_path = _relative(row.path, folder)
        labels = ";".join(row.labels)
        times_s = row.start_s, row.end_s
        writer.writerow([row.clip_id, media_path, labels, row.split, *times_s])
    files.write_text(path, text.getvalue())


def _relative(path: str, folder: str) -> str:
    if files.is_remote(path) and not path.startswith(f"{folder}/"):
        return path
    return os.path.relpath(path, folder or os.curdir)


def label_matrix(
    labels: list[tuple[str, ...]], class_names: tuple[str, ...]
) -> np.ndarray:
    """Turns label names into {0, 1} of shape [N, C], int8."""
    column = {name: index for index, name in enumerate(class_names)}
    matrix = np.zeros((len(labels), len(class_names)), np.int8)
    for row, names in enumerate(labels):
        matrix[row, [column[name] for name in names]] = 1
    return matrix


def _decode(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ManifestError(
            path,
            [f"line {line}: Expected UTF-8, received another encoding."],
        ) from error


def _header_problems(header: tuple[str, ...]) -> list[str]:
    known = _REQUIRED + _OPTIONAL
    problems = [
        f"line 1: column {c!r} is missing."
        for c in _REQUIRED
        if c not in header
    ]
    problems += [
        f"line 1: unknown column {column!r}; known are {', '.join(known)}."
        for column in header
        if column not in known
    ]
    if len(set(header)) != len(header):
        problems.append("line 1: a column is repeated.")
    return problems


class _RowParser:
    """Turns CSV records into rows and collects every problem."""

    def __init__(
        self,
        manifest_path: str,
        class_names: tuple[str, ...],
        allow_outside_paths: bool,
    ) -> None:
        self._folder = os.path.dirname(str(manifest_path))
        self._classes = set(class_names)
        self._allow_outside_paths = allow_outside_paths
        self._first_line: dict[str, int] = {}
        self.problems: list[str] = []

    def parse(self, record: dict, line: int) -> ManifestEntry | None:
        """Checks one record; returns None where it has a problem."""
        before = len(self.problems)
        self._line = line
        if "_more" in record or None in record.values():
            self._report("the number of fields differs from the header's.")
            return None
        row = ManifestEntry(
            clip_id=self._clip_id(record["clip_id"]),
            path=self._path(record["path"]),
            labels=self._labels(record["labels"]),
            split=self._split(record["split"]),
            start_s=self._seconds(record, "start_s"),
            end_s=self._seconds(record, "end_s"),
        )
        if row.end_s is not None and row.end_s <= (row.start_s or 0.0):
            self._report(
                f"Expected end_s after start_s, received {row.start_s} to "
                f"{row.end_s}."
            )
        return row if len(self.problems) == before else None

    def _report(self, problem: str) -> None:
        self.problems.append(f"line {self._line}: {problem}")

    def _clip_id(self, clip_id: str) -> str:
        if not _CLIP_ID.fullmatch(clip_id):
            self._report(
                "Expected a clip_id of letters, digits and ._+=-, received "
                f"{clip_id!r}."
            )
        first = self._first_line.setdefault(clip_id, self._line)
        if first != self._line:
            self._report(f"clip_id {clip_id!r} stands already in line {first}.")
        return clip_id

    def _path(self, path: str) -> str:
        if not path:
            self._report("Expected a path, received none.")
        outside = os.path.isabs(path) or files.is_remote(path)
        outside = outside or os.path.normpath(path).startswith("..")
        if outside and not self._allow_outside_paths:
            self._report(
                f"path {path!r} leaves the manifest's folder; "
                "--allow_outside_paths permits that."
            )
        return files.join(self._folder, path)

    def _labels(self, labels: str) -> tuple[str, ...]:
        names = tuple(n.strip() for n in labels.split(";") if n.strip())
        for name in names:
            if name not in self._classes:
                self._report(f"label {name!r} is not in the class list.")
        if len(set(names)) != len(names):
            self._report(f"a label is repeated in {labels!r}.")
        return names

    def _split(self, split: str) -> str:
        if split not in SPLITS:
            self._report(
                f"Expected a split of {', '.join(SPLITS)}, received {split!r}."
            )
        return split

    def _seconds(self, record: dict, column: str) -> float | None:
        text = record.get(column, "")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            self._report(f"Expected {column} in seconds, received {text!r}.")
            return None
        return value
