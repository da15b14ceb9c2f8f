"""What all base networks have in common."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest

import vggish.network
from fast_rcnn_features import networks
from fast_rcnn_features.features import RegionFeatures
from vggish import embeddings
from vggish.embeddings import NETWORKS, SegmentEmbeddings
from vggish.mel_features import log_mel_patches
from vggish.network import build_vggish
from vggish.yamnet import build_yamnet

BUILDERS = {
    "caffenet": lambda seed=0: networks.build("caffenet", seed),
    "alexnet": lambda seed=0: networks.build("alexnet", seed),
    "vggish": lambda seed=0: build_vggish(seed=seed),
    "yamnet": build_yamnet,
}
REGION_NETWORKS = dict.fromkeys(networks.NAMES, (16, 256)) | {
    "keras:VGG16": (16, 512),
    "keras:MobileNetV2": (16, 576),
    "keras:MobileNetV2/out_relu": (32, 1280),
}


@pytest.mark.parametrize("region_network", REGION_NETWORKS)
def test_region_networks(region_network):
    """An entry of the registry keeps what it promises of its model."""
    stride_px, channels = REGION_NETWORKS[region_network]
    known = networks.get(region_network)
    assert (known.stride_px, known.channels) == (stride_px, channels)
    describe = RegionFeatures(
        region_network,
        short_side_px=96,
        long_side_px=160,
        seed=3,
        num_bins=2,
    )
    frame = np.random.default_rng(0).integers(0, 256, (60, 83, 3), np.uint8)
    box = np.array([[10, 10, 70, 50]], np.float32)
    (found,) = describe([frame], [box])
    assert found.shape == (1, channels * 2**2)
    assert describe.size == found.shape[1]
    assert np.isfinite(found.astype(np.float16)).all()
    assert found.std() > 0


def test_weights_of_a_backbone_come_from_its_seed_or_a_file(tmp_path):
    first, again, other = (
        networks.build("keras:VGG16", seed).weights[0].numpy()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    whole = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.weights.h5"
    whole.save_weights(path)
    model = networks.build("keras:VGG16", weights=path)
    np.testing.assert_array_equal(model.weights[0], whole.weights[0])
    with pytest.raises(ValueError, match=r"VGG19 without .*vgg16\.weights"):
        networks.build("keras:VGG19", weights=path)


@pytest.mark.parametrize(
    ("shape", "window_samples", "segment_s"),
    [
        ((96, 64), None, 0.96),
        ((96, 64, 1), None, 0.96),
        ((None,), 15_600, 0.96),
        ((32_000,), 32_000, 2.0),
    ],
)
def test_saved_networks_on_patches_and_waveforms(
    tmp_path, shape, window_samples, segment_s
):
    """Here the embedding is the mean and the maximum of what comes in."""
    inputs = keras.Input(shape)
    flat = keras.layers.Reshape((-1,))(inputs)
    means = keras.ops.mean(flat, axis=1, keepdims=True)
    highest = keras.ops.max(flat, axis=1, keepdims=True)
    outputs = keras.layers.Concatenate()([means, highest])
    path = tmp_path / "network.keras"
    keras.Model(inputs, outputs).save(path)
    embed = SegmentEmbeddings("keras_file", path)
    assert embeddings.embedding_size("keras_file", path) == embed.size == 2
    assert embed.window_samples == window_samples
    assert embed.segment_s == segment_s
    samples = np.random.default_rng(0).normal(size=40_000)
    segments = log_mel_patches(samples, 16_000)
    if window_samples:
        segments = embeddings.windows(samples, 4, window_samples, 7680)
        np.testing.assert_allclose(segments[1, :9], samples[7680:7689], 1e-6)
        assert not segments[3, 40_000 - 3 * 7680 :].any()
    rows = segments.reshape(len(segments), -1)
    expected = np.stack([rows.mean(axis=1), rows.max(axis=1)], axis=1)
    np.testing.assert_allclose(embed(segments), expected, atol=1e-5)


def save_network(path, layer, size=3):
    inputs = keras.Input((96, 64))
    outputs = keras.layers.Dense(size)(keras.layers.Flatten()(layer(inputs)))
    keras.Model(inputs, outputs).save(path)


def with_function(path):
    """A file that names a function of Keras which fetches another file."""
    save_network(path, keras.layers.Activation("relu"))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    function = {
        "class_name": "function",
        "config": "get_file",
        "module": "keras.utils",
        "registered_name": "get_file",
    }
    text = parts["config.json"].decode()
    assert '"activation": "relu"' in text
    text = text.replace(
        '"activation": "relu"', f'"activation": {json.dumps(function)}'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": text}).items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: save_network(
                path, keras.layers.Lambda(lambda x: x, output_shape=(96, 64))
            ),
            "Lambda",
        ),
        (with_function, "get_file"),
        (lambda path: path.write_bytes(b"PK"), "received .*network.keras"),
        (
            lambda path: keras.Sequential(
                [keras.Input((8, 8)), keras.layers.Flatten()]
            ).save(path),
            r"received one from \(None, 8, 8\)",
        ),
        (
            lambda path: keras.Sequential(
                [keras.Input((96, 64)), keras.layers.Dense(2)]
            ).save(path),
            r"to \(None, 96, 2\)",
        ),
    ],
    ids=["lambda", "function", "damaged", "other_input", "other_output"],
)
def test_unsafe_and_other_files_are_refused(tmp_path, write, message):
    path = tmp_path / "network.keras"
    write(path)
    with pytest.raises(ValueError, match=message):
        SegmentEmbeddings("keras_file", path)


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
    assert expected.shape == (3, NETWORKS[name].size)
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
        (lambda: networks.get("keras:ResNet"), "keras:ResNet50, received"),
        (lambda: networks.get("keras:MobileNet/no"), "stride of 16 .*ived no"),
        (lambda: networks.get("keras:MobileNet/conv1_relu"), "conv1_re"),
        (lambda: SegmentEmbeddings("clap"), "keras_file, received 'clap'"),
        (lambda: SegmentEmbeddings("keras_file", "a.h5"), "received a.h5"),
        (lambda: build_vggish("sigmoid"), "None, received 'sigmoid'"),
    ],
)
def test_unknown_networks_and_activations_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
