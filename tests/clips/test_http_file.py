"""Reading parts of a file over HTTP."""

from __future__ import annotations

import os

import numpy as np
import pytest
from yt_dlp.networking.exceptions import TransportError

from avmil.clips import http_file
from avmil.clips.download_failures import DownloadError, Reason
from avmil.clips.http_file import HttpFile

CONTENT = np.random.default_rng(1).bytes(3_000_000)


class FakeServer:
    """Answers range requests; `cut` bytes of each answer come through."""

    def __init__(self, cut=None, status=206, size=None, fail=False):
        self.cut, self.status, self.fail = cut, status, fail
        self.size = len(CONTENT) if size is None else size
        self.ranges = []

    def __call__(self, first, last):
        self.ranges.append((first, last))
        return FakeResponse(self, first, last)


class FakeResponse:
    def __init__(self, server, first, last):
        self.server, self.status = server, server.status
        last = min(last, len(CONTENT) - 1)
        self.content_range = f"bytes {first}-{last}/{server.size}"
        self.left = CONTENT[first : last + 1][: server.cut]

    def get_header(self, name):
        return self.content_range if name == "Content-Range" else None

    def read(self, amount):
        part, self.left = self.left[:amount], self.left[amount:]
        if not part and self.server.fail:
            raise TransportError("reset")
        return part

    def close(self):
        pass


def read_all(file):
    parts = []
    for _ in range(1000):
        part = file.read(50_000)
        assert len(part) <= 50_000
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def test_the_whole_file_in_blocks():
    server = FakeServer()
    assert read_all(HttpFile(server)) == CONTENT
    assert server.ranges == [
        (0, 1_048_575),
        (1_048_576, 2_097_151),
        (2_097_152, 2_999_999),
    ]


def test_seeking_reads_only_what_is_asked_for_and_remembers_blocks():
    server = FakeServer()
    file = HttpFile(server)
    assert file.seek(-10, os.SEEK_END) == 2_999_990
    assert file.read(100) == CONTENT[-10:]
    assert file.read(100) == b""
    assert file.seek(5) == 5
    assert file.read(3) == CONTENT[5:8]
    assert file.seek(2, os.SEEK_CUR) == file.tell() == 10
    assert file.read(3) == CONTENT[10:13]
    assert len(server.ranges) == 2  # The first block and the last bytes.
    file.seek(5_000_000)
    assert file.read(1) == b""


@pytest.mark.parametrize("fail", [False, True])
def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(fail):
    server = FakeServer(cut=700_000, fail=fail)
    assert read_all(HttpFile(server)) == CONTENT
    assert [first for first, _ in server.ranges] == [
        *(0, 700_000, 1_400_000, 2_100_000, 2_800_000)
    ]


@pytest.mark.parametrize("cut", [0, 50_000])
def test_a_server_that_always_breaks_off_is_given_up(cut):
    server = FakeServer(cut=cut)
    file = HttpFile(server)
    with pytest.raises(DownloadError, match="broke off") as caught:
        read_all(file)
    assert caught.value.reason is Reason.NETWORK
    assert file.error is caught.value
    assert len(server.ranges) <= 6


@pytest.mark.parametrize(
    "server", [FakeServer(status=200), FakeServer(size="*")]
)
def test_a_server_without_ranges_is_named(server):
    with pytest.raises(DownloadError, match="parts of a file"):
        HttpFile(server).read(1)


def test_a_range_other_than_the_wanted_one_is_refused():
    server = FakeServer()
    file = HttpFile(lambda first, last: server(first + 1, last))
    with pytest.raises(DownloadError, match="parts of a file"):
        file.read(1)


def test_a_file_that_has_no_end_is_given_up(monkeypatch):
    monkeypatch.setattr(http_file, "_MAX_FETCHED_BYTES", 1_500_000)
    with pytest.raises(DownloadError, match="1500000 bytes"):
        read_all(HttpFile(FakeServer()))
