"""Reads the published weights of VGGish and YAMNet."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping

import h5py
import keras
import numpy as np
from etils import epath

from vggish.yamnet import BATCH_NORM_EPSILON

_Shapes = Mapping[str, tuple[int, ...]]
_Read = Callable[[str], np.ndarray | None]

_TFLITE_LAYER = re.compile(
    r"(?:\w+/)?(layer\d+/(?:depthwise_|pointwise_)?conv|dense)/"
)


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a file to VGGish or YAMNet.

    The model changes only if each of its weights is in the file with the right
    shape; what else the file holds is left alone.

    Args:
        model: Network of `vggish.network.build_vggish` or
            `vggish.yamnet.build_yamnet`.
        path: VGGish's checkpoint as `tf.compat.v1.train.Saver` writes it: the
            file of the first format (the published one is of that kind), or
            what the files of the second have in common, without `.index`.
            YAMNet's weights as `.h5`, which the official code saves, or the
            `.tflite` file of the same network. Only `.h5` is read without
            TensorFlow.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, also for lack of TensorFlow, or
            naming every weight that it lacks or holds in another shape.
    """
    path = os.fspath(path)
    if model.name == "yamnet":
        network, open_weights = "YAMNet", _open_yamnet
    else:
        network, open_weights = "VGGish", _open_vggish
    weights = {
        _official_name(network, layer.name, weight.name): weight
        for layer in model.layers
        for weight in layer.weights
    }
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    try:
        read = open_weights(path, shapes)
        problems = {n: _problem(read(n), shape) for n, shape in shapes.items()}
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Expected TensorFlow to read {network}'s weights {path}, found "
            "none. Without it YAMNet's .h5 is read; or take the audio features "
            "of a directory that was extracted with it (--boxes_from)."
        ) from error
    except Exception as error:
        # TensorFlow's errors are told by their codes; 5 is that of NOT_FOUND.
        is_missing = getattr(error, "error_code", None) == 5
        if is_missing or isinstance(error, FileNotFoundError):
            raise FileNotFoundError(
                f"Expected {network}'s weights at {path}, found none."
            ) from error
        raise ValueError(
            f"Expected {network}'s weights at {path}, received what cannot be "
            f"read ({error}); fetch it again."
        ) from error
    if listed := [f"{name} {text}" for name, text in problems.items() if text]:
        raise ValueError(
            f"Expected {network}'s weights in {path}, received a checkpoint in "
            f"which {', '.join(listed)}."
        )
    for name, weight in weights.items():
        weight.assign(read(name))  # Once more: memory need not hold all.


def _problem(value: np.ndarray | None, shape: tuple[int, ...]) -> str:
    """Says what is wrong with a weight of a file; "" if nothing is."""
    if value is None:
        return "is missing"
    if value.shape != shape:
        return f"has shape {list(value.shape)} instead of {list(shape)}"
    return "" if np.isfinite(value).all() else "holds NaN or infinity"


def _official_name(network: str, layer: str, weight: str) -> str:
    """The name of a weight in `vggish_slim.py` or in `yamnet.py`.

    conv1 has the scope vggish/conv1, but conv3_1 vggish/conv3/conv3_1.
    """
    if network == "YAMNet":
        return f"{layer.replace('.', '/')}/{weight}"
    group, _, number = layer.partition("_")
    scope = f"{group}/{layer}" if number else layer
    return f"vggish/{scope}/{'weights' if weight == 'kernel' else 'biases'}"


def _open_vggish(path: str, shapes: _Shapes) -> _Read:
    import tensorflow as tf

    if path.startswith("s3://"):  # TensorFlow itself opens gs:// only.
        import tensorflow_io  # noqa: F401

    reader = tf.train.load_checkpoint(path)
    return lambda name: (
        reader.get_tensor(name) if reader.has_tensor(name) else None
    )


def _open_yamnet(path: str, shapes: _Shapes) -> _Read:
    readers = {".h5": _read_h5, ".tflite": _read_tflite}
    extension = os.path.splitext(path)[1]
    if extension not in readers:
        raise ValueError(f"its name ends in neither {' nor '.join(readers)}")
    content = epath.Path(path).read_bytes()
    return readers[extension](content, shapes).get


def _read_h5(content: bytes, shapes: _Shapes) -> dict[str, np.ndarray]:
    """The group of a layer repeats its name: logits/logits/kernel:0."""
    values = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        for name in shapes:
            layer, _, weight = name.rpartition("/")
            if layer.endswith("depthwise_conv"):
                weight = "depthwise_kernel"  # Keras 3 says kernel here too.
            dataset = file.get(f"{layer}/{layer}/{weight}:0")
            # Another one may unpack to more than there is memory for.
            if isinstance(dataset, h5py.Dataset) and dataset.size <= np.prod(
                shapes[name], dtype=int
            ):
                values[name] = dataset.astype(np.float32)[()]
    return values


def _read_tflite(content: bytes, shapes: _Shapes) -> dict[str, np.ndarray]:
    """Reads the constants that are named after their layers.

    The convolutions contain the batch normalization, so that the model's has
    statistics with which it only adds beta. In a name that several layers
    share, the first one is the constant's own. `tf.lite.Interpreter` would
    crash where the file was cut off.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    dtypes = {
        schema.TensorType.FLOAT32: np.dtype("<f4"),
        schema.TensorType.FLOAT16: np.dtype("<f2"),
        schema.TensorType.INT8: np.dtype("i1"),
    }
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
        if not match or data is None or tensor.type not in dtypes:
            continue
        constant = data.view(dtypes[tensor.type])
        constant = constant.reshape(tensor.shape).astype(np.float32)
        scales = tensor.quantization
        if scales is not None and scales.scale is not None:
            # Per tensor, or along one axis.
            along_axis = np.ones(constant.ndim, int)
            along_axis[scales.quantizedDimension] = -1
            constant -= scales.zeroPoint.reshape(along_axis)
            constant *= scales.scale.reshape(along_axis)
        layer = match[1].replace("dense", "logits")
        bias = "bias" if layer == "logits" else "bn/beta"
        weight = bias if constant.ndim == 1 else "kernel"
        # Kernels: [outputs, ..., inputs], depthwise [1, ..., outputs].
        values[f"{layer}/{weight}"] = np.moveaxis(constant, 0, -1)
    return values
