"""Every error that avmil raises for its users, under one base.

The command line prints an `AvmilError` as one message, without a traceback:
its text says what was expected, what was received and what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence


class AvmilError(Exception):
    """Something that the user can mend: a flag, a file, a clip."""


class ConfigError(AvmilError, ValueError):
    """Flags that contradict each other or the files that they name."""


class DirectoryInUseError(AvmilError):
    """A directory to which another process is writing."""


class StorageError(AvmilError, OSError):
    """An object store that cannot be reached or refuses; no file's fault."""


class ManifestError(AvmilError, ValueError):
    """A manifest or class list with problems, all of them listed."""

    def __init__(self, path: str, problems: list[str]) -> None:
        super().__init__(
            f"{path}: {len(problems)} problem(s){listed(problems)}"
        )
        self.problems = tuple(problems)


class FeaturesError(AvmilError, ValueError):
    """A features directory that cannot be used as asked."""


class UnusableFeaturesError(AvmilError, ValueError):
    """Features of a wrong shape, or with a NaN or an infinity."""


class TruthError(AvmilError, ValueError):
    """A truth file that cannot be used; the message names file and place."""


class MediaError(AvmilError):
    """A media file that cannot be used; the message is a short reason.

    The message does not repeat the path: in `failed.csv` it stands beside the
    clip's id.
    """


class NoTrackError(MediaError):
    """A media file without a video track."""


class ClipError(AvmilError):
    """A clip that cannot be extracted: in which stage, and why."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple:
        return type(self), (self.stage, self.reason)


class FetchError(AvmilError):
    """Weights that could not be fetched; the message says what to do."""


class WorkerError(AvmilError):
    """Worker processes that do not get to their first clip."""


def listed(problems: Sequence[str], most: int = 50) -> str:
    """The lines of a message that list problems, each after a line feed."""
    lines = [f"\n  {problem}" for problem in problems[:most]]
    if len(problems) > most:
        lines.append(f"\n  ... {len(problems) - most} more")
    return "".join(lines)


@contextlib.contextmanager
def config_errors(name: str, *others: type[Exception]) -> Iterator[None]:
    """Turns a ValueError, or others, into a ConfigError that names a flag."""
    try:
        yield
    except (ValueError, *others) as error:
        raise ConfigError(f"{name}: {error}") from error
