"""Tests of the .caffemodel reader, on files written byte by byte."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from fast_rcnn_features import caffemodel
from tests.fast_rcnn_features.caffemodel_files import (
    caffemodel_bytes,
    length_delimited,
    varint,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def layers(rng):
    return {
        "conv1": ("Convolution", [rng.normal(size=(2, 1, 3, 2)), np.ones(2)]),
        "fc6": ("InnerProduct", [rng.normal(size=(3, 4)), np.zeros(3)]),
    }


def _write(tmp_path, content):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("double", [False, True])
def test_new_format(tmp_path, layers, double):
    content = caffemodel_bytes(layers, old_format=False, double=double)
    blobs = caffemodel.read(_write(tmp_path, content))
    assert list(blobs) == ["conv1", "fc6"]
    for name, (_, expected) in layers.items():
        for blob, array in zip(blobs[name], expected, strict=True):
            assert blob.dtype == np.float32
            np.testing.assert_array_equal(blob, array.astype(np.float32))


def test_old_format_has_four_dimensions(tmp_path, layers):
    content = caffemodel_bytes(layers, old_format=True)
    blobs = caffemodel.read(_write(tmp_path, content))
    assert [b.shape for b in blobs["conv1"]] == [(2, 1, 3, 2), (1, 1, 1, 2)]
    assert [b.shape for b in blobs["fc6"]] == [(1, 1, 3, 4), (1, 1, 1, 3)]
    kernel = layers["fc6"][1][0].astype(np.float32)
    np.testing.assert_array_equal(blobs["fc6"][0][0, 0], kernel)


def test_hand_typed_bytes(tmp_path):
    """One layer "a" with one blob of shape [1, 2] holding 1.0 and -2.0."""
    content = bytes.fromhex(
        "a206 17"  # Field 100, 23 bytes: a LayerParameter.
        " 0a01 61"  # Field 1: "a".
        " 3a12"  # Field 7, 18 bytes: a BlobProto.
        " 2a08 0000803f 000000c0"  # Field 5: packed floats.
        " 3a06 0a04 8100 8200"  # Field 7: a BlobShape; 1, 2 in two bytes each.
    )
    blobs = caffemodel.read(_write(tmp_path, content))
    np.testing.assert_array_equal(blobs["a"], [[[1.0, -2.0]]])


def test_data_in_several_chunks(tmp_path):
    chunks = [np.float32([1, 2]), np.float32([3])]
    blob = length_delimited(7, length_delimited(1, varint(3)))
    blob += b"".join(length_delimited(5, chunk.tobytes()) for chunk in chunks)
    layer = length_delimited(1, b"a") + length_delimited(7, blob)
    blobs = caffemodel.read(_write(tmp_path, length_delimited(100, layer)))
    np.testing.assert_array_equal(blobs["a"], [[1, 2, 3]])


def test_layers_without_weights_are_left_out(tmp_path, layers):
    content = length_delimited(100, length_delimited(1, b"pool1"))
    content += caffemodel_bytes(layers, old_format=False)
    assert "pool1" not in caffemodel.read(_write(tmp_path, content))


@pytest.mark.parametrize("shape", [[5], [2, 2], [-2, -3], [], [1 << 62, 4]])
def test_shape_that_does_not_fit_the_data(tmp_path, shape):
    dims = b"".join(varint(dim) for dim in shape)
    blob = length_delimited(7, length_delimited(1, dims))
    blob += length_delimited(5, np.zeros(6, np.float32).tobytes())
    layer = length_delimited(1, b"conv\xff") + length_delimited(7, blob)
    path = _write(tmp_path, length_delimited(100, layer))
    with pytest.raises(ValueError, match=r"conv.*net\.caffemodel"):
        caffemodel.read(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.caffemodel"):
        caffemodel.read(tmp_path / "no.caffemodel")


def test_file_without_weights(tmp_path):
    with pytest.raises(ValueError, match=r"net\.caffemodel.*none"):
        caffemodel.read(_write(tmp_path, b""))


@pytest.mark.parametrize("old_format", [False, True])
def test_truncated_file(tmp_path, layers, old_format):
    """A cut is noticed, unless it falls exactly between two layers."""
    content = caffemodel_bytes(layers, old_format=old_format)
    first = dict(list(layers.items())[:1])
    between = len(caffemodel_bytes(first, old_format=old_format))
    for length in range(len(content)):
        path = _write(tmp_path, content[:length])
        if length == between:
            assert list(caffemodel.read(path)) == ["conv1"]
        else:
            with pytest.raises(ValueError, match=r"net\.caffemodel"):
                caffemodel.read(path)


def test_corrupt_file_raises_nothing_but_value_error(tmp_path, layers, rng):
    content = caffemodel_bytes(layers, old_format=False)
    for _ in range(300):
        corrupt = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            corrupt[place] = rng.integers(0, 256)
        with contextlib.suppress(ValueError):
            caffemodel.read(_write(tmp_path, bytes(corrupt)))
