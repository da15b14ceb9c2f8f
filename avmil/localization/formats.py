"""What is found in a video as text, in the formats of other programs.

`FORMATS` lists them; a further one is a function and an entry there.
"""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from avmil.localization.video_localization import VideoLocalization

SCHEMA_VERSION = 1


def to_json(result: VideoLocalization) -> str:
    """Writes every score, box, time and event as one line of JSON.

    Raises:
        ValueError: if a number is not finite.
    """
    clip, run = result.clip, result.run
    width_px, height_px = clip.frame_size_px
    content = {
        "schema_version": SCHEMA_VERSION,
        "clip_id": clip.clip_id,
        "video": os.path.basename(result.video.path),
        "start_s": result.video.start_s or 0.0,
        "run": run.name,
        "system": run.system,
        **dataclasses.asdict(run.weights),
        "duration_s": clip.duration_s,
        "width_px": width_px,
        "height_px": height_px,
        "class_names": clip.class_names,
        "scores": _numbers(clip.scores),
        "thresholds": run.thresholds,
        "event_thresholds": run.event_thresholds,
        "box_thresholds": run.box_thresholds,
        "predicted": result.predicted,
        "is_foreign": result.is_foreign,
        "confidences": {
            name: confidence._asdict()
            for name, confidence in result.confidences.items()
        },
        "frame_times_s": _numbers(clip.frame_times_s),
        "regions": {
            "boxes_px": _numbers(clip.boxes),
            "times_s": _numbers(clip.region_times_s),
            "scores": _numbers(clip.region_scores),
        },
        "segments": {
            "times_s": _numbers(clip.segment_times_s),
            "scores": _numbers(clip.segment_scores),
        },
        "events": [
            {"class": name, "onset_s": onset_s, "offset_s": offset_s}
            for name, events in result.events.items()
            for onset_s, offset_s, _ in events
        ],
        "boxes": [
            {"class": name, **box._asdict()}
            for name, boxes in result.boxes.items()
            for box in boxes
        ],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(result: VideoLocalization) -> str:
    """Lists the events by class with their scores."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["clip_id", "class", "onset_s", "offset_s", "score"])
    for name, events in result.events.items():
        for onset_s, offset_s, score in events:
            times = f"{onset_s:.3f}", f"{offset_s:.3f}"
            row = result.clip.clip_id, name, *times, f"{score:.6g}"
            writer.writerow(row)
    return text.getvalue()


def to_webvtt(result: VideoLocalization) -> str:
    """Writes the events as subtitles, which browsers and players show."""
    cues = [
        f"\n{_clock(onset_s, '.')} --> {_clock(offset_s, '.')}\n"
        f"{html.escape(name, quote=False)}\n"
        for onset_s, offset_s, name in _over_time(result)
    ]
    return "".join(["WEBVTT\n", *cues])


def to_srt(result: VideoLocalization) -> str:
    """Writes the events as SubRip subtitles, which video editors import."""
    return "".join(
        f"{number}\n{_clock(onset_s, ',')} --> {_clock(offset_s, ',')}\n"
        f"{name}\n\n"
        for number, (onset_s, offset_s, name) in enumerate(
            _over_time(result), start=1
        )
    )


def to_audacity(result: VideoLocalization) -> str:
    """Writes the events as a label track that Audacity imports."""
    return "".join(
        f"{onset_s:.3f}\t{offset_s:.3f}\t{name}\n"
        for onset_s, offset_s, name in _over_time(result)
    )


def to_textgrid(result: VideoLocalization) -> str:
    """Writes the events as a Praat TextGrid, which ELAN imports as well.

    Each predicted class is an interval tier, whose intervals cover the whole
    section, as Praat wants it: those between events are empty. Without a
    predicted class there is one empty tier, `events`.
    """
    ends_s = [e.offset_s for found in result.events.values() for e in found]
    end_s = max([result.clip.duration_s, *ends_s])
    names = result.predicted or ("events",)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end_s:.6f}",
        "tiers? <exists>",
        f"size = {len(names)}",
        "item []:",
    ]
    for number, name in enumerate(names, start=1):
        label = _on_one_line(name).replace('"', '""')
        intervals: list[tuple[float, float, str]] = []
        covered_s = 0.0
        for onset_s, offset_s, _ in result.events.get(name, ()):
            if onset_s > covered_s:
                intervals.append((covered_s, onset_s, ""))
            intervals.append((onset_s, offset_s, label))
            covered_s = offset_s
        if covered_s < end_s:
            intervals.append((covered_s, end_s, ""))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{label}"',
            "        xmin = 0",
            f"        xmax = {end_s:.6f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for index, (start_s, stop_s, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{index}]:",
                f"            xmin = {start_s:.6f}",
                f"            xmax = {stop_s:.6f}",
                f'            text = "{text}"',
            ]
    return "\n".join(lines) + "\n"


def to_coco(result: VideoLocalization) -> str:
    """Writes the boxes as COCO JSON, the sampled frames being its images.

    Images carry `time_s` and annotations `score`, which COCO's tools ignore.
    A box's width and height count both of its border pixels.
    """
    clip = result.clip
    width_px, height_px = map(int, clip.frame_size_px)
    images = [
        {
            "id": number,
            "file_name": f"{clip.clip_id}-{time_s:.3f}.jpg",
            "width": width_px,
            "height": height_px,
            "time_s": time_s,
        }
        for number, time_s in enumerate(_numbers(clip.frame_times_s), start=1)
    ]
    annotations: list[dict[str, Any]] = []
    for category_id, name in enumerate(clip.class_names, start=1):
        for time_s, x1, y1, x2, y2, score in result.boxes[name]:
            frame = np.abs(clip.frame_times_s - time_s).argmin()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": int(frame) + 1,
                    "category_id": category_id,
                    "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                    "area": (x2 - x1 + 1) * (y2 - y1 + 1),
                    "iscrowd": 0,
                    "score": score,
                }
            )
    content = {
        "info": {
            "description": f"Boxes that the run {result.run.name} found in "
            f"{os.path.basename(result.video.path)}",
            "start_s": result.video.start_s or 0.0,
        },
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name}
            for number, name in enumerate(clip.class_names, start=1)
        ],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


# Name -> name of the file, and what makes its content.
FORMATS: dict[str, tuple[str, Callable[[VideoLocalization], str]]] = {
    "json": ("localization.json", to_json),
    "csv": ("segments.csv", to_csv),
    "vtt": ("events.vtt", to_webvtt),
    "srt": ("events.srt", to_srt),
    "audacity": ("labels.txt", to_audacity),
    "textgrid": ("events.TextGrid", to_textgrid),
    "coco": ("coco.json", to_coco),
}


def _numbers(array: np.ndarray) -> list:
    """Numbers as lists, each with no more digits than its type has."""
    return np.asarray(array).astype(str).astype(np.float64).tolist()


def _over_time(result: VideoLocalization) -> list[tuple[float, float, str]]:
    """Onset, offset and class of all events by onset."""
    return sorted(
        (onset_s, offset_s, _on_one_line(name))
        for name, events in result.events.items()
        for onset_s, offset_s, _ in events
    )


def _on_one_line(name: str) -> str:
    return " ".join(name.split())


def _clock(time_s: float, point: str) -> str:
    """A time in hours, minutes, seconds and, behind a point, milliseconds."""
    seconds, milliseconds = divmod(round(1000 * time_s), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
