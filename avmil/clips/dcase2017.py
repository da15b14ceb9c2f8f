"""DCASE 2017 Task 4: large-scale weakly supervised sound event detection.

The data set of the paper (section 4.1): 10 s clips of AudioSet with 17
classes. DCASE's "testing" set is the paper's validation split, its
"evaluation" set the paper's test split.
"""

from __future__ import annotations

import re

from avmil.clips.clip_lists import ClipLists
from avmil.clips.manifest import ManifestEntry
from avmil.common.dcase2017_classes import CLASS_NAMES

# The lists of weak labels: a row for each clip and label, tab-separated. The
# other form, training_set.csv, joins labels by the comma that two names hold.
_LISTS = {
    "train": "groundtruth_weak_label_training_set.csv",
    "val": "groundtruth_weak_label_testing_set.csv",
    "test": "groundtruth_release/groundtruth_weak_label_evaluation_set.csv",
}
_FILE_NAME = re.compile(r"(.{11})_([\d.]+)_([\d.]+)\.wav", re.ASCII)


def read(directory: str) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    """Reads the task's official lists.

    Args:
        directory: Folder that holds the task's repository: the lists of the
            training and testing sets and, in `groundtruth_release`, that of
            the evaluation set.

    Returns:
        The class names, and the clips of `train`, `val` and `test`. A clip's
        `path` is the whole video's name, `{youtube_id}.mp4`; `start_s` and
        `end_s` are its place in it.

    Raises:
        FileNotFoundError: if a list is missing.
        ManifestError: lists every problem with file and line.
    """
    lists = ClipLists(directory, CLASS_NAMES)
    for split, name in _LISTS.items():
        for line in lists.lines(name):
            _add(lists, line.split("\t"), split)
    return CLASS_NAMES, lists.rows()


def _add(lists: ClipLists, fields: list[str], split: str) -> None:
    if len(fields) != 4:
        lists.report(
            "Expected file, start, end and label separated by tabs, received "
            f"{len(fields)} field(s)."
        )
        return
    file_name, start, end, label = fields
    match = _FILE_NAME.fullmatch(file_name)
    if not match or match.group(2, 3) != (start, end):
        lists.report(
            f"Expected a file {{id}}_{start}_{end}.wav, received {file_name!r}."
        )
        return
    lists.add(match[1], start, end, (label,), split)
