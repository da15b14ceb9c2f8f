"""The list of clips: a manifest CSV and a class list."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import math
import os
import re
from collections.abc import Iterable

import numpy as np

from avmil.common import files
from avmil.common.errors import ManifestError

SPLITS = ("train", "val", "test")
_REQUIRED = ("clip_id", "path", "labels", "split")
_OPTIONAL = ("start_s", "end_s")
# A clip id becomes a file name, hence no separators and no leading dot.
_CLIP_ID = re.compile(r"(?![.+=])[\w.+=-]{1,200}", re.ASCII)
# A class name becomes a cell, which is not to be a formula, a line of a
# terminal and text in SVG.
_CLASS_NAME = re.compile(r"(?![=+@-])[^;\x00-\x1f\x7f-\x9f\ufffe\uffff]+")


@dataclasses.dataclass(frozen=True)
class ManifestEntry:
    """One clip, a whole media file or a section of one."""

    clip_id: str  # Safe as a file name.
    path: str
    labels: tuple[str, ...]
    split: str
    start_s: float | None = None  # None for the file's start.
    end_s: float | None = None  # None for the file's end.


def read(
    path: str, classes: str = "", allow_outside_paths: bool = False
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads and checks a manifest and the class list that it uses.

    Args:
        path: CSV file in UTF-8 with the header
            `clip_id,path,labels,split` and optionally `start_s,end_s`. Labels
            are joined by `;`, media paths are relative to the manifest.
        classes: Class list, one name a line in the order of the tables; by
            default classes.txt beside the manifest.
        allow_outside_paths: Whether media files may lie outside the
            manifest's folder.

    Raises:
        FileNotFoundError: if one of the two is not there.
        ManifestError: lists every problem with its line.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    folder = os.path.dirname(path)
    class_names = _read_class_names(
        classes or files.join(folder, "classes.txt")
    )
    known_classes = frozenset(class_names)
    problems: list[str] = []
    entries: list[ManifestEntry] = []
    first_line: dict[str, int] = {}
    try:
        header = reader.fieldnames or []
        known = {*_REQUIRED} <= {*header} <= {*_REQUIRED, *_OPTIONAL}
        if not known or len(set(header)) != len(header):
            problem = (
                f"line 1: Expected the columns {','.join(_REQUIRED)} and "
                f"optionally {','.join(_OPTIONAL)}, received "
                f"{','.join(header) or 'none'}."
            )
            raise ManifestError(path, [problem])
        for record in reader:
            line = reader.line_num
            if None in record or None in record.values():
                found = ["the number of fields differs from the header's."]
            else:
                entry, found = _parse(
                    record, folder, known_classes, allow_outside_paths
                )
                entries.append(entry)
                first = first_line.setdefault(entry.clip_id, line)
                if first != line:
                    found.append(
                        f"clip_id {entry.clip_id!r} stands already in line "
                        f"{first}."
                    )
            problems += [f"line {line}: {problem}" for problem in found]
    except csv.Error as error:
        problem = f"line {reader.line_num + 1}: Expected CSV: {error}."
        raise ManifestError(path, [problem]) from error
    if not entries and not problems:
        problems.append("Expected clips, received a header only.")
    if problems:
        raise ManifestError(path, problems)
    return class_names, entries


def write(
    path: str, class_names: Iterable[str], entries: Iterable[ManifestEntry]
) -> None:
    """Writes classes.txt and then the manifest beside it, as `read` reads them.

    Media files are named relative to the manifest's folder.
    """
    folder = os.path.dirname(path)
    rows = [_REQUIRED + _OPTIONAL]
    for entry in entries:
        name = entry.path
        if not files.is_remote(name) or name.startswith(f"{folder}/"):
            name = os.path.relpath(name, folder or os.curdir)
        labels = ";".join(entry.labels)
        times_s = (entry.start_s, entry.end_s)
        rows.append((entry.clip_id, name, labels, entry.split, *times_s))
    names = "".join(f"{name}\n" for name in class_names)
    files.write_text(files.join(folder, "classes.txt"), names)
    files.write_csv(path, rows, exact=True)


def read_text(path: str) -> str:
    """Reads UTF-8, marked or not; a ManifestError names the first bad line."""
    content = files.read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"line {line}: Expected UTF-8, received another encoding."
        raise ManifestError(path, [problem]) from error


def label_matrix(
    labels: list[tuple[str, ...]], class_names: tuple[str, ...]
) -> np.ndarray:
    """Turns label names into {0, 1} of shape [N, C], int8."""
    column = {name: index for index, name in enumerate(class_names)}
    matrix = np.zeros((len(labels), len(class_names)), np.int8)
    for row, names in enumerate(labels):
        matrix[row, [column[name] for name in names]] = 1
    return matrix


def _read_class_names(path: str) -> tuple[str, ...]:
    names = [line.strip() for line in read_text(path).rstrip().splitlines()]
    problems = [
        f"line {number}: Expected a name that is not listed yet, without the "
        "';' that joins labels and control characters, and with none of =+-@ "
        f"at its start, received {name!r}."
        for number, name in enumerate(names, start=1)
        if not _CLASS_NAME.fullmatch(name) or name in names[: number - 1]
    ]
    if not names:
        problems.append("Expected class names, received none.")
    if problems:
        raise ManifestError(path, problems)
    return tuple(names)


def _parse(
    record: dict[str, str],
    folder: str,
    known_classes: frozenset[str],
    allow_outside_paths: bool,
) -> tuple[ManifestEntry, list[str]]:
    """Turns a CSV record into an entry, and says what is wrong with it."""
    clip_id, path, labels, split = (record[name] for name in _REQUIRED)
    problems = []
    if not _CLIP_ID.fullmatch(clip_id):
        problems.append(
            "Expected a clip_id of letters, digits and ._+=-, received "
            f"{clip_id!r}."
        )
    if not path:
        problems.append("Expected a path, received none.")
    is_outside = (
        os.path.isabs(path)
        or files.is_remote(path)
        or os.path.normpath(path).split(os.sep)[0] == os.pardir
    )
    if is_outside and not allow_outside_paths:
        problems.append(
            f"path {path!r} leaves the manifest's folder; "
            "--allow_outside_paths permits that."
        )
    names = tuple(n.strip() for n in labels.split(";") if n.strip())
    if not known_classes.issuperset(names) or len({*names}) != len(names):
        problems.append(
            f"Expected different labels of the class list, received {labels!r}."
        )
    if split not in SPLITS:
        problems.append(
            f"Expected a split of {', '.join(SPLITS)}, received {split!r}."
        )
    times_s: dict[str, float] = {}
    for column in filter(record.get, _OPTIONAL):
        with contextlib.suppress(ValueError):
            times_s[column] = float(record[column])
        if not 0 <= times_s.get(column, math.nan) < math.inf:
            problems.append(
                f"Expected {column} in seconds, received {record[column]!r}."
            )
    start_s, end_s = map(times_s.get, _OPTIONAL)
    if end_s is not None and end_s <= (start_s or 0.0):
        problems.append(
            f"Expected end_s after start_s, received {start_s} to {end_s}."
        )
    path = files.join(folder, path)
    return ManifestEntry(clip_id, path, names, split, start_s, end_s), problems
