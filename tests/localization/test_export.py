"""Runs as others use them: packed, and their networks in other formats."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

import avmil
from avmil.common.errors import ConfigError
from avmil.localization.export import export_run
from flags import ExportConfig
from tests.end_to_end.test_localize import CLASS_NAMES, make_run

STEP = "checkpoints/last-00000001"


def export(run_dir, output, kind="packed"):
    export_run(str(run_dir), ExportConfig(output=str(output), format=kind))
    return output


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture(scope="module")
def packed(run_dir, tmp_path_factory):
    return export(run_dir, tmp_path_factory.mktemp("packed") / "a.zip")


def bags(model, batch=2):
    """Bags of other sizes than those the network was built with."""
    generator = np.random.default_rng(0)
    made = {}
    for name, tensor in model.input.items():
        count = 5 if name.startswith("region") else 7
        free = [batch, count]
        shape = [n or free[axis] for axis, n in enumerate(tensor.shape)]
        made[name] = generator.random(shape).astype(tensor.dtype)
        if name.endswith("mask"):
            made[name] = generator.random(shape) < 0.7
    return made


def test_packed_runs_open_as_their_directory(run_dir, packed):
    there, back = avmil.load_run(run_dir), avmil.load_run(packed)
    for field in dataclasses.fields(there):
        if field.name != "model":
            values = getattr(there, field.name), getattr(back, field.name)
            assert values[0] == values[1], field.name
    expected = there.model.predict_on_batch(bags(there.model))
    found = back.model.predict_on_batch(bags(back.model))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_packed_runs_are_packed_again_and_name_no_path(packed, tmp_path):
    again = zipfile.ZipFile(export(packed, tmp_path / "a.zip"))
    first = zipfile.ZipFile(packed)
    assert again.namelist() == first.namelist()
    for name in ("config.json", "flags.txt", "README.md", "thresholds.json"):
        assert again.read(name) == first.read(name)
        assert str(packed.parent.parent).encode() not in first.read(name)


def test_card_names_classes_thresholds_and_tensors(packed):
    card = zipfile.ZipFile(packed).read("README.md").decode()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in card.splitlines()
        if line.startswith("|")
    ]
    assert ["siren, loud", "100", ""] in rows
    assert ["input", "regions", "float16", "[B, M, 9216]"] in rows
    assert ["output", "segment_scores", "float32", "[B, T, 3]"] in rows
    assert "`av_two_stream`" in card
    assert "not evaluated" in card


def run_saved_model(path, inputs):
    network = tf.saved_model.load(str(path / "saved_model"))
    return {k: v.numpy() for k, v in network.serve(inputs).items()}


def run_keras(path, inputs):
    network = keras.saving.load_model(path / "model.keras")
    return network(inputs, training=False)


def run_onnx(path, inputs):
    session = onnxruntime.InferenceSession(path / "model.onnx")
    assert {node.name for node in session.get_inputs()} == set(inputs)
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "load", "system"),
    [
        ("saved_model", run_saved_model, "av_two_stream"),
        ("keras", run_keras, "av_two_stream"),
        ("onnx", run_onnx, "av_two_stream"),
        ("onnx", run_onnx, "av_late_fusion"),
        ("onnx", run_onnx, "av_one_stream"),
        ("onnx", run_onnx, "cvssp_gated_crnn_attention"),
    ],
)
def test_exported_networks_score_as_the_run(tmp_path, kind, load, system):
    run_dir = make_run(tmp_path / "run", system)
    model = avmil.load_run(run_dir).model
    path = export(run_dir, tmp_path / "exported", kind)
    inputs = bags(model, 3)
    expected = model.predict_on_batch(inputs)
    for num_clips in (1, 3):
        part = {name: array[:num_clips] for name, array in inputs.items()}
        found = load(path, part)
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(
                found[name], values[:num_clips], 1e-4, 1e-6
            )
    classes = (path / "classes.txt").read_text().splitlines()
    assert classes == list(CLASS_NAMES)


def repacked(packed, path, compression=zipfile.ZIP_STORED, **changes):
    """A copy of a packed run whose members are changed; None leaves one out."""
    source = zipfile.ZipFile(packed)
    members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in (members | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return path


def network_with(packed, **changes):
    """The packed run's model.keras with other members."""
    content = io.BytesIO(zipfile.ZipFile(packed).read(f"{STEP}/model.keras"))
    changed = repacked(content, io.BytesIO(), **changes)
    return {f"{STEP}/model.keras": changed.getvalue()}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"../evil.txt": b"x"}, r"'\.\./evil\.txt', which no run has"),
        ({"run.pkl": b"x"}, "'run.pkl', which no run has"),
        ({"compression": zipfile.ZIP_DEFLATED}, "more than its size"),
        ({"config.json": None}, "without config.json"),
        ({f"{STEP}/model.keras": b"x"}, "not a zip file"),
        ({"thresholds.json": b"{}"}, r"each class in \S+/b\.zip/thresholds"),
    ],
)
def test_files_of_strangers_are_checked(packed, tmp_path, changes, expected):
    path = repacked(packed, tmp_path / "b.zip", **changes)
    with pytest.raises(ConfigError, match=expected):
        avmil.load_run(path)
    assert not (tmp_path / "evil.txt").exists()


def test_code_within_a_network_is_not_run(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layer = keras.layers.Lambda(lambda x: __import__("os").mkdir("ran") or x)
    hostile = keras.Sequential([keras.Input((1,)), layer])
    (tmp_path / "ran").rmdir()  # It ran when it was built.
    changes = network_with(packed, **{"config.json": hostile.to_json()})
    path = repacked(packed, tmp_path / "b.zip", **changes)
    with pytest.raises(ConfigError, match="received ValueError in Keras"):
        avmil.load_run(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_config_errors(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    (tmp_path / "cut.zip").write_bytes(content[:-500])
    start = content.index(b"fc_units")
    content[start : start + 8] = b"fc_Units"
    (tmp_path / "changed.zip").write_bytes(content)
    for name in ("cut.zip", "changed.zip"):
        with pytest.raises(ConfigError, match="Expected a packed run"):
            avmil.load_run(tmp_path / name)


def test_an_output_that_is_there_stays(run_dir, packed):
    before = packed.read_bytes()
    with pytest.raises(ConfigError, match="not there yet"):
        export(run_dir, packed)
    assert packed.read_bytes() == before


def test_card_of_an_evaluated_run(tmp_path):
    run_dir = make_run(tmp_path / "a")
    metrics = {
        "micro": {"f1": 0.5, "precision": 0.25, "recall": 1.0},
        "micro_intervals": {"f1": {"low": 0.4, "high": 0.6}},
        "ranking": {"mean_average_precision": 0.75},
        "is_at_chance": True,
        "classes": [{"name": name, "f1": 0.125} for name in CLASS_NAMES],
    }
    (run_dir / "metrics.json").write_text(json.dumps(metrics))
    path = export(run_dir, tmp_path / "a.zip")
    card = zipfile.ZipFile(path).read("README.md").decode()
    assert "F1 50.0 (95 % interval 40.0 to 60.0)" in card
    assert "At chance" in card
    assert card.count("| 12.5") == len(CLASS_NAMES)
    assert avmil.load_run(path).is_at_chance
