"""Tests of loading published weights."""

from __future__ import annotations

import numpy as np
import pytest

from fast_rcnn_features import networks
from fast_rcnn_features.weights import load_conv_weights, load_fc_weights
from tests.fast_rcnn_features.caffemodel_files import caffemodel_bytes


def _random(*shape):
    rng = np.random.default_rng(sum(shape))
    return rng.normal(size=shape).astype(np.float32)


def _caffe_layers():
    """CaffeNet's convolution layers, and fc6 and fc7 made small."""
    shapes = {
        "conv1": (96, 3, 11, 11),
        "conv2": (256, 48, 5, 5),
        "conv3": (384, 256, 3, 3),
        "conv4": (384, 192, 3, 3),
        "conv5": (256, 192, 3, 3),
        "fc6": (4, 18),
        "fc7": (4, 4),
    }
    return {
        name: (
            "Convolution" if name.startswith("conv") else "InnerProduct",
            [_random(*shape), _random(shape[0])],
        )
        for name, shape in shapes.items()
    }


def _write(tmp_path, layers, old_format):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel_bytes(layers, old_format=old_format))
    return path


def _alexnet_entries():
    model = networks.build("alexnet", seed=7)
    names = [f"conv{i}" for i in range(1, 6)]
    kernels = {f"{n}_w": model.get_layer(n).kernel.numpy() for n in names}
    biases = {f"{n}_b": _random(kernels[f"{n}_w"].shape[-1]) for n in names}
    return kernels | biases


def _values(model):
    return [weight.numpy() for weight in model.weights]


@pytest.mark.parametrize("old_format", [False, True])
def test_conv_weights_of_caffe(tmp_path, old_format):
    layers = _caffe_layers()
    model = networks.build("caffenet")
    load_conv_weights(model, _write(tmp_path, layers, old_format))
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        kernel, bias = layers[name][1]
        layer = model.get_layer(name)
        np.testing.assert_array_equal(layer.bias.numpy(), bias)
        found = layer.kernel.numpy()
        np.testing.assert_array_equal(found[2, 1, 0, 5], kernel[5, 0, 2, 1])
        np.testing.assert_array_equal(
            np.moveaxis(found, (3, 2), (0, 1)), kernel
        )


def test_conv_weights_of_npz(tmp_path):
    entries = _alexnet_entries()
    np.savez(tmp_path / "net.npz", **entries)
    model = networks.build("alexnet")
    load_conv_weights(model, tmp_path / "net.npz")
    for key, value in entries.items():
        name, suffix = key.split("_")
        layer = model.get_layer(name)
        variable = layer.kernel if suffix == "w" else layer.bias
        np.testing.assert_array_equal(variable.numpy(), value)


def test_all_misfits_are_reported_and_nothing_is_assigned(tmp_path):
    entries = _alexnet_entries()
    del entries["conv5_b"]
    entries["conv1_w"] = entries["conv1_w"][..., :63]
    np.savez(tmp_path / "net.npz", **entries)
    model = networks.build("alexnet")
    before = _values(model)
    with pytest.raises(ValueError, match=r"net\.npz") as raised:
        load_conv_weights(model, tmp_path / "net.npz")
    message = str(raised.value)
    assert (
        "conv1_kernel of shape (11, 11, 3, 64), received (11, 11, 3, 63)"
        in (message)
    )
    assert "conv5_bias of shape (256,), received nothing" in message
    assert "conv2" not in message
    for value, now in zip(before, _values(model), strict=True):
        np.testing.assert_array_equal(value, now)


def test_weights_of_the_other_network(tmp_path):
    path = _write(tmp_path, _caffe_layers(), old_format=True)
    with pytest.raises(ValueError, match=r"conv1_kernel.*64.*96"):
        load_conv_weights(networks.build("alexnet"), path)


def test_caffe_layer_without_bias_or_of_other_rank(tmp_path):
    layers = _caffe_layers()
    layers["conv1"][1].pop()
    layers["conv3"][1][0] = _random(6)
    with pytest.raises(ValueError, match=r"conv1_bias.*nothing; conv3_ker"):
        load_conv_weights(
            networks.build("caffenet"), _write(tmp_path, layers, False)
        )


@pytest.mark.parametrize("old_format", [False, True])
def test_fc_weights_of_caffe(tmp_path, old_format):
    layers = _caffe_layers()
    found = load_fc_weights(
        _write(tmp_path, layers, old_format), num_features=18, num_units=4
    )
    assert list(found) == ["fc6_kernel", "fc6_bias", "fc7_kernel", "fc7_bias"]
    for name in ("fc6", "fc7"):
        kernel, bias = layers[name][1]
        np.testing.assert_array_equal(found[f"{name}_kernel"], kernel.T)
        np.testing.assert_array_equal(found[f"{name}_bias"], bias)


def test_fc_weights_of_npz(tmp_path):
    entries = {
        "fc6_kernel": _random(18, 4).astype(np.float16),
        "fc6_bias": _random(4),
        "fc7_kernel": _random(4, 4),
        "fc7_bias": _random(4),
    }
    np.savez_compressed(tmp_path / "fc.npz", **entries)
    found = load_fc_weights(tmp_path / "fc.npz", num_features=18, num_units=4)
    for key, value in entries.items():
        assert found[key].dtype == np.float32
        np.testing.assert_array_equal(found[key], value)


def test_fc_weights_have_caffenets_sizes_by_default(tmp_path):
    path = _write(tmp_path, _caffe_layers(), old_format=False)
    with pytest.raises(ValueError, match=r"\(9216, 4096\).*\(18, 4\)"):
        load_fc_weights(path)


@pytest.mark.parametrize(
    "load",
    [
        load_fc_weights,
        lambda path: load_conv_weights(networks.build("alexnet"), path),
    ],
)
def test_missing_file(tmp_path, load):
    for name in ("no.npz", "no.caffemodel"):
        with pytest.raises(FileNotFoundError, match=name):
            load(tmp_path / name)


def test_unknown_extension(tmp_path):
    with pytest.raises(ValueError, match=r"\.caffemodel or \.npz.*net\.pth"):
        load_fc_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip archive"])
def test_npz_that_is_no_archive(tmp_path, content):
    (tmp_path / "net.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.npz"):
        load_fc_weights(tmp_path / "net.npz")


def test_npz_with_pickled_objects(tmp_path):
    np.savez(tmp_path / "net.npz", fc6_bias=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"net\.npz.*allow_pickle=False"):
        load_fc_weights(tmp_path / "net.npz")


def test_npz_with_text(tmp_path):
    np.savez(tmp_path / "net.npz", fc6_bias=np.array(["many"]))
    with pytest.raises(ValueError, match=r"net\.npz"):
        load_fc_weights(tmp_path / "net.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_corrupt_npz_raises_nothing_but_value_error(tmp_path, save):
    save(tmp_path / "net.npz", fc6_bias=_random(4), fc7_bias=_random(4))
    content = (tmp_path / "net.npz").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        corrupt = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            corrupt[place] = rng.integers(0, 256)
        (tmp_path / "net.npz").write_bytes(corrupt)
        with pytest.raises(ValueError, match=r"net\.npz"):
            load_fc_weights(tmp_path / "net.npz")
