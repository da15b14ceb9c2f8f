"""Runs and fusions behind one interface, and the checkpoints of a run."""

from __future__ import annotations

import dataclasses
import json
import typing

import numpy as np
import pytest

import flags
from avmil.common.errors import ConfigError, FeaturesError
from avmil.evaluation.identity import Training, WeightsIdentity
from avmil.features.store import FeatureStore
from avmil.runs.checkpoints import TrainState
from avmil.runs.fusion import Fusion, fuse, open_members, open_run
from avmil.runs.run import SPLITS, Run, TrainedOn, training_of, write_scores
from model import systems
from tests.feature_files import CLASS_NAMES, write_features
from tests.runs.conftest import untrained_run

SYSTEM = "visual_wsddn"


CHECKPOINTS = [("kept", 2), ("kept", 3), ("last", 3), ("best", 2)]


@pytest.fixture(scope="module")
def paths(features_dir, tmp_path_factory):
    """Directories: two runs that differ in their seed, and their fusion."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        path = untrained_run(
            folder / f"d{seed}", features_dir, SYSTEM, seed, CHECKPOINTS
        )
        run = Run(path)
        write_scores(path, run.scored, run.weights)
    fuse(open_members(f"{folder}/d*"), str(folder / "f"))
    return {name: str(folder / name) for name in ("d0", "d1", "f")}


@pytest.mark.parametrize(
    ("name", "options", "system", "seed", "localizes"),
    [
        ("d0", {}, SYSTEM, 0, True),
        ("d1", {"checkpoint": "best"}, SYSTEM, 1, True),
        ("d1", {"use_saved_scores": True}, SYSTEM, 1, True),
        ("f", {}, "cvssp_fusion", "0+1", False),
    ],
)
def test_runs_and_fusions_have_one_interface(
    paths, features_dir, name, options, system, seed, localizes
):
    run = open_run(paths[name], **options)
    assert isinstance(run, Run if localizes else Fusion)
    assert (run.path, run.name) == (paths[name], name)
    assert run.localizes == localizes
    assert run.file("x.json") == f"{paths[name]}/x.json"
    for split in SPLITS:
        scores = run.scores(split)
        store = FeatureStore(features_dir, split)
        missing = [clip.clip_id for clip in store.missing]
        assert scores.clip_ids == (*store.clip_ids, *missing)
        assert scores.class_names == CLASS_NAMES
        assert list(scores.missing_clip_ids) == missing
    identity = run.identity
    assert (identity.system, identity.run_name) == (system, name)
    assert identity.seed == seed
    assert json.loads(identity.settings)


def test_runs_that_differ_in_their_seed_have_the_same_settings(paths, tmp_path):
    last, other = (open_run(paths[name]) for name in ("d0", "d1"))
    assert last.identity.settings == other.identity.settings
    best = open_run(paths["d0"], "best")
    assert best.identity.settings != last.identity.settings
    # The best step differs between seeds; the last one must not.
    assert '"step"' not in best.identity.settings
    assert '"step": 3' in last.identity.settings


def test_travel_and_initialization_of_weights():
    choices = dataclasses.asdict(
        flags.TrainConfig(steps=3000, learning_rate=1e-4)
    )
    last, best = (WeightsIdentity(kind, 1000) for kind in ("last", "best"))
    assert training_of(choices, last) == (
        pytest.approx((0.1,)),
        pytest.approx(0.1),
        ("random",),
    )
    loaded = choices | {"fc_weights": "weights/net.npz"}
    assert training_of(loaded, best) == (
        pytest.approx((0.1,)),
        pytest.approx(0.3),
        ("net.npz",),
    )
    audio = choices | {"system": "cvssp_gated_crnn"}
    assert training_of(audio, None) == Training()


def test_saved_scores_are_those_of_their_weights(paths):
    saved = open_run(paths["d0"], use_saved_scores=True)
    assert saved.weights == WeightsIdentity("last", 3)
    with pytest.raises(ConfigError, match="--checkpoint: Expected last"):
        _ = open_run(paths["d0"], "best", use_saved_scores=True).weights
    scored = open_run(paths["d0"])
    for split in SPLITS:
        np.testing.assert_array_equal(
            saved.scores(split).scores, scored.scores(split).scores
        )
    for ours, others in zip(
        saved.model.weights, scored.model.weights, strict=True
    ):
        np.testing.assert_array_equal(ours, others)


def test_only_the_last_checkpoints_stay(features_dir, tmp_path):
    kept = [("kept", step) for step in (1, 2, 3, 4)]
    path = untrained_run(tmp_path, features_dir, SYSTEM, 0, kept)
    checkpoints = Run(path).checkpoints
    assert checkpoints.steps("kept") == [2, 3, 4]
    network, state = checkpoints.load("kept", SYSTEM)
    assert state.step == 4
    assert checkpoints.load("kept", SYSTEM, 2)[1].step == 2
    with pytest.raises(ConfigError, match="a kept checkpoint of step 1 in"):
        checkpoints.load("kept", SYSTEM, 1)
    # Set back to an older step, the run goes another way from there.
    checkpoints.save("kept", network, TrainState(1), num_kept=2)
    assert checkpoints.steps("kept") == [1]
    (tmp_path / "checkpoints" / "kept-00000009.partial").mkdir()
    assert checkpoints.steps("kept") == [1]


def test_a_released_network_is_loaded_again(paths):
    run = Run(paths["d0"])
    first = run.model
    assert run.model is first
    run.release()
    assert run.model is not first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Expected a run directory"),
        ("{", "damaged"),
        ("{}", "of another version.*config"),
        (
            '{"config": {"unknown": 1}, "features": '
            '{"recipe": {}, "class_names": []}}',
            "of another version.*unknown",
        ),
    ],
)
def test_other_directories_are_refused(tmp_path, content, message):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        open_run(str(tmp_path))


def test_features_of_another_recipe_are_refused(paths, tmp_path):
    directory = str(tmp_path)
    write_features(directory, {"train": 3, "val": 3, "test": 3})
    info_path = tmp_path / "dataset_info.json"
    info = json.loads(info_path.read_text())
    run = Run(paths["d0"], features_dir=directory)
    assert len(run.stores["test"]) == 3
    del info["content_sha256"]
    info_path.write_text(json.dumps(info | {"recipe": {"made": "new"}}))
    with pytest.raises(FeaturesError, match="made: there 'up', received 'new'"):
        _ = Run(paths["d0"], features_dir=directory).stores


def test_cvssp_systems_refuse_features_with_the_former_spectrogram(tmp_path):
    def start(system):
        config = flags.TrainConfig(system, run_dir=str(tmp_path / system))
        return Run.start(config, TrainedOn({"made": "up"}, ["bus", "train"]))

    with pytest.raises(FeaturesError, match="older ones"):
        start("cvssp_gated_crnn")
    start("av_two_stream")


def test_flags_name_every_system():
    types = typing.get_type_hints(flags.TrainConfig)
    assert typing.get_args(types["system"]) == systems.names()
