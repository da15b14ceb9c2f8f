"""A run directory as one file, which may come from a stranger.

It is a zip archive of known file names whose members are stored as they are:
none can be written elsewhere, nor grow when it is unpacked. Nothing in it is
pickled; Keras, which loads the network in its safe mode, runs no code of it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Iterator

from avmil.common import files
from avmil.common.errors import config_errors
from avmil.runs.run import CONFIG_FILE

# Of a run directory, those that a packed run holds where they are there.
COPIED_FILES = (
    "versions.json",
    "thresholds.json",
    "event_thresholds.json",
    "metrics.json",
    "scores.json",
    "scores-val.npz",
    "scores-test.npz",
)
_MODEL = r"checkpoints/(last|best)-\d{8}/model\.keras"
_MEMBERS = {
    "": "|".join(
        [
            *map(re.escape, (CONFIG_FILE, "flags.txt", *COPIED_FILES)),
            r"classes\.txt|README\.md|checkpoints/(last|best)-\d{8}/state\.json",
            _MODEL,
        ]
    ),
    # Members that are archives themselves.
    _MODEL: r"metadata\.json|config\.json|model\.weights\.h5",
    r"scores-(val|test)\.npz": r"(clip_ids|class_names|labels|scores)\.npy",
}
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,  # Of a zip version that Python does not know.
    RuntimeError,  # Encrypted.
)


def pack(directory: str, path: str) -> None:
    """Writes the files in and below a local directory as one file."""
    root = pathlib.Path(directory)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(root).as_posix())


@contextlib.contextmanager
def opened(name: str) -> Iterator[str]:
    """Yields a run's directory; a packed one is unpacked for the time.

    Raises:
        ConfigError: if it is a file that is no packed run, or a damaged one.
    """
    if not files.path(name).is_file():
        yield name
        return
    stem = os.path.splitext(os.path.basename(name))[0]
    with files.local_copy(name) as local, tempfile.TemporaryDirectory() as top:
        directory = os.path.join(top, stem)
        with config_errors(
            f"Expected a packed run of export_model.py, received {name}",
            *_ZIP_ERRORS,
        ):
            _unpack(local, directory)
        yield directory


def _unpack(path: str, directory: str) -> None:
    """Unpacks; errors as of `_check` and of zipfile."""
    with zipfile.ZipFile(path) as archive:
        _check(archive, path, _MEMBERS[""])
        archive.extractall(directory)
        names = archive.namelist()
    for kind, members in _MEMBERS.items():
        for name in names:
            if kind and re.fullmatch(kind, name):
                inner = os.path.join(directory, name)
                with zipfile.ZipFile(inner) as archive:
                    _check(archive, inner, members)


def _check(archive: zipfile.ZipFile, path: str, known: str) -> None:
    """Raises a ValueError unless an archive's members are known and stored."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if unknown := [name for name in names if not re.fullmatch(known, name)]:
        raise ValueError(f"it holds {unknown[0]!a}, which no run has.")
    if len({*names}) < len(names):
        raise ValueError("it holds two files of one name.")
    is_stored = all(m.compress_type == zipfile.ZIP_STORED for m in members)
    size = sum(member.file_size for member in members)
    if not is_stored or size > os.path.getsize(path):
        raise ValueError(
            f"its files are {size} bytes when unpacked, or compressed; "
            "they are stored as they are in a packed run."
        )
