"""Reading YAMNet's weights from fabricated files of both formats."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.vggish.yamnet_files import (
    plain_yamnet,
    random_values,
    write_h5,
    write_tflite,
)
from vggish.yamnet import build_yamnet
from vggish.yamnet_weights import load

WRITERS = {"yamnet.h5": write_h5, "yamnet.tflite": write_tflite}


@pytest.fixture(scope="module")
def network():
    return build_yamnet()


@pytest.fixture(scope="module")
def values():
    return random_values(seed=3)


@pytest.mark.parametrize("name", WRITERS)
def test_outputs_are_those_of_the_files_weights(values, name, tmp_path):
    model = build_yamnet(seed=7)
    load(model, WRITERS[name](tmp_path / name, values))
    patches = np.random.default_rng(1).normal(-2.0, 1.5, (3, 96, 64))
    patches = patches.astype(np.float32)
    embeddings, scores = plain_yamnet(patches, values)
    outputs = model.predict_on_batch(patches)
    np.testing.assert_allclose(
        outputs["embeddings"], embeddings, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-3)


def test_every_weight_of_the_h5_file_arrives(network, values, tmp_path):
    load(network, write_h5(tmp_path / "yamnet.h5", values))
    assert len(network.weights) == len(values)
    for weight, value in zip(network.weights, values.values(), strict=True):
        np.testing.assert_array_equal(weight, value)


def assert_refused(network, path, exception, message):
    """`load` raises, and has assigned neither the first nor the last weight."""
    ends = network.weights[0], network.weights[-1]
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in ends]
    with pytest.raises(exception, match=message):
        load(network, path)
    for weight, unchanged in zip(ends, before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)


@pytest.mark.parametrize("name", WRITERS)
def test_all_that_does_not_fit_is_named_and_nothing_assigned(
    network, values, name, tmp_path
):
    misfits = {
        "layer4/pointwise_conv/kernel": np.zeros((1, 1, 64, 128), np.float32),
        "logits/bias": np.zeros(500, np.float32),
    }
    path = WRITERS[name](tmp_path / name, {**values, **misfits})
    message = (
        rf"{name}, received a checkpoint in which "
        r"layer4/pointwise_conv/kernel has shape \[1, 1, 64, 128\] instead of "
        r"\[1, 1, 128, 128\], "
        r"logits/bias has shape \[500\] instead of \[521\]\.$"
    )
    assert_refused(network, path, ValueError, message)


@pytest.mark.parametrize("name", WRITERS)
def test_missing_weights_are_named(network, values, name, tmp_path):
    missing = ("layer2/depthwise_conv/depthwise_kernel", "logits/bias")
    fewer = {n: value for n, value in values.items() if n not in missing}
    path = WRITERS[name](tmp_path / name, fewer)
    message = (
        "layer2/depthwise_conv/kernel is missing, .*logits/bias is missing"
        if name == "yamnet.tflite"
        else "layer2/depthwise_conv/kernel is missing, logits/bias is missing"
    )
    assert_refused(network, path, ValueError, message)


def test_a_missing_file_is_named(network, tmp_path):
    path = tmp_path / "absent.h5"
    assert_refused(network, path, FileNotFoundError, r"absent\.h5")


def test_other_kinds_of_file_are_refused(network, tmp_path):
    path = tmp_path / "yamnet.npz"
    path.write_bytes(b"")
    message = r"\.h5 or \.tflite, received .*yamnet\.npz"
    assert_refused(network, path, ValueError, message)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>" * 9])
def test_a_page_instead_of_weights_is_refused(network, name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(network, path, ValueError, f"{name}, .* fetch it again")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.99])
def test_a_cut_file_is_refused(network, values, name, fraction, tmp_path):
    path = WRITERS[name](tmp_path / name, values)
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    assert_refused(network, path, ValueError, f"{name}, .* fetch it again")
