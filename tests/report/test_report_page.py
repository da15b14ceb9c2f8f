"""The report of an evaluation as a page."""

from __future__ import annotations

import functools
import html.parser
import types

import numpy as np
import pytest

from avmil.evaluation import evaluation, paper
from avmil.evaluation.aggregation import Row, rows
from avmil.evaluation.scores import ScoreSet
from avmil.report import figure_style, report_page
from avmil.report.rendering import ColumnGroup, Table

CLASSES = ("horn", "<script>alert(1)</script>", "a & b")
TABLE = Table(
    "Table <0>",
    ("System",),
    (ColumnGroup("Ours", ("F1", "Recall")),),
    (("(a) AV", "1.0", "2.0"), ("    paper", "3.0", "4.0")),
    ("A note & more.",),
    frozenset({(0, 2)}),
)


class Page(html.parser.HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data.strip())


@functools.cache
def result(system="av_two_stream", run_name="run", seed=0, classes=CLASSES):
    generator = np.random.default_rng(seed)

    def scores(prefix, num_clips):
        names = [f"{prefix}{index}" for index in range(num_clips)]
        shape = (num_clips, len(classes))
        labels = np.random.default_rng(9).random(shape) < 0.4
        return ScoreSet(names, classes, labels, generator.random(shape))

    return evaluation.evaluate(
        scores("v", 20),
        scores("t", 30).with_missing(["gone"], np.ones((1, len(classes)))),
        system=system,
        run_name=run_name,
        seed=seed,
    )


@pytest.fixture(scope="module")
def text():
    results = [
        result(run_name="<img src=x>"),
        result(run_name="second", seed=1),
        result("my_system", "mine"),
    ]
    return report_page.render(results, [TABLE])


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_foreign_text_is_text(page, text):
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "<script>alert(1)</script>" in page.texts
    assert "a & b" in page.texts
    assert "a & b" in text.replace("&amp;", "&")
    assert "Table <0>" in page.texts


def test_page_needs_nothing_from_elsewhere(page):
    addresses = [
        value
        for name, value in page.attributes
        if name in ("src", "href", "xlink:href")
    ]
    assert addresses
    assert [a for a in addresses if not a.startswith(("#", "data:"))] == []
    policies = [v for n, v in page.attributes if n == "content"]
    assert any("default-src 'none'" in policy for policy in policies)
    assert "style" not in dict(page.attributes)  # The policy forbids it.


def test_page_has_a_panel_for_each_class_and_row(page):
    assert page.tags.count("figure") == 3 + 3 + 2
    assert page.tags.count("details") == 2
    assert page.tags.count("svg") == 3 + 3 + 2 + 2


def test_ids_are_unique(page):
    names = [value for name, value in page.attributes if name == "id"]
    assert len(set(names)) == len(names)


def test_table_with_bold_cells_and_notes(text):
    assert text.count("<b>") == 1
    assert "<td><b>2.0</b></td>" in text
    assert '<td class="first">1.0</td>' in text
    assert "    paper</th>" in text
    assert "A note &amp; more." in text


def test_page_says_what_was_evaluated(page):
    words = " ".join(" ".join(page.texts).split())
    assert "Evaluation of 3 runs" in words
    assert "3 classes on 31 test clips" in words
    assert "1 test clips have no features" in words
    assert "20 validation clips" in words
    assert "(1) my_system" in words
    assert "The paper has no figures for these classes" in words


def test_numbers_of_a_class(page):
    one = result(run_name="<img src=x>")
    start = page.texts.index("Threshold")
    numbers = page.texts[start:]
    for value in (
        f"{one.thresholds[0]:.4g}",
        f"{100 * one.by_class.f1[0]:.1f}",
        str(one.test.labels[:, 0].sum()),
    ):
        assert value in numbers


def test_page_is_reproducible(text):
    again = [
        result(run_name="<img src=x>"),
        result(run_name="second", seed=1),
        result("my_system", "mine"),
    ]
    assert report_page.render(again, [TABLE]) == text


def test_papers_figures_stand_beside_ours_on_its_classes():
    classes = paper.CLASS_NAMES
    text = report_page.render([result(classes=classes)], [])
    assert "marks the paper" in text
    figure = f"{100 * paper.class_f1('av_two_stream', classes)['Train']:.1f}"
    assert figure in Page(text).texts
    assert len(text) < 1_000_000


def test_no_results_are_refused():
    with pytest.raises(ValueError, match="received none"):
        report_page.render([], [TABLE])


def test_styles_are_distinct_and_name_rows_as_the_paper_does():
    results = [
        result("visual_wsddn"),
        result("other"),
        result("av_two_stream"),
        result("another"),
    ]
    found = figure_style.styles(rows(results))
    assert [style.label for style in found] == ["(a)", "(d)", "(1)", "(2)"]
    many = [types.SimpleNamespace(system=str(index)) for index in range(42)]
    looks = {(s.color, s.marker) for s in figure_style.styles(many)}
    assert len(looks) == 42


def test_rows_of_one_system_are_numbered():
    one = result("av_two_stream")
    found = figure_style.styles([Row((one,)), Row((one,))])
    assert [style.label for style in found] == ["(a.1)", "(a.2)"]
