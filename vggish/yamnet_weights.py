"""Reads the published weights of YAMNet, `yamnet.h5` or `yamnet.tflite`."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping

import h5py
import keras
import numpy as np
import tensorflow as tf

from vggish import tflite, weight_shapes
from vggish.yamnet import BATCH_NORM_EPSILON

_Shapes = Mapping[str, tuple[int, ...]]
_Values = dict[str, np.ndarray]

_NETWORK = "YAMNet"
_TFLITE_LAYER = re.compile(
    r"(?:\w+/)?(layer\d+/(?:depthwise_|pointwise_)?conv|dense)/"
)
# h5py has no exception of its own for damaged files.
_CORRUPTION_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    OverflowError,
    MemoryError,
    tf.errors.OpError,
)


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a file to YAMNet.

    Everything is read and compared first: the model changes only if each of
    its weights is in the file with the right shape.

    Args:
        model: Network of `vggish.yamnet.build_yamnet`.
        path: `.h5` as the official code saves it, or the `.tflite` file of
            the same network. The int8 weights of the latter are dequantized;
            its convolutions contain the batch normalization, so that the
            model's becomes an addition.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or naming every weight that it lacks
            or holds in another shape.
    """
    path = os.fspath(path)
    weights = _official_weights(model)
    values = _read(path, {name: w.shape for name, w in weights.items()})
    for name, weight in weights.items():
        weight.assign(values[name])


def _official_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by the names of `yamnet.py`."""
    return {
        f"{layer.name.replace('.', '/')}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def _read(path: str, shapes: _Shapes) -> _Values:
    """Values of the weights in `shapes`, from a file that fits them."""
    readers = {".h5": _read_h5, ".tflite": _read_tflite}
    extension = os.path.splitext(path)[1]
    if extension not in readers:
        raise ValueError(
            f"Expected YAMNet's weights as .h5 or .tflite, received {path}."
        )
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            values = readers[extension](path, file.read(), shapes)
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(
            f"Expected YAMNet's weights at {path}, found none."
        ) from error
    except weight_shapes.MisfitError:
        raise
    except _CORRUPTION_ERRORS as error:
        raise ValueError(
            f"Expected YAMNet's weights at {path}, received what cannot be "
            f"read ({error}); fetch it again."
        ) from error
    return values


def _read_h5(path: str, content: bytes, shapes: _Shapes) -> _Values:
    """The group of a layer repeats its name: logits/logits/kernel:0."""
    with h5py.File(io.BytesIO(content), "r") as file:
        datasets = {}
        for name in shapes:
            layer, _, weight = name.rpartition("/")
            if layer.endswith("depthwise_conv"):
                weight = "depthwise_kernel"  # Keras 3 says kernel here too.
            dataset = file.get(f"{layer}/{layer}/{weight}:0")
            if isinstance(dataset, h5py.Dataset):
                datasets[name] = dataset
        received = {name: dataset.shape for name, dataset in datasets.items()}
        weight_shapes.check(path, _NETWORK, shapes, received)
        return {
            name: dataset.astype(np.float32)[()]
            for name, dataset in datasets.items()
        }


def _read_tflite(path: str, content: bytes, shapes: _Shapes) -> _Values:
    """Reads constants that are named after their layers.

    In a name that several layers share, what stands first is the owner.
    """
    values = _folded_statistics(shapes)
    for name, constant in tflite.read_constants(content).items():
        if match := _TFLITE_LAYER.match(name):
            layer = match[1].replace("dense", "logits")
            # Kernels: [outputs, ..., inputs], depthwise [1, ..., outputs].
            weight = _tflite_weight(layer, constant.ndim)
            values[f"{layer}/{weight}"] = np.moveaxis(constant, 0, -1)
    received = {name: value.shape for name, value in values.items()}
    weight_shapes.check(path, _NETWORK, shapes, received)
    return values


def _tflite_weight(layer: str, rank: int) -> str:
    if rank > 1:
        return "kernel"
    return "bias" if layer == "logits" else "bn/beta"


def _folded_statistics(shapes: _Shapes) -> _Values:
    """Statistics with which batch normalization only adds beta."""
    folded = {"moving_mean": 0.0, "moving_variance": 1.0 - BATCH_NORM_EPSILON}
    return {
        name: np.full(shape, folded[statistic], np.float32)
        for name, shape in shapes.items()
        for statistic in [name.rpartition("/")[2]]
        if statistic in folded
    }
