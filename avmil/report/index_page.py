"""The page that lists videos, with links to the pages of each."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

from avmil.report import offline_page
from avmil.report.video_results import VideoResult


def render(
    run: str, class_names: Sequence[str], results: Sequence[VideoResult]
) -> str:
    """Renders the list as HTML, thumbnails inside and failures last.

    `run` names the run in words, `class_names` are all that it knows.
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
