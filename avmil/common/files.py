"""Files that may lie on a local disk, s3:// or gs://, written atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_REMOTE_PREFIXES = ("s3://", "gs://")


def is_remote(path: str) -> bool:
    """Says whether a path names an object store."""
    return str(path).startswith(_REMOTE_PREFIXES)


def enable_remote(*paths: str) -> None:
    """Loads what opens the file systems of the given paths.

    TensorFlow itself opens gs://; tensorflow-io adds s3:// when imported.
    The import takes seconds, so it happens only where it is needed.
    """
    if any(str(path).startswith("s3://") for path in paths):
        import tensorflow_io  # noqa: F401


def join(directory: str, *names: str) -> str:
    """Joins path parts, also those of object stores."""
    return os.path.join(str(directory), *names)


def exists(path: str) -> bool:
    """Says whether there is a file or directory."""
    return tf.io.gfile.exists(str(path))


def matching(pattern: str) -> list[str]:
    """Paths that match a pattern of the shell's kind, sorted."""
    try:
        return sorted(tf.io.gfile.glob(str(pattern)))
    except tf.errors.NotFoundError:
        return []


def make_directory(path: str) -> None:
    """Makes a directory and those above it, where they are missing.

    Raises:
        OSError: if it cannot be made.
    """
    try:
        tf.io.gfile.makedirs(str(path))
    except tf.errors.OpError as error:
        raise OSError(
            f"Expected a directory that can be made, received {path}: "
            f"{error.message}."
        ) from error


def read_bytes(path: str) -> bytes:
    """Reads a whole file.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    try:
        with tf.io.gfile.GFile(str(path), "rb") as file:
            return file.read()
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(
            f"Expected a file, received {path}: there is none."
        ) from error
    except tf.errors.FailedPreconditionError as error:
        raise FileNotFoundError(
            f"Expected a file, received {path}: it is a directory."
        ) from error


def read_json(path: str) -> Any:
    """Reads a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(
            f"Expected JSON, received a damaged file {path}: {error}."
        ) from error


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file under a temporary name and renames it.

    The temporary name holds the process id, so that two writers of the same
    file never share one.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(temporary, str(path), overwrite=True)
    except tf.errors.OpError as error:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise OSError(
            f"Expected to write {path}, received: {error.message}."
        ) from error


def write_text(path: str, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str, value: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256(path: str) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(str(path), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yields a local path to a file; a remote one is copied for the time."""
    if not is_remote(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, os.path.basename(path))
        tf.io.gfile.copy(path, copy)
        yield copy
