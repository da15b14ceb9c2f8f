"""Loading published weights from fabricated files of both formats."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights, load_fc_weights
from tests.fast_rcnn_features.caffemodel_files import (
    KERNEL_SHAPES,
    caffemodel_bytes,
    length_delimited,
    random_blobs,
    varint,
)

FC_SHAPES = {"fc6": (4, 18), "fc7": (4, 4)}


@pytest.fixture(scope="module")
def caffenet_blobs():
    """CaffeNet's convolution layers, and fc6 and fc7 made small."""
    return random_blobs(KERNEL_SHAPES["caffenet"] | FC_SHAPES)


@pytest.fixture
def alexnet_entries():
    blobs = random_blobs(KERNEL_SHAPES["alexnet"])
    entries = {}
    for name, (kernel, bias) in blobs.items():
        entries[f"{name}_w"] = kernel.transpose(2, 3, 1, 0)
        entries[f"{name}_b"] = bias
    return entries


@pytest.fixture(scope="module")
def alexnet():
    return networks.build("alexnet")


@pytest.fixture(scope="module")
def caffenet():
    return networks.build("caffenet")


def _write(tmp_path, layers, old_format=False):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel_bytes(layers, old_format))
    return path


def _load_small_fc(path):
    return load_fc_weights(path, num_features=18, num_units=4)


@pytest.mark.parametrize("old_format", [False, True])
def test_conv_weights_of_caffe(tmp_path, caffenet, caffenet_blobs, old_format):
    path = _write(tmp_path, caffenet_blobs, old_format)
    load_conv_weights(caffenet, path)
    for name in KERNEL_SHAPES["caffenet"]:
        kernel, bias = caffenet_blobs[name]
        layer = caffenet.get_layer(name)
        np.testing.assert_array_equal(layer.bias.numpy(), bias)
        found = layer.kernel.numpy()
        np.testing.assert_array_equal(found[2, 1, 0, 5], kernel[5, 0, 2, 1])
        np.testing.assert_array_equal(found.transpose(3, 2, 0, 1), kernel)


def test_conv_weights_of_npz(tmp_path, alexnet, alexnet_entries):
    np.savez(tmp_path / "net.npz", **alexnet_entries)
    load_conv_weights(alexnet, tmp_path / "net.npz")
    for weight, value in zip(
        alexnet.weights, alexnet_entries.values(), strict=True
    ):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_all_misfits_are_reported_and_nothing_is_assigned(
    tmp_path, alexnet, alexnet_entries
):
    del alexnet_entries["conv5_b"]
    alexnet_entries["conv1_w"] = alexnet_entries["conv1_w"][..., :63]
    np.savez(tmp_path / "net.npz", **alexnet_entries)
    before = [weight + 0 for weight in alexnet.weights]
    with pytest.raises(ValueError, match=r"net\.npz") as raised:
        load_conv_weights(alexnet, tmp_path / "net.npz")
    message = str(raised.value)
    expected = "conv1_kernel of shape (11, 11, 3, 64), received (11, 11, 3, 63)"
    assert expected in message
    assert "conv5_bias of shape (256,), received nothing" in message
    assert "conv2" not in message
    for value, now in zip(before, alexnet.weights, strict=True):
        np.testing.assert_array_equal(value, now)


def test_weights_that_are_no_numbers_name_their_layer(
    tmp_path, alexnet, alexnet_entries
):
    entries = {name: value.copy() for name, value in alexnet_entries.items()}
    key = next(name for name in entries if name.startswith("conv3"))
    entries[key].flat[5] = np.nan
    np.savez(tmp_path / "net.npz", **entries)
    with pytest.raises(ValueError, match=r"net\.npz: finite conv3"):
        load_conv_weights(alexnet, tmp_path / "net.npz")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path, alexnet):
    path = tmp_path / "net.npz"
    np.savez_compressed(path, conv1_kernel=np.zeros(1 << 22))
    with pytest.raises(ValueError, match=r"net\.npz.* unpack to"):
        load_conv_weights(alexnet, path)


def test_weights_of_the_other_network(tmp_path, alexnet, caffenet_blobs):
    path = _write(tmp_path, caffenet_blobs, old_format=True)
    with pytest.raises(ValueError, match=r"conv1_kernel.*64.*96"):
        load_conv_weights(alexnet, path)


def test_caffe_layer_without_bias_or_of_other_rank(
    tmp_path, caffenet, caffenet_blobs
):
    blobs = {**caffenet_blobs, "conv3": [np.ones(6), np.ones(384)]}
    blobs["conv1"] = blobs["conv1"][:1]
    del blobs["conv5"]
    message = r"conv1_bias.*nothing; conv3_ker.*conv5_kernel.*nothing"
    with pytest.raises(ValueError, match=message):
        load_conv_weights(caffenet, _write(tmp_path, blobs))


@pytest.mark.parametrize("old_format", [False, True])
def test_fc_weights_of_caffe(tmp_path, caffenet_blobs, old_format):
    found = _load_small_fc(_write(tmp_path, caffenet_blobs, old_format))
    assert list(found) == ["fc6_kernel", "fc6_bias", "fc7_kernel", "fc7_bias"]
    for name in FC_SHAPES:
        kernel, bias = caffenet_blobs[name]
        np.testing.assert_array_equal(found[f"{name}_kernel"], kernel.T)
        np.testing.assert_array_equal(found[f"{name}_bias"], bias)


def test_fc_weights_of_npz(tmp_path):
    generator = np.random.default_rng(0)
    entries = {
        "fc6_kernel": generator.random((18, 4)).astype(np.float16),
        "fc6_bias": generator.random(4, np.float32),
        "fc7_kernel": generator.random((4, 4), np.float32),
        "fc7_bias": generator.random(4, np.float32),
    }
    np.savez_compressed(tmp_path / "fc.npz", **entries)
    found = _load_small_fc(tmp_path / "fc.npz")
    for key, value in entries.items():
        assert found[key].dtype == np.float32
        np.testing.assert_array_equal(found[key], value)


def test_fc_weights_have_caffenets_sizes_by_default(tmp_path):
    path = _write(tmp_path, random_blobs(FC_SHAPES))
    with pytest.raises(ValueError, match=r"\(9216, 4096\).*\(18, 4\)"):
        load_fc_weights(path)


def test_missing_and_other_files(tmp_path):
    for name in ("no.npz", "no.caffemodel"):
        with pytest.raises(FileNotFoundError, match=name):
            load_fc_weights(tmp_path / name)
    with pytest.raises(ValueError, match=r"\.caffemodel or \.npz.*net\.pth"):
        load_fc_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("extension", ["npz", "caffemodel"])
@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip archive"])
def test_files_of_another_kind(tmp_path, content, extension):
    path = tmp_path / f"net.{extension}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"net\.{extension}"):
        load_fc_weights(path)


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.array([{}], object), "allow_pickle=False"), (np.array(["many"]), "")],
)
def test_npz_with_objects_or_text(tmp_path, value, reason):
    np.savez(tmp_path / "net.npz", fc6_bias=value)
    with pytest.raises(ValueError, match=rf"net\.npz.*{reason}"):
        load_fc_weights(tmp_path / "net.npz")


@pytest.mark.parametrize("shape", [[5], [2, 2], [], [0], [1 << 62, 4]])
def test_caffe_shape_that_does_not_fit_the_data(tmp_path, shape):
    sizes = b"".join(map(varint, shape))
    blob = length_delimited(7, length_delimited(1, sizes))
    blob += length_delimited(5, np.zeros(6, np.float32).tobytes())
    layer = length_delimited(1, b"fc6") + length_delimited(7, blob)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(length_delimited(100, layer))
    with pytest.raises(ValueError, match=r"net\.caffemodel"):
        load_fc_weights(path)


@pytest.mark.parametrize("old_format", [False, True])
def test_every_truncated_caffemodel_is_noticed(tmp_path, old_format):
    whole = caffemodel_bytes(random_blobs(FC_SHAPES), old_format)
    for length in range(len(whole)):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"net\.caffemodel"):
            _load_small_fc(path)


@pytest.mark.parametrize("extension", ["npz", "zipped.npz", "caffemodel"])
def test_corrupt_files_raise_nothing_but_value_error(tmp_path, extension):
    path = tmp_path / f"net.{extension}"
    arrays = {"fc6_bias": np.ones(4), "fc7_bias": np.ones(4)}
    if extension == "npz":
        np.savez(path, **arrays)
    elif extension == "zipped.npz":
        np.savez_compressed(path, **arrays)
    else:
        path.write_bytes(caffemodel_bytes(random_blobs(FC_SHAPES)))
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        corrupt = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            corrupt[place] = rng.integers(0, 256)
        path.write_bytes(corrupt)
        # Numbers of a .caffemodel have no check sum.
        with contextlib.suppress(ValueError):
            _load_small_fc(path)
