"""Published and recorded digests of weights."""

from __future__ import annotations

import datetime
import gzip
import json

import numpy as np
import pytest

from avmil.features.weight_sources import FetchError, WeightFile
from avmil.features.weights_lock import WeightsLock, digest, is_published

# SHA-256 of the three letters, FIPS 180-2 appendix B.1; SHA-1, appendix A.1.
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
ABC_SHA1 = "a9993e364706816aba3e25717850c26c9cd0d89d"


def weight_file(published=None, file_name="w.bin"):
    return WeightFile(
        name="w",
        file_name=file_name,
        source="http://weights.invalid/w",
        license="none",
        size_mb=None,
        digest=published,
        flags="",
        purpose="tests",
    )


@pytest.fixture
def abc(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(b"abc")
    return path


def test_digests_of_the_standard(abc):
    assert digest(abc) == f"sha256:{ABC_SHA256}"
    assert digest(abc, "sha1") == f"sha1:{ABC_SHA1}"
    assert is_published(abc, weight_file(f"sha1:{ABC_SHA1}"))
    assert not is_published(abc, weight_file(f"sha1:{ABC_SHA1[::-1]}"))


@pytest.mark.parametrize(
    "published", [f"sha1:{ABC_SHA1}", f"sha256:{ABC_SHA256}"]
)
def test_published_digest_decides(abc, published):
    lock = WeightsLock(abc.parent)
    lock.check(abc, weight_file(published))
    abc.write_bytes(b"ab")
    with pytest.raises(FetchError, match=f"with {published}, received 2 bytes"):
        lock.check(abc, weight_file(published))


def test_first_file_is_recorded_and_held(abc):
    weights = weight_file()
    lock = WeightsLock(abc.parent)
    lock.check(abc, weights)
    lock.record(abc, weights)
    entry = json.loads((abc.parent / "weights.lock.json").read_text())["w.bin"]
    assert entry["sha256"] == ABC_SHA256
    assert entry["size_bytes"] == 3
    assert (
        datetime.datetime.fromisoformat(entry["date"]).utcoffset() is not None
    )
    WeightsLock(abc.parent).check(abc, weights)
    abc.write_bytes(b"abd")
    with pytest.raises(FetchError, match=r"delete the entry 'w\.bin'"):
        WeightsLock(abc.parent).check(abc, weights)


def test_record_stays_as_it_is(abc):
    lock = WeightsLock(abc.parent)
    lock.record(abc, weight_file())
    before = (abc.parent / "weights.lock.json").read_text()
    abc.write_bytes(b"abd")
    lock.record(abc, weight_file())
    assert (abc.parent / "weights.lock.json").read_text() == before


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html>", b"\n  <html>", b"\xef\xbb\xbf<?xml ?>"]
)
def test_web_page_is_refused(abc, page):
    abc.write_bytes(page)
    with pytest.raises(FetchError, match="web page"):
        WeightsLock(abc.parent).check(abc, weight_file())


def test_empty_file_is_refused(abc):
    abc.write_bytes(b"")
    with pytest.raises(FetchError, match="empty"):
        WeightsLock(abc.parent).check(abc, weight_file(file_name="w.gz"))


def test_gzip_that_is_no_forest_is_refused(tmp_path):
    path = tmp_path / "w.yml.gz"
    path.write_bytes(gzip.compress(b"hi"))
    with pytest.raises(FetchError, match="does not hold YAML"):
        WeightsLock(tmp_path).check(path, weight_file(file_name=path.name))


@pytest.mark.parametrize("name", ["w.yml.gz", "w.npz"])
def test_half_archive_is_refused_without_a_digest(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(b"%YAML" + np.random.bytes(5000)))
    else:
        np.savez(path, a=np.arange(1000.0))
    lock, weights = WeightsLock(tmp_path), weight_file(file_name=name)
    lock.check(path, weights)
    whole = path.read_bytes()
    for damaged in (whole[:2], whole[:3000], whole[:-1], b"text"):
        path.write_bytes(damaged)
        with pytest.raises(FetchError, match="Expected a whole"):
            lock.check(path, weights)
    changed = bytearray(whole)
    changed[2500] ^= 1
    path.write_bytes(changed)
    with pytest.raises(FetchError, match="Expected a whole"):
        lock.check(path, weights)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"w.bin": 1}', '{"w.bin": {"sha256": "xyz"}}', "\0"],
)
def test_damaged_lock_file(tmp_path, text):
    (tmp_path / "weights.lock.json").write_text(text)
    with pytest.raises(FetchError, match=r"damaged .*Delete it"):
        WeightsLock(tmp_path)
