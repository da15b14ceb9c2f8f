"""Downloads over HTTP that survive a broken connection.

The bytes are collected in `<name>.part`, and what identifies the server's
version of the file in `<name>.part.json`; from these two a download goes on,
in this process or a later one, if the server still has the same version.
Proxies are those of the environment (`https_proxy` and so on).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

import requests
import tqdm

from avmil.features.weight_sources import FetchError

# No published weights come near it; a server that never ends does.
_MAX_BYTES = 2 << 30
# What arrives of a block is lost where the connection breaks off in it.
_BLOCK_BYTES = 1 << 16
_LINE_EVERY_S = 10.0
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSIENT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class _TransientError(Exception):
    """An attempt that failed in a way that may pass."""


def download(
    url: str,
    path: str | os.PathLike[str],
    attempts: int = 5,
    first_wait_s: float = 1.0,
    timeout_s: float = 30.0,
) -> pathlib.Path:
    """Downloads a file, or goes on with an earlier download of it.

    Args:
        url: Web address.
        path: Where the file is to lie in the end; it is not touched.
        attempts: How often to try in all; the waits between double.
        first_wait_s: Seconds before the second attempt.
        timeout_s: Seconds to wait for a connection, and for more bytes.

    Returns:
        The complete file, `<path>.part`: the caller checks and renames it.

    Raises:
        FetchError: if the server refuses, sends a web page or keeps failing.
            Only in the last case a part is kept, to go on from.
        OSError: if the file cannot be written; no part is kept.
    """
    part = _Part(url, path)
    for attempt in range(attempts):
        if attempt:
            time.sleep(first_wait_s * 2 ** (attempt - 1))
        try:
            part.transfer(timeout_s)
            return part.path
        except requests.exceptions.SSLError as error:
            raise FetchError(
                f"Expected a trusted certificate from {url}, received: {error}"
            ) from error
        except (_TransientError, *_TRANSIENT_ERRORS) as error:
            problem = _reason(error)
            print(
                f"  attempt {attempt + 1} of {attempts}: {problem}",
                file=sys.stderr,
                flush=True,
            )
        except requests.RequestException as error:
            raise FetchError(
                f"Expected a file from {url}, received: {error}"
            ) from error
        except OSError:
            part.remove()
            raise
    raise part.given_up(attempts, problem)


class _Part:
    """The part of a file that has arrived, and where it is from."""

    def __init__(self, url: str, path: str | os.PathLike[str]) -> None:
        self._url = url
        self.path = pathlib.Path(f"{os.fspath(path)}.part")
        self._origin_path = pathlib.Path(f"{self.path}.json")

    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remove(self) -> None:
        """Forgets what has arrived."""
        for path in (self.path, self._origin_path):
            path.unlink(missing_ok=True)

    def given_up(self, attempts: int, problem: str) -> FetchError:
        """Keeps what a later download can use, and says so in the error."""
        received, advice = self.size(), "Try again later."
        if self._validator():
            advice = f"The same command goes on from {self.path}."
        else:
            self.remove()
        return FetchError(
            f"Expected a whole file from {self._url}, received {received} "
            f"bytes in {attempts} attempts; the last one: {problem}. {advice}"
        )

    def transfer(self, timeout_s: float) -> None:
        """Fetches what is missing, in one attempt."""
        have = self.size() if self._validator() else 0
        # Compressed on the way, sizes and ranges would not be the file's.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            headers["If-Range"] = self._validator()
        with requests.get(
            self._url, headers=headers, stream=True, timeout=timeout_s
        ) as response:
            total = self._check(response, have)
            if not have or response.status_code == requests.codes.ok:
                self._start(response)
                have = 0
            with self.path.open("ab") as file:
                self._receive(response, file, have, total)
        self._origin_path.unlink()

    def _check(self, response: requests.Response, have: int) -> int | None:
        """Refuses what is not the file; returns its size where stated."""
        status = f"{response.status_code} {response.reason}"
        if response.status_code == requests.codes.partial_content:
            return self._check_range(response, have)
        if response.status_code == requests.codes.range_not_satisfiable:
            self.remove()
            raise _TransientError("the part does not fit the server's file")
        if response.status_code in _TRANSIENT_STATUSES:
            raise _TransientError(f"the server answered {status}")
        if response.status_code != requests.codes.ok:
            self.remove()
            raise FetchError(
                f"Expected a file from {self._url}, received HTTP {status}."
            )
        if "html" in response.headers.get("Content-Type", ""):
            self.remove()
            raise FetchError(
                f"Expected weights from {self._url}, received a web page "
                "(HTML), perhaps the sign-in page of a network or proxy."
            )
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None

    def _check_range(
        self, response: requests.Response, have: int
    ) -> int | None:
        received = response.headers.get("Content-Range", "")
        fields = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", received)
        if not fields or int(fields[1]) != have:
            self.remove()
            raise _TransientError(
                f"asked for bytes from {have}, received {received!r}"
            )
        return None if fields[3] == "*" else int(fields[3])

    def _start(self, response: requests.Response) -> None:
        origin = {
            "url": self._url,
            "etag": response.headers.get("ETag", ""),
            "last_modified": response.headers.get("Last-Modified", ""),
        }
        # In this order: old bytes must never lie beside a new origin.
        self.path.write_bytes(b"")
        self._origin_path.write_text(json.dumps(origin), "utf-8")

    def _validator(self) -> str:
        """What If-Range compares; empty where a part cannot be used."""
        try:
            origin = json.loads(self._origin_path.read_text("utf-8"))
            if origin["url"] != self._url or not self.path.exists():
                return ""
            # A weak tag does not promise the same bytes (RFC 9110, 13.1.5).
            etag = str(origin["etag"])
            usable = etag and not etag.startswith("W/")
            return etag if usable else str(origin["last_modified"])
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return ""

    def _receive(
        self,
        response: requests.Response,
        file: BinaryIO,
        have: int,
        total: int | None,
    ) -> None:
        name = self.path.name.removesuffix(".part")
        with contextlib.closing(_Progress(name, have, total)) as progress:
            for block in response.iter_content(_BLOCK_BYTES):
                file.write(block)
                have += len(block)
                progress.update(len(block))
                if have > _MAX_BYTES:
                    raise OSError(errno.EFBIG, "The file never ends", name)
        if total is not None and have != total:
            raise _TransientError(f"{have} of {total} bytes arrived")


def _reason(error: Exception) -> str:
    """What went wrong, without the layers that requests wraps it in."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    innermost = str(error).rpartition(": ")[2].rstrip("'\")")
    if isinstance(error, requests.exceptions.ProxyError):
        return f"no connection through the proxy: {innermost}"
    return innermost


class _Progress:
    """Bytes that have arrived: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, name: str, have: int, total: int | None) -> None:
        self._name, self._have, self._total = name, have, total
        self._line_s = time.monotonic()
        self._bar = tqdm.tqdm(
            desc=name,
            initial=have,
            total=total,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def update(self, count: int) -> None:
        self._bar.update(count)
        self._have += count
        now_s = time.monotonic()
        if self._bar.disable and now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            print(self._line(), file=sys.stderr, flush=True)

    def close(self) -> None:
        self._bar.close()

    def _line(self) -> str:
        format_size = tqdm.tqdm.format_sizeof
        of_total = f" of {format_size(self._total, 'B')}" if self._total else ""
        return f"{self._name}: {format_size(self._have, 'B')}{of_total}"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path that takes the place of `path` at the end.

    After an error there is no temporary file left.
    """
    temporary = pathlib.Path(f"{os.fspath(path)}.tmp-{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
