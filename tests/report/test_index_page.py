"""The list of videos."""

from __future__ import annotations

import re

from avmil.report import index_page
from avmil.report.index_page import IndexEntry

GOOD = IndexEntry("street.mp4", "street.html", ("dog", "siren"), b"jpeg", None)
SILENT = IndexEntry("dull.mp4", "pages/dull #1.html", (), None, None)
FAILED = IndexEntry("broken.mp4", "", (), None, "no video stream")


def test_videos_have_thumbnail_labels_and_link():
    page = index_page.render([GOOD, SILENT])
    links = re.findall(r'<a href="(.*?)"', page)
    assert links == ["street.html", "pages/dull%20%231.html"]
    assert re.findall(r'class="chip">(.*?)<', page) == ["dog", "siren"]
    assert re.findall(r'<img src="(.*?)"', page) == [
        "data:image/jpeg;base64,anBlZw=="
    ]
    assert page.count("no picture") == 1
    assert page.count("no class") == 1
    assert "2 localized" in page
    assert "Failed" not in page


def test_failures_come_last_with_their_reason_and_without_link():
    page = index_page.render([FAILED, GOOD])
    assert page.count("<a ") == 1
    failed = page.index("broken.mp4")
    assert page.index("street.mp4") < failed < page.index("no video stream")
    assert "1 failed" in page


def test_no_videos_make_a_page_too():
    assert "0 localized" in index_page.render([])


def test_outside_text_never_becomes_markup():
    evil = "\"><script>alert(1)</script>'"
    video = IndexEntry(evil, "javascript:alert(1)", (evil,), None, None)
    failure = IndexEntry(evil, evil, (), None, evil)
    page = index_page.render([video, failure])
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") == 4
    assert 'href="javascript%3Aalert%281%29"' in page


def test_page_requests_nothing():
    page = index_page.render([GOOD, FAILED])
    assert "default-src &#39;none&#39;" in page
    assert "script-src &#39;none&#39;" in page
    assert not re.search(r"https?://", page)
