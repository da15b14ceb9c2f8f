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
        The class names and the entries.

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
        The entries in the order of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ManifestError: lists every problem with its line.
    """
    text = _decode(path, files.read_bytes(path))
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="_more")
    header = tuple(reader.fieldnames or ())
    if problems := _header_problems(header):
        raise ManifestError(path, problems)
    folder = os.path.dirname(str(path))
    known_classes = frozenset(class_names)
    entries: list[ManifestEntry] = []
    first_line: dict[str, int] = {}
    try:
        for record in reader:
            line = reader.line_num
            if "_more" in record or None in record.values():
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
    return entries


def write(
    path: str, class_names: tuple[str, ...], entries: list[ManifestEntry]
) -> None:
    """Writes classes.txt and then the manifest beside it, as `read` reads them.

    Both are written atomically; media files are named as by `write_manifest`.
    """
    names = "".join(f"{name}\n" for name in class_names)
    folder = os.path.dirname(path)
    files.write_text(files.join(folder, "classes.txt"), names)
    write_manifest(path, entries)


def write_manifest(path: str, entries: list[ManifestEntry]) -> None:
    """Writes a manifest that `read_manifest` reads as the same entries.

    Media files are named relative to the manifest's folder.
    """
    folder = os.path.dirname(str(path))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_REQUIRED + _OPTIONAL)
    for entry in entries:
        name = entry.path
        if not files.is_remote(name) or name.startswith(f"{folder}/"):
            name = os.path.relpath(name, folder or os.curdir)
        labels = ";".join(entry.labels)
        times_s = (entry.start_s, entry.end_s)
        writer.writerow((entry.clip_id, name, labels, entry.split, *times_s))
    files.write_text(path, text.getvalue())


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


def _parse(
    record: dict[str, str],
    folder: str,
    known_classes: frozenset[str],
    allow_outside_paths: bool,
) -> tuple[ManifestEntry, list[str]]:
    """Turns a CSV record into an entry, and says what is wrong with it."""
    problems = []
    clip_id, path, labels, split = (record[name] for name in _REQUIRED)
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
        or os.path.normpath(path).startswith("..")
    )
    if is_outside and not allow_outside_paths:
        problems.append(
            f"path {path!r} leaves the manifest's folder; "
            "--allow_outside_paths permits that."
        )
    names = tuple(n.strip() for n in labels.split(";") if n.strip())
    problems += [
        f"label {name!r} is not in the class list."
        for name in names
        if name not in known_classes
    ]
    if len(set(names)) != len(names):
        problems.append(f"a label is repeated in {labels!r}.")
    if split not in SPLITS:
        problems.append(
            f"Expected a split of {', '.join(SPLITS)}, received {split!r}."
        )
    times_s: list[float | None] = []
    for column in _OPTIONAL:
        text = record.get(column, "")
        times_s.append(_seconds(text) if text else None)
        if text and times_s[-1] is None:
            problems.append(f"Expected {column} in seconds, received {text!r}.")
    start_s, end_s = times_s
    if end_s is not None and end_s <= (start_s or 0.0):
        problems.append(
            f"Expected end_s after start_s, received {start_s} to {end_s}."
        )
    path = files.join(folder, path)
    entry = ManifestEntry(clip_id, path, names, split, start_s, end_s)
    return entry, problems


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
