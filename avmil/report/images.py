"""Figures as PNG files and as SVG elements of a page.

Both are reproducible: the same figure gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

# What is drawn in this color takes the color of the text around the SVG, so
# that a figure is legible on light and dark pages.
INK = "#1f2328"

# Text stays text: it can be searched, and the browser has fonts for all
# scripts. The salt makes the names of clip paths and markers reproducible.
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "avmil"}
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_GROUP = f"{{{_SVG}}}g"
_HREF = f"{{{_XLINK}}}href"
# What XML cannot hold.
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REPLACEMENT = "\ufffd"
_LONG_FRACTION = re.compile(r"(\.\d\d)\d+")

ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)


def to_png(figure: Figure, dpi: float = 150) -> bytes:
    """The content of a PNG file.

    Args:
        figure: A figure that belongs to no window.
        dpi: Pixels per inch.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """An `<svg>` element for a page, also for a page with other figures.

    It has no style sheet or `style` that a Content-Security-Policy might
    forbid, its names (`id`) are unlike those of other figures, and it takes
    the font, and for `INK` the color, of the text around it. Characters
    that XML cannot hold are replaced.

    Args:
        figure: A figure that belongs to no window.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    content = _NO_CHARACTERS.sub(_REPLACEMENT, buffer.getvalue().decode())
    root = ElementTree.fromstring(content)
    _remove_declarations(root)
    prefix = f"f{hashlib.sha256(content.encode()).hexdigest()[:8]}-"
    for element in root.iter():
        _rewrite(element, prefix)
    # What the style sheet said of all elements.
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    return ElementTree.tostring(root, encoding="unicode")


def _remove_declarations(root: ElementTree.Element) -> None:
    """Removes the metadata and the style sheet, which matplotlib puts first."""
    for child in list(root):
        is_style = child.find(f"{{{_SVG}}}style") is not None
        if is_style or child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)


def _rewrite(element: ElementTree.Element, prefix: str) -> None:
    """Gives an element names and attributes that fit any page."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = declaration.partition(":")
        if name.strip() and name.strip() != "font-family":
            element.set(name.strip(), value.strip())
    if element.tag == _GROUP:
        element.attrib.pop("id", None)  # Nothing refers to it.
    for name, value in element.attrib.items():
        if name == "id":
            element.set(name, prefix + value)
        elif name == "d":
            element.set(name, _LONG_FRACTION.sub(r"\1", value))
        elif value == INK:
            element.set(name, "currentColor")
        elif name == _HREF and value.startswith("#"):
            element.set(name, f"#{prefix}{value[1:]}")
        elif value.startswith("url(#"):
            element.set(name, value.replace("#", f"#{prefix}", 1))
