"""Files on a local disk, s3:// or gs://, written atomically.

`epath` gives all of them pathlib's interface; what lies on an object store
goes through TensorFlow's file systems, which are imported only then.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import filelock
import msgspec
import psutil
from etils import epath

from avmil.common.errors import ConfigError, DirectoryInUseError

_REMOTE_PREFIXES = ("s3://", "gs://")
# Of a JSON file's other entries; a file without it is of an older version.
_DIGEST = "content_sha256"
# Spreadsheets take a cell that begins so for a formula.
_FORMULA = re.compile(r"[=+@\t\r]|-(?!\d|$)")

T = TypeVar("T")


def is_remote(name: str | os.PathLike) -> bool:
    """Says whether a path names an object store."""
    return str(name).startswith(_REMOTE_PREFIXES)


def path(name: str | os.PathLike) -> epath.Path:
    """A local or remote file or directory, with pathlib's methods.

    Raises:
        ConfigError: for an address of another kind, or a server of objects
            whose address the file system would try for minutes.
    """
    if re.match(r"[A-Za-z][\w+.-]*://", str(name)) and not is_remote(name):
        raise ConfigError(
            f"Expected a local path, s3:// or gs://, received {name}."
        )
    if str(name).startswith("s3://"):
        endpoint = os.environ.get("S3_ENDPOINT", "")
        if endpoint and not re.match("https?://", endpoint):
            raise ConfigError(
                "S3_ENDPOINT: Expected an address that begins with http:// or "
                f"https://, received {endpoint}."
            )
        # TensorFlow itself opens gs://; tensorflow-io adds s3:// when imported.
        import tensorflow_io  # noqa: F401
    return epath.Path(name)


def join(directory: str | os.PathLike, *names: str) -> str:
    """Joins path parts, also those of object stores."""
    return os.path.join(str(directory), *names)


def exists(name: str | os.PathLike) -> bool:
    """Says whether there is a file or directory."""
    return path(name).exists()


def names(directory: str | os.PathLike) -> list[str]:
    """Names in a directory, sorted; none where there is no directory."""
    listed = path(directory)
    if not listed.exists():
        return []
    return sorted(entry.name for entry in listed.iterdir())


def matching(pattern: str) -> list[str]:
    """Paths that match a pattern of the shell's kind, sorted."""
    root = re.match(r"[^*?\[]*/|", pattern)[0]
    with _as_os_error("list", root):
        found = list(path(root or os.curdir).glob(pattern[len(root) :]))
    start = root or os.curdir
    return sorted(join(root, os.path.relpath(name, start)) for name in found)


def make_directory(name: str | os.PathLike) -> None:
    """Makes a directory and those above it, where they are missing.

    Raises:
        OSError: if it cannot be made.
    """
    with _as_os_error("make", name):
        path(name).mkdir(parents=True, exist_ok=True)


def read_bytes(name: str | os.PathLike) -> bytes:
    """Reads a whole file.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    try:
        with _as_os_error("read", name):
            return path(name).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        found = "it is a directory" if path(name).is_dir() else "there is none"
        raise FileNotFoundError(
            f"Expected a file, received {name}: {found}."
        ) from error


def read_json(name: str | os.PathLike, of: type[T], advice: str = "") -> T:
    """Reads a JSON file whose entries have the names and types of a class.

    Raises:
        FileNotFoundError: if there is no such file.
        ConfigError: if it is damaged, or of another version; names the entry.
    """
    return parse_json(read_bytes(name), of, name, advice)


def parse_json(
    content: bytes | str, of: type[T], name: object, advice: str = ""
) -> T:
    """Reads JSON as `read_json` does; errors call it by its name."""
    try:
        entries = msgspec.json.decode(content)
        digest = isinstance(entries, dict) and entries.pop(_DIGEST, None)
        if digest and digest != _digest(entries):
            raise ValueError("not what was written, as its digest says")
        parsed = msgspec.convert(entries, of)
        _check_names(entries, parsed)
        return parsed
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"Expected {name} as it was written, received a damaged file or "
            f"that of another version: {error}. {advice}".rstrip()
        ) from error


def _check_names(entries: Any, parsed: Any) -> None:
    """Raises ValueError for entries that a dataclass does not know."""
    known = getattr(parsed, "__dataclass_fields__", entries)
    for name in entries if isinstance(entries, dict) else ():
        if name not in known:
            raise ValueError(f"unknown entry {name!r}")
        _check_names(entries[name], getattr(parsed, name, None))


def _digest(entries: Any) -> str:
    text = json.dumps(entries, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def replacing(name: str | os.PathLike) -> Iterator[str]:
    """Yields a temporary path beside a file, which it then replaces.

    The temporary name holds machine and process, so that two writers of the
    same file never share one.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    temporary = f"{name}.tmp-{socket.gethostname()}-{os.getpid()}"
    try:
        with _as_os_error("write", name):
            yield temporary
            path(temporary).replace(name)
    except BaseException:
        with contextlib.suppress(OSError), _as_os_error("remove", temporary):
            path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(name: str | os.PathLike, content: bytes) -> None:
    """Writes a file by `replacing`."""
    with replacing(name) as temporary:
        path(temporary).write_bytes(content)


def write_text(name: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(name, text.encode("utf-8"))


def write_json(
    name: str | os.PathLike,
    value: Any,
    digest: bool = False,
    indent: int | None = 2,
) -> None:
    """Writes JSON atomically; an object also with the digest of the others."""
    if digest:
        # First: what is cut out elsewhere cannot join it to other text.
        value = {_DIGEST: _digest(value), **value}
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    write_text(name, text + "\n")


def write_csv(
    name: str | os.PathLike, rows: Iterable[Iterable[Any]], exact: bool = False
) -> None:
    """Writes a CSV file atomically; the first row is its header.

    Unless it has to be exact, to be read again, no cell of it is a formula.
    """
    text = io.StringIO(newline="")
    if not exact:
        rows = [[*map(_without_formula, row)] for row in rows]
    csv.writer(text).writerows(rows)
    write_text(name, text.getvalue())


def _without_formula(value: Any) -> Any:
    is_formula = isinstance(value, str) and _FORMULA.match(value)
    return f"'{value}" if is_formula else value


def copy(source: str | os.PathLike, name: str | os.PathLike) -> None:
    """Copies a file, local or remote, to a place that may be either."""
    with replacing(name) as temporary:
        path(source).copy(temporary, overwrite=True)


def sha256(name: str | os.PathLike) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with _as_os_error("read", name), path(name).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def local_copy(name: str | os.PathLike) -> Iterator[str]:
    """Yields a local path to a file; a remote one is copied for the time."""
    if not is_remote(name):
        yield str(name)
        return
    with tempfile.TemporaryDirectory() as directory:
        local = join(directory, os.path.basename(name))
        with _as_os_error("read", name):
            path(name).copy(local)
        yield local


@contextlib.contextmanager
def exclusive(directory: str | os.PathLike) -> Iterator[None]:
    """Makes a directory and holds it for this process.

    The operating system ends the hold with the process, however that ends. A
    remote directory is not held. What killed processes left half written goes.
    What fails leaves no lock, nor an empty
    directory, that was not there before.

    Raises:
        DirectoryInUseError: if another process holds it.
    """
    lock = join(directory, ".lock")
    was_there, was_held_before = exists(directory), exists(lock)
    make_directory(directory)
    if is_remote(directory):
        yield
        return
    try:
        held = filelock.FileLock(lock).acquire(timeout=0)
    except filelock.Timeout as error:
        raise DirectoryInUseError(
            f"Expected {directory} to be free, but another process is "
            "writing to it. Wait for it or name another directory."
        ) from error
    with held:
        _sweep(path(directory))
        try:
            yield
        except BaseException:
            if not was_held_before:
                path(lock).unlink()
            if not was_there and not names(directory):
                path(directory).rmdir()
            raise


def _sweep(directory: epath.Path) -> None:
    """Removes what `replacing` left in and below a directory when killed."""
    for pattern in ("*.tmp-*", "*/*.tmp-*"):
        for left in directory.glob(pattern):
            process = left.name.rpartition(".tmp-")[2]
            if process.isdecimal() and not psutil.pid_exists(int(process)):
                left.unlink()


@contextlib.contextmanager
def _as_os_error(verb: str, name: str | os.PathLike) -> Iterator[None]:
    """Turns what TensorFlow's file systems raise into an OSError."""
    try:
        yield
    except FileExistsError as error:
        raise OSError(
            f"Expected a directory that can be made, received {name}: there is "
            "a file."
        ) from error
    except Exception as error:
        if not hasattr(error, "error_code"):  # What tf.errors have.
            raise
        raise OSError(
            f"Expected to {verb} {name}, received: {error.message}."
        ) from error
