"""What all systems share, each against NumPy, and their losses by hand."""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np
import pytest

from model import systems
from model.layers import OneStreamScoring, TwoStreamScoring, WsddnScoring
from model.systems import SystemConfig

SMALL = SystemConfig(
    fc_units=16,
    audio_units=8,
    seed=4,
    bin_means=(-5.0,) * 64,
    bin_stds=(3.0,) * 64,
)


def make_batch(seed=0, num_clips=2, num_regions=5, num_segments=4):
    generator = np.random.default_rng(seed)
    regions = generator.random((num_clips, num_regions, 9216))
    return {
        "regions": regions.astype(np.float16),
        "region_mask": np.ones((num_clips, num_regions), bool),
        "segments": generator.random((num_clips, num_segments, 128), "f4"),
        "segment_mask": np.ones((num_clips, num_segments), bool),
    }


def modalities_of(model):
    """The modalities of which a system has bags."""
    inputs = {"visual": "regions", "audio": "segments"}
    return [m for m, name in inputs.items() if name in model.input]


BAG_SYSTEMS = [n for n in systems.names() if not n.startswith("cvssp")]
ALL_SYSTEMS = [
    *BAG_SYSTEMS,
    "cvssp_gated_crnn",
    pytest.param("cvssp_gated_crnn_attention", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=ALL_SYSTEMS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def system(name):
    """A small system with weights large enough to tell it from zero."""
    model = systems.build(name, 3, SMALL)
    generator = np.random.default_rng(2)
    for weight in model.weights:
        if "variance" not in weight.path:
            weight.assign_add(generator.normal(0, 0.02, weight.shape))
    return model


@pytest.fixture(scope="module")
def inputs(system):
    generator = np.random.default_rng(3)
    log_mel = generator.normal(-5, 3, (2, 240, 64)).astype(np.float32)
    batch = make_batch() | {"cvssp_log_mel": log_mel}
    return {key: batch[key] for key in system.input}


def test_scores_of_clips_and_proposals(name, system, inputs):
    outputs = system.predict_on_batch(inputs)
    assert outputs["scores"].shape == (2, 3)
    steps = {"step_scores": (2, 240 if name.endswith("attention") else 30, 3)}
    bags = {
        key.replace("_mask", "_scores"): (*mask.shape, 3)
        for key, mask in inputs.items()
        if key.endswith("_mask")
    }
    received = {key: values.shape for key, values in outputs.items()}
    modalities = {f"{m}_scores": (2, 3) for m in modalities_of(system)}
    expected = {"scores": (2, 3), **modalities, **(bags or steps)}
    assert received == expected
    assert systems.has_audio(name) == (not name.startswith("visual"))
    assert systems.needs_standardization(name) == name.startswith("cvssp")
    if systems.gives_probabilities(name):
        assert (outputs["scores"] >= 0).all()
        assert (outputs["scores"] <= 1).all()
    else:
        lengths = np.linalg.norm(outputs["scores"], axis=1)
        assert (lengths <= len(bags) + 1e-5).all()


@pytest.mark.parametrize("name", BAG_SYSTEMS, indirect=True)
def test_padding_and_order_of_proposals_change_no_score(name, system, inputs):
    expected = system.predict_on_batch(inputs)["scores"]
    other = make_batch(seed=9)
    padded = {}
    for key, values in inputs.items():
        padding = np.zeros_like if key.endswith("_mask") else np.array
        if name != "av_late_fusion":  # Its segments know their neighbors.
            values = values[:, ::-1]
        padded[key] = np.concatenate([values, padding(other[key])], axis=1)
    scores = system.predict_on_batch(padded)["scores"]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_saved_and_loaded_it_scores_the_same(system, inputs, tmp_path):
    system.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    received = loaded.predict_on_batch(inputs)
    for key, scores in system.predict_on_batch(inputs).items():
        np.testing.assert_array_equal(received[key], scores)


@pytest.mark.parametrize("name", ["av_two_stream", "cvssp_gated_crnn"])
def test_seed_decides_the_initial_weights(name):
    first, again = (systems.build(name, 3, SMALL) for _ in range(2))
    for one, same in zip(first.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, same)


def random_tensors(model):
    """All initial random tensors and two masks of each dropout, flattened."""
    named = {w.path: w for w in model.weights if "kernel" in w.path}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            for number in range(2):
                mask = layer(np.ones((1, 50, 64), "f4"), training=True)
                named[f"{layer.name}/mask_{number}"] = mask
    return {name: np.ravel(tensor)[:20_000] for name, tensor in named.items()}


def test_no_two_random_tensors_of_seeds_0_to_4_correlate(name):
    sizes = {"fc_units": 64, "audio_units": 64}
    tensors = [
        ((seed, path), values)
        for seed in range(5)
        for path, values in random_tensors(
            systems.build(name, 5, SystemConfig(seed=seed, **sizes))
        ).items()
    ]
    for (one, first), (other, second) in itertools.combinations(tensors, 2):
        size = min(len(first), len(second))
        correlation = np.corrcoef(first[:size], second[:size])[0, 1]
        # Chance alone: 6 standard deviations.
        assert abs(correlation) < 6 / size**0.5, (one, other)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_pooling_of_the_one_stream_system(pooling):
    config = dataclasses.replace(SMALL, one_stream_pooling=pooling)
    model = systems.build("av_one_stream", 3, config)
    for modality in ("visual", "audio"):
        assert model.get_layer(f"{modality}_scoring").pooling == pooling


def dense(inputs, layer):
    kernel, bias = layer.get_weights()
    return np.maximum(inputs @ kernel + bias, 0)


@pytest.mark.parametrize(
    ("name", "scoring", "normalized"),
    [
        ("av_two_stream", TwoStreamScoring, True),
        ("audio_two_stream", TwoStreamScoring, True),
        ("visual_two_stream", TwoStreamScoring, True),
        ("visual_wsddn", WsddnScoring, False),
        ("av_one_stream", OneStreamScoring, True),
    ],
)
def test_systems_against_numpy_with_masks(name, scoring, normalized):
    model = systems.build(name, 7, SMALL)
    generator = np.random.default_rng(2)
    for weight in model.weights[-8:]:  # Apart from the small initial scores.
        weight.assign(generator.normal(0, 0.3, weight.shape))
    batch = make_batch()
    batch["region_mask"][0, 3:] = False
    batch["segment_mask"][1, 2:] = False
    outputs = model.predict_on_batch({key: batch[key] for key in model.input})
    for clip in range(2):
        total, names = 0, {"scores"}
        for kind, modality, layers in (
            ("region", "visual", ("fc6", "fc7")),
            ("segment", "audio", ("audio_fc",)),
        ):
            if f"{kind}s" not in model.input:
                continue
            names |= {f"{kind}_scores", f"{modality}_scores"}
            hidden = batch[f"{kind}s"][clip][batch[f"{kind}_mask"][clip]]
            for layer in layers:
                hidden = dense(hidden.astype("f4"), model.get_layer(layer))
            layer = model.get_layer(f"{modality}_scoring")
            assert type(layer) is scoring
            scores, expected = map(np.array, layer(hidden[None]))
            total = total + (
                scores / np.linalg.norm(scores) if normalized else scores
            )
            np.testing.assert_allclose(
                outputs[f"{modality}_scores"][clip],
                scores[0],
                rtol=1e-4,
                atol=2e-4,
            )
            received = outputs[f"{kind}_scores"][clip]
            np.testing.assert_allclose(
                received[: len(hidden)], expected[0], rtol=1e-4, atol=2e-4
            )
            assert (received[len(hidden) :] == 0).all()
        assert set(outputs) == names
        np.testing.assert_allclose(
            outputs["scores"][clip], total[0], rtol=1e-4, atol=2e-5
        )


def test_late_fusion_against_numpy_with_masks():
    model = systems.build("av_late_fusion", 3, SMALL)
    generator = np.random.default_rng(2)
    for weight in model.weights:
        if "seed_generator" not in weight.path:
            weight.assign_add(generator.normal(0, 0.1, weight.shape))
    batch = make_batch(num_clips=3)
    batch["region_mask"][0] = False  # A clip of sound alone,
    batch["segment_mask"][1] = False  # one of pictures alone,
    batch["segment_mask"][2, 2:] = False  # and one of both.
    outputs = model.predict_on_batch(batch)
    regions = dense(
        dense(batch["regions"].astype("f4"), model.get_layer("fc6")),
        model.get_layer("fc7"),
    )
    visual = np.array(model.get_layer("visual_scoring")(regions)[0])
    segments = dense(batch["segments"], model.get_layer("audio_fc"))
    segments *= batch["segment_mask"][..., None]
    kernel, bias = model.get_layer("audio_context").get_weights()
    padded = np.pad(segments, ((0, 0), (1, 1), (0, 0)))
    seen = sum(padded[:, k : k + 4] @ kernel[k] for k in range(3))
    segments = segments + np.maximum(seen + bias, 0)
    layer = model.get_layer("audio_scoring").classification
    logits = segments @ np.array(layer.kernel) + np.array(layer.bias)
    q = 1 / (1 + np.exp(-logits)) * batch["segment_mask"][..., None]
    audio = (q * q).sum(axis=1) / np.maximum(q.sum(axis=1), 1e-7)
    expected = [audio[0], visual[1], (audio[2] + visual[2]) / 2]
    np.testing.assert_allclose(outputs["scores"], expected, rtol=1e-4)
    np.testing.assert_allclose(
        outputs["segment_scores"], q * audio[:, None], rtol=1e-4, atol=1e-6
    )


def test_each_modality_of_late_fusion_has_its_own_loss():
    losses = systems.losses("av_late_fusion")
    assert set(losses) == {"visual_scores", "audio_scores"}
    model = systems.build("av_late_fusion", 3, SMALL)
    model.compile("sgd", loss=losses, jit_compile=False)
    batch, labels = make_batch(), np.eye(3, dtype=np.float32)[:2]
    outputs = model.predict_on_batch(batch)
    expected = sum(losses[name](labels, outputs[name]) for name in losses)
    received = model.test_on_batch(batch, dict.fromkeys(losses, labels))
    assert np.ravel(received)[0] == pytest.approx(float(expected), rel=1e-5)


def test_a_clip_without_regions_is_scored_by_its_sound():
    model = systems.build("av_two_stream", 3, SMALL)
    batch = make_batch()
    batch["region_mask"][:] = False
    scores = model.predict_on_batch(batch)["scores"]
    np.testing.assert_allclose(np.linalg.norm(scores, axis=1), 1, atol=1e-5)


def test_paper_sizes():
    model = systems.build("av_two_stream", 17)
    fc6, fc7 = 9216 * 4096 + 4096, 4096 * 4096 + 4096
    visual = 2 * (4096 * 17 + 17)
    audio = 128 * 128 + 128 + 2 * (128 * 17 + 17)
    assert model.count_params() == fc6 + fc7 + visual + audio
    assert [model.get_layer(f"drop_{n}").rate for n in ("fc6", "fc7")] == [
        0.5,
        0.5,
    ]


def test_losses_by_hand():
    labels = np.array([[1.0, 0.0], [1.0, 0.0]])
    scores = np.array([[0.5, 0.25], [1.5, 2.0]])
    # Eq. 2: the mean of max(0, 1 - y phi).
    hinge = systems.losses("av_two_stream")["scores"](labels, scores)
    assert float(hinge) == pytest.approx((0.5 + 1.25 + 0 + 3) / 4)
    scores = np.array([[0.8, 0.25], [0.5, 0.5]])
    log_loss = systems.losses("visual_wsddn")["scores"](labels, scores)
    expected = -np.log([0.8, 0.75, 0.5, 0.5]).mean()
    assert float(log_loss) == pytest.approx(expected, abs=1e-6)


def test_pretrained_fc_weights_arrive_and_wrong_ones_are_refused():
    model = systems.build("av_two_stream", 3, SMALL)
    generator = np.random.default_rng(0)
    weights = {
        "fc6_kernel": generator.random((9216, 16), "f4"),
        "fc6_bias": generator.random(16, "f4"),
        "fc7_kernel": generator.random((16, 16), "f4"),
        "fc7_bias": generator.random(16, "f4"),
    }
    systems.set_fc_weights(model, weights)
    for name, value in weights.items():
        layer, kind = name.split("_")
        received = getattr(model.get_layer(layer), kind)
        np.testing.assert_array_equal(np.array(received), value)
    audio = systems.build("audio_two_stream", 3, SMALL)
    with pytest.raises(ValueError, match=r"visual module.*audio_two_stream"):
        systems.set_fc_weights(audio, weights)
    weights["fc7_kernel"] = weights["fc7_kernel"][:8]
    with pytest.raises(ValueError, match=r"fc7.*\(16, 16\).*\(8, 16\)"):
        systems.set_fc_weights(model, weights)


def test_unknown_systems_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"av_two_stream.*received 'av3'"):
        systems.build("av3", 5)


def test_a_single_class_is_scored_by_cvssps_systems_only():
    for name in BAG_SYSTEMS:
        with pytest.raises(ValueError, match="Expected two classes or more"):
            systems.build(name, 1)
    assert systems.build("cvssp_gated_crnn", 1).output["scores"].shape[1] == 1
