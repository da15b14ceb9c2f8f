"""What all four base networks have in common."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fast_rcnn_features import networks
from tests.vggish.checkpoint_files import VGGISH_SHAPES, yamnet_shapes
from vggish.embeddings import EMBEDDING_SIZES, SegmentEmbeddings
from vggish.mel_features import log_mel_patches
from vggish.network import build_vggish
from vggish.yamnet import build_yamnet

BUILDERS = {
    "caffenet": lambda seed=0: networks.build("caffenet", seed),
    "alexnet": lambda seed=0: networks.build("alexnet", seed),
    "vggish": lambda seed=0: build_vggish(seed=seed),
    "yamnet": lambda seed=0: embeddings_only(build_yamnet(seed)),
}


def embeddings_only(yamnet):
    return keras.Model(yamnet.input, yamnet.output["embeddings"])


@pytest.fixture(scope="module", params=BUILDERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name):
    return BUILDERS[name]()


@pytest.fixture(scope="module")
def inputs(name):
    """Three inputs that differ."""
    if name in networks.NAMES:
        generator = np.random.default_rng(0)
        return generator.uniform(-120, 150, (3, 40, 50, 3)).astype(np.float32)
    return crescendo()


def crescendo():
    """Patches of noise that grows louder, [3, 96, 64]."""
    generator = np.random.default_rng(0)
    samples = generator.normal(size=30_000) * np.linspace(0.001, 0.3, 30_000)
    return log_mel_patches(samples, 16_000)


def kernels(model):
    """The first numbers of every kernel."""
    return [
        keras.ops.convert_to_numpy(weight).ravel()[:256]
        for weight in model.weights
        if weight.name == "kernel"
    ]


def test_layers_are_those_of_the_published_network(name, network):
    """Caffe's grouped kernels have half of the input channels."""
    received = [tuple(w.shape) for w in network.weights if w.name == "kernel"]
    audio = {
        "vggish": list(VGGISH_SHAPES.values()),
        "yamnet": [s for n, s in yamnet_shapes().items() if "kernel" in n][:-1],
    }
    visual = {
        "caffenet": [
            (11, 11, 3, 96),
            (5, 5, 48, 256),
            (3, 3, 256, 384),
            (3, 3, 192, 384),
            (3, 3, 192, 256),
        ],
        "alexnet": [
            (11, 11, 3, 64),
            (5, 5, 64, 192),
            (3, 3, 192, 384),
            (3, 3, 384, 256),
            (3, 3, 256, 256),
        ],
    }
    assert received == (audio | visual)[name]


def test_untrained_outputs_keep_a_sensible_scale(network, inputs):
    outputs = network.predict_on_batch(inputs)
    assert outputs.dtype == np.float32
    assert (outputs >= 0).all()
    scale = outputs.std() / (100 if inputs.ndim == 4 else 1)
    assert 0.05 < scale < 10
    distances = np.linalg.norm(np.diff(outputs, axis=0).reshape(2, -1), axis=1)
    assert (distances > 0.05 * np.linalg.norm(outputs[0])).all()


def test_inputs_of_a_batch_do_not_influence_each_other(network, inputs):
    together = network.predict_on_batch(inputs)
    for one, expected in zip(inputs, together, strict=True):
        (alone,) = network.predict_on_batch(one[None])
        np.testing.assert_allclose(
            alone, expected, rtol=1e-4, atol=1e-4 * together.max()
        )


def test_seed_decides_the_random_weights(name, network):
    first = kernels(network)
    for again, other, expected in zip(
        kernels(BUILDERS[name]()),
        kernels(BUILDERS[name](1)),
        first,
        strict=True,
    ):
        np.testing.assert_array_equal(again, expected)
        assert not np.array_equal(other, expected)


def test_layers_do_not_share_their_random_numbers(network):
    drawn = [kernel for kernel in kernels(network) if len(kernel) == 256]
    correlations = np.corrcoef(drawn)[np.triu_indices(len(drawn), k=1)]
    assert (np.abs(correlations) < 0.35).all()


@pytest.mark.parametrize(
    ("name", "size", "log_offset"),
    [("vggish", 128, 0.01), ("yamnet", 1024, 0.001)],
)
def test_segment_embeddings(name, size, log_offset):
    embeddings, patches = SegmentEmbeddings(name), crescendo()
    assert EMBEDDING_SIZES[name] == size
    assert embeddings.log_offset == log_offset
    assert embeddings(patches).shape == (3, size)
    assert embeddings(patches[:1]).shape == (1, size)


@pytest.mark.parametrize("name", ["vggish"], indirect=True)
def test_vggish_without_activation_is_the_one_before_relu(network, inputs):
    """Equal seeds give equal weights, so that the two networks compare."""
    linear = build_vggish(embedding_activation=None).predict_on_batch(inputs)
    assert (linear < 0).any()
    np.testing.assert_allclose(
        np.maximum(linear, 0.0),
        network.predict_on_batch(inputs),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.build("vgg"), r"caffenet.*alexnet.*'vgg'"),
        (lambda: SegmentEmbeddings("clap"), "vggish, yamnet, received 'clap'"),
        (lambda: build_vggish("none"), "None, received 'none'"),
        (lambda: build_vggish("sigmoid"), "None, received 'sigmoid'"),
    ],
)
def test_unknown_networks_and_activations_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
