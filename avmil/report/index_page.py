"""The page that lists videos, with links to the pages of each."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence

from avmil.report import offline_page


@dataclasses.dataclass(frozen=True)
class IndexLabel:
    """A class that was predicted of a video.

    Attributes:
        name: The class.
        margin: Its score minus its threshold.
        confidence: How many of how many validation clips with such a score
            hold it; None if that is not known.
        events_s: Onset and offset of its events.
        is_seen: Whether it has boxes.
    """

    name: str
    margin: float = 0.0
    confidence: tuple[int, int] | None = None
    events_s: tuple[tuple[float, float], ...] = ()
    is_seen: bool = False


@dataclasses.dataclass(frozen=True)
class IndexEntry:
    """A video of the list."""

    name: str
    page: str = ""  # Path relative to this page's folder, with `/`.
    duration_s: float = 0.0
    labels: tuple[IndexLabel, ...] = ()  # The best one first.
    is_foreign: bool = False  # Unlike all that the run knows.
    note: str = ""
    thumbnail_jpeg: bytes | None = None
    failure: str = ""  # Why it could not be localized.


def render(
    run: str, class_names: Sequence[str], entries: Sequence[IndexEntry]
) -> str:
    """Renders the list as HTML, thumbnails inside and failures last.

    Args:
        run: The run, in words.
        class_names: All classes that it knows.
        entries: The videos.
    """
    # What all paths begin with says nothing.
    names = [entry.name for entry in entries]
    folder = os.path.dirname(os.path.commonprefix(names))  # noqa: RUF071
    entries = [
        dataclasses.replace(
            entry, name=entry.name.removeprefix(folder).lstrip("/")
        )
        for entry in entries
    ]
    videos = [entry for entry in entries if not entry.failure]
    counts = collections.Counter(
        label.name for entry in videos for label in entry.labels
    )
    return offline_page.render(
        "index",
        run=run,
        num_classes=len(class_names),
        videos=videos,
        counts={name: counts[name] for name in class_names if counts[name]},
        num_foreign=sum(entry.is_foreign for entry in videos),
        num_without=sum(
            not entry.labels and not entry.is_foreign for entry in videos
        ),
        failures=[entry for entry in entries if entry.failure],
    )
