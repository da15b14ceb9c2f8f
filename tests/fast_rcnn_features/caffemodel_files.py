"""Writes .caffemodel files byte by byte, as described by caffe.proto."""

from __future__ import annotations

import numpy as np

_V1_TYPES = {"Convolution": 4, "InnerProduct": 14}


def caffemodel_bytes(
    layers: dict[str, tuple[str, list[np.ndarray]]],
    *,
    old_format: bool,
    double: bool = False,
) -> bytes:
    """Encodes layers, given as name -> (type, blobs)."""
    net = length_delimited(1, b"CaffeNet")
    for name, (kind, blobs) in layers.items():
        if old_format:
            layer = length_delimited(4, name.encode())
            layer += integer(5, _V1_TYPES[kind])
            blob_field, layer_field = 6, 2
        else:
            layer = length_delimited(1, name.encode())
            layer += length_delimited(2, kind.encode())
            blob_field, layer_field = 7, 100
        for blob in blobs:
            blob = blob_bytes(blob, old_format=old_format, double=double)
            layer += length_delimited(blob_field, blob)
        net += length_delimited(layer_field, layer)
    return net


def blob_bytes(blob: np.ndarray, *, old_format: bool, double: bool) -> bytes:
    """Encodes a BlobProto with num, channels, height, width or with shape."""
    if double:
        data = length_delimited(8, blob.astype("<f8").tobytes())
    else:
        data = length_delimited(5, blob.astype("<f4").tobytes())
    if old_format:
        dims = (1,) * (4 - blob.ndim) + blob.shape
        return b"".join(integer(1 + i, d) for i, d in enumerate(dims)) + data
    dims = b"".join(varint(d) for d in blob.shape)
    return length_delimited(7, length_delimited(1, dims)) + data


def integer(field: int, value: int) -> bytes:
    """Encodes an integer field."""
    return varint(field << 3) + varint(value)


def length_delimited(field: int, payload: bytes) -> bytes:
    """Encodes a string, message or packed field."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """Encodes an integer in 7-bit groups, the lowest first."""
    value %= 1 << 64
    groups = []
    while value > 127:
        groups.append(value % 128 + 128)
        value //= 128
    return bytes([*groups, value])
