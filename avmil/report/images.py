"""Figures as PNG and SVG files; the same figure gives the same bytes.

Figures belong to no window.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

INK = "#1f2328"  # Of text and lines.

# Text stays text: it can be searched, and the viewer has fonts for all
# scripts. The salt makes the names of clip paths and markers reproducible.
_SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "avmil"}


def to_png(figure: Figure, dpi: float = 150) -> bytes:
    """The content of a PNG file."""
    buffer = io.BytesIO()
    with legible(figure):
        figure.savefig(
            buffer, format="png", dpi=dpi, metadata={"Software": None}
        )
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """The content of an SVG file."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_SVG_SETTINGS), legible(figure):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().decode()


@contextlib.contextmanager
def legible(figure: Figure) -> Iterator[None]:
    """Gives a figure's texts, for the time, fonts that have their letters."""
    texts = figure.findobj(Text)
    letters = frozenset("".join(text.get_text() for text in texts))
    if fonts := _further_fonts(letters):
        for text in texts:
            families = dict.fromkeys([*text.get_fontfamily(), *fonts])
            text.set_fontfamily([*families])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@functools.lru_cache
def _further_fonts(letters: frozenset[str]) -> tuple[str, ...]:
    """Installed fonts for letters that matplotlib's own does not have."""
    missing = {ord(letter) for letter in letters if letter.isprintable()}
    missing -= _letters_of(font_manager.findfont("DejaVu Sans"))
    families = []
    for font in font_manager.fontManager.ttflist if missing else ():
        if found := missing & _letters_of(font.fname):
            families.append(font.name)
            missing -= found
    if missing:
        warnings.warn(
            "Expected an installed font with "
            f"{' '.join(map(chr, sorted(missing)))}, received none: figures "
            "show boxes instead. Install one, such as Noto Sans CJK.",
            stacklevel=2,
        )
    return tuple(families)


@functools.lru_cache
def _letters_of(path: str) -> frozenset[int]:
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):  # Of a kind that matplotlib cannot draw.
        return frozenset()
