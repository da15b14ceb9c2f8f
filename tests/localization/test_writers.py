"""The files about a video."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import av
import numpy as np
import pytest

from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ClipError, ConfigError
from avmil.evaluation.identity import WeightsIdentity
from avmil.localization import (
    Box,
    Confidence,
    Event,
    VideoLocalization,
    formats,
    writers,
)
from tests.localized_clips import make_clip
from tests.media_files import noise, write_clip

LOUD = "siren, <loud>"
EVENTS = {"bus": [Event(2.0, 3.0, 7.0)], LOUD: [Event(0.0, 2.0, 0.5)]}
FIGURES = {f"fig{n}-bus.{kind}" for n in (3, 4) for kind in ("png", "svg")}
TEXTS = {file_name for file_name, _ in formats.FORMATS.values()}
FILES = FIGURES | TEXTS


def find(path="a b.mp4", frames_rgb=(), scores=(0.1, -0.5), **run):
    clip = make_clip(
        boxes=[[0, 1, 20.5, 30]],
        region_times_s=[0.5],
        region_scores=np.float32([[0.25, 0]]),
        segment_scores=[[0, 0.5], [0, 2], [0, 7]],
        duration_s=3.0,
        class_names=("bus", LOUD),
        scores=np.float32(scores),
        frame_size_px=(64, 48),
    )
    facts = {
        "name": "a",
        "system": "av_two_stream",
        "weights": WeightsIdentity("last", 9),
        "thresholds": {"bus": 0.0, LOUD: 1.5},
        "event_thresholds": {"bus": 0.25, LOUD: 0.5},
        "test_f1": 0.912,
        "is_at_chance": False,
        "box_thresholds": None,
    }
    return VideoLocalization(
        video=ManifestEntry("clip", str(path), (), "test", 0.5, 3.5),
        run=SimpleNamespace(**facts | run),
        clip=clip,
        predicted=("bus",),
        is_foreign=False,
        confidences={"bus": Confidence(9, 10)},
        events=EVENTS,
        boxes={"bus": [Box(0.5, 0.0, 1.0, 20.5, 30.0, 1.0)], LOUD: []},
        frames_rgb=frames_rgb,
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    frames_rgb = [np.full((48, 64, 3), 90, np.uint8)] * 3
    path = tmp_path_factory.mktemp("video") / "a b.mp4"
    write_clip(path, frames_rgb * 12, noise(3.6))
    return find(path, frames_rgb)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_the_same_again_and_again(result, tmp_path):
    found = []
    for _ in range(2):
        assert result.save(tmp_path) == "page.html"
        found.append(contents(tmp_path))
    assert set(found[0]) == FILES | {"annotated.mp4", "page.html"}
    assert all(found[0].values())
    assert found[1] == found[0]


def test_sound_files_get_no_video_and_no_page(tmp_path):
    assert find().save(tmp_path) == "fig4-bus.png"
    assert set(contents(tmp_path)) == FILES


@pytest.mark.parametrize(
    ("outputs", "first", "written"),
    [
        (["labels"], "localization.json", TEXTS),
        (["figures"], "fig4-bus.png", FIGURES),
        (["page", "figures"], "page.html", {"page.html"} | FIGURES),
        (["video"], "annotated.mp4", {"annotated.mp4"}),
    ],
)
def test_less_is_written_where_less_is_asked_for(
    result, tmp_path, outputs, first, written
):
    assert result.save(tmp_path, outputs=outputs) == first
    assert set(contents(tmp_path)) == written


def test_labels_are_written_in_the_formats_asked_for(tmp_path):
    wanted = {"outputs": ["labels"], "formats": ["coco", "srt"]}
    assert find().save(tmp_path, **wanted) == "coco.json"
    assert set(contents(tmp_path)) == {"coco.json", "events.srt"}
    with pytest.raises(ConfigError, match=r"--formats: .* received ass"):
        find().save(tmp_path, formats=["srt", "ass"])


def test_figures_of_an_earlier_start_go(tmp_path):
    for name in ("fig3-old.png", "fig4-old.svg", "fig5-mine.png"):
        (tmp_path / name).touch()
    writers.write_figures(find(), [LOUD], str(tmp_path))
    own = {name.replace("bus", "siren_loud_") for name in FIGURES}
    assert set(contents(tmp_path)) == own | {"fig5-mine.png"}


def test_long_videos_lie_beside_their_page(result, tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_MOST_EMBEDDED_BYTES", 0)
    writers.write_page(result, ["bus"], str(tmp_path))
    assert set(contents(tmp_path)) == {"page.html", "video.mp4"}
    assert b'src="video.mp4"' in contents(tmp_path)["page.html"]


def test_large_videos_are_scaled_down_for_the_page(
    result, tmp_path, monkeypatch
):
    monkeypatch.setattr(writers, "_MOST_EMBEDDED_BYTES", 0)
    monkeypatch.setattr(writers, "_PAGE_SIDE_PX", 32)
    writers.write_page(result, ["bus"], str(tmp_path))
    with av.open(str(tmp_path / "video.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (32, 24)
    # Boxes stay in pixels of the video itself.
    page = contents(tmp_path)["page.html"].decode()
    assert '"frame_size_px":[64,48]' in page.replace(" ", "")


def test_videos_that_cannot_be_encoded_are_clip_errors(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    frames_rgb = [np.zeros((48, 64, 3), np.uint8)] * 3
    with pytest.raises(ClipError, match="encode"):
        find(broken, frames_rgb).save(tmp_path / "found")


def test_found_regions_are_those_of_the_boxes():
    found = find().of_class("bus")
    assert found.found_regions == {0}
    assert found.best_s == 0.5
    assert find().of_class(LOUD).presence == "not found"


def test_page_says_run_step_and_f1(result, tmp_path):
    writers.write_page(result, ["bus"], str(tmp_path))
    page = contents(tmp_path)["page.html"].decode()
    assert "Run a, step 9, test F1 91.2, 2 classes" in page


def test_best_classes_are_shown_first():
    result = find(scores=(0.1, 0.5))
    assert result.shown() == ("bus",)
    assert result.shown(["bus", LOUD]) == (LOUD, "bus")
    assert dataclasses.replace(result, predicted=()).shown() == (LOUD,)


def test_figures_have_a_number():
    titles = [text.get_text() for text in find().figure("bus", 4).texts]
    assert titles[0] == "bus"
    assert titles[1].startswith("seen and heard: 9 of 10 such were right, 0.1")
    with pytest.raises(ValueError, match="3 or 4, received 5"):
        find().figure("bus", 5)


def test_pictures_are_scaled_down():
    tall = find(frames_rgb=[np.zeros((400, 10, 3), np.uint8)] * 3)
    assert tall.picture_jpeg("bus", 100)[:2] == b"\xff\xd8"
    assert find().picture_jpeg("bus") is None
