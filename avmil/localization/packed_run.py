"""A run directory as one file, which may come from a stranger.

It is a zip archive of known file names whose members are stored as they are:
none can be written elsewhere, nor grow when it is unpacked, and those that are
archives are checked when they are read. Nothing in it is pickled; Keras, which
loads the network in its safe mode, runs no code of it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator

from avmil.common import files
from avmil.common.errors import ConfigError, FeaturesError, config_errors
from avmil.runs.checkpoints import unpack

# Names of its members.
_MEMBERS = r"""
    (config|versions|thresholds|event_thresholds|metrics|scores)\.json
    | scores-(val|test)\.npz | (flags|classes)\.txt | README\.md
    | checkpoints/(last|best)-\d{8}/(state\.json|model\.keras)
"""


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
        ):
            unpack(local, directory, _MEMBERS)
        try:
            yield directory
        except (ConfigError, FeaturesError) as error:
            text = str(error).replace(directory, name)
            raise type(error)(text) from error
