"""train.py and evaluate.py as a user starts them: killed, resumed, mistaken."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest

from avmil.runs import scoring
from avmil.runs.run import Run, read_scores
from tests.checkpoint_files import assert_same_weights
from tests.command_line import flag_list, run, start
from tests.feature_files import write_features

SMALL = {
    "steps": 60,
    "batch_size": 4,
    "fc_units": 8,
    "audio_units": 8,
    "learning_rate": 0.003,
    "validate_every": 20,
    "checkpoint_every": 5,
    "save_interval_s": 0,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    counts = {"train": 12, "val": 6, "test": 6}
    write_features(directory, counts, missing=("test001",))
    return directory


@pytest.fixture(scope="module")
def finished_run(features_dir, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("run") / "a"
    flags = flag_list(features_dir=features_dir, run_dir=run_dir, **SMALL)
    run("train.py", "--row=a", *flags)
    return run_dir


def test_a_row_gives_the_flags_that_are_not_given_behind_it(finished_run):
    config = json.loads((finished_run / "config.json").read_text())["config"]
    assert config["system"] == "av_two_stream"
    assert config["adam_epsilon"] == 1e-8
    assert (config["steps"], config["fc_units"]) == (60, 8)


def test_evaluation_counts_missing_clips(finished_run):
    output = run("evaluate.py", f"--run_dir={finished_run}")
    assert "with its last weights, step 60" in output
    assert "1 of 6 test clips have no features and count as missed" in output


def test_interrupted_run_ends_with_the_same_bits(
    finished_run, features_dir, tmp_path
):
    """Killed at its first checkpoint, then interrupted at a later one."""
    flags = flag_list(features_dir=features_dir, run_dir=tmp_path, **SMALL)
    checkpoints = tmp_path / "checkpoints"
    for number in (signal.SIGKILL, signal.SIGTERM):
        before = set(checkpoints.glob("last-*/state.json"))
        process = start("train.py", *flags)
        while set(checkpoints.glob("last-*/state.json")) <= before:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate()
        assert not (checkpoints / "last-00000060").exists()
    assert "Going on after step" in run("train.py", *flags)
    name = "checkpoints/last-00000060"
    assert_same_weights(tmp_path / name, finished_run / name)


def without_tensorflow(script, **flags):
    """Runs a script on JAX where TensorFlow cannot be imported."""
    absent = ("tensorflow", "tensorflow_io")
    return run(script, *flag_list(backend="jax", **flags), without=absent)


def test_jax_trains_and_evaluates_without_tensorflow(features_dir, tmp_path):
    """The same bits wherever the features are, and after an end between."""
    # Heat maps, whose operations JAX compiles one by one, at the end only.
    small = {**SMALL, "features_dir": features_dir, "save_interval_s": 1e6}
    for name, steps, cache in (
        ("whole", 25, "none"),
        ("parts", 13, "device"),
        ("parts", 25, "host"),
    ):
        flags = {**small, "steps": steps, "cache": cache}
        without_tensorflow("train.py", run_dir=tmp_path / name, **flags)
    runs = [tmp_path / name for name in ("whole", "parts")]
    assert_same_weights(*(run / "checkpoints/last-00000025" for run in runs))
    printed = without_tensorflow("evaluate.py", run_dir=runs[0])
    assert "with its last weights, step 25" in printed
    # The other backend reads the checkpoint.
    by_jax = read_scores(str(runs[0]))[0]["val"]
    store = scoring.open_split(features_dir, "val")
    network = Run(str(runs[0])).model
    by_tensorflow = scoring.Scorer(network, store, 4).score()["scores"]
    np.testing.assert_allclose(by_tensorflow.scores, by_jax.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("train.py", ["--run_dir=x"], "features_dir"),
        ("train.py", ["--features_dir=none", "--run_dir=x"], "dataset_info"),
        ("train.py", ["--features_dir=x", "--run_dir=y", "steps", "5"], "only"),
        ("train.py", ["--row=f"], "a|b|c|d|e|h|e-mean|g|small/a"),
        ("train.py", ["--features_dir=x", "--run_dir="], "run_dir"),
        ("evaluate.py", ["--row=f"], "either --run_dir or --runs, received n"),
    ],
)
def test_mistakes_are_answered_without_a_traceback(
    tmp_path, monkeypatch, script, flags, message
):
    monkeypatch.chdir(tmp_path)
    process = start(script, *flags)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output
