"""The files of an evaluation: tables, numbers and the page."""

from __future__ import annotations

import html.parser
import json

import numpy as np
import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import aggregation, evaluation
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.report.evaluation_report import EvaluationReport
from tests.report.test_table_3 import result_of as localization_of

CLASSES = ("horn", "<script>alert(1)</script>", "a & b")


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
        identity=RunIdentity(system, run_name, seed),
    )


def three_runs():
    return EvaluationReport(
        aggregation.rows(
            [
                result(run_name="<img src=x>"),
                result(run_name="second", seed=1),
                result("my_system", "mine"),
            ]
        )
    )


@pytest.fixture(scope="module")
def text():
    return three_runs().to_html()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_files_of_a_run_and_of_several(tmp_path):
    one, several = tmp_path / "one", tmp_path / "several"
    one.mkdir()
    several.mkdir()
    alone = EvaluationReport(aggregation.rows([result()]), [localization_of()])
    alone.write(str(one))
    three_runs().write(str(several))
    common = {
        "metrics.json",
        "report.html",
        "table1.csv",
        "table2.csv",
        "tables.md",
        "tables.tex",
    }
    names = [{p.name for p in folder.iterdir()} for folder in (one, several)]
    assert names == [
        common | {"table3.csv", "table3.json"},
        common | {"comparison.json", "leads.csv"},
    ]
    assert json.loads((one / "metrics.json").read_text())["run_name"] == "run"
    assert len(json.loads((several / "metrics.json").read_text())) == 3
    for name in ("tables.md", "tables.tex", "report.html"):
        assert "Where classes are seen" in (one / name).read_text("utf-8")
    assert "Where classes are seen" in alone.to_text()


def test_foreign_text_is_text(page):
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.texts
    assert "<img src=x>" in page.texts
    assert "a & b" in page.texts


def test_page_needs_nothing_from_elsewhere(page):
    addresses = [v for n, v in page.attributes if n in ("src", "href")]
    assert addresses
    assert [a for a in addresses if not a.startswith(("#", "data:"))] == []
    policies = [v for n, v in page.attributes if n == "content"]
    assert any("default-src 'none'" in policy for policy in policies)


def test_page_has_a_panel_for_each_class_and_row(page):
    assert page.tags.count("figure") == page.tags.count("img") == 3 + 3 + 2
    assert page.tags.count("details") == 2
    names = [value for name, value in page.attributes if name == "id"]
    assert len(set(names)) == len(names)


def test_page_says_what_was_evaluated(page):
    words = " ".join(" ".join(page.texts).split())
    for expected in (
        "Evaluation of 3 runs",
        "3 classes on 31 test clips",
        "1 test clips have no features",
        "20 validation clips",
        "(1) my_system",
        "The paper has no figures for these classes",
    ):
        assert expected in words


def test_page_holds_the_numbers_of_a_class(page):
    one = result(run_name="<img src=x>")
    numbers = page.texts[page.texts.index("Threshold") :]
    for value in (
        f"{one.thresholds[0]:.4g}",
        f"{100 * one.by_class.f1[0]:.1f}",
        str(one.test.labels[:, 0].sum()),
    ):
        assert value in numbers


def test_page_is_reproducible(text):
    assert three_runs().to_html() == text


def test_papers_figures_stand_beside_ours_on_its_classes():
    rows = aggregation.rows([result(classes=CLASS_NAMES)])
    text = EvaluationReport(rows).to_html()
    assert "marks the paper" in text
    assert "82.0" in Page(text).texts  # Row (a), class Train.
    assert len(text) < 2_000_000


def test_localized_runs_of_other_splits_are_refused():
    rows = aggregation.rows([result()])
    other = localization_of(num_test_clips=8)
    with pytest.raises(ValueError, match="one test split"):
        EvaluationReport(rows, [localization_of(), other])
