"""A file behind an HTTP address, of which only the read parts are fetched."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Callable
from typing import Protocol

from yt_dlp.utils import YoutubeDLError

from avmil.clips.download_failures import DownloadError, Reason, explain
from avmil.clips.rate_limit import StoppedError

_BLOCK_BYTES = 1 << 20
# Sound and pictures of one file lie apart: some blocks stay at hand.
_NUM_BLOCKS = 4
_MAX_FETCHED_BYTES = 256 << 20
_MAX_BREAKS = 5
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", re.ASCII)


class Response(Protocol):
    """What a server answered."""

    status: int

    def get_header(self, name: str) -> str | None:
        """Returns a header's value."""

    def read(self, amount: int) -> bytes:
        """Reads at most so many bytes."""

    def close(self) -> None:
        """Ends the connection."""


class HttpFile:
    """Reads a file by HTTP range requests, as PyAV asks for its parts.

    A connection that breaks off is taken up again where it broke.

    Args:
        open_range: Requests the bytes from the first to the last, both
            inclusive; raises where the server refuses.

    Attributes:
        error: What went wrong, if anything did. A demuxer may take an error
            for the end of the file: whoever reads through one asks here.
    """

    def __init__(self, open_range: Callable[[int, int], Response]) -> None:
        self.error: Exception | None = None
        self._open_range = open_range
        self._blocks: collections.deque[tuple[int, bytes]] = collections.deque(
            maxlen=_NUM_BLOCKS
        )
        self._position = 0
        self._size: int | None = None
        self._num_fetched = 0
        self._num_breaks = 0

    def read(self, amount: int) -> bytes:
        """Returns some of the next bytes, at most `amount`; none at the end.

        Raises:
            DownloadError: If they cannot be fetched; also what `open_range`
                raises.
        """
        if self._position >= self._known_size():
            return b""
        start, block = self._block(self._position)
        offset = self._position - start
        part = block[offset : offset + amount]
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a position and returns it."""
        base = {
            os.SEEK_SET: lambda: 0,
            os.SEEK_CUR: self.tell,
            os.SEEK_END: self._known_size,
        }[whence]
        self._position = max(base() + offset, 0)
        return self._position

    def tell(self) -> int:
        """Returns the position of the next byte."""
        return self._position

    def _known_size(self) -> int:
        if self._size is None:
            self._block(0)
        return self._size

    def _block(self, position: int) -> tuple[int, bytes]:
        for start, block in self._blocks:
            if start <= position < start + len(block):
                return start, block
        try:
            block = self._fetch(position)
        except (DownloadError, StoppedError, YoutubeDLError, OSError) as error:
            self.error = error
            raise
        self._blocks.append((position, block))
        return position, block

    def _fetch(self, first: int) -> bytes:
        if self._num_fetched > _MAX_FETCHED_BYTES:
            raise DownloadError(
                Reason.OTHER,
                f"the section lies in more than {_MAX_FETCHED_BYTES} bytes",
            )
        last = first + _BLOCK_BYTES - 1
        if self._size is not None:
            last = min(last, self._size - 1)
        response = self._open_range(first, last)
        try:
            self._check(response, first)
            block = self._received(response, min(last + 1, self._size) - first)
        finally:
            response.close()
        self._num_fetched += len(block)
        return block

    def _check(self, response: Response, first: int) -> None:
        header = response.get_header("Content-Range") or ""
        match = _CONTENT_RANGE.fullmatch(header)
        if response.status != 206 or not match or int(match[1]) != first:
            raise DownloadError(
                Reason.OTHER, "the server does not serve parts of a file"
            )
        self._size = int(match[2])

    def _received(self, response: Response, expected: int) -> bytes:
        """Reads a response; one that breaks off gives what came through."""
        parts, missing = [], expected
        try:
            while missing > 0 and (part := response.read(min(missing, 65536))):
                parts.append(part)
                missing -= len(part)
        except (YoutubeDLError, OSError) as error:
            if not parts or explain(error).reason is not Reason.NETWORK:
                raise
        if missing > 0:
            self._num_breaks += 1
            if not parts or self._num_breaks > _MAX_BREAKS:
                raise DownloadError(Reason.NETWORK, "the connection broke off")
        return b"".join(parts)
