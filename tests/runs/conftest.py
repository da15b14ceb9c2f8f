"""Features and trained runs, shared by the tests of this room."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import keras
import pytest

import flags
from avmil.features.store import FeatureStore
from avmil.report import images
from avmil.runs import training
from avmil.runs.checkpoints import Checkpoints, TrainState
from avmil.runs.run import Run, TrainedOn
from model import systems
from tests.feature_files import write_features

SMALL = flags.TrainConfig(
    batch_size=4,
    fc_units=8,
    audio_units=8,
    learning_rate=0.003,
    validate_every=10,
    checkpoint_every=5,
    log_every=5,
    save_interval_s=0,
    steps=30,
)

GATED = {
    "system": "cvssp_gated_crnn",
    "learning_rate": 0.001,
    "steps": 4,
    "validate_every": 4,
    "checkpoint_every": 2,
    "keep_every": 1,
    "keep_last": 2,
    "batch_size": 2,
    "xla": False,  # It takes a minute to compile.
}


def untrained_run(
    path, features_dir, system, seed=0, checkpoints=(("last", 1),)
):
    """Makes a run whose checkpoints have small weights of their own."""
    config = flags.TrainConfig(
        system=system,
        features_dir=features_dir,
        run_dir=str(path),
        batch_size=3,
        seed=seed,
    )
    store = FeatureStore(features_dir, "train")
    run = Run.start(config, TrainedOn.of(store))
    for kind, step in checkpoints:
        sizes = systems.SystemConfig(
            fc_units=4, audio_units=4, seed=seed + step
        )
        network = systems.build(system, len(store.class_names), sizes)
        network.compile("adam", systems.losses(system))
        run.checkpoints.save(kind, network, TrainState(step), num_kept=3)
    return str(path)


@pytest.fixture(autouse=True)
def _float32():
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture
def no_panels(monkeypatch):
    """Pages without their figures, most of the time of an evaluation."""
    monkeypatch.setattr(images, "to_png", lambda figure, dpi: b"")


@pytest.fixture(scope="session")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    counts = {"train": 12, "val": 6, "test": 6}
    write_features(directory, counts, missing=("test001",))
    return directory


@pytest.fixture(scope="session")
def train(features_dir):
    """Trains a small run; takes its directory and changes of the flags."""

    def run(run_dir, **changes):
        values = {"features_dir": features_dir, "run_dir": str(run_dir)}
        training.train(dataclasses.replace(SMALL, **(values | changes)))
        return pathlib.Path(run_dir)

    return run


@pytest.fixture(scope="session")
def trained(train, tmp_path_factory):
    """A finished run of row (a); tests do not write into it."""
    return train(tmp_path_factory.mktemp("trained") / "a")


@pytest.fixture(scope="session")
def gated(train, tmp_path_factory):
    """A finished run of row (g); `half` beside it is its copy at step 2."""
    folder = tmp_path_factory.mktemp("gated")
    save = Checkpoints.save

    def save_and_copy(self, kind, network, state, num_kept=1):
        save(self, kind, network, state, num_kept)
        if (kind, state.step) == ("last", 2):
            shutil.copytree(folder / "g", folder / "half")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_copy)
        patch.setattr(training, "_LOCALIZED_CLIPS", 0)  # They take seconds.
        return train(folder / "g", **GATED)
