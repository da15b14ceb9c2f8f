"""What was found in many videos, as one table and one page."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence

from avmil.report import offline_page

HEADER = (
    *("clip_id", "video", "status", "label", "score", "threshold"),
    *("confidence", "events", "boxes"),
)


@dataclasses.dataclass(frozen=True)
class FoundClass:
    """A predicted class of a video."""

    label: str
    score: float
    threshold: float  # The score exceeds it.
    # How many of how many validation clips with such a score hold the class.
    confidence: Sequence[int] | None
    events: Sequence[Sequence[float]]  # Onset, offset and score of each.
    boxes: Sequence[Sequence[float]]  # Instant, x1, y1, x2, y2 and score.


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What was found in a video, or why it failed.

    The status is `found`, `none` (no class passes its threshold), `foreign`
    (unlike all that validation showed) or `failed`.
    """

    clip_id: str  # Name of its folder.
    video: str  # Its path, as it was given.
    status: str
    duration_s: float = 0.0  # Of the section.
    page: str = ""  # File to look at first, relative, with `/`.
    found: Sequence[FoundClass] = ()  # The best one first.
    note: str = ""  # What limits the result.
    stage: str = ""  # In which it failed,
    reason: str = ""  # and why.
    picture_jpeg: str = ""  # Its best frame, base64.


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


def to_page(
    run: str, class_names: Sequence[str], results: Sequence[VideoResult]
) -> str:
    """Renders a page that lists the videos, with links to the pages of each.

    It is one file, thumbnails inside and failures last. `run` names the run in
    words, `class_names` are all that it knows.
    """
    videos = [result for result in results if result.status != "failed"]
    labels = (item.label for result in videos for item in result.found)
    counts = collections.Counter(labels)
    names = [result.video for result in results]
    # What all paths begin with says nothing.
    folder = os.path.dirname(os.path.commonprefix(names))  # noqa: RUF071
    return offline_page.render(
        "index",
        run=run,
        num_classes=len(class_names),
        videos=videos,
        folder=f"{folder}/" if folder else "",
        counts={name: counts[name] for name in class_names if counts[name]},
        statuses=collections.Counter(result.status for result in results),
        failures=[result for result in results if result.status == "failed"],
    )
