"""YAMNet's architecture and its random weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.vggish.yamnet_files import (
    official_shapes,
    plain_yamnet,
    random_values,
)
from vggish.embeddings import SegmentEmbeddings
from vggish.mel_features import log_mel_patches
from vggish.yamnet import build_yamnet


@pytest.fixture(scope="module")
def network():
    return build_yamnet()


@pytest.fixture(scope="module")
def patches():
    """Patches of a crescendo of noise: each segment sounds different."""
    generator = np.random.default_rng(0)
    samples = generator.normal(size=48_000) * np.linspace(0.001, 0.3, 48_000)
    return log_mel_patches(samples, 16_000, log_offset=0.001)  # [6, 96, 64]


def keras_name(official):
    layer, _, weight = official.rpartition("/")
    return f"{layer.replace('/', '.')}/{weight.removeprefix('depthwise_')}"


def test_weights_are_those_of_the_published_network(network):
    shapes = {w.path: tuple(w.shape) for w in network.weights}
    expected = official_shapes()
    assert shapes == {keras_name(n): shape for n, shape in expected.items()}
    assert network.count_params() == 3_751_369
    assert network.input_shape == (None, 96, 64)


def test_outputs_are_those_of_plain_tensorflow(patches):
    values = random_values()
    model = build_yamnet()
    by_name = {weight.path: weight for weight in model.weights}
    for name, value in values.items():
        by_name[keras_name(name)].assign(value)
    outputs = model.predict_on_batch(patches)
    embeddings, scores = plain_yamnet(patches, values)
    assert outputs["embeddings"].shape == (6, 1024)
    assert outputs["scores"].shape == (6, 521)
    assert embeddings.std() > 0.1
    np.testing.assert_allclose(
        outputs["embeddings"], embeddings, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(outputs["scores"], scores, atol=1e-4)


def test_untrained_embeddings_keep_a_sensible_scale(network, patches):
    embeddings = network.predict_on_batch(patches)["embeddings"]
    assert 0.1 < embeddings.std() < 10
    assert (embeddings >= 0).all()
    distances = np.linalg.norm(np.diff(embeddings, axis=0), axis=1)
    assert (distances > 0.05 * np.linalg.norm(embeddings[0])).all()


def test_segments_do_not_influence_each_other(network, patches):
    together = network.predict_on_batch(patches[:2])["embeddings"]
    alone = network.predict_on_batch(patches[1:2])["embeddings"]
    np.testing.assert_allclose(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_layers_do_not_share_their_random_numbers(network):
    kernels = [
        keras.ops.convert_to_numpy(network.get_layer(name).kernel).ravel()[:576]
        for name in (
            "layer3.depthwise_conv",
            "layer3.pointwise_conv",
            "layer8.pointwise_conv",
            "logits",
        )
    ]
    correlations = np.corrcoef(kernels)[np.triu_indices(4, k=1)]
    assert (np.abs(correlations) < 0.2).all()


def test_seeds_decide_the_random_weights(network):
    same, other = build_yamnet(), build_yamnet(seed=1)
    for name in ("layer1.conv", "layer9.depthwise_conv", "logits"):
        kernel = keras.ops.convert_to_numpy(network.get_layer(name).kernel)
        np.testing.assert_array_equal(kernel, same.get_layer(name).kernel)
        assert not np.array_equal(kernel, other.get_layer(name).kernel)


@pytest.mark.parametrize(
    ("name", "size", "log_offset"),
    [("vggish", 128, 0.01), ("yamnet", 1024, 0.001)],
)
def test_segment_embeddings_of_each_network(name, size, log_offset, patches):
    embeddings = SegmentEmbeddings(name)
    assert embeddings.log_offset == log_offset
    assert embeddings(patches).shape == (6, size)
    assert embeddings(patches[:1]).shape == (1, size)


def test_unknown_networks_are_refused():
    with pytest.raises(ValueError, match="vggish, yamnet, received 'clap'"):
        SegmentEmbeddings("clap")
