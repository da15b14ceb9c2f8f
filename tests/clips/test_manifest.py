"""Manifest and class list: what is accepted and what is reported."""

from __future__ import annotations

import os

import numpy as np
import pytest

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ManifestError

CLASS_NAMES = ("bus", "Air horn, truck horn")
HEADER = "clip_id,path,labels,split\n"


@pytest.fixture
def path(tmp_path):
    """A manifest that is not there yet, beside a class list."""
    (tmp_path / "classes.txt").write_text("\n".join(CLASS_NAMES))
    return str(tmp_path / "manifest.csv")


def read(path, text, encoding="utf-8", **options):
    with open(path, "wb") as file:
        file.write(text.encode(encoding))
    return manifest.read(path, **options)


def problems(path, text, **options):
    with pytest.raises(ManifestError) as caught:
        read(path, text, **options)
    return caught.value.problems


def test_reads_rows_with_commas_in_names_and_optional_times(path, tmp_path):
    class_names, entries = read(
        path,
        "clip_id,path,labels,split,start_s,end_s\n"
        'a,clips/a.mp4,"Air horn, truck horn;bus",train,1.5,11.5\n'
        "-5Qr_60.000,clips/b.mp4,,test,,\n",
    )
    assert class_names == CLASS_NAMES
    a_path, b_path = (str(tmp_path / f"clips/{name}.mp4") for name in "ab")
    assert entries == [
        ManifestEntry("a", a_path, CLASS_NAMES[::-1], "train", 1.5, 11.5),
        ManifestEntry("-5Qr_60.000", b_path, (), "test"),
    ]


def test_byte_order_mark_and_windows_line_ends_are_accepted(path):
    text = "clip_id,path,labels,split\r\na,a.mp4,bus,val\r\n\r\n"
    (entry,) = read(path, text, "utf-8-sig")[1]
    assert (entry.labels, entry.split) == (("bus",), "val")


def test_every_problem_is_reported_with_its_line(path):
    found = problems(
        path,
        "clip_id,path,labels,split,start_s,end_s\n"
        "a,a.mp4,bus,train,,\n"
        "a,b.mp4,boat,training,,\n"
        "../c,c.mp4,bus,val,5,4\n"
        "d,,bus;bus,val,minus,nan\n"
        "e,e.mp4,bus\n",
    )
    assert [text.split(":")[0] for text in found] == (
        ["line 3"] * 3 + ["line 4"] * 2 + ["line 5"] * 4 + ["line 6"]
    )
    for part in (
        "'a' stands already in line 2",
        "labels of the class list, received 'boat'",
        "received 'training'",
        "received '../c'",
        "end_s after start_s",
        "Expected a path",
        "labels of the class list, received 'bus;bus'",
        "start_s in seconds, received 'minus'",
        "end_s in seconds, received 'nan'",
        "number of fields",
    ):
        assert any(part in text for text in found), part


@pytest.mark.parametrize("media", ["../a.mp4", "x/../../a.mp4", "/etc/a.mp4"])
def test_paths_outside_the_folder_need_a_flag(path, media):
    text = f"{HEADER}a,{media},bus,val\n"
    assert "--allow_outside_paths" in problems(path, text)[0]
    (entry,) = read(path, text, allow_outside_paths=True)[1]
    assert entry.path == os.path.join(os.path.dirname(path), media)


@pytest.mark.parametrize(
    ("text", "encoding", "problem"),
    [
        ("clip_id,file,labels,split\n", "utf-8", "received clip_id,file,"),
        ("clip_id,path,labels,split,split\n", "utf-8", "split,split"),
        ("", "utf-8", "received none"),
        (HEADER, "utf-8", "header only"),
        (f"{HEADER}ä,a,bus,val\n", "latin-1", "line 2: Expected UTF-8"),
        # A stray quote takes all that follows for one field.
        (f'{HEADER}a,"{"b,bus,val" * 20_000}', "utf-8", "Expected CSV"),
    ],
    ids=["unknown", "repeated", "empty", "header", "encoding", "quote"],
)
def test_files_that_are_no_manifest_are_one_problem(
    path, text, encoding, problem
):
    (found,) = problems(path, text, encoding=encoding)
    assert problem in found


def test_missing_files_are_named(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv"):
        manifest.read(path)
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read(path, HEADER, classes=str(tmp_path / "none.txt"))


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "a\x1b[2Jb", "a\0"])
def test_class_names_that_a_page_or_a_terminal_would_take_for_more(
    path, tmp_path, name
):
    (tmp_path / "classes.txt").write_text(f"a\n{name}\n")
    with pytest.raises(ManifestError, match=r"line 2: .*control characters"):
        read(path, HEADER)


def test_bad_lines_of_a_class_list_are_reported(path, tmp_path):
    (tmp_path / "classes.txt").write_text("a\n\nb;c\na\n\n")
    found = problems(path, HEADER)
    assert [text[:6] for text in found] == ["line 2", "line 3", "line 4"]


def test_label_matrix():
    labels = [("bus",), (), ("Air horn, truck horn", "bus")]
    np.testing.assert_array_equal(
        manifest.label_matrix(labels, CLASS_NAMES), [[1, 0], [0, 0], [1, 1]]
    )


@pytest.mark.parametrize("folder", ["", "lists"])
def test_what_is_written_is_read_as_the_same_rows(
    tmp_path, monkeypatch, folder
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    path = os.path.join(folder, "manifest.csv")
    a_path, b_path = (os.path.join(folder, n) for n in ("a.mp4", "x/-b.mkv"))
    entries = [
        ManifestEntry("a", a_path, CLASS_NAMES, "train"),
        ManifestEntry("b", b_path, (), "test", 0.1 + 0.2, 11.5),
    ]
    manifest.write(path, CLASS_NAMES, entries)
    assert manifest.read(path) == (CLASS_NAMES, entries)
    lines = (tmp_path / path).read_text().splitlines()
    assert lines[1] == 'a,a.mp4,"bus;Air horn, truck horn",train,,'
    assert lines[2].startswith("b,x/-b.mkv,,test,0.30000000000000004,11.5")


def test_media_outside_the_manifests_folder_are_named_from_there(
    path, tmp_path
):
    outside = ("s3://bucket/b.mp4", str(tmp_path.parent / "a.mp4"))
    entries = [
        ManifestEntry(f"{i}", p, (), "val") for i, p in enumerate(outside)
    ]
    manifest.write(path, CLASS_NAMES, entries)
    with open(path) as file:
        names = [line.split(",")[1] for line in file]
    assert names[1:] == ["s3://bucket/b.mp4", "../a.mp4"]


def test_a_folder_whose_name_begins_with_dots_is_inside(path):
    (entry,) = read(path, f"{HEADER}a,..foo/a.mp4,bus,val\n")[1]
    assert entry.path.endswith("..foo/a.mp4")
