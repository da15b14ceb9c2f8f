"""Manifest and class list: what is accepted and what is reported."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ManifestError

CLASS_NAMES = ("bus", "Air horn, truck horn")


def write(folder, text, encoding="utf-8"):
    path = folder / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def problems(path, **options):
    with pytest.raises(ManifestError) as caught:
        manifest.read_manifest(path, CLASS_NAMES, **options)
    return caught.value.problems


def test_reads_rows_with_commas_in_names_and_optional_times(tmp_path):
    path = write(
        tmp_path,
        "clip_id,path,labels,split,start_s,end_s\n"
        'a,clips/a.mp4,"Air horn, truck horn;bus",train,1.5,11.5\n'
        "-5Qr_60.000,clips/b.mp4,,test,,\n",
    )
    assert manifest.read_manifest(path, CLASS_NAMES) == [
        ManifestEntry(
            "a",
            str(tmp_path / "clips/a.mp4"),
            ("Air horn, truck horn", "bus"),
            "train",
            1.5,
            11.5,
        ),
        ManifestEntry("-5Qr_60.000", str(tmp_path / "clips/b.mp4"), (), "test"),
    ]


def test_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    text = "clip_id,path,labels,split\r\na,a.mp4,bus,val\r\n"
    path = write(tmp_path, text, "utf-8-sig")
    assert manifest.read_manifest(path, CLASS_NAMES)[0].labels == ("bus",)


def test_every_problem_is_reported_with_its_line(tmp_path):
    path = write(
        tmp_path,
        "clip_id,path,labels,split,start_s,end_s\n"
        "a,a.mp4,bus,train,,\n"
        "a,b.mp4,boat,training,,\n"
        "../c,c.mp4,bus,val,5,4\n"
        "d,,bus;bus,val,minus,nan\n"
        "e,e.mp4,bus\n",
    )
    found = problems(path)
    assert [text.split(":")[0] for text in found] == (
        ["line 3"] * 3 + ["line 4"] * 2 + ["line 5"] * 4 + ["line 6"]
    )
    for part in (
        "'a' stands already in line 2",
        "'boat' is not in the class list",
        "received 'training'",
        "received '../c'",
        "end_s after start_s",
        "Expected a path",
        "label is repeated",
        "start_s in seconds, received 'minus'",
        "end_s in seconds, received 'nan'",
        "number of fields",
    ):
        assert any(part in text for text in found), part


@pytest.mark.parametrize("path", ["../a.mp4", "x/../../a.mp4", "/etc/a.mp4"])
def test_paths_outside_the_folder_need_a_flag(tmp_path, path):
    text = f"clip_id,path,labels,split\na,{path},bus,val\n"
    file = write(tmp_path, text)
    assert "--allow_outside_paths" in problems(file)[0]
    rows = manifest.read_manifest(file, CLASS_NAMES, allow_outside_paths=True)
    assert rows[0].path.endswith(path)


def test_wrong_header_is_reported_column_by_column(tmp_path):
    found = problems(
        write(tmp_path, "clip_id,file,labels,split\na,a,bus,val\n")
    )
    assert len(found) == 2
    assert "'path' is missing" in found[0]
    assert "unknown column 'file'" in found[1]


def test_other_encodings_and_empty_files_are_reported(tmp_path):
    text = "clip_id,path,labels,split\nä,a,bus,val\n"
    assert (
        "line 2: Expected UTF-8"
        in problems(write(tmp_path, text, "latin-1"))[0]
    )
    assert "missing" in problems(write(tmp_path, ""))[0]
    header_only = write(tmp_path, "clip_id,path,labels,split\n")
    assert "header only" in problems(header_only)[0]


def test_a_stray_quote_is_a_problem_of_its_line(tmp_path):
    rows = "".join(f"c{i},c.mp4,bus,val\n" for i in range(20_000))
    path = write(
        tmp_path, f'clip_id,path,labels,split\na,"a.mp4,bus,val\n{rows}'
    )
    assert "Expected CSV" in problems(path)[0]


def test_missing_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        manifest.read_manifest(str(tmp_path / "none.csv"), CLASS_NAMES)


def test_class_list_keeps_order_and_reports_bad_lines(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("Train horn\nAir horn, truck horn\n\n")
    assert manifest.read_class_names(str(path)) == (
        "Train horn",
        "Air horn, truck horn",
    )
    path.write_text("a\n\nb;c\na\n")
    with pytest.raises(ManifestError) as caught:
        manifest.read_class_names(str(path))
    assert [text[:6] for text in caught.value.problems] == [
        "line 2",
        "line 3",
        "line 4",
    ]


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
    path = f"{folder}/manifest.csv" if folder else "manifest.csv"
    rows = [
        ManifestEntry("a", f"{folder}/a.mp4".lstrip("/"), CLASS_NAMES, "train"),
        ManifestEntry(
            "b", f"{folder}/x/-b.mkv".lstrip("/"), (), "test", 0.1 + 0.2, 11.5
        ),
    ]
    manifest.write_manifest(path, rows)
    assert manifest.read_manifest(path, CLASS_NAMES) == rows
    lines = (tmp_path / path).read_text().splitlines()
    assert lines[1] == 'a,a.mp4,"bus;Air horn, truck horn",train,,'
    assert lines[2].startswith("b,x/-b.mkv,,test,0.30000000000000004,11.5")


def test_media_outside_the_manifests_folder_are_named_from_there(tmp_path):
    path = str(tmp_path / "lists" / "manifest.csv")
    (tmp_path / "lists").mkdir()
    rows = [
        ManifestEntry("a", str(tmp_path / "a.mp4"), (), "val"),
        ManifestEntry("b", "s3://bucket/b.mp4", (), "val"),
    ]
    manifest.write_manifest(path, rows)
    lines = (tmp_path / "lists" / "manifest.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == [
        "../a.mp4",
        "s3://bucket/b.mp4",
    ]
