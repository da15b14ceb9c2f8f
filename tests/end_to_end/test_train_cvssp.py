"""CVSSP's gated CRNN from the command line: standardized, kept, resumed."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import model.systems  # noqa: F401  # Registers the layers for loading.
from avmil.features.store import FeatureStore
from tests.checkpoint_files import assert_same_weights, read_weights
from tests.command_line import flag_list, run
from tests.feature_files import write_features

SMALL = {
    "system": "cvssp_gated_crnn",
    "batch_size": 4,
    "learning_rate": 0.001,
    "steps": 6,
    "validate_every": 3,
    "checkpoint_every": 2,
    "keep_every": 2,
    "keep_last": 2,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    write_features(directory, {"train": 8, "val": 4, "test": 4})
    return directory


@pytest.fixture(scope="module")
def finished_run(features_dir, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("run") / "g"
    run("train.py", *train_flags(features_dir, run_dir))
    return run_dir


def train_flags(features_dir, run_dir, **changes):
    values = {**SMALL, **changes}
    return flag_list(features_dir=features_dir, run_dir=run_dir, **values)


def test_the_last_checkpoints_are_kept(finished_run):
    names = sorted(p.name for p in (finished_run / "checkpoints").iterdir())
    assert names[-3:] == ["kept-00000004", "kept-00000006", "last-00000006"]
    first, second = (
        read_weights(finished_run / "checkpoints" / name)
        for name in names[-3:-1]
    )
    assert first.keys() == second.keys()
    assert any((first[name] != second[name]).any() for name in first)


def test_standardization_of_the_training_split_is_stored(
    finished_run, features_dir
):
    path = finished_run / "checkpoints" / "last-00000006" / "model.keras"
    layer = keras.saving.load_model(path).get_layer("standardization")
    store = FeatureStore(features_dir, "train")
    frames = np.concatenate([store[i].cvssp_log_mel for i in range(len(store))])
    expected = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    standardized = np.asarray(layer(frames[np.newaxis]))[0]
    np.testing.assert_allclose(standardized, expected, atol=1e-4)


def test_resumed_training_ends_with_the_same_bits(
    finished_run, features_dir, tmp_path
):
    run("train.py", *train_flags(features_dir, tmp_path / "g", steps=4))
    output = run("train.py", *train_flags(features_dir, tmp_path / "g"))
    assert "Going on after step 4" in output
    assert "standardization" not in output
    name = "checkpoints/last-00000006"
    assert_same_weights(finished_run / name, tmp_path / "g" / name)


def test_it_is_evaluated_as_row_g(finished_run):
    output = run("evaluate.py", f"--run_dir={finished_run}")
    assert "(g) CVSSP - Gated-CRNN-logMel" in output
    metrics = json.loads((finished_run / "metrics.json").read_text())
    assert metrics["paper"]["micro"]["f1"] == pytest.approx(0.542)


def test_fc_weights_have_no_place_in_it(features_dir, tmp_path):
    path = tmp_path / "fc.npz"
    path.write_bytes(b"")
    flags = train_flags(features_dir, tmp_path / "g", fc_weights=path)
    assert "--fc_weights" in run("train.py", *flags, status=2)
