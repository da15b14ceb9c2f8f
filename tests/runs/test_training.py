"""Training: what it writes, how it goes on, what it refuses."""

from __future__ import annotations

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

import flags
import model.systems  # noqa: F401  # Registers the layers for loading.
from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ConfigError, FeaturesError
from avmil.evaluation import metrics
from avmil.features.batches import BatchLoader
from avmil.features.store import FeatureStore
from avmil.report import images
from avmil.runs import evaluation, steps, training
from avmil.runs.checkpoints import Checkpoints
from avmil.runs.fusion import open_run
from avmil.runs.run import Run
from model import systems
from tests.checkpoint_files import assert_same_weights, read_weights
from tests.feature_files import RECIPE, make_clip, plan_shards, write_features
from tests.runs.conftest import GATED

pytestmark = pytest.mark.slow


def test_run_directory_tells_everything(trained):
    config = json.loads((trained / "config.json").read_text())
    assert config["config"]["learning_rate"] == 0.003
    assert config["features"]["recipe"] == RECIPE
    assert "--fc_units=8\n" in (trained / "flags.txt").read_text()
    versions = json.loads((trained / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    names = sorted(p.name[:5] for p in (trained / "checkpoints").iterdir())
    assert names == ["best-", "last-"]


@pytest.fixture(scope="module")
def events(trained):
    found = EventAccumulator(str(trained / "tensorboard"), {"tensors": 0})
    return found.Reload()


def test_tensorboard_shows_the_curves(events):
    tags = set(events.Tags()["tensors"])
    assert {
        "loss",
        "learning_rate",
        "examples_per_s",
        "loss_of_no_class",
        "validation/micro_f1",
        "validation/map",
        "validation_f1/siren, loud",
        "visual_score/mean",
        "audio_score/mean",
        "config",
    } <= tags
    losses = events.Tensors("loss")
    assert [event.step for event in losses] == [5, 10, 15, 20, 25, 30]
    values = [tensor_util.make_ndarray(e.tensor_proto).item() for e in losses]
    assert values[-1] < values[0]
    # Heat maps of the first validation clips' labels.
    assert {"val001/siren, loud", "val002/train"} < set(events.Tags()["images"])
    pictures = events.Images("val000/bus")
    assert [event.step for event in pictures] == [10, 20, 30]
    assert pictures[0].width > pictures[0].height > 50
    assert pictures[0].encoded_image_string.startswith(b"\x89PNG")


def test_tensorboard_shows_a_dead_modality(events, trained, features_dir):
    """Against each modality's scores before their normalization."""
    store = FeatureStore(features_dir, "val")
    network = open_run(str(trained)).model
    batch = BatchLoader(store, len(store), network.input).load(np.arange(6))
    batch.pop("labels")
    outputs = network.predict_on_batch(batch)
    for modality in ("visual", "audio"):
        scores = outputs[f"{modality}_scores"]  # [6, 3]
        scores /= np.linalg.norm(scores, axis=1, keepdims=True)
        expected = {
            "mean": scores.mean(),
            "deviation": scores.std(axis=0).mean(),
        }
        for name, value in expected.items():
            (*_, last) = events.Tensors(f"{modality}_score/{name}")
            found = tensor_util.make_ndarray(last.tensor_proto)
            assert found == pytest.approx(value, abs=1e-5)


def test_tensorboard_compares_runs_by_their_choices(events):
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(
        metadata.plugin_data.content
    )
    choices = content.session_start_info.hparams
    assert choices["system"].string_value == "av_two_stream"
    assert choices["learning_rate"].number_value == 0.003
    assert choices["seed"].number_value == 0
    assert not {"run_dir", "features_dir", "log_every", "keep_last"} & {
        *choices
    }


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("cache", ["none", "device"])
def test_cached_features_train_the_same_bits(
    trained, train, tmp_path, monkeypatch, cache, accelerated
):
    """The others are in host memory; also several steps in a call."""
    monkeypatch.setattr(steps, "has_accelerator", lambda: accelerated)
    run_dir = train(tmp_path, cache=cache, save_interval_s=1e6)
    name = "checkpoints/last-00000030"
    assert_same_weights(trained / name, run_dir / name)
    curves = [
        EventAccumulator(str(path / "tensorboard"), {"tensors": 0})
        .Reload()
        .Tensors("loss")
        for path in (trained, run_dir)
    ]
    points = [
        [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events]
        for events in curves
    ]
    assert points[0] == points[1]


def test_training_ends_where_validation_no_longer_improves(
    train, tmp_path, capsys
):
    """Without learning, only the first validation is a new best."""
    changes = {
        "learning_rate": 0.0,
        "early_stopping": 2,
        "validate_every": 2,
        "save_interval_s": 1e6,
        "xla": False,
    }
    run_dir = train(tmp_path, **changes)
    names = sorted(p.name for p in (run_dir / "checkpoints").iterdir())
    assert names == ["best-00000002", "last-00000006"]
    ends = [capsys.readouterr().out]
    train(tmp_path, **changes)  # Does nothing more.
    ends.append(capsys.readouterr().out)
    for end in ends:
        assert "is finished: trained 6 steps" in end
        assert "at step 2." in end
        assert f"evaluate.py --run_dir={run_dir}\n" in end
    assert sorted(p.name for p in (run_dir / "checkpoints").iterdir()) == names
    seeds = [
        Run(str(train(tmp_path / str(seed), seed=seed, **changes)))
        for seed in (1, 2)
    ]
    assert seeds[0].identity.settings == seeds[1].identity.settings


def test_a_short_run_is_validated_ten_times(train, tmp_path):
    changes = {"validate_every": 0, "save_interval_s": 1e6, "xla": False}
    run_dir = train(tmp_path, steps=30, **changes)
    events = EventAccumulator(str(run_dir / "tensorboard"), {"tensors": 0})
    found = events.Reload().Tensors("validation/map")
    assert [event.step for event in found] == [*range(3, 31, 3)]


def test_best_checkpoint_is_the_one_of_the_best_validation(
    train, tmp_path, monkeypatch
):
    """It is written later, with the weights that it had."""
    values = iter([0.2, 0.9, 0.5])
    monkeypatch.setattr(
        metrics, "ranking", lambda *_: metrics.Ranking(next(values), 0.5, 0.0)
    )
    run_dir = train(tmp_path / "a", save_interval_s=1e6, keep_every=10)
    folder = run_dir / "checkpoints"
    assert (folder / "best-00000020").is_dir()
    assert_same_weights(folder / "kept-00000020", folder / "best-00000020")
    state = json.loads((folder / "last-00000030" / "state.json").read_text())
    assert (state["best"], state["best_step"]) == (0.9, 20)


def test_loss_of_no_class_by_hand():
    """Two modalities, 17 classes, as many labels as DCASE's batches have."""
    frequencies = np.full(17, 1.2406439671 / 17)
    network = systems.build(
        "av_two_stream", 17, systems.SystemConfig(fc_units=2, audio_units=2)
    )
    loss = training.no_class_loss(network, frequencies)
    assert loss == pytest.approx(0.5857288)
    labels = np.ones((1, 17))
    scores = np.full((1, 17), -2 / np.sqrt(17))
    hinge = keras.losses.Hinge()
    expected = frequencies[0] * hinge(labels, scores) + (
        1 - frequencies[0]
    ) * hinge(0 * labels, scores)
    assert loss == pytest.approx(float(expected))


def test_mixed_precision_goes_on_with_the_same_bits(train, tmp_path):
    changes = {"precision": "mixed_float16", "save_interval_s": 1e6}
    changes |= {"xla": False, "validate_every": 6}
    checkpoints = []
    for name, ends in (("whole", [6]), ("resumed", [4, 6])):
        for end in ends:
            run_dir = train(tmp_path / name, steps=end, **changes)
        checkpoints.append(run_dir / "checkpoints" / "last-00000006")
    assert_same_weights(*checkpoints)
    for values in read_weights(checkpoints[0]).values():
        assert np.isfinite(values).all()


def test_row_g_goes_on_with_the_same_bits(gated, train, capsys, monkeypatch):
    monkeypatch.setattr(training, "_LOCALIZED_CLIPS", 0)
    half = gated.parent / "half"
    train(half, **GATED)
    output = capsys.readouterr().out
    assert "Going on after step 2" in output
    assert "standardization" not in output
    name = "checkpoints/last-00000004"
    assert_same_weights(gated / name, half / name)


def test_every_system_trains_and_has_its_row(
    train, trained, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(training, "_LOCALIZED_CLIPS", 0)
    rows = {
        "visual_wsddn": "(d) TS Video-Only WSDDN-Type",
        "audio_two_stream": "(b) TS Audio-Only",
        "av_one_stream": "(e) AV One Stream",
        "visual_two_stream": "(c) TS Video-Only",
        "av_late_fusion": "(h) ",
    }
    for system in rows:
        every = dict.fromkeys(("validate_every", "checkpoint_every"), 60)
        options = {"xla": False, "one_stream_pooling": "mean", **every}
        train(tmp_path / system, system=system, steps=60, **options)
    shutil.copytree(trained, tmp_path / "a")
    # Most of the time would go into the panels of pages.
    monkeypatch.setattr(images, "to_png", lambda figure, dpi: b"")
    config = flags.EvaluationConfig(runs=f"{tmp_path}/*")
    results = evaluation.evaluate(config)
    table = capsys.readouterr().out.split("Table 1")[1].split("Table 2")[0]
    places = [table.index(row) for row in sorted(rows.values())]
    assert places == sorted(places)
    assert table.index("(a) Proposed AV Two Stream") < places[0]
    assert len(results) == 6
    one_stream = Run(str(tmp_path / "av_one_stream")).model
    assert one_stream.get_layer("audio_scoring").pooling == "mean"
    for result in results:
        assert result.micro.f1 > result.chance.random_mean.f1
        # Five of six clips can be found, each with one label.
        assert result.test.num_missing == 1
        assert result.micro.recall <= 5 / 6


def test_the_last_checkpoints_are_kept(gated):
    names = sorted(p.name for p in (gated / "checkpoints").iterdir())
    assert names[-3:] == ["kept-00000003", "kept-00000004", "last-00000004"]
    first, second = (
        read_weights(gated / "checkpoints" / name) for name in names[-3:-1]
    )
    assert first.keys() == second.keys()
    assert any((first[name] != second[name]).any() for name in first)


def test_standardization_of_the_training_split_is_stored(gated, features_dir):
    layer = open_run(str(gated)).model.get_layer("standardization")
    store = FeatureStore(features_dir, "train")
    frames = np.concatenate([store[i].cvssp_log_mel for i in range(len(store))])
    expected = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    standardized = np.asarray(layer(frames[np.newaxis]))[0]
    np.testing.assert_allclose(standardized, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 20}, "at least the 30 steps"),
        ({"dropout": 0.1}, "--dropout: there 0.5, received 0.1"),
        ({"seed": 1, "fc_units": 9}, "--fc_units: .*\n.*--seed: "),
    ],
)
def test_flags_that_contradict_the_run_are_refused(
    trained, train, changes, message
):
    before = (trained / "flags.txt").read_bytes()
    with pytest.raises(ConfigError, match=message):
        train(trained, **changes)
    if "steps" not in changes:
        assert (trained / "flags.txt").read_bytes() == before
    train(trained)  # Does nothing but to put the flags back.


def test_other_features_than_the_runs_are_refused(trained, train, tmp_path):
    write_features(str(tmp_path), {"train": 3, "val": 3, "test": 3})
    with pytest.raises(ConfigError, match="features: not the clips_sha256"):
        train(trained, features_dir=str(tmp_path))


@pytest.mark.parametrize("system", ["av_two_stream", "cvssp_gated_crnn"])
def test_a_single_class_is_refused_by_every_system(train, tmp_path, system):
    rows = [
        ManifestEntry(split, "a.mp4", ("bus",), split)
        for split in ("train", "val")
    ]
    directory = str(tmp_path / "features")
    for shard in plan_shards(directory, rows, class_names=("bus",)):
        shard.complete(lambda row: make_clip(row.clip_id, row.labels))
    with pytest.raises(FeaturesError, match="drawn by labels"):
        train(tmp_path / "run", features_dir=directory, system=system)


def test_divergence_is_named(train, tmp_path):
    with pytest.raises(ConfigError, match=r"received nan at step [234]\."):
        train(tmp_path, learning_rate=1e38)


def test_another_backend_than_keras_runs_on_is_refused(train, tmp_path):
    with pytest.raises(ConfigError, match="--backend: Expected tensorflow"):
        train(tmp_path, backend="jax")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Expected a whole checkpoint in"),
        ("other", "one of another_system"),
    ],
)
def test_damaged_and_foreign_checkpoints_are_named(
    trained, train, tmp_path, content, message
):
    run_dir, path = copy_of(trained, tmp_path)
    if content:
        layers = [keras.Input((3,))]
        keras.Sequential(layers, name="another_system").save(path)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    for work in (
        lambda: train(run_dir),
        lambda: evaluation.evaluate(
            flags.EvaluationConfig(run_dir=str(run_dir))
        ),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            work()
        assert str(path.parent) in str(caught.value)


def copy_of(trained, tmp_path):
    """A copy of a run, and the network of its last checkpoint."""
    run_dir = tmp_path / "copy"
    shutil.copytree(trained, run_dir)
    return run_dir, run_dir / "checkpoints" / "last-00000030" / "model.keras"


@pytest.mark.parametrize("place", [0.001, 0.5, 0.999])
def test_a_flipped_bit_of_a_checkpoint_is_found(trained, tmp_path, place):
    run_dir, path = copy_of(trained, tmp_path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="Expected a whole checkpoint"):
        Checkpoints(str(run_dir)).load("last", "av_two_stream")


def test_a_checkpoint_that_unpacks_to_far_more_is_refused(trained, tmp_path):
    run_dir, path = copy_of(trained, tmp_path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 24))
    with pytest.raises(ConfigError, match="unpacks to more"):
        Checkpoints(str(run_dir)).load("last", "av_two_stream")


def test_a_layer_that_is_not_known_here_is_named(trained, tmp_path):
    run_dir, path = copy_of(trained, tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    layer = b"TwoStreamScoring"
    parts["config.json"] = parts["config.json"].replace(layer, b"Newer")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ConfigError, match="a layer Newer") as caught:
        Checkpoints(str(run_dir)).load("last", "av_two_stream")
    assert "elete" not in str(caught.value)


def test_a_run_that_failed_to_start_can_be_corrected(train, tmp_path):
    wrong = tmp_path / "weights.npz"
    wrong.write_bytes(b"no weights")
    for system in ("cvssp_gated_crnn", "av_two_stream"):
        with pytest.raises(ConfigError, match="--fc_weights"):
            train(tmp_path / "run", system=system, fc_weights=str(wrong))
    train(tmp_path / "run", steps=1, xla=False)


def test_places_that_cannot_be_used_are_named(train, tmp_path):
    (tmp_path / "file").touch()
    run_dir = tmp_path / "file" / "run"
    with pytest.raises(OSError, match=str(run_dir)):
        train(run_dir)
    with pytest.raises(FeaturesError, match="dataset_info"):
        train(tmp_path / "run", features_dir=str(tmp_path))
