"""Reading published weights from fabricated files of every format."""

from __future__ import annotations

import pathlib
import tempfile

import keras
import numpy as np
import pytest

from tests.vggish import checkpoint_files as made
from vggish.checkpoint import load
from vggish.network import build_vggish
from vggish.yamnet import build_yamnet

WRITERS = {
    "v1.ckpt": made.write_v1,
    "v2.ckpt": made.write_v2,
    "yamnet.h5": made.write_h5,
    "yamnet.tflite": made.write_tflite,
}


@pytest.fixture(scope="module")
def yamnet_values():
    return made.yamnet_values()


@pytest.fixture(scope="module")
def small_vggish():
    """A network with no more than VGGish's last layer, made small."""
    layers = [keras.Input((40,)), keras.layers.Dense(20, name="fc2")]
    return keras.Sequential(layers, name="vggish")


@pytest.fixture(scope="module")
def small_vggish_values():
    return {
        "vggish/fc2/weights": np.arange(800, dtype=np.float32).reshape(40, 20),
        "vggish/fc2/biases": np.arange(20, dtype=np.float32),
    }


@pytest.fixture(scope="module")
def yamnet():
    return build_yamnet()


@pytest.fixture(params=WRITERS)
def name(request):
    return request.param


@pytest.fixture
def network(name, request):
    """The network whose weights a file of this name holds."""
    kind = "yamnet" if name.startswith("yamnet") else "small_vggish"
    return request.getfixturevalue(kind)


@pytest.fixture
def values(network, request):
    kind = "yamnet" if network.name == "yamnet" else "small_vggish"
    return request.getfixturevalue(f"{kind}_values")


def noise_patches(num_patches):
    generator = np.random.default_rng(1)
    return generator.normal(-2.0, 1.5, (num_patches, 96, 64)).astype("float32")


def test_vggishs_outputs_are_those_of_the_files_weights():
    vggish_values = made.vggish_values()
    model = build_vggish()
    extra = {"global_step": np.array(7, np.int64)}
    # pytest would keep the 300 MB of tmp_path.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "vggish_model.ckpt")
        load(model, made.write_v2(path, vggish_values | extra))
    for weight, value in zip(
        model.weights, vggish_values.values(), strict=True
    ):
        assert np.array_equal(weight, value)
    patches = noise_patches(2)
    expected = made.plain_vggish(patches, vggish_values)
    assert 0.1 < expected.std() < 10
    np.testing.assert_allclose(
        model.predict_on_batch(patches), expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", ["yamnet.h5", "yamnet.tflite"])
def test_yamnets_outputs_are_those_of_the_files_weights(
    yamnet_values, name, tmp_path
):
    model = build_yamnet(seed=7)
    load(model, WRITERS[name](tmp_path / name, yamnet_values))
    patches = noise_patches(3)
    embeddings, scores = made.plain_yamnet(patches, yamnet_values)
    outputs = model.predict_on_batch(patches)
    assert embeddings.std() > 0.1
    np.testing.assert_allclose(
        outputs["embeddings"], embeddings, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-3)


@pytest.mark.parametrize("name", ["v1.ckpt", "v2.ckpt", "yamnet.h5"])
def test_every_weight_arrives(network, values, name, tmp_path):
    load(network, WRITERS[name](tmp_path / name, values))
    for weight, value in zip(network.weights, values.values(), strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("stored", "quantization", "expected"),
    [
        (np.float32([1.5, -2.0]), None, [1.5, -2.0]),
        (np.int8([-128, 2, 127]), ([0.5], [2], 0), [-65, 0, 62.5]),
        (np.int8([1, 4, 6]), ([1.0, 10.0, 0.5], [0, 1, 2], 0), [1, 30, 2]),
    ],
    ids=["floats", "one scale", "a scale for each index"],
)
def test_tflite_constants_are_dequantized(
    stored, quantization, expected, tmp_path
):
    path = tmp_path / "yamnet.tflite"
    inputs = keras.Input((2,))
    logits = keras.layers.Dense(len(stored), use_bias=True, name="logits")
    model = keras.Model(inputs, logits(inputs), name="yamnet")
    kernel = ("dense/kernel", np.ones((len(stored), 2), np.float32), None)
    bias = ("dense/bias", stored, quantization)
    path.write_bytes(made.make_tflite([kernel, bias]))
    load(model, path)
    np.testing.assert_array_equal(logits.bias, expected)


def assert_refused(network, path, exception, message):
    """`load` raises, and has assigned neither the first nor the last weight."""
    ends = network.weights[0], network.weights[-1]
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in ends]
    with pytest.raises(exception, match=message):
        load(network, path)
    for weight, unchanged in zip(ends, before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


def test_all_misfits_are_named_and_nothing_is_assigned(
    network, values, name, tmp_path
):
    *_, kernel, bias = values  # Of the last layer.
    shape = list(values[kernel].shape)
    misfits = {kernel: values[kernel][:-1]}
    others = {n: value for n, value in values.items() if n != bias}
    path = WRITERS[name](tmp_path / name, others | misfits)
    message = (
        rf"{name}, received a checkpoint in which {kernel} has shape "
        rf"\[{shape[0] - 1}, {shape[1]}\] instead of \[{shape[0]}, {shape[1]}"
        rf"\], {bias} is missing\.$"
    )
    assert_refused(network, path, ValueError, message)


def test_missing_file_is_named(network, name, tmp_path):
    path = tmp_path / name
    assert_refused(network, path, FileNotFoundError, name)


def test_other_kinds_of_file_are_refused_for_yamnet(yamnet, tmp_path):
    path = tmp_path / "yamnet.npz"
    path.write_bytes(b"")
    message = r"yamnet\.npz, .* neither \.h5 nor \.tflite"
    assert_refused(yamnet, path, ValueError, message)


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>" * 9])
def test_page_instead_of_weights_is_refused(network, name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(network, path, ValueError, f"{name}, .* fetch it again")


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.5, 0.99])
def test_cut_file_is_refused(network, values, name, fraction, tmp_path):
    path = WRITERS[name](tmp_path / name, values)
    for file in tmp_path.iterdir():
        whole = file.read_bytes()
        if file.name != "checkpoint":
            file.write_bytes(whole[: int(fraction * len(whole))])
            assert_refused(network, path, ValueError, "fetch it again")
            file.write_bytes(whole)
