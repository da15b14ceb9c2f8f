"""One writer at a time in a local directory."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from avmil.common import files
from avmil.common.errors import FeaturesError


@contextlib.contextmanager
def exclusive(directory: str) -> Iterator[None]:
    """Holds a directory for this process; a remote one is not held.

    The operating system releases the lock when the process ends, however.

    Raises:
        FeaturesError: if another process holds it.
    """
    if files.is_remote(directory):
        yield
        return
    with open(files.join(directory, ".lock"), "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FeaturesError(
                f"Expected {directory} to be free, but another process is "
                "writing to it. Wait for it or name another directory."
            ) from error
        yield
