"""Reads the constants of a TensorFlow Lite model.

`tf.lite.Interpreter` crashes the process on a file that was cut off, so that
the file is read by the schema of its format instead.
"""

from __future__ import annotations

import struct

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_DTYPES = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.INT8: np.dtype("i1"),
}
# What the schema's code raises for bytes that are no model.
_CORRUPTION_ERRORS = (
    ValueError,
    struct.error,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


def read_constants(content: bytes) -> dict[str, np.ndarray]:
    """Reads the constant tensors of floats and of int8, by name.

    Args:
        content: A `.tflite` file.

    Returns:
        float32 arrays; those of int8 are dequantized.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        if not schema.Model.ModelBufferHasIdentifier(content, 0):
            raise ValueError("it is no TensorFlow Lite model")
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        return {
            tensor.name.decode(): _dequantize(tensor, data)
            for tensor in model.subgraphs[0].tensors
            for data in [model.buffers[tensor.buffer].data]
            if data is not None and tensor.type in _DTYPES
        }
    except _CORRUPTION_ERRORS as error:
        raise ValueError(f"damaged TensorFlow Lite model, {error}") from error


def _dequantize(tensor: schema.TensorT, data: np.ndarray) -> np.ndarray:
    """(stored - zero point) * scale, both per tensor or along one axis."""
    stored = data.view(_DTYPES[tensor.type]).reshape(tensor.shape)
    quantization = tensor.quantization
    values = stored.astype(np.float32)
    if quantization is None or quantization.scale is None:
        return values
    along_axis = np.ones(values.ndim, int)
    along_axis[quantization.quantizedDimension] = -1
    values -= quantization.zeroPoint.reshape(along_axis)
    values *= quantization.scale.reshape(along_axis)
    return values
