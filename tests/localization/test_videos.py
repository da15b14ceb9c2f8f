"""The videos of a command line."""

from __future__ import annotations

import os
import re

import pytest

from avmil.common.errors import ClipError, ConfigError
from avmil.localization import videos

CLIP_ID = re.compile(r"(?!\.)[\w.+=-]{1,200}", re.ASCII)


def test_files_are_taken_as_they_come():
    (entry,) = videos.entries(["a/b.mp4"])
    assert (entry.clip_id, entry.path) == ("b", "a/b.mp4")
    assert (entry.start_s, entry.end_s) == (0, None)
    with videos.local_entry(entry) as local:
        assert local == entry  # Not copied.


def test_folders_stand_for_their_videos_by_name(tmp_path):
    for name in ("b.MP4", "a.mkv", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    entries = videos.entries([str(tmp_path)])
    assert [entry.path for entry in entries] == [
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.MP4"),
    ]


def test_folders_are_searched_below_too(tmp_path):
    for name in ("sub/deep/a.mp4", "sub/a.mp4", "sub_a.mkv", "a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    for name in (".hidden", "found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "made.mp4").touch()
    output_dir = str(tmp_path / "found")
    entries = videos.entries([str(tmp_path)], output_dir=output_dir)
    found = {e.clip_id: os.path.relpath(e.path, tmp_path) for e in entries}
    assert found == {
        "a": "a.mp4",
        "sub_a": "sub/a.mp4",
        "sub_deep_a": "sub/deep/a.mp4",
        "sub_a-2": "sub_a.mkv",
    }


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            ["a/x.mp4", "b/x.mp4", "c/X.mkv", "x-2.mp4"],
            ["x", "x-2", "X-3", "x-2-2"],
        ),
        (["a/X.mp4", "b/x.mp4"], ["X", "x-2"]),
        # No folder hides a file of localize.py's own.
        (
            ["failed.csv.mp4", "index.html.mp4"],
            ["failed.csv-2", "index.html-2"],
        ),
    ],
)
def test_same_stems_get_names_of_their_own(paths, expected):
    assert [entry.clip_id for entry in videos.entries(paths)] == expected


@pytest.mark.parametrize(
    "name",
    ["a/..mp4", ".mp4", "a b/ü $(x).mp4", "日本.mp4", "x" * 300, "-.mp4"],
)
def test_any_name_becomes_a_clip_id(name):
    (entry,) = videos.entries([name])
    assert CLIP_ID.fullmatch(entry.clip_id)


def test_names_that_are_no_text_are_refused():
    with pytest.raises(ConfigError, match=r"UTF-8, received 'a\\udcff"):
        videos.entries(["a\udcff.mp4"])


def test_section_is_that_of_every_video():
    entries = videos.entries(["a.mp4", "b.mp4"], 1.5, 3.0)
    assert [(entry.start_s, entry.end_s) for entry in entries] == [
        (1.5, 3.0)
    ] * 2


@pytest.mark.parametrize("end_s", [0.0, 1.0, 2.0])
def test_section_that_ends_too_early_is_refused(end_s):
    with pytest.raises(ConfigError, match="end_s after start_s=2"):
        videos.entries(["a.mp4"], 2.0, end_s)


def test_no_videos_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="received none"):
        videos.entries([])
    with pytest.raises(ConfigError, match="folder without"):
        videos.entries([str(tmp_path)])


def test_remote_file_that_is_not_there_fails_in_decoding(monkeypatch):
    (entry,) = videos.entries(["nowhere.mp4"])

    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr("avmil.common.files.local_copy", missing)
    with pytest.raises(ClipError) as caught, videos.local_entry(entry):
        pass
    assert caught.value.stage == "decode"
