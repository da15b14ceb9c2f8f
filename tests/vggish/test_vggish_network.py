"""VGGish's architecture and its random weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from vggish.mel_features import log_mel_patches
from vggish.network import build_vggish


@pytest.fixture(scope="module")
def network():
    return build_vggish()


@pytest.fixture(scope="module")
def patches():
    """Patches of a crescendo of noise: each segment sounds different."""
    generator = np.random.default_rng(0)
    samples = generator.normal(size=48_000) * np.linspace(0.001, 0.3, 48_000)
    return log_mel_patches(samples, 16_000)  # [6, 96, 64]


def test_weights_are_those_of_the_published_network(network):
    shapes = {
        layer.name: tuple(layer.kernel.shape)
        for layer in network.layers
        if layer.weights
    }
    assert shapes == {
        "conv1": (3, 3, 1, 64),
        "conv2": (3, 3, 64, 128),
        "conv3_1": (3, 3, 128, 256),
        "conv3_2": (3, 3, 256, 256),
        "conv4_1": (3, 3, 256, 512),
        "conv4_2": (3, 3, 512, 512),
        "fc1_1": (12_288, 4096),
        "fc1_2": (4096, 4096),
        "fc2": (4096, 128),
    }
    assert network.count_params() == 72_141_184
    assert network.input_shape == (None, 96, 64)
    assert network.output_shape == (None, 128)


def test_untrained_embeddings_keep_a_sensible_scale(network, patches):
    embeddings = network.predict_on_batch(patches)
    assert embeddings.shape == (6, 128)
    assert embeddings.dtype == np.float32
    assert 0.1 < embeddings.std() < 10
    assert (embeddings >= 0).all()
    distances = np.linalg.norm(np.diff(embeddings, axis=0), axis=1)
    assert (distances > 0.05 * np.linalg.norm(embeddings[0])).all()


def test_segments_do_not_influence_each_other(network, patches):
    together = network.predict_on_batch(patches[:2])
    alone = network.predict_on_batch(patches[1:2])
    np.testing.assert_allclose(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_the_embedding_without_activation_is_the_one_before_relu(
    network, patches
):
    """Equal seeds give equal weights, so that the two networks compare."""
    linear = build_vggish(embedding_activation=None)
    embeddings = linear.predict_on_batch(patches[:2])
    assert (embeddings < 0).any()
    np.testing.assert_allclose(
        np.maximum(embeddings, 0.0),
        network.predict_on_batch(patches[:2]),
        rtol=1e-5,
        atol=1e-5,
    )


def test_layers_do_not_share_their_random_numbers(network):
    kernels = [
        keras.ops.convert_to_numpy(network.get_layer(name).kernel).ravel()[:576]
        for name in ("conv1", "conv2", "fc2")
    ]
    correlations = np.corrcoef(kernels)[np.triu_indices(3, k=1)]
    assert (np.abs(correlations) < 0.2).all()


def test_another_seed_gives_other_weights(network):
    other = build_vggish(seed=1)
    for name in ("conv1", "conv4_2", "fc2"):
        kernel = keras.ops.convert_to_numpy(network.get_layer(name).kernel)
        assert not np.array_equal(kernel, other.get_layer(name).kernel)


@pytest.mark.parametrize("activation", ["none", "sigmoid", ""])
def test_other_embedding_activations_are_refused(activation):
    with pytest.raises(ValueError, match=f"None, received '{activation}'"):
        build_vggish(embedding_activation=activation)
