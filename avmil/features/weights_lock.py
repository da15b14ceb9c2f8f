"""Whether a file of weights is the right one.

A published digest decides where there is one. A file without one has to stay
what it was when it was first fetched: `weights.lock.json` in the weights
directory records SHA-256, size and date.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json
import os
import pathlib
import zipfile
import zlib

from avmil.features.downloads import replacing
from avmil.features.weight_sources import FetchError, WeightFile

_FILE_NAME = "weights.lock.json"
# What OpenCV's forests begin with.
_YAML = b"%YAML"
_BLOCK_BYTES = 1 << 20


def digest(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Digest of a file, as `algorithm:hexadecimal`."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"


def is_published(path: str | os.PathLike[str], weights: WeightFile) -> bool:
    """Says whether a file has the published digest; there has to be one."""
    algorithm = weights.digest.partition(":")[0]
    return digest(path, algorithm) == weights.digest


class WeightsLock:
    """What was fetched into a weights directory.

    Args:
        weights_dir: Local directory; the lock file need not exist.

    Raises:
        FetchError: if the lock file is damaged.
    """

    def __init__(self, weights_dir: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(weights_dir, _FILE_NAME)
        self._entries = self._read()

    def check(self, path: str | os.PathLike[str], weights: WeightFile) -> None:
        """Compares a file with the published digest or the recorded one.

        Raises:
            FetchError: if it is another file; says what to do.
        """
        _refuse_nothing_and_web_page(path)
        if weights.digest:
            self._check_published(path, weights)
        elif weights.file_name in self._entries:
            self._check_recorded(path, weights)
        elif weights.file_name.endswith(".gz"):
            _refuse_damaged_gzip(path)
        elif weights.file_name.endswith(".npz"):
            _refuse_damaged_zip(path)

    def record(self, path: str | os.PathLike[str], weights: WeightFile) -> None:
        """Records a file that was checked, once."""
        if weights.file_name in self._entries:
            return
        self._entries[weights.file_name] = {
            "sha256": digest(path).removeprefix("sha256:"),
            "size_bytes": os.path.getsize(path),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
                timespec="seconds"
            ),
        }
        with replacing(self._path) as temporary:
            temporary.write_text(
                json.dumps(self._entries, indent=2, sort_keys=True) + "\n",
                "utf-8",
            )

    def _check_published(
        self, path: str | os.PathLike[str], weights: WeightFile
    ) -> None:
        if not is_published(path, weights):
            algorithm = weights.digest.partition(":")[0]
            raise FetchError(
                f"Expected {weights.file_name} with {weights.digest}, "
                f"received {os.path.getsize(path)} bytes with "
                f"{digest(path, algorithm)}: another file, or half of it."
            )

    def _check_recorded(
        self, path: str | os.PathLike[str], weights: WeightFile
    ) -> None:
        entry = self._entries[weights.file_name]
        recorded, received = f"sha256:{entry['sha256']}", digest(path)
        if received != recorded:
            raise FetchError(
                f"Expected {weights.file_name} with {recorded}, as recorded "
                f"on {entry['date']}, received {os.path.getsize(path)} bytes "
                f"with {received}. To accept another file, delete the entry "
                f"{weights.file_name!r} of {self._path}."
            )

    def _read(self) -> dict[str, dict]:
        if not self._path.exists():
            return {}
        try:
            entries = json.loads(self._path.read_text("utf-8"))
            for entry in entries.values():
                int(entry["sha256"], 16)
                str(entry["date"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise FetchError(
                f"Expected a lock file, received a damaged {self._path}: "
                f"{error}. Delete it to start a new one."
            ) from error
        return entries


def _refuse_nothing_and_web_page(path: str | os.PathLike[str]) -> None:
    """No format of weights starts with `<`; HTML and XML do."""
    with open(path, "rb") as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise FetchError("Expected weights, received an empty file.")
    if start.startswith(b"<"):
        raise FetchError(
            "Expected weights, received a web page (HTML or XML), perhaps "
            "the sign-in page of a network or proxy."
        )


def _refuse_damaged_gzip(path: str | os.PathLike[str]) -> None:
    """Reads a forest to the end, where gzip keeps its checksum."""
    try:
        with gzip.open(path) as file:
            if file.read(len(_YAML)) != _YAML:
                raise FetchError(
                    f"Expected a structured edge forest, received {path}, "
                    "which does not hold YAML."
                )
            while file.read(_BLOCK_BYTES):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FetchError(
            f"Expected a whole gzip file, received {os.path.getsize(path)} "
            f"bytes that are not: {error}"
        ) from error


def _refuse_damaged_zip(path: str | os.PathLike[str]) -> None:
    """Reads it to the end and compares the checksums of its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        damaged = error
    if damaged:
        raise FetchError(
            f"Expected a whole .npz file, received {os.path.getsize(path)} "
            f"bytes that are not: {damaged}"
        )
