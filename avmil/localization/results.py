"""What was found in many videos, as one table and one JSON file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from avmil.localization.video_localization import (
    Box,
    Confidence,
    Event,
    VideoLocalization,
)

HEADER = (
    *("clip_id", "video", "status", "label", "score", "threshold"),
    *("confidence", "events", "boxes"),
)


@dataclasses.dataclass(frozen=True)
class FoundClass:
    """A predicted class of a video; confidence is None if it is not known."""

    label: str
    score: float
    threshold: float
    confidence: Confidence | None
    events: tuple[Event, ...]
    boxes: tuple[Box, ...]


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What was found in a video, or why it failed.

    Attributes:
        clip_id: Name of its folder.
        video: Its path, as it was given.
        status: `found`, `none` (no class passes its threshold), `foreign`
            (unlike all that validation showed) or `failed`.
        duration_s: Length of the section.
        page: File to look at first, in the folder; may be empty.
        found: The predicted classes, the best one first.
        note: What limits the result.
        stage: In which stage it failed.
        reason: Why.
    """

    clip_id: str
    video: str
    status: str
    duration_s: float = 0.0
    page: str = ""
    found: tuple[FoundClass, ...] = ()
    note: str = ""
    stage: str = ""
    reason: str = ""

    @classmethod
    def of(
        cls, found: VideoLocalization, path: str, page: str, note: str
    ) -> VideoResult:
        """Sums up a video, whose path on this machine may be another."""
        clip, thresholds = found.clip, found.run.thresholds or {}
        classes = tuple(
            FoundClass(
                name,
                float(clip.scores[clip.class_names.index(name)]),
                thresholds[name],
                found.confidences.get(name),
                tuple(found.events[name]),
                tuple(found.boxes[name]),
            )
            for name in found.predicted
        )
        status = "found" if classes else "none"
        status = "foreign" if found.is_foreign else status
        duration_s = float(clip.duration_s)
        clip_id = clip.clip_id
        return cls(clip_id, path, status, duration_s, page, classes, note)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> VideoResult:
        """Reads what `to_json` gives; LookupError or TypeError for others."""
        found = tuple(
            FoundClass(
                **item
                | {
                    "confidence": item["confidence"]
                    and Confidence(**item["confidence"]),
                    "events": tuple(Event(**e) for e in item["events"]),
                    "boxes": tuple(Box(**box) for box in item["boxes"]),
                }
            )
            for item in content["found"]
        )
        return cls(**content | {"found": found})

    def to_json(self) -> dict[str, Any]:
        """The fields, named, as JSON takes them."""
        found = [
            vars(item)
            | {
                "confidence": item.confidence and item.confidence._asdict(),
                "events": [event._asdict() for event in item.events],
                "boxes": [box._asdict() for box in item.boxes],
            }
            for item in self.found
        ]
        return vars(self) | {"found": found}


def to_table(results: Iterable[VideoResult]) -> Iterator[tuple]:
    """Yields a row for each video and predicted class, below the header.

    A video without any has a row too. Of the boxes the best one of each frame
    is listed.
    """
    yield HEADER
    for result in results:
        named = result.clip_id, result.video, result.status
        if not result.found:
            yield *named, "", "", "", "", "", ""
        for item in result.found:
            sure = item.confidence and "{} of {}".format(*item.confidence)
            best = {b.time_s: b for b in sorted(item.boxes, key=_score)}
            yield (
                *(*named, item.label, f"{item.score:.6g}"),
                *(f"{item.threshold:.6g}", sure or ""),
                ";".join(
                    f"{e.onset_s:.2f}-{e.offset_s:.2f}" for e in item.events
                ),
                ";".join(
                    f"{box.time_s:g}: {' '.join(f'{x:g}' for x in box[1:5])}"
                    for _, box in sorted(best.items())
                ),
            )


def _score(box: Box) -> float:
    return box.score
