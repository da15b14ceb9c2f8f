"""What was found in many videos, as one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

HEADER = (
    *("clip_id", "video", "status", "label", "score", "threshold"),
    *("confidence", "events", "boxes"),
)


@dataclasses.dataclass(frozen=True)
class FoundClass:
    """A predicted class of a video.

    Attributes:
        label: The class.
        score: Its score.
        threshold: The threshold that the score exceeds.
        confidence: How many of how many validation clips with such a score
            hold it; None if that is not known.
        events: Onset, offset and score of each.
        boxes: Instant, x1, y1, x2, y2 and score of each.
    """

    label: str
    score: float
    threshold: float
    confidence: Sequence[int] | None
    events: Sequence[Sequence[float]]
    boxes: Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What was found in a video, or why it failed.

    Attributes:
        clip_id: Name of its folder.
        video: Its path, as it was given.
        status: `found`, `none` (no class passes its threshold), `foreign`
            (unlike all that validation showed) or `failed`.
        duration_s: Length of the section.
        page: File to look at first, relative, with `/`; may be empty.
        found: The predicted classes, the best one first.
        note: What limits the result.
        stage: In which stage it failed.
        reason: Why.
        picture_jpeg: Its best frame, base64; may be empty.
    """

    clip_id: str
    video: str
    status: str
    duration_s: float = 0.0
    page: str = ""
    found: Sequence[FoundClass] = ()
    note: str = ""
    stage: str = ""
    reason: str = ""
    picture_jpeg: str = ""


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
            ascending = sorted(item.boxes, key=lambda box: box[-1])
            best = {time_s: xyxy for time_s, *xyxy, _ in ascending}
            boxes = (
                f"{time_s:g}: {' '.join(f'{x:g}' for x in xyxy)}"
                for time_s, xyxy in sorted(best.items())
            )
            yield (
                *(*named, item.label, f"{item.score:.6g}"),
                *(f"{item.threshold:.6g}", sure or ""),
                ";".join(
                    f"{start:.2f}-{end:.2f}" for start, end, _ in item.events
                ),
                ";".join(boxes),
            )
