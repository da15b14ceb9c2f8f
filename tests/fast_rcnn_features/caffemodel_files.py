"""Writes .caffemodel files byte by byte, as described by caffe.proto."""

from __future__ import annotations

import numpy as np

KERNEL_SHAPES = {
    "caffenet": {
        "conv1": (96, 3, 11, 11),
        "conv2": (256, 48, 5, 5),
        "conv3": (384, 256, 3, 3),
        "conv4": (384, 192, 3, 3),
        "conv5": (256, 192, 3, 3),
    },
    "alexnet": {
        "conv1": (64, 3, 11, 11),
        "conv2": (192, 64, 5, 5),
        "conv3": (384, 192, 3, 3),
        "conv4": (256, 384, 3, 3),
        "conv5": (256, 256, 3, 3),
    },
}


def random_blobs(shapes):
    """Kernels that keep the scale of a signal, and biases, by layer."""
    generator = np.random.default_rng(0)
    blobs = {}
    for name, shape in shapes.items():
        kernel = generator.standard_normal(shape, np.float32)
        kernel *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        bias = generator.standard_normal(shape[0], np.float32)
        blobs[name] = [kernel, bias]
    return blobs


def caffemodel_bytes(layers, old_format=False):
    """Encodes layers, given as name -> blobs; in 2013 they had other fields."""
    net = length_delimited(1, b"CaffeNet")
    for name, blobs in layers.items():
        if old_format:
            kind = integer(5, 4 if name.startswith("conv") else 14)
            layer = length_delimited(4, name.encode()) + kind
            blob_field, layer_field = 6, 2
        else:
            kind = (
                b"Convolution" if name.startswith("conv") else b"InnerProduct"
            )
            layer = length_delimited(1, name.encode())
            layer += length_delimited(2, kind)
            blob_field, layer_field = 7, 100
        for blob in blobs:
            if old_format:  # num, channels, height, width
                sizes = (1,) * (4 - blob.ndim) + blob.shape
                shape = b"".join(integer(1 + i, s) for i, s in enumerate(sizes))
            else:
                sizes = b"".join(map(varint, blob.shape))
                shape = length_delimited(7, length_delimited(1, sizes))
            data = length_delimited(5, blob.astype("<f4").tobytes())
            layer += length_delimited(blob_field, shape + data)
        net += length_delimited(layer_field, layer)
    return net


def integer(field, value):
    return varint(field << 3) + varint(value)


def length_delimited(field, payload):
    """A string, message or packed field."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    """7-bit groups, the lowest first."""
    groups = []
    while value > 127:
        groups.append(value % 128 + 128)
        value //= 128
    return bytes([*groups, value])
