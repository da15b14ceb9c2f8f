"""Published lists that also say what is heard and seen: LLP, AVE, VGGSounder.

Sources: Tian, Li and Xu, "Unified multisensory perception: weakly-supervised
audio-visual video parsing", ECCV 2020 (AVVP-ECCV20, data/); Tian, Shi, Li,
Duan and Xu, "Audio-visual event localization in unconstrained videos", ECCV
2018 (AVE-ECCV18, data/); Chen, Xie, Vedaldi and Zisserman, "VGGSound: a
large-scale audio-visual dataset", ICASSP 2020 (vggsound.csv); Zverev et al.,
"VGGSounder: audio-visual evaluations for foundation models", 2025 (the package
vggsounder).
"""

from __future__ import annotations

import collections
import io
import re
import sys
from typing import Any

import h5py

from avmil.clips.list_files import YOUTUBE_ID, Lists, train_or_val
from avmil.clips.manifest import SPLITS, ManifestEntry
from avmil.common import files
from avmil.common.errors import ConfigError
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
_AVE_DURATION_S = 10.0  # Files may be some frames longer.
_VGGSOUND_LIST = "vggsound.csv"
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
            else:
                times = {
                    "audio": {"sound": [begin_s, end_s]},
                    "visual": {"sight": {"t0": begin_s, "t1": end_s}},
                }
                truth[video].append({"class": class_name, **times[modality]})
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
        place = f"{video}.mp4", (class_name,), splits[number]
        entries.append(ManifestEntry(clip_id, *place, 0.0, _AVE_DURATION_S))
        sound = [float(begin_s), float(end_s)]
        sight = {"t0": sound[0], "t1": sound[1]}
        event = {"class": class_name, "sound": sound, "sight": sight}
        truth[clip_id] = [event] * (sound[0] < sound[1])
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


def read_vggsounder(directory: str, val_percent: int = 0) -> _Listed:
    """Reads VGGSound's list and the labels of the package `vggsounder`.

    Args:
        directory: Folder with `vggsound.csv`: YouTube id, start, label, split.
        val_percent: As of `published_lists.read_audioset`.

    Returns:
        The 309 classes by name; VGGSound's training clips, 10 s of a video
        `{youtube_id}.mp4`, each with one label, and VGGSounder's test clips
        without background music, as it evaluates them; and what is heard and
        seen in the test clips, without times.

    Raises:
        ConfigError: if the package is not installed.
        FileNotFoundError: if the list is missing.
        ManifestError: lists every problem with file and line.
    """
    try:
        import vggsounder
    except ImportError as error:
        raise ConfigError(
            "--dataset=vggsounder: Expected the package vggsounder, received "
            f"{error}. Install avmil's extra `benchmarks`, with Python 3.11 or "
            "3.12."
        ) from error
    labeled = vggsounder.VGGSounder()
    class_names = tuple(sorted(labeled.get_all_labels()))
    lists = Lists(directory, class_names)
    for youtube_id, start, label, split in lists.rows(
        _VGGSOUND_LIST, "# YouTube ID,start seconds,label,train/test split"
    ):
        if not start.isdecimal() or split not in ("train", "test"):
            lists.report(
                "Expected whole seconds and train or test, received "
                f"{start!r} and {split!r}."
            )
        elif split == "train":
            own_split = train_or_val(youtube_id, val_percent)
            lists.add(youtube_id, *_ten_seconds(start), [label], own_split)
    truth: Truth = {}
    for clip_id, clip in labeled.items():
        youtube_id, times = clip_id[:11], _ten_seconds(clip_id[12:])
        lists.add(youtube_id, *times, clip.labels, "test", clip_id)
        truth[clip_id] = [
            {"class": n, "sound": "A" in of or None, "sight": "V" in of or None}
            for n, of in zip(clip.labels, clip.modalities, strict=True)
        ]
    return class_names, lists.entries(), truth


def _ten_seconds(start: str) -> tuple[str, str]:
    """Start and end of a clip of VGGSound, as lists write seconds."""
    return str(int(start)), str(int(start) + 10)
