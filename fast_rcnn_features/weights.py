"""Published weights for the convolution layers, and for fc6 and fc7.

Two kinds of file are read: Caffe's `.caffemodel`, and `.npz` with the kernels
in Keras' layout ([height, width, inputs, outputs], or [inputs, outputs]) under
the keys `conv1_kernel`, `conv1_bias`, `fc6_kernel` and so on; `_w` and `_b` are
read as `_kernel` and `_bias`.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable

import keras
import numpy as np

from fast_rcnn_features import caffemodel
from fast_rcnn_features.networks import NUM_FEATURES

_CONV_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_LONG_SUFFIX = {"w": "kernel", "b": "bias"}

# What NumPy, zipfile and zlib raise for corrupt archives.
_ARCHIVE_ERRORS = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_conv_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a file to the five convolution layers.

    The file has to be made for this network's input: BGR for `caffenet`, RGB
    for `alexnet`.

    Args:
        model: A model of `networks.build`.
        path: A `.caffemodel` or `.npz` file.

    Raises:
        FileNotFoundError: `path` is not there.
        ValueError: `path` cannot be read, or lacks an entry, or has one of
            another shape. The message lists all of these, and no layer is
            changed.
    """
    variables = {}
    for name in _CONV_LAYERS:
        layer = model.get_layer(name)
        variables[f"{name}_kernel"] = layer.kernel
        variables[f"{name}_bias"] = layer.bias
    shapes = {key: tuple(v.shape) for key, v in variables.items()}
    for key, value in _read(path, shapes, _conv_kernel).items():
        variables[key].assign(value)


def load_fc_weights(
    path: str | os.PathLike[str],
    num_features: int = NUM_FEATURES,
    num_units: int = 4096,
) -> dict[str, np.ndarray]:
    """Reads the weights of the fully connected layers fc6 and fc7.

    CaffeNet's fc6 takes features in channel-major order, like those of
    `features.RegionFeatures`.

    Args:
        path: A `.caffemodel` or `.npz` file.
        num_features: Expected inputs of fc6.
        num_units: Expected outputs of fc6 and of fc7.

    Returns:
        float32 `fc6_kernel` [num_features, num_units], `fc6_bias` [num_units],
        `fc7_kernel` [num_units, num_units] and `fc7_bias` [num_units].

    Raises:
        FileNotFoundError: `path` is not there.
        ValueError: As for `load_conv_weights`.
    """
    shapes = {
        "fc6_kernel": (num_features, num_units),
        "fc6_bias": (num_units,),
        "fc7_kernel": (num_units, num_units),
        "fc7_bias": (num_units,),
    }
    return _read(path, shapes, _fc_kernel)


def _read(
    path: str | os.PathLike[str],
    shapes: dict[str, tuple[int, ...]],
    to_keras_kernel: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """Reads the entries named in `shapes`, and checks that they fit."""
    extension = os.path.splitext(path)[1]
    if extension == ".caffemodel":
        entries = _read_caffemodel(path, to_keras_kernel)
    elif extension == ".npz":
        entries = _read_npz(path)
    else:
        raise ValueError(
            f"Expected a .caffemodel or .npz file of weights, received {path}."
        )
    problems = []
    for key, shape in shapes.items():
        found = entries[key].shape if key in entries else "nothing"
        if found != shape:
            problems.append(f"{key} of shape {shape}, received {found}")
    if problems:
        raise ValueError(
            f"Expected weights for this network in {path}: "
            f"{'; '.join(problems)}."
        )
    return {key: entries[key] for key in shapes}


def _read_caffemodel(
    path: str | os.PathLike[str],
    to_keras_kernel: Callable[[np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    entries = {}
    for name, (kernel, *rest) in caffemodel.read(path).items():
        entries[f"{name}_kernel"] = to_keras_kernel(kernel)
        if rest:
            entries[f"{name}_bias"] = rest[0].ravel()
    return entries


def _conv_kernel(blob: np.ndarray) -> np.ndarray:
    """[outputs, inputs, height, width] -> [height, width, inputs, outputs]."""
    return blob.transpose(2, 3, 1, 0) if blob.ndim == 4 else blob


def _fc_kernel(blob: np.ndarray) -> np.ndarray:
    """[outputs, inputs] or [1, 1, outputs, inputs] -> [inputs, outputs]."""
    return (blob[0, 0] if blob.shape[:-2] == (1, 1) else blob).T


def _read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    entries = {}
    with open(path, "rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not a zip archive")
            with np.load(file, allow_pickle=False) as archive:
                for key in archive:
                    name, _, suffix = key.rpartition("_")
                    suffix = _LONG_SUFFIX.get(suffix, suffix)
                    entries[f"{name}_{suffix}"] = archive[key].astype(
                        np.float32, copy=False
                    )
        except _ARCHIVE_ERRORS as error:
            raise ValueError(
                f"Expected a .npz file of weights, received {path}, which "
                f"cannot be read: {error}"
            ) from error
    return entries
