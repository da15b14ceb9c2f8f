"""AudioSet, or those of its clips that have some wanted classes.

Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio
events", ICASSP 2017.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from avmil.clips.clip_lists import ClipLists
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ManifestError

# AudioSet has no validation split.
_LISTS = {
    "balanced_train_segments.csv": "train",
    "unbalanced_train_segments.csv": "train",
    "eval_segments.csv": "test",
}
_CLASSES = "class_labels_indices.csv"


def read(
    directory: str, wanted: Iterable[str] = (), val_percent: int = 0
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads AudioSet's lists of segments.

    Args:
        directory: Folder with `class_labels_indices.csv` and one or more of
            `balanced_train_segments.csv`, `unbalanced_train_segments.csv`
            and `eval_segments.csv`.
        wanted: Names or ids ("/m/0k4j") of the wanted classes, in the order
            of the tables; none for all.
        val_percent: Share of the training videos that becomes a validation
            split, which AudioSet lacks. A video's id decides, so that every
            filter and every run divides alike.

    Returns:
        The names of the wanted classes, and the clips that have any of them,
        with those labels; as `dataset.dcase2017.read` does.

    Raises:
        FileNotFoundError: if there is no class list or no list of segments.
        ManifestError: lists every problem with file and line.
    """
    names = [
        name for name in _LISTS if files.exists(files.join(directory, name))
    ]
    if not names:
        raise FileNotFoundError(
            f"Expected one of {', '.join(_LISTS)} in {directory}, received "
            "none."
        )
    name_of_id = _read_classes(directory)
    class_names = _wanted_names(directory, name_of_id, tuple(wanted))
    lists = ClipLists(directory, class_names)
    for name in names:
        for line in lists.lines(name):
            if not line.startswith("#"):
                _add(lists, _fields(line), name_of_id, _LISTS[name])
    rows = lists.rows()
    return class_names, [_with_split(row, val_percent) for row in rows]


def _with_split(row: ManifestEntry, val_percent: int) -> ManifestEntry:
    digest = hashlib.sha256(row.path.encode()).digest()
    is_val = int.from_bytes(digest[:8], "big") % 100 < val_percent
    if row.split == "train" and is_val:
        return dataclasses.replace(row, split="val")
    return row


def _read_classes(directory: str) -> dict[str, str]:
    lists = ClipLists(directory, ())
    name_of_id: dict[str, str] = {}
    for number, line in enumerate(lists.lines(_CLASSES)):
        fields = _fields(line)
        if number == 0 and fields == ["index", "mid", "display_name"]:
            continue
        if len(fields) != 3:
            lists.report(
                f"Expected index, mid and display_name, received {line!r}."
            )
        elif fields[1] in name_of_id or fields[2] in name_of_id.values():
            lists.report(f"{fields[1]}, {fields[2]!r} is listed twice.")
        else:
            name_of_id[fields[1]] = fields[2]
    if lists.problems:
        raise ManifestError(directory, lists.problems)
    return name_of_id


def _wanted_names(
    directory: str, name_of_id: Mapping[str, str], wanted: Sequence[str]
) -> tuple[str, ...]:
    known = tuple(name_of_id.values())
    names = tuple(name_of_id.get(name, name) for name in wanted)
    problems = [
        f"wanted class {name!r} is not in {_CLASSES}."
        for name in names
        if name not in known
    ]
    if len(set(names)) != len(names):
        problems.append(f"a class is wanted twice: {', '.join(wanted)}.")
    if problems:
        raise ManifestError(directory, problems)
    return names or known


def _fields(line: str) -> list[str]:
    """The fields of one CSV line; none where it is not CSV."""
    try:
        return next(csv.reader([line], skipinitialspace=True, strict=True))
    except csv.Error:
        return []


def _add(
    lists: ClipLists,
    fields: list[str],
    name_of_id: Mapping[str, str],
    split: str,
) -> None:
    if len(fields) != 4:
        lists.report(
            "Expected YTID, start_seconds, end_seconds and positive_labels "
            f"in quotes, received {len(fields)} field(s)."
        )
        return
    youtube_id, start, end, ids = fields
    labels = []
    for class_id in ids.split(","):
        if class_id not in name_of_id:
            lists.report(f"label {class_id!r} is not in {_CLASSES}.")
        elif lists.knows(name_of_id[class_id]):
            labels.append(name_of_id[class_id])
    if labels:
        lists.add(youtube_id, start, end, labels, split)
