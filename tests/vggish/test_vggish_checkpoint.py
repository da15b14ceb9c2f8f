"""Reading VGGish's weights from fabricated checkpoints of both formats."""

from __future__ import annotations

import pathlib
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from vggish.checkpoint import load
from vggish.network import build_vggish

# Variables of `vggish_slim.py` and the shapes of their weights.
OFFICIAL_SHAPES = {
    "vggish/conv1": (3, 3, 1, 64),
    "vggish/conv2": (3, 3, 64, 128),
    "vggish/conv3/conv3_1": (3, 3, 128, 256),
    "vggish/conv3/conv3_2": (3, 3, 256, 256),
    "vggish/conv4/conv4_1": (3, 3, 256, 512),
    "vggish/conv4/conv4_2": (3, 3, 512, 512),
    "vggish/fc1/fc1_1": (12_288, 4096),
    "vggish/fc1/fc1_2": (4096, 4096),
    "vggish/fc2": (4096, 128),
}
ONE_LAYER_VALUES = {
    "vggish/fc2/weights": np.arange(800, dtype=np.float32).reshape(40, 20),
    "vggish/fc2/biases": np.arange(20, dtype=np.float32),
}
V1, V2 = tf.compat.v1.train.SaverDef.V1, tf.compat.v1.train.SaverDef.V2


def _random_values(scopes):
    """Weights and biases that keep the scale of a signal, by official name."""
    generator = np.random.default_rng(0)
    values = {}
    for scope in scopes:
        shape = OFFICIAL_SHAPES[scope]
        weights = generator.standard_normal(shape, np.float32)
        weights *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        values[f"{scope}/weights"] = weights
        values[f"{scope}/biases"] = generator.standard_normal(
            shape[-1], np.float32
        )
    return values


def _write_checkpoint(path, values, version):
    """As the official code does, in a graph and a session of its own."""
    compat = tf.compat.v1
    with tf.Graph().as_default(), compat.Session() as session:
        for name, value in values.items():
            variable = compat.get_variable(
                name, value.shape, value.dtype, use_resource=False
            )
            variable.load(value, session)
        saver = compat.train.Saver(write_version=version)
        saver.save(session, str(path), write_meta_graph=False)
    return path


def _slow_vggish(patch, values):
    """Embedding of one patch [96, 64], in float64, layer by layer.

    `values` are weights and biases by their official names.
    """

    def convolution(x, scope):
        weights = values[f"{scope}/weights"].astype(np.float64)
        height, width, _ = x.shape
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        total = values[f"{scope}/biases"].astype(np.float64)
        for row in range(3):
            for column in range(3):
                window = padded[row : row + height, column : column + width]
                total = total + window @ weights[row, column]
        return np.maximum(total, 0.0)

    def pooling(x):
        height, width, depth = x.shape
        blocks = x.reshape(height // 2, 2, width // 2, 2, depth)
        return blocks.max(axis=(1, 3))

    def dense(x, scope):
        product = x @ values[f"{scope}/weights"]
        return np.maximum(product + values[f"{scope}/biases"], 0.0)

    x = patch[:, :, None].astype(np.float64)
    x = pooling(convolution(x, "vggish/conv1"))
    x = pooling(convolution(x, "vggish/conv2"))
    x = convolution(x, "vggish/conv3/conv3_1")
    x = pooling(convolution(x, "vggish/conv3/conv3_2"))
    x = convolution(x, "vggish/conv4/conv4_1")
    x = pooling(convolution(x, "vggish/conv4/conv4_2"))
    x = dense(x.reshape(-1), "vggish/fc1/fc1_1")
    x = dense(x, "vggish/fc1/fc1_2")
    return dense(x, "vggish/fc2")


@pytest.fixture(scope="module")
def network():
    return build_vggish()


@pytest.fixture(scope="module")
def values():
    return _random_values(OFFICIAL_SHAPES)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(V1, id="V1", marks=pytest.mark.slow),
        pytest.param(V2, id="V2"),
    ],
)
def loaded_network(request, network, values):
    """The network, zeroed and then loaded from a checkpoint of each format."""
    for weight in network.weights:
        weight.assign(np.zeros(weight.shape, np.float32))
    extra = {"global_step": np.array(7, np.int64)}
    # pytest would keep the 300 MB of tmp_path.
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "vggish_model.ckpt")
        _write_checkpoint(path, values | extra, request.param)
        assert path.is_file() == (request.param == V1)
        load(network, path)
    return network


def test_every_weight_arrives(loaded_network, values):
    for scope in OFFICIAL_SHAPES:
        layer = loaded_network.get_layer(scope.rpartition("/")[2])
        assert np.array_equal(layer.kernel, values[f"{scope}/weights"])
        assert np.array_equal(layer.bias, values[f"{scope}/biases"])


def test_embeddings_are_those_of_the_definition(loaded_network, values):
    patch = np.random.default_rng(1).normal(-2.0, 1.5, (96, 64))
    expected = _slow_vggish(patch, values)
    (embedding,) = loaded_network.predict_on_batch(
        patch[None].astype(np.float32)
    )
    assert 0.1 < expected.std() < 10
    np.testing.assert_allclose(embedding, expected, rtol=1e-3, atol=1e-3)


@pytest.fixture
def incomplete_values():
    """Without fc1_1, with a wrong shape of fc1_2: the bulk of the weights."""
    fitting = [scope for scope in OFFICIAL_SHAPES if "fc1" not in scope]
    misfits = {
        "vggish/fc1/fc1_2/weights": np.zeros((2, 3), np.float32),
        "vggish/fc1/fc1_2/biases": np.zeros(4096, np.float32),
    }
    return _random_values(fitting) | misfits


@pytest.fixture
def one_layer():
    """Network of which `ONE_LAYER_VALUES` are a complete checkpoint."""
    return keras.Sequential(
        [keras.Input((40,)), keras.layers.Dense(20, name="fc2")]
    )


def _assert_refused(network, path, exception, message):
    """`load` raises, and has assigned neither the first nor the last weight."""
    ends = network.weights[0], network.weights[-1]
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in ends]
    with pytest.raises(exception, match=message):
        load(network, path)
    for weight, unchanged in zip(ends, before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


@pytest.mark.parametrize("version", [V1, V2], ids=["V1", "V2"])
def test_all_that_does_not_fit_is_named_and_nothing_assigned(
    network, incomplete_values, version, tmp_path
):
    path = _write_checkpoint(
        tmp_path / "other.ckpt", incomplete_values, version
    )
    message = (
        r"other\.ckpt, received a checkpoint in which "
        "vggish/fc1/fc1_1/weights is missing, "
        "vggish/fc1/fc1_1/biases is missing, "
        r"vggish/fc1/fc1_2/weights has shape \[2, 3\] instead of "
        r"\[4096, 4096\]\.$"
    )
    _assert_refused(network, path, ValueError, message)


@pytest.mark.parametrize("version", [V1, V2], ids=["V1", "V2"])
def test_both_formats_load(one_layer, version, tmp_path):
    load(
        one_layer,
        _write_checkpoint(tmp_path / "one.ckpt", ONE_LAYER_VALUES, version),
    )
    for weight, value in zip(
        one_layer.weights, ONE_LAYER_VALUES.values(), strict=True
    ):
        np.testing.assert_array_equal(weight, value)


def test_a_missing_checkpoint_is_named(one_layer, tmp_path):
    path = tmp_path / "absent.ckpt"
    _assert_refused(one_layer, path, FileNotFoundError, r"absent\.ckpt")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>" * 9])
def test_a_file_of_another_kind_is_refused(one_layer, content, tmp_path):
    path = tmp_path / "page.ckpt"
    path.write_bytes(content)
    message = r"page\.ckpt, .* fetch it again"
    _assert_refused(one_layer, path, ValueError, message)


@pytest.mark.parametrize(
    ("version", "suffix"),
    [(V1, ""), (V2, ".index"), (V2, ".data-00000-of-00001")],
)
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_a_cut_file_is_refused(one_layer, version, suffix, fraction, tmp_path):
    path = tmp_path / "cut.ckpt"
    _write_checkpoint(path, ONE_LAYER_VALUES, version)
    file = tmp_path / f"cut.ckpt{suffix}"
    file.write_bytes(file.read_bytes()[: int(fraction * file.stat().st_size)])
    _assert_refused(one_layer, path, ValueError, "fetch it again")
