"""What was found in many videos: the table and the page."""

from __future__ import annotations

import re

import pytest

from avmil.report.video_results import (
    FoundClass,
    VideoResult,
    to_page,
    to_table,
)
from tests.browser import chromium

BOXES = [(0.5, 0, 0, 9, 9, 1.0)]
DOG = FoundClass("dog", 0.5, 0, (9, 10), [(1.0, 2.0, 1), (4.0, 4.5, 1)], BOXES)
SIREN = FoundClass("siren", 0.1, 0, (5, 10), [(0.0, 1.0, 1)], ())
GOOD = VideoResult(
    *("good", "v/street.mp4", "found", 6.0, "street.html", (DOG, SIREN)),
    picture_jpeg="anBlZw==",
)
DULL = VideoResult(
    *("dull", "v/x/dull.mp4", "none", 9.0, "pages/dull #1.html"),
    note="no sound",
)
FOREIGN = VideoResult("cat", "v/cat.mp4", "foreign", 3.0, "cat.html")
FAILED = VideoResult(
    *("bad", "v/broken.mp4", "failed"), stage="decode", reason="no stream"
)


def render(*results):
    return to_page("a, step 9", ("bus", "dog", "siren"), results)


def test_videos_have_thumbnail_labels_and_link():
    page = render(GOOD, DULL, FOREIGN)
    links = re.findall(r'href="(?!data)(.*?)"', page)
    assert links == ["street.html", "pages/dull%20%231.html", "cat.html"]
    assert re.findall(r'class="chip">(.*?)<', page) == ["dog", "siren"]
    assert re.findall(r'class="name">(.*?)<', page) == [
        *("street.mp4", "x/dull.mp4", "cat.mp4")
    ]
    assert re.findall(r'<img src="(.*?)"', page) == [
        "data:image/jpeg;base64,anBlZw=="
    ]
    assert page.count("no picture") == 2
    assert re.findall(r'<rect x="(.*?)" width="(.*?)"', page) == [
        *(("1.0", "1.0"), ("4.0", "0.5"), ("0.0", "1.0"))
    ]
    for text in ("9 of 10 right", "none of the 3 classes", "no class passes"):
        assert text in page
    assert "3 localized" in page
    assert "Failed" not in page


def test_failures_come_last_with_their_reason_and_without_link():
    page = render(FAILED, GOOD)
    assert page.count('class="video"') == 1
    failed = page.index("broken.mp4")
    assert page.index("street.mp4") < failed < page.index("no stream")
    assert "1 failed" in page


def test_no_videos_make_a_page_too():
    assert "0 localized" in render()


def test_outside_text_never_becomes_markup():
    evil = "\"><script>alert(1)</script>'"
    found = FoundClass(evil, 0.0, 0.0, None, (), ())
    link = "javascript:alert(1)"
    video = VideoResult("a", "a", "found", 1.0, link, [found], evil)
    failed = VideoResult("b", evil, "failed", stage="decode", reason=evil)
    page = to_page(evil, [evil], [video, failed])
    assert page.count("<script") == 1  # The page's own.
    assert page.count("&lt;script&gt;alert(1)") == 7
    assert 'href="javascript%3Aalert%281%29"' in page


def test_page_requests_nothing():
    page = render(GOOD, FAILED)
    assert "default-src &#39;none&#39;" in page
    assert "script-src &#39;sha256-" in page
    assert not re.search(r"https?://", page)


@pytest.mark.slow
def test_videos_are_sorted_and_filtered(tmp_path):
    (tmp_path / "index.html").write_text(render(DULL, GOOD, FOREIGN))
    with chromium(tmp_path / "profile", 420) as driver:
        driver.get((tmp_path / "index.html").as_uri())

        def shown(**values):
            for name, value in values.items():
                driver.execute_script(
                    "const e = document.getElementById(arguments[0]);"
                    "e.value = arguments[1];"
                    "e.dispatchEvent(new Event('input', {bubbles: true}));",
                    *(name, value),
                )
            names = driver.find_elements("css selector", ".video .name")
            return [n.text.split(".")[0] for n in names if n.is_displayed()]

        assert shown() == ["x/dull", "street", "cat"]
        assert shown(order="confidence")[0] == "street"
        assert shown(order="duration") == ["x/dull", "street", "cat"]
        assert shown(order="name") == ["cat", "street", "x/dull"]
        assert shown(wanted="=siren") == ["street"]
        assert shown(wanted="foreign") == ["cat"]
        assert shown(wanted="none") == ["x/dull"]
        assert shown(wanted="", text="DOG") == ["street"]
        assert driver.execute_script(
            "return document.body.scrollWidth <= window.innerWidth"
        )
        assert not driver.get_log("browser")


SMALL_DOG = FoundClass(
    label="dog, small",
    score=0.5,
    threshold=-0.25,
    confidence=(9, 10),
    events=((0.0, 1.5, 0.25), (6.58, 7.867, 0.5)),
    boxes=(
        (0.5, 4.0, 5.0, 6.0, 7.5, 1.0),
        (0.5, 0.0, 1.0, 20.0, 30.0, 0.5),
        (1.5, 0.0, 0.0, 9.0, 9.0, 0.25),
    ),
)
BUS = FoundClass("bus", 1.0, 0.0, None, (), ())
LISTED = [
    VideoResult("a", "v/a.mp4", "found", 10.0, "page.html", (BUS, SMALL_DOG)),
    VideoResult("b", "v/b.mp4", "foreign", 3.0, note="no sound track"),
    VideoResult("c", "c.mp4", "failed", stage="decode", reason="half"),
]


def test_each_video_and_class_has_a_row():
    header, *rows = to_table(LISTED)
    assert [dict(zip(header, row, strict=True)) for row in rows[1:2]] == [
        {
            "clip_id": "a",
            "video": "v/a.mp4",
            "status": "found",
            "label": "dog, small",
            "score": "0.5",
            "threshold": "-0.25",
            "confidence": "9 of 10",
            "events": "0.00-1.50;6.58-7.87",
            # The best one of each frame.
            "boxes": "0.5: 4 5 6 7.5;1.5: 0 0 9 9",
        }
    ]
    assert [row[:4] for row in rows] == [
        ("a", "v/a.mp4", "found", "bus"),
        ("a", "v/a.mp4", "found", "dog, small"),
        ("b", "v/b.mp4", "foreign", ""),
        ("c", "c.mp4", "failed", ""),
    ]
    assert {len(row) for row in rows} == {len(header)}
    assert rows[0][6:] == ("", "", "")
