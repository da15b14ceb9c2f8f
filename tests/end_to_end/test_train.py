"""Training from the command line: results, kill and resume, mistakes."""

from __future__ import annotations

import json
import shutil
import time

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.plugins.hparams import plugin_data_pb2

from tests.checkpoint_files import assert_same_weights, read_weights
from tests.command_line import flag_list, run, start
from tests.feature_files import write_features

COUNTS = {"train": 12, "val": 6, "test": 6}
SMALL = {
    "batch_size": 4,
    "fc_units": 8,
    "audio_units": 8,
    "learning_rate": 0.003,
    "validate_every": 10,
    "checkpoint_every": 5,
    "log_every": 5,
    "steps": 30,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    write_features(directory, COUNTS, missing=("test001",))
    return directory


@pytest.fixture(scope="module")
def finished_run(features_dir, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("run") / "a"
    run("train.py", *train_flags(features_dir, run_dir))
    return run_dir


def train_flags(features_dir, run_dir, **changes):
    values = {**SMALL, **changes}
    return flag_list(features_dir=features_dir, run_dir=run_dir, **values)


def test_run_directory_tells_everything(finished_run, features_dir):
    config = json.loads((finished_run / "config.json").read_text())
    assert config["config"]["learning_rate"] == 0.003
    assert config["features"]["recipe"] == {"made": "up"}
    assert "--fc_units=8\n" in (finished_run / "flags.txt").read_text()
    versions = json.loads((finished_run / "versions.json").read_text())
    assert versions["tensorflow"].startswith("2.17")
    names = sorted(p.name[:5] for p in (finished_run / "checkpoints").iterdir())
    assert names == ["best-", "last-"]


def test_tensorboard_shows_the_curves(finished_run):
    events = EventAccumulator(str(finished_run / "tensorboard"), {"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    assert {
        "loss",
        "learning_rate",
        "examples_per_s",
        "validation/micro_f1",
        "validation_f1/siren, loud",
        "config",
    } <= tags
    steps = [event.step for event in events.Tensors("loss")]
    assert steps == [5, 10, 15, 20, 25, 30]
    # Heat maps of the first validation clips' labels.
    pictures = [event.step for event in events.Tensors("val000/bus")]
    assert pictures == [10, 20, 30]
    assert {"val001/siren, loud", "val002/train"} <= tags


def test_tensorboard_compares_runs_by_their_choices(finished_run):
    events = EventAccumulator(str(finished_run / "tensorboard"), {"tensors": 0})
    events.Reload()
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(
        metadata.plugin_data.content
    )
    choices = content.session_start_info.hparams
    assert choices["system"].string_value == "av_two_stream"
    assert choices["learning_rate"].number_value == 0.003
    assert choices["seed"].number_value == 0
    assert "run_dir" not in choices


def test_evaluation_beats_chance_and_counts_missing_clips(finished_run):
    output = run("evaluate.py", f"--run_dir={finished_run}")
    assert "1 of 6 test clips have no features and count as missed" in output
    metrics = json.loads((finished_run / "metrics.json").read_text())
    # Five of six clips can be found, each with one label.
    assert metrics["counts"]["false_negatives"] >= 1
    assert metrics["micro"]["f1"] > metrics["chance"]["random_mean"]["f1"]
    assert metrics["micro"]["recall"] <= 5 / 6
    for name in ("tables.md", "table1.csv", "table2.csv", "thresholds.json"):
        assert (finished_run / name).stat().st_size > 0
    again = run(
        "evaluate.py", f"--run_dir={finished_run}", "--use_saved_scores"
    )
    assert again.split("Table 1")[1] == output.split("Table 1")[1]
    assert "with its best weights, step" in run(
        "evaluate.py", f"--run_dir={finished_run}", "--checkpoint=best"
    )


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_interrupted_run_ends_with_the_same_bits(
    finished_run, features_dir, tmp_path, how
):
    run_dir = tmp_path / "resumed"
    flags = train_flags(features_dir, run_dir)
    process = start("train.py", *flags)
    checkpoints = run_dir / "checkpoints"
    deadline_s = time.monotonic() + 120
    while not list(checkpoints.glob("last-*5/state.json")):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    getattr(process, how)()
    process.communicate()
    assert not (checkpoints / "last-00000030").exists()
    assert "Going on after step" in run("train.py", *flags)
    name = "checkpoints/last-00000030"
    assert_same_weights(run_dir / name, finished_run / name)


def test_more_steps_extend_a_run(features_dir, tmp_path):
    run_dir = tmp_path / "extended"
    run("train.py", *train_flags(features_dir, run_dir, steps=5))
    run("train.py", *train_flags(features_dir, run_dir, steps=10))
    assert (run_dir / "checkpoints" / "last-00000010").is_dir()


def test_every_system_trains_and_has_its_row(
    features_dir, finished_run, tmp_path
):
    rows = {
        "visual_wsddn": "(d) TS Video-Only WSDDN-Type",
        "audio_two_stream": "(b) TS Audio-Only",
        "av_one_stream": "(e) AV One Stream",
        "visual_two_stream": "(c) TS Video-Only",
    }
    for system in rows:
        changes = {"system": system, "steps": 60, "validate_every": 60}
        flags = train_flags(features_dir, tmp_path / system, **changes)
        run("train.py", *flags)
    run_dirs = [*(str(tmp_path / system) for system in rows), str(finished_run)]
    output = run(
        "evaluate.py",
        f"--runs={','.join(run_dirs)}",
        f"--output_dir={tmp_path / 'tables'}",
    )
    table = output.split("Table 1")[1].split("Table 2")[0]
    places = [table.index(row) for row in sorted(rows.values())]
    assert places == sorted(places)
    assert table.index("(a) Proposed AV Two Stream") < places[0]
    metrics = json.loads((tmp_path / "tables" / "metrics.json").read_text())
    assert len(metrics) == 5
    for entry in metrics:
        assert entry["micro"]["f1"] > entry["chance"]["random_mean"]["f1"]


@pytest.mark.parametrize("precision", ["mixed_float16"])
def test_mixed_precision_trains_and_resumes(features_dir, tmp_path, precision):
    checkpoints = []
    for name, all_steps in (("whole", [6]), ("resumed", [3, 6])):
        for steps in all_steps:
            changes = {"precision": precision, "steps": steps, "xla": "false"}
            flags = train_flags(features_dir, tmp_path / name, **changes)
            assert "Skipping" not in run("train.py", *flags)
        checkpoints.append(tmp_path / name / "checkpoints" / "last-00000006")
    assert_same_weights(*checkpoints)
    for values in read_weights(checkpoints[0]).values():
        assert np.isfinite(values).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 20}, "at least the 30 steps"),
        ({"dropout": 0.1}, "--dropout: there 0.5, received 0.1"),
    ],
)
def test_flags_that_contradict_the_run_are_refused(
    finished_run, features_dir, changes, message
):
    flags = train_flags(features_dir, finished_run, **changes)
    output = run("train.py", *flags, status=2)
    assert message in output
    assert "Traceback" not in output


def test_divergence_is_named(features_dir, tmp_path):
    flags = train_flags(features_dir, tmp_path, learning_rate=1e38)
    output = run("train.py", *flags, status=2)
    assert "Expected a finite loss" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("train.py", ["--run_dir=x"], "features_dir"),
        ("train.py", ["--features_dir=none", "--run_dir=x"], "dataset_info"),
        ("train.py", ["--features_dir=x", "--run_dir=y", "steps", "5"], "only"),
        ("train.py", ["--system=av3"], "av3"),
        ("train.py", ["--features_dir=x", "--run_dir="], "run_dir"),
        ("evaluate.py", ["--run_dir=none"], "Expected a run directory"),
        ("evaluate.py", [], "either --run_dir or --runs, received neither"),
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


def test_damaged_and_foreign_checkpoints_are_named(finished_run, tmp_path):
    run_dir = tmp_path / "copy"
    shutil.copytree(finished_run, run_dir)
    checkpoint = run_dir / "checkpoints" / "last-00000030" / "model.keras"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    flags = [f"--flagfile={run_dir}/flags.txt", f"--run_dir={run_dir}"]
    for script in ("train.py", "evaluate.py"):
        output = run(script, *flags[script == "evaluate.py" :], status=2)
        assert f"Expected a checkpoint in {checkpoint.parent}" in output
        assert "Traceback" not in output
    other = keras.Sequential([keras.Input((3,))], name="another_system")
    other.save(checkpoint)
    for script in ("train.py", "evaluate.py"):
        output = run(script, *flags[script == "evaluate.py" :], status=2)
        assert "checkpoint of av_two_stream" in output
        assert "received one of another_system" in output


def test_a_run_that_failed_to_start_can_be_corrected(features_dir, tmp_path):
    run_dir = tmp_path / "run"
    wrong = tmp_path / "weights.npz"
    wrong.write_bytes(b"no weights")
    flags = train_flags(features_dir, run_dir, steps=2)
    output = run("train.py", *flags, f"--fc_weights={wrong}", status=2)
    assert "--fc_weights" in output
    assert "Traceback" not in output
    run("train.py", *flags)


def test_places_that_cannot_be_written_are_named(features_dir, tmp_path):
    (tmp_path / "file").touch()
    run_dir = tmp_path / "file" / "run"
    output = run("train.py", *train_flags(features_dir, run_dir), status=2)
    assert str(run_dir) in output
    assert "Traceback" not in output
