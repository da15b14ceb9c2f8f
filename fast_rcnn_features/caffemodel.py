"""Reads the weights in a `.caffemodel` file, without Caffe.

A .caffemodel is a NetParameter message of Caffe's src/caffe/proto/caffe.proto,
in the format of 2013 (field `layers`) or of 2014 (field `layer`). The few
fields that hold weights are described here to protobuf's own parser.
"""

from __future__ import annotations

import math
import os

import numpy as np
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

# message -> field -> (number, type or name of a message, is repeated).
# `bytes` where caffe.proto has packed numbers: the same on the wire, and NumPy
# reads them without a Python object for each number.
_SCHEMA = {
    "BlobShape": {"dim": (1, "int64", True)},
    "BlobProto": {
        "num": (1, "int32", False),
        "channels": (2, "int32", False),
        "height": (3, "int32", False),
        "width": (4, "int32", False),
        "data": (5, "bytes", True),
        "shape": (7, "BlobShape", False),
        "double_data": (8, "bytes", True),
    },
    "V1LayerParameter": {
        "name": (4, "bytes", False),
        "blobs": (6, "BlobProto", True),
    },
    "LayerParameter": {
        "name": (1, "bytes", False),
        "blobs": (7, "BlobProto", True),
    },
    "NetParameter": {
        "layers": (2, "V1LayerParameter", True),
        "layer": (100, "LayerParameter", True),
    },
}


def read(path: str | os.PathLike[str]) -> dict[str, list[np.ndarray]]:
    """Reads the weights of all layers that have any.

    Args:
        path: A `.caffemodel` file.

    Returns:
        Layer name -> its blobs (kernel, then bias) in Caffe's layout: output
        channels first. Files of the old format have 4 dimensions everywhere,
        e.g. [1, 1, 1, outputs] for a bias.

    Raises:
        FileNotFoundError: `path` is not there.
        ValueError: `path` is truncated, corrupt, or holds no weights.
    """
    net = _message_class("NetParameter")()
    with open(path, "rb") as file:
        try:
            net.ParseFromString(file.read())
        except message.DecodeError as error:
            raise ValueError(
                f"Expected a complete .caffemodel file, received {path}, "
                f"which is truncated or something else: {error}"
            ) from error
    blobs = {}
    for layer in (*net.layers, *net.layer):
        if layer.blobs:
            name = layer.name.decode("utf-8", "replace")
            where = f"layer {name!r} of {path}"
            blobs[name] = [_to_array(blob, where) for blob in layer.blobs]
    if not blobs:
        raise ValueError(
            f"Expected a .caffemodel file with weights, received {path}, "
            "which has none."
        )
    return blobs


def _to_array(blob: message.Message, where: str) -> np.ndarray:
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    if blob.data:
        data, dtype = b"".join(blob.data), np.dtype("<f4")
    else:
        data, dtype = b"".join(blob.double_data), np.dtype("<f8")
    if min(shape, default=1) < 0 or len(data) != (
        math.prod(shape) * dtype.itemsize
    ):
        raise ValueError(
            f"Expected {list(shape)} numbers of {dtype.itemsize} bytes in "
            f"{where}, received {len(data)} bytes. The file is corrupt."
        )
    return np.frombuffer(data, dtype).astype(np.float32).reshape(shape)


def _message_class(name: str) -> type[message.Message]:
    file = descriptor_pb2.FileDescriptorProto(name="caffemodel.proto")
    field_proto = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _SCHEMA.items():
        message_proto = file.message_type.add(name=message_name)
        for field, (number, kind, is_repeated) in fields.items():
            is_message = kind in _SCHEMA
            message_proto.field.add(
                name=field,
                number=number,
                type=field_proto.Type.Value(
                    "TYPE_MESSAGE" if is_message else f"TYPE_{kind.upper()}"
                ),
                type_name=kind if is_message else None,
                label=field_proto.Label.Value(
                    "LABEL_REPEATED" if is_repeated else "LABEL_OPTIONAL"
                ),
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
