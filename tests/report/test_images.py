"""Figures as PNG and SVG files."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

from matplotlib import font_manager
from matplotlib.figure import Figure

from avmil.report import images


def draw(text="text"):
    figure = Figure(figsize=(2, 1))
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.plot([0, 0.123456, 1], [1, 0.4, 0], "o-")
    axes.set_title(text, parse_math=False)
    return figure


def test_both_forms_are_reproducible():
    assert images.to_svg(draw()) == images.to_svg(draw())
    assert images.to_png(draw()) == images.to_png(draw())


def test_png_has_the_size_that_was_asked_for():
    content = images.to_png(draw(), dpi=50)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (100, 50)


def test_text_stays_text_in_svg():
    text = "<b> & $\\alpha$ Müller"
    root = ElementTree.fromstring(images.to_svg(draw(text)))
    assert text in [element.text for element in root.iter()]


def test_letters_come_from_any_installed_font(recwarn):
    """Matplotlib's own fonts of mathematics have private letters."""
    with_letter = images.to_png(draw("\ue001"))
    assert not recwarn.list
    assert with_letter != images.to_png(draw("  "))


def test_letters_of_no_font_are_told_in_one_warning(monkeypatch, recwarn):
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    images.to_png(draw("\u96ea \u72ac"))
    images.to_svg(draw("\u96ea \u72ac"))
    (told,) = recwarn.list
    assert "\u72ac \u96ea" in str(told.message)
