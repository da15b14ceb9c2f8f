"""Downloads from a server that breaks off, refuses, delays and lies."""

from __future__ import annotations

import errno
import os
import pathlib
import socket

import pytest

from avmil.features import downloads
from avmil.features.weight_sources import FetchError
from tests.web_server import Answer, serving

BODY = bytes(range(256)) * 40  # 10240 bytes


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "_BLOCK_BYTES", 1000)
    with serving() as server:
        yield server


@pytest.fixture
def waits(monkeypatch):
    """Seconds that would have been waited between attempts."""
    seconds = []
    monkeypatch.setattr(downloads.time, "sleep", seconds.append)
    return seconds


def download(web, tmp_path, **options):
    return downloads.download(
        web.url, tmp_path / "w.bin", first_wait_s=0.01, **options
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_at_once(web, tmp_path):
    web.answers = [Answer(BODY)]
    part = download(web, tmp_path)
    assert part == tmp_path / "w.bin.part"
    assert part.read_bytes() == BODY
    assert names(tmp_path) == ["w.bin.part"]
    assert web.requests[0][1]["Accept-Encoding"] == "identity"
    assert "Range" not in web.requests[0][1]


def test_broken_connection_goes_on_where_it_stopped(web, tmp_path):
    web.answers = [Answer(BODY, cut_at=3000), Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY
    second = web.requests[1][1]
    assert second["Range"] == "bytes=3000-"
    assert second["If-Range"] == '"v1"'


def test_later_process_goes_on_where_the_first_stopped(web, tmp_path):
    web.answers = [Answer(BODY, cut_at=3000)]
    with pytest.raises(FetchError, match=r"3000 bytes in 1 attempts") as error:
        download(web, tmp_path, attempts=1)
    assert "The same command goes on from" in str(error.value)
    assert names(tmp_path) == ["w.bin.part", "w.bin.part.json"]
    web.answers = [Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY
    assert web.requests[-1][1]["Range"] == "bytes=3000-"


def test_changed_file_starts_anew(web, tmp_path):
    changed = BODY[::-1]
    web.answers = [Answer(BODY, cut_at=3000), Answer(changed, etag='"v2"')]
    assert download(web, tmp_path).read_bytes() == changed


def test_server_without_ranges_starts_anew(web, tmp_path):
    web.answers = [Answer(BODY, cut_at=3000), Answer(BODY, ranges=False)]
    assert download(web, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("etag", ["", 'W/"v1"'])
def test_part_of_unknown_version_is_not_used(web, tmp_path, etag):
    web.answers = [Answer(BODY, cut_at=3000, etag=etag), Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY
    assert "Range" not in web.requests[1][1]


def test_part_of_unknown_version_is_not_kept(web, tmp_path):
    web.answers = [Answer(BODY, cut_at=3000, etag="")]
    with pytest.raises(FetchError, match="Try again later"):
        download(web, tmp_path, attempts=2)
    assert names(tmp_path) == []


def test_part_of_another_address_is_not_used(web, tmp_path):
    web.answers = [Answer(BODY, cut_at=3000)]
    with pytest.raises(FetchError):
        download(web, tmp_path, attempts=1)
    web.url += "?other"
    web.answers = [Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY
    assert "Range" not in web.requests[-1][1]


@pytest.mark.parametrize("origin", ["{", "[]", '{"url": 1}', "null"])
def test_part_with_a_damaged_origin_is_not_used(web, tmp_path, origin):
    (tmp_path / "w.bin.part").write_bytes(b"other")
    (tmp_path / "w.bin.part.json").write_text(origin)
    web.answers = [Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY


def test_range_that_was_not_asked_for(web, tmp_path):
    class Unasked(Answer):
        def send(self, handler):
            handler.send_response(206)
            last = len(self.body) - 1
            handler.send_header("Content-Range", f"bytes 0-{last}/{last + 1}")
            handler.send_header("Content-Length", str(last + 1))
            handler.end_headers()
            handler.wfile.write(self.body)

    (tmp_path / "w.bin.part").write_bytes(b"other")
    web.answers = [Unasked(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY


def test_wrong_range_starts_anew(web, tmp_path):
    class WrongRange(Answer):
        def _range_start(self, headers):
            return 5

    web.answers = [Answer(BODY, cut_at=3000), WrongRange(BODY), Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY
    assert "Range" not in web.requests[2][1]


def test_complete_part_that_was_not_renamed(web, tmp_path):
    web.answers = [
        Answer(BODY, stated_length=len(BODY) + 1),
        Answer(b"", status=416, ranges=False),
        Answer(BODY),
    ]
    assert download(web, tmp_path).read_bytes() == BODY
    assert len(web.requests) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_busy_server_is_tried_again(web, tmp_path, status):
    web.answers = [Answer(status=status), Answer(BODY)]
    assert download(web, tmp_path).read_bytes() == BODY


def test_attempts_are_bounded_and_waits_double(web, tmp_path, waits):
    web.answers = [Answer(status=503)]
    with pytest.raises(FetchError, match="503 Service Unavailable"):
        downloads.download(web.url, tmp_path / "w.bin")
    assert len(web.requests) == 5
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusal_is_final(web, tmp_path, status):
    web.answers = [Answer(status=status)]
    with pytest.raises(FetchError, match=f"received HTTP {status}"):
        download(web, tmp_path)
    assert len(web.requests) == 1
    assert names(tmp_path) == []


def test_web_page_is_refused(web, tmp_path):
    web.answers = [Answer(b"<html>Sign in</html>", content_type="text/html")]
    with pytest.raises(FetchError, match="web page"):
        download(web, tmp_path)
    assert names(tmp_path) == []


def test_slow_server_is_tried_again(web, tmp_path, capsys):
    web.answers = [Answer(BODY, delay_s=0.5), Answer(BODY)]
    part = download(web, tmp_path, timeout_s=0.1)
    assert part.read_bytes() == BODY
    assert "did not answer in time" in capsys.readouterr().err


def test_no_server(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/w.bin"
        with pytest.raises(FetchError, match="Connection refused"):
            downloads.download(url, tmp_path / "w.bin", 2, 0.01)
    assert names(tmp_path) == []


def test_no_address(tmp_path):
    with pytest.raises(FetchError, match="Expected a file from nonsense"):
        downloads.download("nonsense", tmp_path / "w.bin")


def test_endless_file(web, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_MAX_BYTES", 5000)
    web.answers = [Answer(BODY)]
    with pytest.raises(OSError, match="never ends"):
        download(web, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="/dev/full is Linux's"
)
def test_full_disk_leaves_nothing(web, tmp_path):
    (tmp_path / "w.bin.part").symlink_to("/dev/full")
    web.answers = [Answer(BODY)]
    with pytest.raises(OSError, match="No space left") as error:
        download(web, tmp_path)
    assert error.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_proxy_of_the_environment(web, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", web.url.removesuffix("/weights.bin"))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    web.answers = [Answer(BODY)]
    address = "http://weights.invalid/w.bin"
    part = downloads.download(address, tmp_path / "w.bin")
    assert part.read_bytes() == BODY
    assert web.requests[0][0] == address


def test_dead_proxy_is_named(tmp_path, monkeypatch, waits):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(FetchError, match=r"proxy: .*refused"):
            downloads.download("http://weights.invalid/w", tmp_path / "w")
    assert len(waits) == 4


def test_lines_instead_of_a_bar(web, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(downloads, "_LINE_EVERY_S", 0.0)
    web.answers = [Answer(BODY)]
    download(web, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "w.bin: 1.00kB of 10.2kB"
    assert lines[-1] == "w.bin: 10.2kB of 10.2kB"


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with downloads.replacing(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]
    with downloads.replacing(path) as temporary:
        pathlib.Path(temporary).write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]
