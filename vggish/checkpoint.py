"""Reads the published weights of VGGish and YAMNet."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Mapping

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from vggish.yamnet import BATCH_NORM_EPSILON

_Shapes = Mapping[str, tuple[int, ...]]
_Values = dict[str, np.ndarray]

_TFLITE_LAYER = re.compile(
    r"(?:\w+/)?(layer\d+/(?:depthwise_|pointwise_)?conv|dense)/"
)
_TFLITE_DTYPES = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.INT8: np.dtype("i1"),
}
# What TensorFlow, h5py and flatbuffers raise for damaged files.
_CORRUPTION_ERRORS = (
    tf.errors.OpError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a file to VGGish or YAMNet.

    Everything is read and compared first: the model changes only if each of
    its weights is in the file with the right shape. What else the file holds
    (an optimizer, say) is left alone.

    Args:
        model: Network of `vggish.network.build_vggish` or
            `vggish.yamnet.build_yamnet`.
        path: VGGish's checkpoint as `tf.compat.v1.train.Saver` writes it: the
            file of the first format (the published one is of that kind), or
            what the files of the second have in common, without `.index`.
            YAMNet's weights as `.h5`, which the official code saves, or the
            `.tflite` file of the same network.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or naming every weight that it lacks
            or holds in another shape.
    """
    path = os.fspath(path)
    if model.name == "yamnet":
        network, weights, read = "YAMNet", _yamnet_weights(model), _read_yamnet
    else:
        network, weights, read = "VGGish", _vggish_weights(model), _read_vggish
    shapes = {name: tuple(w.shape) for name, w in weights.items()}
    try:
        values = read(path, shapes)
    except (FileNotFoundError, tf.errors.NotFoundError) as error:
        raise FileNotFoundError(
            f"Expected {network}'s weights at {path}, found none."
        ) from error
    except _CORRUPTION_ERRORS as error:
        raise ValueError(
            f"Expected {network}'s weights at {path}, received what cannot be "
            f"read ({error}); fetch it again."
        ) from error
    _check_shapes(path, network, shapes, values)
    for name, weight in weights.items():
        weight.assign(values[name])


def _check_shapes(
    path: str, network: str, expected: _Shapes, received: _Values
) -> None:
    problems = []
    for name, shape in expected.items():
        if name not in received:
            problems.append(f"{name} is missing")
        elif received[name].shape != shape:
            problems.append(
                f"{name} has shape {list(received[name].shape)} instead of "
                f"{list(shape)}"
            )
    if problems:
        raise ValueError(
            f"Expected {network}'s weights in {path}, received a checkpoint in "
            f"which {', '.join(problems)}."
        )


def _vggish_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """VGGish's weights by the names of `vggish_slim.py`.

    conv1 has the scope vggish/conv1, but conv3_1 vggish/conv3/conv3_1.
    """
    weights = {}
    for layer in model.layers:
        if layer.weights:
            group, _, number = layer.name.partition("_")
            scope = f"{group}/{layer.name}" if number else layer.name
            weights[f"vggish/{scope}/weights"] = layer.kernel
            weights[f"vggish/{scope}/biases"] = layer.bias
    return weights


def _yamnet_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """YAMNet's weights by the names of `yamnet.py`."""
    return {
        f"{layer.name.replace('.', '/')}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def _read_vggish(path: str, shapes: _Shapes) -> _Values:
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in shapes
        if reader.has_tensor(name)
    }


def _read_yamnet(path: str, shapes: _Shapes) -> _Values:
    readers = {".h5": _read_h5, ".tflite": _read_tflite}
    extension = os.path.splitext(path)[1]
    if extension not in readers:
        raise ValueError(f"its name ends in neither {' nor '.join(readers)}")
    with tf.io.gfile.GFile(path, "rb") as file:
        return readers[extension](file.read(), shapes)


def _read_h5(content: bytes, shapes: _Shapes) -> _Values:
    """The group of a layer repeats its name: logits/logits/kernel:0."""
    values = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        for name in shapes:
            layer, _, weight = name.rpartition("/")
            if layer.endswith("depthwise_conv"):
                weight = "depthwise_kernel"  # Keras 3 says kernel here too.
            dataset = file.get(f"{layer}/{layer}/{weight}:0")
            if isinstance(dataset, h5py.Dataset):
                values[name] = dataset.astype(np.float32)[()]
    return values


def _read_tflite(content: bytes, shapes: _Shapes) -> _Values:
    """Reads the constants that are named after their layers.

    The convolutions contain the batch normalization, so that the model's has
    statistics with which it only adds beta. In a name that several layers
    share, the first one is the constant's own.

    The file is read by the schema of its format: `tf.lite.Interpreter` ends
    the process with a segmentation fault where the file was cut off.
    """
    folded = {"moving_mean": 0.0, "moving_variance": 1.0 - BATCH_NORM_EPSILON}
    values = {
        name: np.full(shape, folded[statistic], np.float32)
        for name, shape in shapes.items()
        if (statistic := name.rpartition("/")[2]) in folded
    }
    if not schema.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("it is no TensorFlow Lite model")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        match = _TFLITE_LAYER.match(tensor.name.decode())
        if match and data is not None and tensor.type in _TFLITE_DTYPES:
            constant = _dequantize(tensor, data)
            layer = match[1].replace("dense", "logits")
            bias = "bias" if layer == "logits" else "bn/beta"
            weight = bias if constant.ndim == 1 else "kernel"
            # Kernels: [outputs, ..., inputs], depthwise [1, ..., outputs].
            values[f"{layer}/{weight}"] = np.moveaxis(constant, 0, -1)
    return values


def _dequantize(tensor: schema.TensorT, data: np.ndarray) -> np.ndarray:
    """(stored - zero point) * scale, both per tensor or along one axis."""
    stored = data.view(_TFLITE_DTYPES[tensor.type]).reshape(tensor.shape)
    quantization = tensor.quantization
    values = stored.astype(np.float32)
    if quantization is None or quantization.scale is None:
        return values
    along_axis = np.ones(values.ndim, int)
    along_axis[quantization.quantizedDimension] = -1
    values -= quantization.zeroPoint.reshape(along_axis)
    values *= quantization.scale.reshape(along_axis)
    return values
