"""Figures as PNG and as SVG for pages."""

from __future__ import annotations

import re
import struct
from xml.etree import ElementTree

from matplotlib.figure import Figure

from avmil.report import images


def draw(text="text", color=images.INK):
    figure = Figure(figsize=(2, 1))
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
    axes.plot([0, 0.123456, 1], [1, 0.4, 0], "o-", color=color)
    axes.set_title(text, parse_math=False)
    return figure


def ids(svg):
    return set(re.findall(r'\bid="([^"]+)"', svg))


def test_both_forms_are_reproducible():
    assert images.to_svg(draw()) == images.to_svg(draw())
    assert images.to_png(draw()) == images.to_png(draw())


def test_png_has_the_size_that_was_asked_for():
    content = images.to_png(draw(), dpi=50)
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (100, 50)


def test_svg_is_an_element_without_style_or_metadata():
    svg = images.to_svg(draw())
    assert ElementTree.fromstring(svg).tag.endswith("}svg")
    for forbidden in ("<?xml", "<!DOCTYPE", "style", "metadata", "font-family"):
        assert forbidden not in svg


def test_what_styles_said_is_said_by_attributes():
    root = ElementTree.fromstring(images.to_svg(draw(color="#0072b2")))
    (line,) = (e for e in root.iter() if e.get("stroke-width") == "1.5")
    assert line.get("stroke") == "#0072b2"
    assert line.get("fill") == "none"


def test_ink_takes_the_color_of_the_page():
    svg = images.to_svg(draw())
    assert images.INK not in svg
    assert 'stroke="currentColor"' in svg
    assert "currentColor" not in images.to_svg(draw(color="#0072b2"))


def test_names_are_unlike_those_of_other_figures_and_all_are_found():
    first, second = images.to_svg(draw()), images.to_svg(draw("other"))
    assert not ids(first) & ids(second)
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', first))
    assert referred
    assert referred <= ids(first)


def test_characters_that_xml_cannot_hold_are_replaced():
    svg = images.to_svg(draw("a\x00b\x1bc\x0bd\ufffee"))
    texts = [element.text for element in ElementTree.fromstring(svg).iter()]
    assert "a\ufffdb\ufffdc\ufffdd\ufffde" in texts


def test_text_stays_text_and_is_escaped():
    text = '<script>&"url(#a)" id="b" $x$'
    svg = images.to_svg(draw(text))
    assert "<script>" not in svg
    root = ElementTree.fromstring(svg)
    assert text in [element.text for element in root.iter()]
