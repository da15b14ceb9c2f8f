"""Published lists that also say when events are heard and seen: LLP and AVE.

Sources: Tian, Li and Xu, "Unified multisensory perception: weakly-supervised
audio-visual video parsing", ECCV 2020 (AVVP-ECCV20, data/); Tian, Shi, Li,
Duan and Xu, "Audio-visual event localization in unconstrained videos", ECCV
2018 (AVE-ECCV18, data/).
"""

from __future__ import annotations

import collections
import io
import re
import sys
from typing import Any

import h5py

from avmil.clips.list_files import YOUTUBE_ID, Lists
from avmil.clips.manifest import SPLITS, ManifestEntry
from avmil.common import files
from avmil.common.llp_classes import LLP_CLASSES

# Clip -> its events, as truth.json has them.
Truth = dict[str, list[dict[str, Any]]]
_Listed = tuple[tuple[str, ...], list[ManifestEntry], Truth]

_LLP_LISTS = {
    "AVVP_train.csv": "train",
    "AVVP_val_pd.csv": "val",
    "AVVP_test_pd.csv": "test",
}
_LLP_NAME = re.compile(r"(.{11})_([\d.]+)_([\d.]+)", re.ASCII)
_AVE_LINE = re.compile(
    rf"([^&]+)&({YOUTUBE_ID.pattern})&[^&]*&(\d{{1,2}})&(\d{{1,2}})", re.ASCII
)
_AVE_ORDERS = {split: f"{split}_order.h5" for split in SPLITS}


def read_llp(directory: str) -> _Listed:
    """Reads LLP's lists: videos of 10 s, whose tags do not say of which sense.

    Returns:
        The classes; the clips, whose ids are the official file names and whose
        paths are whole videos, `{youtube_id}.mp4`; and the events that are
        heard or seen in the validation and test clips, an entry for each
        modality, sight without boxes. As in the official scorer, lines of
        other videos, and those that end no later than they begin, are left
        out; they are counted on stderr.

    Raises:
        FileNotFoundError: if a list is missing.
        ManifestError: lists every problem with file and line.
    """
    lists = Lists(directory, LLP_CLASSES)
    truth: Truth = {}
    for name, split in _LLP_LISTS.items():
        for video, tags in lists.rows(name, "filename,event_labels", "\t"):
            if not (match := _LLP_NAME.fullmatch(video)):
                lists.report(f"Expected ID_START_END, received {video!r}.")
                continue
            lists.add(*match.groups(), tags.split(","), split, video)
            if split != "train":
                truth[video] = []
    header = "filename,onset,offset,event_labels"
    num_unused = 0
    for modality in ("audio", "visual"):
        name = f"AVVP_eval_{modality}.csv"
        for video, onset, offset, class_name in lists.rows(name, header, "\t"):
            if not (onset.isdecimal() and offset.isdecimal()):
                lists.report(f"Expected seconds, received {onset}, {offset}.")
                continue
            begin_s, end_s = float(onset), float(offset)
            if video not in truth or end_s <= begin_s:
                num_unused += 1
            elif class_name not in LLP_CLASSES:
                lists.report(f"Expected a class of LLP, received {class_name}.")
            elif modality == "audio":
                event = {"class": class_name, "sound": [begin_s, end_s]}
                truth[video].append(event)
            else:
                sight = {"t0": begin_s, "t1": end_s}
                truth[video].append({"class": class_name, "sight": sight})
    if num_unused:
        print(
            f"note: {num_unused} lines of AVVP_eval_*.csv name no video of "
            "validation or test, or no second; they are left out.",
            file=sys.stderr,
        )
    return LLP_CLASSES, lists.entries(), truth


def read_ave(directory: str) -> _Listed:
    """Reads AVE's annotations: videos of 10 s, each with one event.

    Returns:
        The classes by name; the clips in the order of `Annotations.txt`, each
        a file `{youtube_id}.mp4`, where a video that is listed again has an id
        that ends in `_2`; and the events, which are heard and seen at once
        (some videos have none: they start and end at 0).

    Raises:
        As `read_llp`.
    """
    lists = Lists(directory, ())
    splits = _ave_splits(lists, directory)
    entries: list[ManifestEntry] = []
    truth: Truth = {}
    listed: collections.Counter[str] = collections.Counter()
    for number, line in enumerate(lists.lines("Annotations.txt")):
        if not (match := _AVE_LINE.fullmatch(line)):
            lists.report(
                "Expected class&id&quality&start&end with a YouTube id and "
                f"seconds, received {line!r}."
            )
            continue
        class_name, video, begin_s, end_s = match.groups()
        if number not in splits:
            lists.report(f"{video} is in none of {', '.join(_AVE_ORDERS)}.")
            continue
        listed[video] += 1
        clip_id = video + f"_{listed[video]}" * (listed[video] > 1)
        path, labels = f"{video}.mp4", (class_name,)
        entries.append(ManifestEntry(clip_id, path, labels, splits[number]))
        times_s = float(begin_s), float(end_s)
        sight = dict(zip(("t0", "t1"), times_s, strict=True))
        event = {"class": class_name, "sound": [*times_s], "sight": sight}
        truth[clip_id] = [event] * (times_s[0] < times_s[1])
    lists.raise_problems(bool(entries))
    class_names = sorted({entry.labels[0] for entry in entries})
    return tuple(class_names), entries, truth


def _ave_splits(lists: Lists, directory: str) -> dict[int, str]:
    """Split of each line of `Annotations.txt`, numbered from 0."""
    splits: dict[int, str] = {}
    for split, name in _AVE_ORDERS.items():
        content = files.read_bytes(files.join(directory, name))
        try:
            with h5py.File(io.BytesIO(content)) as file:
                order = file["order"][()].tolist()
        except (KeyError, OSError) as error:
            lists.problems.append(
                f"{name}: Expected HDF5 with line numbers as `order`, "
                f"received {error}."
            )
            continue
        splits |= dict.fromkeys(order, split)
    return splits
