"""The videos to localize in, each with a name of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Collection, Iterator, Sequence

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.features.extractor import stage

_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv"),
    *(".mpg", ".mpeg", ".ts", ".wmv", ".ogv"),
    *(".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac"),
)
_LONGEST_STEM = 100
# What localize.py writes beside the videos' folders.
_OWN_FILES = ("failed.csv", "index.html", "results.csv", "results.json")


def entries(
    paths: Sequence[str],
    start_s: float = 0.0,
    end_s: float | None = None,
    output_dir: str = "",
) -> list[ManifestEntry]:
    """Lists videos as clips; a folder stands for the videos in and below it.

    Args:
        paths: Files and folders.
        start_s: Start of the section to take of each.
        end_s: End of it; None for the end of the video.
        output_dir: A folder that is left out, with what was made of them.

    Raises:
        ConfigError: if there is none, a folder holds none, or the section
            ends before it starts.
    """
    if not paths:
        raise ConfigError("Expected videos or folders, received none.")
    found: dict[str, str] = {}  # Clip id -> path.
    taken = set(_OWN_FILES)
    left_out = os.path.realpath(output_dir) if output_dir else ""
    for given in paths:
        for path in _in_folder(given, left_out):
            name = os.path.basename(path)
            if path != given:
                name = os.path.relpath(path, given)
            clip_id = file_stem(os.path.splitext(name)[0], taken)
            taken.add(clip_id.lower())
            found[clip_id] = path
    return [
        entry(path, start_s, end_s, clip_id) for clip_id, path in found.items()
    ]


def entry(
    path: str,
    start_s: float = 0.0,
    end_s: float | None = None,
    clip_id: str = "",
) -> ManifestEntry:
    """A video, or a section of it, as a clip; by default named by its file.

    Raises:
        ConfigError: if the section ends before it starts.
    """
    if end_s is not None and not 0 <= start_s < end_s:
        raise ConfigError(
            f"Expected end_s after start_s={start_s:g}, received {end_s:g}."
        )
    if not clip_id:
        clip_id = file_stem(os.path.splitext(os.path.basename(path))[0])
    return ManifestEntry(clip_id, path, (), "test", start_s, end_s)


@contextlib.contextmanager
def local_entry(video: ManifestEntry) -> Iterator[ManifestEntry]:
    """Yields the clip with a local path, copied for the time if need be.

    Raises:
        ClipError: if it cannot be copied.
    """
    with contextlib.ExitStack() as stack:
        with stage("decode"):
            path = stack.enter_context(files.local_copy(video.path))
        yield dataclasses.replace(video, path=path)


def file_stem(name: str, others: Collection[str] = ()) -> str:
    """Turns any name into one for a file, unlike those of others.

    Letters, digits and `._+=-` stay, as in clip ids. Names that differ in
    their case only are told apart as well.
    """
    stem = re.sub(r"[^\w.+=-]+", "_", name, flags=re.ASCII).lstrip(".+=")
    stem = stem[:_LONGEST_STEM] or "_"
    taken = {other.lower() for other in others}
    numbered, number = stem, 2
    while numbered.lower() in taken:
        numbered, number = f"{stem}-{number}", number + 1
    return numbered


def _in_folder(path: str, left_out: str) -> list[str]:
    """The videos in a folder and those below it by name; a file itself."""
    try:
        path.encode()
    except UnicodeError as error:
        raise ConfigError(
            f"Expected names in UTF-8, received {path!a}."
        ) from error
    if not files.path(path).is_dir():
        return [path]
    found, waiting, seen = [], [path], {left_out}
    while waiting:
        folder = waiting.pop()
        if not files.is_remote(folder):
            real = os.path.realpath(folder)
            if real in seen:  # A link may lead back to a folder above.
                continue
            seen.add(real)
        for name in files.names(folder):
            inner = files.join(folder, name)
            if name.startswith("."):
                continue
            if name.lower().endswith(_SUFFIXES):
                found.append(inner)
            elif files.path(inner).is_dir():
                waiting.append(inner)
    found.sort()
    if not found:
        raise ConfigError(
            f"Expected videos in {path}, received a folder without: their "
            f"names end in {', '.join(_SUFFIXES)}."
        )
    return found
