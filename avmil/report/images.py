"""Figures as PNG and SVG files; the same figure gives the same bytes.

Figures belong to no window.
"""

from __future__ import annotations

import io

import matplotlib
from matplotlib.figure import Figure

INK = "#1f2328"  # Of text and lines.

# Text stays text: it can be searched, and the viewer has fonts for all
# scripts. The salt makes the names of clip paths and markers reproducible.
_SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "avmil"}


def to_png(figure: Figure, dpi: float = 150) -> bytes:
    """The content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """The content of an SVG file."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_SVG_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().decode()
