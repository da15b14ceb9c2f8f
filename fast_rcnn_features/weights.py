"""Published weights for the convolution layers, and for fc6 and fc7.

Two kinds of file are read: Caffe's `.caffemodel`, and `.npz` with the kernels
in Keras' layout ([height, width, inputs, outputs], or [inputs, outputs]) under
the keys `conv1_kernel`, `conv1_bias`, `fc6_kernel` and so on; `_w` and `_b` are
read as `_kernel` and `_bias`.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterable
from typing import BinaryIO

import cv2
import keras
import numpy as np

# Weights hardly shrink when packed; what grows more is made to fill a disk.
_MAX_EXPANSION = 20


def load_conv_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a file to the five convolution layers.

    Args:
        model: CaffeNet's or AlexNet's, of `networks.build`.
        path: A `.caffemodel` or `.npz` file, made for the network's input: BGR
            for `caffenet`, RGB for `alexnet`.

    Raises:
        FileNotFoundError: `path` is not there.
        ValueError: `path` cannot be read, or the message lists the entries
            that it lacks or has in another shape. No layer is changed.
    """
    variables = {
        f"{layer.name}_{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }
    shapes = {key: tuple(v.shape) for key, v in variables.items()}
    for key, value in _read(path, shapes).items():
        variables[key].assign(value)


def load_fc_weights(
    path: str | os.PathLike[str],
    num_features: int = 9216,
    num_units: int = 4096,
) -> dict[str, np.ndarray]:
    """Reads the weights of fc6, for channel-major features, and of fc7.

    Args:
        path: A `.caffemodel` or `.npz` file.
        num_features: Size of a region's features; 9216 is CaffeNet's.
        num_units: Neurons of each layer.

    Returns:
        float32 `fc6_kernel` [num_features, num_units], `fc6_bias` [num_units],
        `fc7_kernel` [num_units, num_units] and `fc7_bias` [num_units].

    Raises:
        As `load_conv_weights`.
    """
    shapes = {
        "fc6_kernel": (num_features, num_units),
        "fc6_bias": (num_units,),
        "fc7_kernel": (num_units, num_units),
        "fc7_bias": (num_units,),
    }
    return _read(path, shapes)


def _read(
    path: str | os.PathLike[str], shapes: dict[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Reads the entries named in `shapes`, and checks that they fit."""
    extension = os.path.splitext(path)[1]
    if extension not in (".caffemodel", ".npz"):
        raise ValueError(
            f"Expected a .caffemodel or .npz file of weights, received {path}."
        )
    with open(path, "rb") as file:
        try:
            if extension == ".npz":
                entries = _read_npz(file)
            else:
                layers = {key.partition("_")[0] for key in shapes}
                entries = _read_caffemodel(file.read(), layers)
        except Exception as error:
            raise ValueError(
                f"Expected a {extension} file of weights, received {path}, "
                f"which is truncated or something else: {error}"
            ) from error
    problems = []
    for key, shape in shapes.items():
        found = entries[key].shape if key in entries else "nothing"
        if found != shape:
            problems.append(f"{key} of shape {shape}, received {found}")
        elif not np.isfinite(entries[key]).all():
            problems.append(f"finite {key}, received NaN or infinity")
    if problems:
        raise ValueError(
            f"Expected weights for this network in {path}: "
            f"{'; '.join(problems)}."
        )
    return {key: entries[key] for key in shapes}


def _read_npz(file: BinaryIO) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(file):
        raise ValueError("it is not a zip archive")
    entries = {}
    size = os.fstat(file.fileno()).st_size
    with np.load(file, allow_pickle=False) as archive:
        unpacked = sum(member.file_size for member in archive.zip.infolist())
        if unpacked > _MAX_EXPANSION * size:
            raise ValueError(f"its {size} bytes unpack to {unpacked}")
        for key in archive:
            name, _, suffix = key.rpartition("_")
            suffix = {"w": "kernel", "b": "bias"}.get(suffix, suffix)
            entries[f"{name}_{suffix}"] = archive[key].astype(np.float32)
    return entries


def _read_caffemodel(
    content: bytes, layers: Iterable[str]
) -> dict[str, np.ndarray]:
    """Reads kernels and biases with OpenCV's importer of Caffe networks.

    It wants a description of a network; of each layer in it, it keeps the
    arrays that the file has under the layer's name, whatever their shapes.
    """
    description = "input: 'data' " + "input_dim: 1 " * 4
    for name in layers:
        description += (
            f"layer {{ name: '{name}' type: 'Convolution' bottom: 'data' "
            f"top: '{name}' "
            "convolution_param { num_output: 1 kernel_size: 1 } } "
        )
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(description.encode(), np.uint8),
        np.frombuffer(content, np.uint8),
    )
    entries = {}
    for name in layers:
        with contextlib.suppress(cv2.error):  # If it is not in the file.
            kernel = net.getParam(name, 0)
            if name.startswith("fc"):
                # [outputs, inputs]; in files of 2013 [1, 1, outputs, inputs].
                is_old = kernel.shape[:-2] == (1, 1)
                kernel = (kernel[0, 0] if is_old else kernel).T
            elif kernel.ndim == 4:  # [outputs, inputs, height, width]
                kernel = kernel.transpose(2, 3, 1, 0)
            entries[f"{name}_kernel"] = kernel
            entries[f"{name}_bias"] = net.getParam(name, 1).ravel()
    return entries
