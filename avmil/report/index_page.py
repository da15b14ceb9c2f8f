"""The page that lists videos, with links to the pages of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from avmil.report import offline_page


@dataclasses.dataclass(frozen=True)
class IndexEntry:
    """A video of the list."""

    name: str
    page: str = ""  # Path relative to this page's folder, with `/`.
    predicted: tuple[str, ...] = ()
    thumbnail_jpeg: bytes | None = None
    failure: str | None = None  # Why it could not be localized.


def render(entries: Sequence[IndexEntry]) -> str:
    """Renders the list as HTML, thumbnails inside and failures last."""
    return offline_page.render(
        "index",
        videos=[entry for entry in entries if entry.failure is None],
        failures=[entry for entry in entries if entry.failure is not None],
    )
