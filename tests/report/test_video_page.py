"""The page of a video as text; the end-to-end tests open it in a browser."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest

from avmil.evaluation.clip_localization import (
    ClassLocalization,
    heat_limits,
    scaled,
)
from avmil.report import video_page
from tests.localized_clips import make_clip, overlapping

HOSTILE_CLASS = "</script><script>alert(1)</script>"
HOSTILE_NAME = '"><img src=x onerror=alert(1)>'


def localized(
    class_names=("dog", "siren", "train"),
    num_frames=3,
    per_frame=2,
    num_segments=6,
):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (num_frames * per_frame, 2))
    num_classes = len(class_names)
    return make_clip(
        boxes=np.hstack([corners, corners + 9]),
        region_times_s=np.repeat(np.arange(num_frames) + 0.5, per_frame),
        region_scores=rng.normal(0, 1e-3, (len(corners), num_classes)),
        segment_times_s=overlapping(num_segments),
        segment_scores=rng.normal(0, 1e-3, (num_segments, num_classes)),
        duration_s=float(num_frames),
        class_names=tuple(class_names),
        scores=np.linspace(0.1, 0.9, num_classes),
        frame_size_px=(160, 120),
    )


def render(
    clip, facts=None, is_foreign=False, video="street.mp4", poster_jpeg=None
):
    """The page; `facts` are those of classes found, in the page's order."""
    facts = facts or {}
    names = dict.fromkeys([*facts, *clip.ranked_classes])
    classes = [ClassLocalization(clip, n, **facts.get(n, {})) for n in names]
    run_text = "Run a, step 9"
    return video_page.render(
        classes, run_text, is_foreign, video, video, poster_jpeg
    )


class Elements(html.parser.HTMLParser):
    """Collects the start tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def data_of(page):
    return json.loads(
        re.search(r'application/json">(.*?)</script>', page).group(1)
    )


def policy_of(page):
    (policy,) = (
        meta["content"]
        for meta in Elements(page).attributes("meta")
        if "http-equiv" in meta
    )
    directives = (part.strip().split(" ", 1) for part in policy.split(";"))
    return dict(directives)


def test_data_gives_the_arrays_back():
    localization = localized()
    data = data_of(render(localization))
    order = [2, 1, 0]  # By score, from high to low.
    for kind in ("region", "segment"):
        scores = getattr(localization, f"{kind}_scores")[:, order]
        steps = np.array(data[f"{kind}s"]["steps"])  # [C, P]
        low, high = np.array(data[f"{kind}s"]["range"]).T
        expected = np.stack([scaled(column) for column in scores.T])
        np.testing.assert_allclose(steps / 1000, expected, atol=5.01e-4)
        back = low[:, None] + steps / 1000 * (high - low)[:, None]
        np.testing.assert_allclose(back.T, scores, atol=5e-6)
        for column, limits in zip(
            scores.T, data[f"{kind}s"]["heat"], strict=True
        ):
            expected = heat_limits(scaled(column), "robust")
            np.testing.assert_allclose(limits, expected, atol=5.1e-5)
    np.testing.assert_array_equal(data["regions"]["boxes"], localization.boxes)
    assert data["regions"]["frames"] == [0, 0, 1, 1, 2, 2]
    assert data["frames"]["times_s"] == [0.5, 1.5, 2.5]
    assert data["segments"]["times_s"][1] == [0.48, 1.44]
    assert data["frame_size_px"] == [160, 120]
    assert data["duration_s"] == 3
    assert data["hop_s"] == 0.48


@pytest.mark.parametrize(
    "sizes",
    [
        {"per_frame": 0},
        {"num_segments": 0},
        {"per_frame": 0, "num_segments": 0},
        {"num_frames": 0},
        {"num_frames": 0, "num_segments": 0},
        {"num_frames": 1, "per_frame": 1, "num_segments": 1},
        {"class_names": ("dog",)},
    ],
)
def test_modalities_may_be_missing(sizes):
    localization = localized(**sizes)
    data = data_of(render(localization))
    assert len(data["regions"]["boxes"]) == len(localization.boxes)
    num_segments = len(localization.segment_times_s)
    assert len(data["segments"]["times_s"]) == num_segments
    assert data["hop_s"] == 0.48


def text_of(page, selector):
    found = re.search(rf"<[^>]*{selector}[^>]*>(.*?)</(?:p|div)>", page, re.S)
    return " ".join(re.sub("<[^>]*>", "", found.group(1)).split())


FOUND = {"is_predicted": True, "threshold": 0.05}


def test_a_label_says_how_sure_and_whether_seen_and_heard():
    sure = FOUND | {"confidence": (9, 10)}
    facts = {
        "dog": sure | {"found_regions": frozenset([2])},
        "siren": sure | {"events": [(1.44, 2.4, 0.5), (0.48, 1.0, 0.9)]},
    }
    page = render(localized(), facts)
    assert text_of(page, 'id="verdict"') == (
        "dog, 9 of 10 such were right · seen, not heard "
        "siren, 9 of 10 such were right · heard, not seen"
    )
    data = data_of(page)
    assert [c["name"] for c in data["classes"]] == ["dog", "siren", "train"]
    assert [c["best_s"] for c in data["classes"]] == [1.5, 0.48, 0.0]
    assert data["regions"]["found"] == [[2], [], []]
    assert data["regions"]["spans_s"] == [[[1, 2]], [], []]
    assert data["segments"]["spans_s"][1] == [[1.44, 2.4], [0.48, 1.0]]
    buttons = [
        (button["data-class"], button["data-time"])
        for button in Elements(page).attributes("button")
        if "data-class" in button
    ]
    pills, events = buttons[:2], buttons[2:]
    assert pills == [("0", "1.5"), ("1", "0.48")]
    assert events == [("1", "1.44"), ("1", "0.48")]


@pytest.mark.parametrize(
    ("sizes", "changes", "expected"),
    [
        ({}, {}, "neither seen nor heard"),
        ({"num_segments": 0}, {"found_regions": frozenset([0])}, "seen"),
        ({"num_segments": 0}, {}, "not seen"),
        ({"per_frame": 0}, {}, "not heard"),
        ({"per_frame": 0}, {"events": [(0.0, 1.0, 1.0)]}, "heard"),
    ],
)
def test_a_single_modality_says_nothing_of_the_other(sizes, changes, expected):
    page = render(localized(**sizes), {"dog": FOUND | changes})
    assert text_of(page, 'id="verdict"') == f"dog · {expected}"


def test_what_is_not_found_says_so():
    below = {n: {"threshold": 1.0} for n in ("dog", "siren", "train")}
    verdicts = [
        text_of(page, 'id="verdict"')
        for page in (
            render(localized(), below),
            render(localized(), below, is_foreign=True),
            render(localized()),
        )
    ]
    assert verdicts[0] == "No class passes its threshold."
    assert verdicts[1] == "None of the 3 classes this run knows."
    assert "no thresholds. Run evaluate.py" in verdicts[2]
    data = data_of(render(localized(), below))
    assert {c["presence"] for c in data["classes"]} == {"not found"}
    assert not any(c["is_predicted"] for c in data["classes"])


def test_outside_text_never_becomes_markup():
    names = (HOSTILE_CLASS, "a & b", "c")
    facts = FOUND | {"events": [(0.0, 1.0, 1.0)]}
    clip = localized(names)
    page = render(clip, dict.fromkeys(names, facts), video=HOSTILE_NAME)
    elements = Elements(page)
    assert len(elements.attributes("script")) == 2
    assert not elements.attributes("img")
    assert not any("onerror" in attributes for _, attributes in elements.tags)
    assert "<script>alert" not in page
    assert elements.attributes("video")[0]["src"].startswith("%22%3E%3Cimg")


def test_policy_runs_only_the_pages_own_code():
    page = render(localized())
    policy = policy_of(page)
    assert policy["default-src"] == "'none'"
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        code = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL).group(1)
        digest = hashlib.sha256(code.encode()).digest()
        encoded = base64.b64encode(digest).decode()
        assert policy[directive] == f"'sha256-{encoded}'"
    assert " style=" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_video_is_where_the_policy_allows_it():
    linked = render(localized(), video="videos/a b#1?é%.mp4")
    assert policy_of(linked)["media-src"] == "'self' file:"
    (video,) = Elements(linked).attributes("video")
    assert video["src"] == "videos/a%20b%231%3F%C3%A9%25.mp4"
    embedded = "data:video/mp4;base64,AAAA"
    page = render(localized(), video=embedded, poster_jpeg=b"\xff\xd8picture")
    assert policy_of(page)["media-src"] == "data:"
    (video,) = Elements(page).attributes("video")
    assert video["src"] == embedded
    kind, content = video["poster"].split(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(content) == b"\xff\xd8picture"


def test_long_video_stays_small():
    names = [f"class {index}" for index in range(17)]
    localization = localized(names, 300, per_frame=10, num_segments=625)
    assert len(render(localization)) < 400_000
