"""What all four base networks have in common."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import vggish.network
from fast_rcnn_features import networks
from vggish import embeddings
from vggish.embeddings import SegmentEmbeddings
from vggish.mel_features import log_mel_patches
from vggish.network import build_vggish
from vggish.yamnet import build_yamnet

BUILDERS = {
    "caffenet": lambda seed=0: networks.build("caffenet", seed),
    "alexnet": lambda seed=0: networks.build("alexnet", seed),
    "vggish": lambda seed=0: build_vggish(seed=seed),
    "yamnet": build_yamnet,
}


@pytest.fixture(scope="module", autouse=True)
def _narrow_vggish():
    """Without the two layers that hold 93 % of VGGish's weights."""
    layers = [
        (name, 32 if name.startswith("fc1") else width)
        for name, width in vggish.network._LAYERS
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vggish.network, "_LAYERS", layers)
        yield


@pytest.fixture(scope="module", params=BUILDERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name):
    return BUILDERS[name]()


def predict(network, inputs):
    outputs = network.predict_on_batch(inputs)
    return outputs["embeddings"] if network.name == "yamnet" else outputs


@pytest.fixture(scope="module")
def inputs(name):
    """Three images, or three patches of noise that grows louder."""
    generator = np.random.default_rng(0)
    if name in networks.NAMES:
        return generator.uniform(-120, 150, (3, 40, 50, 3)).astype(np.float32)
    samples = generator.normal(size=30_000) * np.linspace(0.001, 0.3, 30_000)
    return log_mel_patches(samples, 16_000)


def kernels(model):
    """The first numbers of every kernel."""
    return [
        keras.ops.convert_to_numpy(weight).ravel()[:256]
        for weight in model.weights
        if weight.name == "kernel"
    ]


def test_untrained_outputs_keep_a_sensible_scale(network, inputs):
    outputs = predict(network, inputs)
    assert outputs.dtype == np.float32
    assert (outputs >= 0).all()
    scale = outputs.std() / (100 if inputs.ndim == 4 else 1)
    assert 0.05 < scale < 10
    distances = np.linalg.norm(np.diff(outputs, axis=0).reshape(2, -1), axis=1)
    assert (distances > 0.05 * np.linalg.norm(outputs[0])).all()


def test_inputs_of_a_batch_do_not_influence_each_other(network, inputs):
    together = predict(network, inputs)
    for one, expected in zip(inputs, together, strict=True):
        np.testing.assert_allclose(
            predict(network, one[None])[0],
            expected,
            rtol=1e-4,
            atol=1e-4 * together.max(),
        )


def test_seed_and_layer_decide_the_random_weights(name, network):
    first, again, other = (
        kernels(model)
        for model in (network, BUILDERS[name](), BUILDERS[name](1))
    )
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    drawn = [kernel for kernel in first + other if len(kernel) == 256]
    correlations = np.corrcoef(drawn)[np.triu_indices(len(drawn), k=1)]
    assert (np.abs(correlations) < 0.35).all()


@pytest.mark.parametrize("name", ["vggish", "yamnet"], indirect=True)
def test_segment_embeddings(name, network, inputs, monkeypatch):
    monkeypatch.setattr(embeddings, f"build_{name}", lambda *_: network)
    embed = SegmentEmbeddings(name)
    assert embed.log_offset == {"vggish": 0.01, "yamnet": 0.001}[name]
    expected = predict(network, inputs)
    assert expected.shape == (3, EMBEDDING_SIZES[name])
    for patches in (inputs, inputs[:1]):
        np.testing.assert_allclose(
            embed(patches), expected[: len(patches)], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("name", ["vggish"], indirect=True)
def test_vggish_without_activation_is_the_one_before_relu(network, inputs):
    """Equal seeds give equal weights, so that the two networks compare."""
    linear = build_vggish(embedding_activation=None).predict_on_batch(inputs)
    assert (linear < 0).any()
    np.testing.assert_allclose(
        np.maximum(linear, 0.0), predict(network, inputs), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: networks.build("vgg"), r"caffenet.*alexnet.*'vgg'"),
        (lambda: SegmentEmbeddings("clap"), "vggish, yamnet, received 'clap'"),
        (lambda: build_vggish("sigmoid"), "None, received 'sigmoid'"),
    ],
)
def test_unknown_networks_and_activations_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
