"""Published lists of clips: DCASE 2017 Task 4 and AudioSet.

DCASE's task is the data set of the paper (section 4.1): 10 s clips of AudioSet
with 17 classes. AudioSet: Gemmeke et al., "Audio Set: An ontology and
human-labeled dataset for audio events", ICASSP 2017.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import tabulate

from avmil.clips import manifest
from avmil.clips.manifest import SPLITS, ManifestEntry
from avmil.common import files
from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.common.errors import ConfigError, ManifestError

# DCASE's weak labels: a line for each clip and label, tab-separated. The other
# form, training_set.csv, joins labels by the comma that two names hold. Its
# "testing" set is the paper's validation split, "evaluation" its test split.
_DCASE_LISTS = {
    "groundtruth_weak_label_training_set.csv": "train",
    "groundtruth_weak_label_testing_set.csv": "val",
    "groundtruth_release/groundtruth_weak_label_evaluation_set.csv": "test",
}
_DCASE_LINE = re.compile(
    r"(.{11})_([^\t]+)_([^\t]+)\.wav\t\2\t\3\t([^\t]*)", re.ASCII
)

# AudioSet has no validation split.
_AUDIOSET_LISTS = {
    "balanced_train_segments.csv": "train",
    "unbalanced_train_segments.csv": "train",
    "eval_segments.csv": "test",
}
_AUDIOSET_CLASSES = "class_labels_indices.csv"

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


def make_manifest(
    dataset: str,
    lists_dir: str,
    output: str,
    overwrite: bool = False,
    wanted_classes: str = "",
    val_percent: int = 0,
) -> None:
    """Writes a manifest, classes.txt beside it, and prints the counts.

    `wanted_classes` are joined by `;`, else the arguments are the flags of
    make_manifest.py. Raises what `read_audioset` does, and a ConfigError if
    the output exists or the arguments do not fit.
    """
    if not output.endswith(".csv"):
        raise ConfigError(f"--output: Expected a .csv file, received {output}.")
    folder = os.path.dirname(output)
    paths = (output, files.join(folder, "classes.txt"))
    existing = [path for path in paths if files.exists(path)]
    if existing and not overwrite:
        raise ConfigError(
            f"--output: Expected new files, received {' and '.join(existing)}, "
            "which exist. Name another folder, or add --overwrite."
        )
    if dataset == "audioset":
        wanted = [*filter(None, map(str.strip, wanted_classes.split(";")))]
        class_names, entries = read_audioset(lists_dir, wanted, val_percent)
    elif wanted_classes or val_percent:
        raise ConfigError(
            "Expected --wanted_classes and --val_percent with "
            f"--dataset=audioset only, received {dataset}."
        )
    else:
        class_names, entries = read_dcase2017(lists_dir)
    files.make_directory(folder)
    in_folder = [
        dataclasses.replace(entry, path=files.join(folder, entry.path))
        for entry in entries
    ]
    manifest.write(output, class_names, in_folder)
    _print_counts(class_names, entries)
    print(f"{len(entries):,} clips are listed in {output}.")


def read_dcase2017(
    directory: str,
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads DCASE's official lists, in a folder like the task's repository.

    Returns:
        The class names, and the clips of `train`, `val` and `test`. A clip's
        `path` is the whole video's name, `{youtube_id}.mp4`; `start_s` and
        `end_s` are its place in it.

    Raises:
        FileNotFoundError: If a list is missing.
        ManifestError: Lists every problem with file and line.
    """
    lists = _Lists(directory, CLASS_NAMES)
    for name, split in _DCASE_LISTS.items():
        for line in lists.lines(name):
            if match := _DCASE_LINE.fullmatch(line):
                youtube_id, start, end, label = match.groups()
                lists.add(youtube_id, start, end, [label], split)
            else:
                lists.report(
                    "Expected {id}_{start}_{end}.wav, start, end and label "
                    f"separated by tabs, received {line!r}."
                )
    return CLASS_NAMES, lists.entries()


def read_audioset(
    directory: str, wanted: Sequence[str] = (), val_percent: int = 0
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads AudioSet's lists of segments.

    Args:
        directory: Folder with `class_labels_indices.csv` and one or more
            lists of segments.
        wanted: Names or ids ("/m/0k4j") of the wanted classes, in the order
            of the tables; none for all.
        val_percent: Share of the training videos that becomes a validation
            split, which AudioSet lacks. A video's id decides, so that every
            filter and every run divides alike.

    Returns:
        The names of the wanted classes, and the clips that have any of them,
        with those labels; as `read_dcase2017`, which raises the same.
    """
    splits = {
        name: split
        for name, split in _AUDIOSET_LISTS.items()
        if files.exists(files.join(directory, name))
    }
    if not splits:
        raise FileNotFoundError(
            f"Expected one of {', '.join(_AUDIOSET_LISTS)} in {directory}, "
            "received none."
        )
    name_of_id, class_names = _read_audioset_classes(directory, wanted)
    unwanted = {*name_of_id.values()} - {*class_names}
    lists = _Lists(directory, class_names)
    for list_name, split in splits.items():
        for youtube_id, start, end, ids in lists.rows(
            list_name, "YTID,start_seconds,end_seconds,positive_labels"
        ):
            names = [name_of_id.get(one, one) for one in ids.split(",")]
            labels = [name for name in names if name not in unwanted]
            digest = hashlib.sha256(f"{youtube_id}.mp4".encode()).hexdigest()
            is_val = int(digest[:16], 16) % 100 < val_percent
            if labels:
                own_split = "val" if split == "train" and is_val else split
                lists.add(youtube_id, start, end, labels, own_split)
    return class_names, lists.entries()


def _read_audioset_classes(
    directory: str, wanted: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Maps all class ids to names; gives the names of the wanted ones too."""
    lists = _Lists(directory, ())
    name_of_id: dict[str, str] = {}
    for _, class_id, name in lists.rows(
        _AUDIOSET_CLASSES, "index,mid,display_name"
    ):
        if class_id in name_of_id or name in name_of_id.values():
            lists.report(f"{class_id}, {name!r} is listed twice.")
        name_of_id[class_id] = name
    known = tuple(name_of_id.values())
    names = tuple(name_of_id.get(name, name) for name in wanted)
    problems = lists.problems or [
        f"wanted class {name!r} is not in {_AUDIOSET_CLASSES}, or named twice."
        for index, name in enumerate(names)
        if name not in known or name in names[:index]
    ]
    if problems:
        raise ManifestError(directory, problems)
    return name_of_id, names or known


class _Lists:
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

    def rows(self, name: str, header: str) -> Iterator[list[str]]:
        """Yields the CSV fields of lines, without header and comments."""
        columns = header.split(",")
        for line in self.lines(name):
            fields: list[str] = []
            with contextlib.suppress(csv.Error):
                rows = csv.reader([line], skipinitialspace=True, strict=True)
                fields = next(rows)
            if line.startswith("#") or fields == columns:
                continue
            if len(fields) == len(columns):
                yield fields
            else:
                self.report(f"Expected {header}, received {line!r}.")

    def report(self, problem: str) -> None:
        self.problems.append(f"{self._place}: {problem}")

    def add(
        self,
        youtube_id: str,
        start: str,
        end: str,
        labels: list[str],
        split: str,
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
        clip_id = f"{youtube_id}_{start_s:.3f}_{end_s:.3f}"
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
        if not self._entries and not self.problems:
            self.problems.append("Expected clips, received none.")
        if self.problems:
            raise ManifestError(self._directory, self.problems)
        return list(self._entries.values())


def _print_counts(
    class_names: tuple[str, ...], entries: list[ManifestEntry]
) -> None:
    """Prints clips and labels of each split, and what no experiment can use."""
    clips = collections.Counter(entry.split for entry in entries)
    labels = collections.Counter(
        (label, entry.split) for entry in entries for label in entry.labels
    )
    counts = np.array([[labels[n, s] for s in SPLITS] for n in class_names])
    rows = [
        *zip(class_names, *counts.T, strict=True),
        ("labels", *counts.sum(axis=0)),
        ("clips", *(clips[split] for split in SPLITS)),
    ]
    print(tabulate.tabulate(rows, ("", *SPLITS), "plain", intfmt=","))
    warnings = [
        f"no clip is in the split {split!r}."
        + " Thresholds need one: see --val_percent." * (split == "val")
        for split in SPLITS
        if not clips[split]
    ]
    warnings += [
        f"no clip has the class {class_names[index]!r}."
        for index in np.flatnonzero(counts.sum(axis=1) == 0)
    ]
    if len(class_names) < 2:
        warnings.append("there is one class, and train.py needs two.")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
