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
from avmil.common.errors import ConfigError, FeaturesError, config_errors

# Members of archives within stand behind a colon.
_MEMBERS = re.compile(
    r"""
    (config|versions|thresholds|event_thresholds|metrics|scores)\.json
    | (flags|classes)\.txt
    | README\.md
    | checkpoints/(last|best)-\d{8}/state\.json
    | checkpoints/(last|best)-\d{8}/model\.keras
        (:(metadata\.json|config\.json|model\.weights\.h5))?
    | scores-(val|test)\.npz(:(clip_ids|class_names|labels|scores)\.npy)?
    """,
    re.VERBOSE,
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

    What is then wrong with its files is told of the packed run.

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
            zipfile.BadZipFile,
            EOFError,
            NotImplementedError,  # Of a zip version that Python does not know.
            RuntimeError,  # Encrypted.
        ):
            _unpack(local, directory)
        try:
            yield directory
        except (ConfigError, FeaturesError) as error:
            text = str(error).replace(directory, name)
            raise type(error)(text) from error


def _unpack(path: str, directory: str) -> None:
    """Unpacks; errors as of `_check` and of zipfile."""
    _check(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(directory)
    for name in archive.namelist():
        if name.endswith((".keras", ".npz")):
            _check(os.path.join(directory, name), f"{name}:")


def _check(path: str, prefix: str = "") -> None:
    """Raises a ValueError unless an archive's members are known and stored."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = [prefix + member.filename for member in members]
    if unknown := [name for name in names if not _MEMBERS.fullmatch(name)]:
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
