"""Files: atomic, and errors that name them."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import socket
import subprocess
from typing import TypedDict

import pytest

from avmil.common import files
from avmil.common.errors import ConfigError, DirectoryInUseError


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "a.json")
    files.write_json(path, {"ä": [1, None]})
    assert files.read_json(path, dict[str, list]) == {"ä": [1, None]}
    files.write_text(path, "ß")
    assert files.read_bytes(path) == b"\xc3\x9f"
    assert files.sha256(path) == hashlib.sha256(b"\xc3\x9f").hexdigest()
    files.copy(path, tmp_path / "b")
    assert files.names(tmp_path) == ["a.json", "b"]


def _write_half(path):
    with files.replacing(path) as temporary:
        files.path(temporary).write_text("half")
        raise ZeroDivisionError


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        _write_half(path)
    assert path.read_text() == "old"
    assert files.names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "there is none"), ("", "directory"), ("file/x", "there is none")],
)
def test_no_file_to_read(tmp_path, name, reason):
    (tmp_path / "file").touch()
    path = str(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=reason) as caught:
        files.read_json(path, dict)
    assert path in str(caught.value)


class Partial(TypedDict, total=False):
    number: int


def test_damaged_json(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff{")
    with pytest.raises(ConfigError, match=r"a\.json.* damaged file"):
        files.read_json(tmp_path / "a.json", dict)


@dataclasses.dataclass
class Inner:
    step: int


@dataclasses.dataclass
class Outer:
    name: str
    inner: Inner
    rates: tuple[float, ...] = ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "a", "inner": {"step": "1"}}', r"\$\.inner\.step"),
        ('{"name": "a"}', "inner"),
        ('{"name": "a", "inner": {"step": 1}, "rates": [NaN]}', "malformed"),
        ('{"name": "a", "inner": {"step": 1, "stap": 1}}', "stap"),
        ("[" * 100_000, "recursion"),
        ("[]", "array"),
    ],
)
def test_json_of_another_schema_names_file_and_entry(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"(?s)a\.json.*{reason}.*Go on"):
        files.read_json(tmp_path / "a.json", Outer, "Go on.")


def test_json_that_was_changed_is_known_by_its_digest(tmp_path):
    path, written = tmp_path / "a.json", Outer("a", Inner(1), (0.5,))
    files.write_json(path, dataclasses.asdict(written), digest=True)
    assert files.read_json(path, Outer) == written
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(ConfigError, match=r"a\.json.* its digest"):
        files.read_json(path, Outer)


def test_json_whose_digest_lost_its_name(tmp_path):
    """Of entries that may be missing none would tell another file."""
    path = tmp_path / "a.json"
    files.write_json(path, {"number": 1, "note": "a"}, digest=True)
    path.write_text(path.read_text().replace("content_sha", "content_tha"))
    with pytest.raises(ConfigError, match=r"a\.json.* another name"):
        files.read_json(path, Partial)


def test_cells_are_no_formulas_unless_read_again(tmp_path):
    cells = ["=1+1", "+a", "-a", "@a", "\ta", "-1.5", "-", "a=b", -2]
    path = tmp_path / "a.csv"
    files.write_csv(path, [cells])
    expected = ["'=1+1", "'+a", "'-a", "'@a", "'\ta", "-1.5", "-", "a=b", "-2"]
    assert path.read_text().strip() == ",".join(expected)
    files.write_csv(path, [cells], exact=True)
    assert path.read_text().startswith("=1+1,+a")


def test_what_a_killed_process_left_is_swept_at_the_next_start(tmp_path):
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True)
    here = f"a.csv.tmp-{socket.gethostname()}"
    left, kept = f"{here}-{int(ended.stdout)}", f"{here}-{os.getpid()}"
    (tmp_path / "inner").mkdir()
    for name in (left, kept, "a.tmp-dir", f"inner/{left}"):
        (tmp_path / name).touch()
    with files.exclusive(tmp_path):
        assert set(files.names(tmp_path)) >= {kept, "a.tmp-dir", "inner"}
        assert left not in files.names(tmp_path)
        assert not files.names(tmp_path / "inner")


def test_directories(tmp_path):
    inner = tmp_path / "a" / "b"
    files.make_directory(inner)
    files.make_directory(inner)
    assert inner.is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="there is a file"):
        files.make_directory(tmp_path / "file")
    assert files.names(tmp_path / "none") == []


def test_patterns(tmp_path, monkeypatch):
    for name in ("r1", "r2", "s"):
        (tmp_path / name / "x").mkdir(parents=True)
    assert files.matching(f"{tmp_path}/r*/x") == [
        f"{tmp_path}/r1/x",
        f"{tmp_path}/r2/x",
    ]
    monkeypatch.chdir(tmp_path)
    assert files.matching("[rs]?") == ["r1", "r2"]
    assert files.matching("none*") == []
    assert files.matching("s") == ["s"]


def _hold(directory, held, release):
    with files.exclusive(directory):
        held.set()
        release.wait(60)


def test_a_directory_is_held_by_one_process_until_it_ends(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, release))
    process.start()
    assert held.wait(60)
    with (
        pytest.raises(DirectoryInUseError, match=str(tmp_path)),
        files.exclusive(tmp_path),
    ):
        pass
    process.kill()
    process.join()
    with files.exclusive(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]


def test_what_fails_leaves_no_lock_and_no_empty_directory(tmp_path):
    (tmp_path / "mine").touch()
    for directory in (tmp_path, tmp_path / "new" / "run"):
        with pytest.raises(ZeroDivisionError), files.exclusive(directory):
            _ = 1 / 0
    assert sorted(os.listdir(tmp_path)) == ["mine", "new"]
    assert not os.listdir(tmp_path / "new")


@pytest.mark.parametrize("name", ["hdfs://a/b", "http://a/b", "file:///a"])
def test_other_addresses_are_refused(name):
    with pytest.raises(ConfigError, match=f"s3:// or gs://, received {name}"):
        files.exists(name)


def test_object_stores_are_told_by_their_prefix():
    assert files.is_remote("s3://bucket/a")
    assert files.is_remote("gs://bucket/a")
    assert not files.is_remote("/s3:/a")
    assert files.join("s3://bucket", "a", "b") == "s3://bucket/a/b"
    with files.local_copy("a/b") as local:
        assert local == "a/b"
