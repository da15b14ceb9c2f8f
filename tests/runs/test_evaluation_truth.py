"""Table 3 and DCASE's files of runs with a truth."""

from __future__ import annotations

import json

import pytest

import flags
from avmil.common.errors import ConfigError
from avmil.runs import evaluation
from avmil.runs.checkpoints import TrainState
from avmil.runs.run import Run
from tests.feature_files import CLASS_NAMES, write_features
from tests.runs.conftest import untrained_run

SIGHT = {"t0": 0.0, "t1": 2.0, "track": [[0, 0, 0, 2, 2], [2, 0, 0, 2, 2]]}
SYSTEM_C = "visual_two_stream"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_panels")]


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    write_features(directory, {"train": 2, "val": 6, "test": 6})
    return directory


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "truth.json"
    events = {
        f"{split}{index:03d}": [
            {
                "class": CLASS_NAMES[index % 3],
                "sound": [0, 0.9],
                "sight": SIGHT if index < 4 else None,
            }
        ]
        for split in ("val", "test")
        for index in range(6)
    }
    path.write_text(json.dumps(events))
    return str(path)


@pytest.fixture(scope="module")
def make_run(features_dir, tmp_path_factory):
    """Makes a run with untrained weights; returns its path."""

    def make(name, system="av_two_stream", seed=0):
        path = tmp_path_factory.mktemp("runs") / name
        untrained_run(path, features_dir, system, seed)
        return path

    return make


def test_table_3_is_printed_and_written(make_run, truth, capsys):
    path = make_run("a")
    config = flags.EvaluationConfig(run_dir=str(path), truth=truth)
    evaluation.evaluate(config)
    output = capsys.readouterr().out
    assert "Table 3a. When classes are heard" in output
    assert "All (6)" in output
    assert "Table 3b. Where classes are seen" in output
    assert "All (4)" in output
    tuned = json.loads((path / "event_thresholds.json").read_text())
    assert tuned["weights"] == {"checkpoint": "last", "step": 1}
    assert set(tuned["thresholds"]) == set(CLASS_NAMES)
    content = json.loads((path / "table3.json").read_text())
    assert content["num_pairs"]["all"] == 6
    assert "Table 3a" in (path / "tables.md").read_text()
    assert "Table 3a" in (path / "report.html").read_text()


def test_saved_scores_are_localized_with_their_own_weights(make_run, truth):
    path = make_run("a")
    run = Run(str(path))
    state = TrainState(step=7)
    run.checkpoints.save("best", run.model, state)
    config = flags.EvaluationConfig(run_dir=str(path), checkpoint="best")
    evaluation.evaluate(config)
    config = flags.EvaluationConfig(
        run_dir=str(path), use_saved_scores=True, truth=truth
    )
    evaluation.evaluate(config)
    tuned = json.loads((path / "event_thresholds.json").read_text())
    assert tuned["weights"] == {"checkpoint": "best", "step": 7}
    (path / "scores.json").unlink()
    with pytest.raises(ConfigError, match="scores of known weights"):
        evaluation.evaluate(config)


def test_saved_scores_of_fewer_clips_are_refused(truth, tmp_path):
    features = tmp_path / "features"
    counts = {"train": 2, "val": 6, "test": 5}
    write_features(str(features), counts)
    path = untrained_run(tmp_path / "a", str(features), "av_two_stream")
    evaluation.evaluate(flags.EvaluationConfig(run_dir=path))
    write_features(str(features), counts | {"test": 6})
    config = flags.EvaluationConfig(
        run_dir=path, use_saved_scores=True, truth=truth
    )
    with pytest.raises(ConfigError, match="without --use_saved_scores"):
        evaluation.evaluate(config)


def test_visual_systems_have_no_event_thresholds(make_run, truth):
    path = make_run("c", SYSTEM_C)
    config = flags.EvaluationConfig(run_dir=str(path), truth=truth)
    evaluation.evaluate(config)
    assert (path / "table3.json").exists()
    tuned = json.loads((path / "event_thresholds.json").read_text())
    assert tuned["thresholds"] is tuned["num_segments"] is None
    assert set(tuned["box_thresholds"]) == set(CLASS_NAMES)


def test_clips_of_other_data_sets_have_no_dcase_file(make_run, truth, tmp_path):
    config = flags.EvaluationConfig(
        run_dir=str(make_run("a")),
        truth=truth,
        dcase_events_output=str(tmp_path / "events.txt"),
    )
    with pytest.raises(ConfigError, match="--dcase_events_output: Expected"):
        evaluation.evaluate(config)
    assert not (tmp_path / "events.txt").exists()


@pytest.mark.parametrize(
    ("system", "values", "message"),
    [
        (SYSTEM_C, {"dcase_events_output": "x.txt"}, "a system that has"),
        (
            "av_two_stream",
            {"dcase_events_output": "x.txt", "truth": ""},
            "--truth with --dcase_events",
        ),
        ("av_two_stream", {"truth": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_mistakes_are_named(make_run, truth, system, values, message):
    path = str(make_run("run", system))
    config = flags.EvaluationConfig(run_dir=path, **({"truth": truth} | values))
    with pytest.raises(ConfigError, match=message):
        evaluation.evaluate(config)
