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


def small_vggish():
    """A network of some of VGGish's layers, and their official names."""
    network = [
        keras.Input((6, 6, 1)),
        keras.layers.Conv2D(2, 3, name="conv1"),
        keras.layers.Conv2D(3, 3, name="conv3_1"),
        keras.layers.Flatten(),
        keras.layers.Dense(20, name="fc2"),
    ]
    shapes = {
        "vggish/conv1/weights": (3, 3, 1, 2),
        "vggish/conv1/biases": (2,),
        "vggish/conv3/conv3_1/weights": (3, 3, 2, 3),
        "vggish/conv3/conv3_1/biases": (3,),
        "vggish/fc2/weights": (12, 20),
        "vggish/fc2/biases": (20,),
    }
    return keras.Sequential(network, name="vggish"), shapes


def small_yamnet():
    network = [
        keras.Input((6, 6, 4)),
        keras.layers.DepthwiseConv2D(
            3, use_bias=False, name="layer2.depthwise_conv"
        ),
        keras.layers.BatchNormalization(
            scale=False, name="layer2.depthwise_conv.bn"
        ),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(200, name="logits"),
    ]
    shapes = {
        "layer2/depthwise_conv/depthwise_kernel": (3, 3, 4, 1),
        "layer2/depthwise_conv/bn/beta": (4,),
        "layer2/depthwise_conv/bn/moving_mean": (4,),
        "layer2/depthwise_conv/bn/moving_variance": (4,),
        "logits/kernel": (4, 200),
        "logits/bias": (200,),
    }
    return keras.Sequential(network, name="yamnet"), shapes


@pytest.fixture(params=WRITERS)
def name(request):
    return request.param


@pytest.fixture
def network_and_values(name):
    """A small network, and values for its weights by official name."""
    make = small_yamnet if name.startswith("yamnet") else small_vggish
    network, shapes = make()
    return network, made.random_values(shapes)


@pytest.fixture(scope="module")
def yamnet():
    return build_yamnet()


def noise_patches(num_patches):
    generator = np.random.default_rng(1)
    return generator.normal(-2.0, 1.5, (num_patches, 96, 64)).astype("float32")


@pytest.mark.slow
def test_vggishs_outputs_are_those_of_the_files_weights():
    values = made.random_values(made.vggish_shapes())
    model = build_vggish(seed=None)
    extra = {"global_step": np.array(7, np.int64)}
    # pytest would keep the 300 MB of tmp_path.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "vggish_model.ckpt")
        load(model, made.write_v2(path, values | extra))
    patches = noise_patches(1)
    expected = made.plain_vggish(patches, values)
    assert 0.1 < expected.std() < 10
    np.testing.assert_allclose(
        model.predict_on_batch(patches), expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", ["yamnet.h5", "yamnet.tflite"])
def test_yamnets_outputs_are_those_of_the_files_weights(yamnet, name, tmp_path):
    values = made.random_values(made.yamnet_shapes())
    for weight in yamnet.weights:
        weight.assign(np.full(weight.shape, np.nan))
    load(yamnet, WRITERS[name](tmp_path / name, values))
    patches = noise_patches(3)
    embeddings, scores = made.plain_yamnet(patches, values)
    outputs = yamnet.predict_on_batch(patches)
    assert embeddings.std() > 0.1
    np.testing.assert_allclose(
        outputs["embeddings"], embeddings, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-3)


@pytest.mark.parametrize("name", ["v1.ckpt", "v2.ckpt", "yamnet.h5"])
def test_every_weight_arrives(network_and_values, name, tmp_path):
    network, values = network_and_values
    load(network, WRITERS[name](tmp_path / name, values))
    for weight, value in zip(network.weights, values.values(), strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("stored", "quantization", "expected"),
    [
        (np.float32([1.5, -2.0]), None, [1.5, -2.0]),
        (np.float16([1.5, -2.0]), None, [1.5, -2.0]),
        (np.int8([-128, 2, 127]), ([0.5], [2], 0), [-65, 0, 62.5]),
        (np.int8([1, 4, 6]), ([1.0, 10.0, 0.5], [0, 1, 2], 0), [1, 30, 2]),
    ],
    ids=["float32", "float16", "one scale", "a scale for each index"],
)
def test_tflite_constants_are_dequantized(
    stored, quantization, expected, tmp_path
):
    path = tmp_path / "yamnet.tflite"
    inputs = keras.Input((2,))
    logits = keras.layers.Dense(len(stored), name="logits")
    model = keras.Model(inputs, logits(inputs), name="yamnet")
    kernel = ("dense/kernel", np.ones((len(stored), 2), np.float32), None)
    bias = ("dense/bias", stored, quantization)
    path.write_bytes(made.make_tflite([kernel, bias]))
    load(model, path)
    np.testing.assert_array_equal(logits.bias, expected)


def assert_refused(network, path, exception, message):
    """`load` raises, and has assigned no weight."""
    before = network.get_weights()
    with pytest.raises(exception, match=message):
        load(network, path)
    for weight, unchanged in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_name_their_layer(
    network_and_values, name, number, tmp_path
):
    network, values = network_and_values
    values = {key: value.copy() for key, value in values.items()}
    *_, kernel, _ = values
    values[kernel].flat[3] = number
    path = WRITERS[name](tmp_path / name, values)
    message = rf"{name}, .* {kernel} holds NaN or infinity\."
    assert_refused(network, path, ValueError, message)


def test_all_misfits_are_named_and_nothing_is_assigned(
    network_and_values, name, tmp_path
):
    network, values = network_and_values
    *_, kernel, bias = values  # Of the last layer.
    rows, columns = values[kernel].shape
    values[kernel] = values[kernel][:-1]
    del values[bias]
    path = WRITERS[name](tmp_path / name, values)
    message = (
        rf"{name}, .* {kernel} has shape \[{rows - 1}, {columns}\] instead of "
        rf"\[{rows}, {columns}\], {bias} is missing\.$"
    )
    assert_refused(network, path, ValueError, message)


def test_missing_file_is_named(network_and_values, name, tmp_path):
    path = tmp_path / name
    assert_refused(network_and_values[0], path, FileNotFoundError, name)


def test_other_kinds_of_file_are_refused_for_yamnet(tmp_path):
    path = tmp_path / "yamnet.npz"
    path.write_bytes(b"")
    message = r"yamnet\.npz, .* neither \.h5 nor \.tflite"
    assert_refused(small_yamnet()[0], path, ValueError, message)


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>" * 9])
def test_page_instead_of_weights_is_refused(
    network_and_values, name, content, tmp_path
):
    path = tmp_path / name
    path.write_bytes(content)
    message = f"{name}, .* fetch it again"
    assert_refused(network_and_values[0], path, ValueError, message)


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.5, 0.99])
def test_cut_file_is_refused(network_and_values, name, fraction, tmp_path):
    network, values = network_and_values
    path = WRITERS[name](tmp_path / name, values)
    for file in tmp_path.iterdir():
        whole = file.read_bytes()
        if file.name != "checkpoint":
            file.write_bytes(whole[: int(fraction * len(whole))])
            assert_refused(network, path, ValueError, "fetch it again")
            file.write_bytes(whole)
