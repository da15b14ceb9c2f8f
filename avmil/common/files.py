"""Files on a local disk, s3:// or gs://, written atomically.

`epath` gives all of them pathlib's interface; what lies on an object store
goes through fsspec (s3fs, gcsfs), which is imported only then and tries again
where a store is slow or throttles.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, is_typeddict

import filelock
import msgspec
import psutil
from etils import epath

from avmil.common import threads
from avmil.common.errors import (
    ConfigError,
    DirectoryInUseError,
    StorageError,
)

_REMOTE_PREFIXES = ("s3://", "gs://")
# Otherwise epath takes TensorFlow's file systems where there is TensorFlow.
os.environ["EPATH_USE_TF"] = "0"
# How often a job shows on an object store that it lives, and how long nothing
# of it is seen before it is taken for dead.
_SIGN_EVERY_S = 5.0
_DEAD_AFTER_S = 15.0
# Entry of a JSON file over all others; older versions wrote none.
_DIGEST = "content_sha256"
_SHA256 = re.compile("[0-9a-f]{64}")
# Spreadsheets take a cell that begins so for a formula.
_FORMULA = re.compile(r"[=+@\t\r]|-(?!\d|$)")

T = TypeVar("T")


def is_remote(name: str | os.PathLike) -> bool:
    """Says whether a path names an object store."""
    return str(name).startswith(_REMOTE_PREFIXES)


def path(name: str | os.PathLike) -> epath.Path:
    """A local or remote file or directory, with pathlib's methods.

    Raises:
        ConfigError: for an address of another kind, or without what opens it.
    """
    if is_remote(name):
        _store(name)
    elif re.match(r"[A-Za-z][\w+.-]*://", str(name)):
        raise ConfigError(
            f"Expected a local path, s3:// or gs://, received {name}."
        )
    return epath.Path(name)


def _store(name: str | os.PathLike) -> Any:
    """The fsspec file system of an object store, the one that epath takes."""
    scheme = str(name).partition(":")[0]
    try:
        import fsspec

        # Another job may write there too.
        options = fsspec.config.conf.setdefault(scheme, {})
        options.setdefault("use_listings_cache", False)
        return fsspec.filesystem(scheme)
    except ImportError as error:
        raise ConfigError(
            f"{name}: Expected s3fs for s3:// and gcsfs for gs://, received "
            f"none ({error}): pip install -c constraints.txt '.[remote]'."
        ) from error


def join(directory: str | os.PathLike, *names: str) -> str:
    """Joins path parts, also those of object stores."""
    return os.path.join(str(directory), *names)


def absolute(name: str | os.PathLike) -> str:
    """The same path for a process that is started elsewhere."""
    return str(name) if is_remote(name) else os.path.abspath(name)


def exists(name: str | os.PathLike) -> bool:
    """Says whether there is a file or directory."""
    with _as_os_error("find", name):
        return path(name).exists()


def names(directory: str | os.PathLike) -> list[str]:
    """Names in a directory, sorted; none where there is no directory."""
    if not exists(directory):
        return []
    with _as_os_error("list", directory):
        return sorted(entry.name for entry in path(directory).iterdir())


def matching(pattern: str) -> list[str]:
    """Paths that match a pattern of the shell's kind, sorted."""
    root = re.match(r"[^*?\[]*/|", pattern)[0]
    with _as_os_error("list", root):
        found = list(path(root or os.curdir).glob(pattern[len(root) :]))
    start = root or os.curdir
    return sorted(join(root, os.path.relpath(name, start)) for name in found)


def make_directory(name: str | os.PathLike) -> None:
    """Makes a directory and those above it, where they are missing.

    An object store has none, only names with slashes.

    Raises:
        OSError: if it cannot be made.
    """
    if is_remote(name):
        return
    try:
        path(name).mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OSError(
            f"Expected a directory that can be made, received {name}: there is "
            "a file."
        ) from error


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
        others = {*entries} - {*of.__annotations__} if is_typeddict(of) else ()
        if any(_SHA256.fullmatch(str(entries[name])) for name in others):
            raise ValueError("its digest has another name")
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
    """Yields a temporary local path of what then replaces a file.

    It lies beside a local file, under a name that holds machine and process,
    so that two writers of the same file never share one. An object store
    shows an object when all of it is there.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    if is_remote(name):
        with tempfile.TemporaryDirectory() as directory:
            temporary = join(directory, os.path.basename(name))
            yield temporary
            with _as_os_error("write", name):
                _store(name).put_file(temporary, str(name))
        return
    temporary = f"{name}.tmp-{socket.gethostname()}-{os.getpid()}"
    try:
        yield temporary
        path(temporary).replace(name)
    except BaseException:
        with contextlib.suppress(OSError):
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
    """Writes JSON atomically, if wanted with a digest of its entries."""
    if digest:
        # First: what is cut out elsewhere cannot join it to other text.
        value = {_DIGEST: _digest(value), **value}
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    write_text(name, text + "\n")


def write_csv(
    name: str | os.PathLike, rows: Iterable[Iterable[Any]], exact: bool = False
) -> None:
    """Writes a CSV file atomically; the first row is its header.

    Cells that would be formulas are marked as text, unless it is to be read
    again and has to be exact.
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
    with local_copy(source) as local, replacing(name) as temporary:
        shutil.copyfile(local, temporary)


def sha256(name: str | os.PathLike) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with _as_os_error("read", name), path(name).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def local_copy(name: str | os.PathLike) -> Iterator[str]:
    """Yields a local path to a file; a remote file is copied temporarily."""
    if not is_remote(name):
        yield str(name)
        return
    with tempfile.TemporaryDirectory() as directory:
        local = join(directory, os.path.basename(name))
        with _as_os_error("read", name):
            _store(name).get_file(str(name), local)
        yield local


def read_part(name: str, start: int, stop: int) -> bytes:
    """Reads a range of bytes of a remote file."""
    if start == stop:
        return b""
    with _as_os_error("read", name):
        return _store(name).cat_file(name, start=start, end=stop)


@contextlib.contextmanager
def exclusive(directory: str | os.PathLike) -> Iterator[None]:
    """Makes a directory and holds it for this process.

    The operating system releases it when the process ends, however it ends; on
    an object store it is free `_DEAD_AFTER_S` later. Half-written files of
    killed processes are removed. A block that fails leaves neither a lock nor
    an empty directory that was not there before.

    Raises:
        DirectoryInUseError: if another process holds it.
    """
    lock = join(directory, ".lock")
    if is_remote(directory):
        with _exclusive_object(lock):
            yield
        return
    was_there, was_held_before = exists(directory), exists(lock)
    make_directory(directory)
    try:
        held = filelock.FileLock(lock).acquire(timeout=0)
    except filelock.Timeout as error:
        raise _in_use(lock) from error
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


def _in_use(lock: str) -> DirectoryInUseError:
    return DirectoryInUseError(
        f"Expected {os.path.dirname(lock)} to be free, but another process is "
        "writing to it. Wait for it or name another directory."
    )


def _sweep(directory: epath.Path) -> None:
    """Removes what `replacing` left in and below a directory when killed."""
    for pattern in ("*.tmp-*", "*/*.tmp-*"):
        for left in directory.glob(pattern):
            host, _, process = left.name.rpartition(".tmp-")[2].rpartition("-")
            if host != socket.gethostname() or not process.isdecimal():
                continue
            if not psutil.pid_exists(int(process)):
                left.unlink()


@contextlib.contextmanager
def _exclusive_object(lock: str) -> Iterator[None]:
    """Holds an object that only one process can create.

    Its holder rewrites it every few seconds. If it stays the same, its holder
    is dead, whatever the machines' clocks show. A holder that was cut off from
    the store and finds the object of another is interrupted.
    """
    owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
    is_lost = False

    def is_held() -> bool:
        nonlocal is_lost
        try:
            if not read_bytes(lock).startswith(owner.encode()):
                raise FileNotFoundError
            write_text(lock, f"{owner} {time.monotonic()}")
        except FileNotFoundError:
            is_lost = True
            main = threading.main_thread().ident
            signal.pthread_kill(main, signal.SIGINT)
        except OSError:
            pass  # The store may be back at the next time.
        return not is_lost

    _create(lock, owner)
    try:
        with threads.repeating(is_held, _SIGN_EVERY_S):
            yield
    finally:
        if is_lost:
            raise _in_use(lock)
        with contextlib.suppress(OSError), _as_os_error("remove", lock):
            path(lock).unlink()


def _create(lock: str, owner: str) -> None:
    """Creates an object, or replaces one whose holder is dead.

    Raises:
        DirectoryInUseError: if another process holds it.
    """

    def is_created() -> bool:
        with _as_os_error("write", lock):
            try:
                _store(lock).pipe_file(lock, owner.encode(), mode="create")
            except FileExistsError:
                return False
            return True

    if is_created():
        return
    print(f"{lock} is there: is its process alive?", file=sys.stderr)
    try:
        found = read_bytes(lock)
        for _ in range(round(_DEAD_AFTER_S)):
            time.sleep(1)
            if read_bytes(lock) != found:
                raise _in_use(lock)
        path(lock).unlink()
    except FileNotFoundError:
        pass  # Its holder has just ended.
    if not is_created():
        raise _in_use(lock)


@contextlib.contextmanager
def _as_os_error(verb: str, name: str | os.PathLike) -> Iterator[None]:
    """Turns what an object store raises into an OSError that names the file."""
    try:
        yield
    except Exception as error:
        if not is_remote(name) or isinstance(error, ConfigError):
            raise
        if isinstance(error, FileNotFoundError):
            bucket = "/".join(str(name).split("/")[:3])
            if _store(name).exists(bucket):
                raise
        raise StorageError(
            f"Expected to {verb} {name}, received: {error}. Mend it, and the "
            "same command goes on."
        ) from error
