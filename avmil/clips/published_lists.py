"""Published lists of clips: DCASE 2017 Task 4, AudioSet, and timed lists.

DCASE's task is the data set of the paper (section 4.1): 10 s clips of AudioSet
with 17 classes. AudioSet: Gemmeke et al., "Audio Set: An ontology and
human-labeled dataset for audio events", ICASSP 2017.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import re
import sys
from collections.abc import Sequence

import numpy as np
import tabulate

from avmil.clips import manifest, timed_lists
from avmil.clips.list_files import Lists, train_or_val
from avmil.clips.manifest import SPLITS, ManifestEntry
from avmil.common import files
from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.common.errors import ConfigError, ManifestError
from flags import ManifestConfig

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


def make_manifest(config: ManifestConfig) -> None:
    """Writes a manifest, classes.txt beside it, and prints the counts.

    Of LLP, AVE and VGGSounder it writes truth.json too. Raises what the lists'
    readers do, and a ConfigError if the output exists or flags do not fit.
    """
    folder = os.path.dirname(config.output)
    truth_path = files.join(folder, "truth.json")
    paths = [config.output, files.join(folder, "classes.txt")]
    paths += [truth_path] * (config.dataset in ("llp", "ave", "vggsounder"))
    _check_flags(config, paths)
    class_names, entries, *truth = _read_lists(config)
    files.make_directory(folder)
    if truth:
        files.write_json(truth_path, *truth)
    in_folder = [
        dataclasses.replace(entry, path=files.join(folder, entry.path))
        for entry in entries
    ]
    manifest.write(config.output, class_names, in_folder)
    _print_counts(class_names, entries)
    print(f"{len(entries):,} clips are listed in {config.output}.")


def _check_flags(config: ManifestConfig, paths: list[str]) -> None:
    """Raises a ConfigError for flags that do not fit, or files that exist."""
    if not config.output.endswith(".csv"):
        raise ConfigError(
            f"--output: Expected a .csv file, received {config.output}."
        )
    existing = [path for path in paths if files.exists(path)]
    if existing and not config.overwrite:
        raise ConfigError(
            f"--output: Expected new files, received {' and '.join(existing)}, "
            "which exist. Name another folder, or add --overwrite."
        )
    lacks_val = config.dataset in ("audioset", "vggsounder")
    if (config.wanted_classes and config.dataset != "audioset") or (
        config.val_percent and not lacks_val
    ):
        raise ConfigError(
            "Expected --wanted_classes with --dataset=audioset, and "
            "--val_percent with audioset or vggsounder, received "
            f"{config.dataset}."
        )


def _read_lists(config: ManifestConfig) -> tuple:
    """Class names, clips and, where there is one, the truth of a data set."""
    directory, val_percent = config.lists_dir, config.val_percent
    match config.dataset:
        case "dcase2017":
            return read_dcase2017(directory)
        case "llp":
            return timed_lists.read_llp(directory)
        case "ave":
            return timed_lists.read_ave(directory)
        case "vggsounder":
            return timed_lists.read_vggsounder(directory, val_percent)
        case "audioset":
            names = map(str.strip, config.wanted_classes.split(";"))
            wanted = [name for name in names if name]
            return read_audioset(directory, wanted, val_percent)


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
    lists = Lists(directory, CLASS_NAMES)
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
            split, which AudioSet lacks; a video's id decides.

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
    lists = Lists(directory, class_names)
    for list_name, split in splits.items():
        for youtube_id, start, end, ids in lists.rows(
            list_name, "YTID,start_seconds,end_seconds,positive_labels"
        ):
            names = [name_of_id.get(one, one) for one in ids.split(",")]
            labels = [name for name in names if name not in unwanted]
            own_split = split
            if split == "train":
                own_split = train_or_val(youtube_id, val_percent)
            if labels:
                lists.add(youtube_id, start, end, labels, own_split)
    return class_names, lists.entries()


def _read_audioset_classes(
    directory: str, wanted: Sequence[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Maps all class ids to names; gives the names of the wanted ones too."""
    lists = Lists(directory, ())
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
