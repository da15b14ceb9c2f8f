"""The files of an evaluation: tables, numbers and the page."""

from __future__ import annotations

import html.parser
import json

import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import aggregation
from avmil.report.evaluation_report import EvaluationReport
from tests.made_results import localized, result_of

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


def report_of(*results):
    return EvaluationReport(aggregation.rows(results))


def three_runs(**options):
    fields = {"class_names": CLASSES, "num_missing": 1, **options}
    return report_of(
        result_of(run_name="<img src=x>", **fields),
        result_of(run_name="second", seed=1, **fields),
        result_of("my_system", run_name="mine", **fields),
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
    alone = report_of(localized(run_name="run"))
    alone.write(str(one))
    three_runs(localization=localized().localization).write(str(several))
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
        common | {"comparison.json", "leads.csv", "table3.csv"},
    ]
    assert json.loads((one / "metrics.json").read_text())["run_name"] == "run"
    assert len(json.loads((several / "metrics.json").read_text())) == 3
    for name in ("tables.md", "tables.tex", "report.html"):
        for folder in (one, several):
            assert "Where classes are seen" in (folder / name).read_text(
                "utf-8"
            )
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
    assert "style" not in dict(page.attributes)  # The policy forbids it.


def test_page_has_a_panel_for_each_class_and_row(page):
    assert page.tags.count("figure") == page.tags.count("img") == 3 + 3 + 2
    assert page.tags.count("details") == 2
    names = [value for name, value in page.attributes if name == "id"]
    assert len(set(names)) == len(names)


def test_page_says_what_was_evaluated(page):
    words = " ".join(" ".join(page.texts).split())
    for expected in (
        "Evaluation of 3 runs",
        "3 classes on 30 test clips",
        "1 test clips have no features",
        "20 validation clips",
        "(1) my_system",
        "The paper has no figures for these classes",
    ):
        assert expected in words


def test_page_holds_the_numbers_of_a_class(page):
    texts = list(filter(None, page.texts))
    numbers = texts[texts.index("Threshold") :]
    num_held = result_of(class_names=CLASSES).test.labels[:, 0].sum()
    place = numbers.index("<img src=x>") + 1
    expected = [str(num_held), "0.25", "0.0", "0.0", "0.0"]
    assert numbers[place : place + 5] == expected


def test_page_is_reproducible(text):
    assert three_runs().to_html() == text


def test_papers_figures_stand_beside_ours_on_its_classes():
    text = report_of(result_of(class_names=CLASS_NAMES)).to_html()
    assert "marks the paper" in text
    assert "82.0" in Page(text).texts  # Row (a), class Train.
    assert len(text) < 2_000_000
