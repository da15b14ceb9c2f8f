"""The videos of a command line, each a clip with a name of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence

import tensorflow as tf

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, ConfigError

_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv"),
    *(".mpg", ".mpeg", ".ts", ".wmv", ".ogv"),
    *(".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac"),
)
_LONGEST_STEM = 100
# What localize.py writes beside the videos' folders.
_OWN_FILES = ("failed.csv", "index.html")


def rows(
    arguments: Sequence[str], start_s: float = 0.0, end_s: float = 0.0
) -> list[ManifestEntry]:
    """Lists the videos as clips; a folder stands for the videos in it.

    Args:
        arguments: Files and folders.
        start_s: Start of the section to take of each.
        end_s: End of it; 0 for the end of the video.

    Raises:
        ConfigError: if there is none, a folder holds none, or the section
            ends before it starts.
    """
    if not arguments:
        raise ConfigError("Expected videos or folders, received none.")
    if end_s and end_s <= start_s:
        raise ConfigError(
            f"Expected --end_s after --start_s={start_s:g}, received {end_s:g}."
        )
    paths = [path for argument in arguments for path in _paths(argument)]
    clip_ids: list[str] = []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        clip_ids.append(file_stem(stem, [*_OWN_FILES, *clip_ids]))
    return [
        ManifestEntry(clip_id, path, (), "test", start_s, end_s or None)
        for clip_id, path in zip(clip_ids, paths, strict=True)
    ]


@contextlib.contextmanager
def local_row(row: ManifestEntry) -> Iterator[ManifestEntry]:
    """Yields the clip with a local path, copied for the time if need be.

    Raises:
        ClipError: if it cannot be copied.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(files.local_copy(row.path))
        except tf.errors.OpError as error:
            raise ClipError("decode", error.message) from error
        yield dataclasses.replace(row, path=path)


def file_stem(name: str, others: Sequence[str] = ()) -> str:
    """Turns any name into one for a file, unlike those of others.

    Letters, digits and `._+=-` stay, as in clip ids. Names that differ in
    their case only are told apart as well.
    """
    stem = re.sub(r"[^\w.+=-]+", "_", name, flags=re.ASCII).lstrip(".")
    stem = stem[:_LONGEST_STEM] or "_"
    taken = {other.lower() for other in others}
    numbered, number = stem, 2
    while numbered.lower() in taken:
        numbered, number = f"{stem}-{number}", number + 1
    return numbered


def _paths(argument: str) -> list[str]:
    try:
        if not tf.io.gfile.isdir(argument):
            return [argument]
        names = sorted(tf.io.gfile.listdir(argument))
    except UnicodeError as error:
        raise ConfigError(
            f"Expected names in UTF-8, received {argument!a}."
        ) from error
    found = [
        files.join(argument, name)
        for name in names
        if name.lower().endswith(_SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise ConfigError(
            f"Expected videos in {argument}, received a folder without: their "
            f"names end in {', '.join(_SUFFIXES)}."
        )
    return found
