"""The page that lists videos, with links to the pages of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from avmil.report import offline_page


@dataclasses.dataclass(frozen=True)
class IndexEntry:
    """A video of the list.

    Attributes:
        name: Of the video.
        page: Path of its page relative to this one, with `/` between its
            parts; not used where it failed.
        predicted: The classes that were predicted.
        thumbnail_jpeg: A small picture of the video.
        failure: Why it could not be localized; None where it could.
    """

    name: str
    page: str = ""
    predicted: tuple[str, ...] = ()
    thumbnail_jpeg: bytes | None = None
    failure: str | None = None


def render(entries: Sequence[IndexEntry]) -> str:
    """Renders the list as HTML, thumbnails inside and failures last."""
    return offline_page.render(
        "index",
        videos=[entry for entry in entries if entry.failure is None],
        failures=[entry for entry in entries if entry.failure is not None],
    )
