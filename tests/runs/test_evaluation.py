"""Tables of several runs, seeds and fusions from the command line's flags."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys

import numpy as np
import pytest

import flags
from avmil.common.errors import ConfigError
from avmil.evaluation.identity import WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.runs import evaluation
from avmil.runs.run import (
    SPLITS,
    Run,
    TrainedOn,
    read_scores,
    write_scores,
)
from tests.feature_files import CLASS_NAMES, RECIPE
from tests.runs.conftest import untrained_run

FEATURES = TrainedOn(RECIPE, list(CLASS_NAMES))
WEIGHTS = WeightsIdentity("last", 100)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_panels")]


def score_set(split, labels_seed=0, noise=1.0, seed=0, prefix="clip"):
    generator = np.random.default_rng(labels_seed)
    labels = generator.random((25, 3)) < 0.4
    noise = noise * np.random.default_rng([seed, len(split)]).random((25, 3))
    clip_ids = [f"{prefix}_{split}{index}" for index in range(25)]
    scores = labels * 0.3 + 0.5 * np.minimum(noise, 1)
    return ScoreSet(clip_ids, CLASS_NAMES, labels, scores)


def make_run(path, system="visual_wsddn", seed=0, noise=1.0, **changes):
    """A run directory with scores and without weights; returns its path."""
    prefix = changes.pop("prefix", "clip")
    config = flags.TrainConfig(
        system=system, seed=seed, features_dir="none", run_dir=str(path)
    )
    Run.start(dataclasses.replace(config, **changes), FEATURES)
    scores = {
        split: score_set(split, noise=noise, seed=seed, prefix=prefix)
        for split in SPLITS
    }
    write_scores(str(path), scores, WEIGHTS)
    return str(path)


def evaluate_saved(**values):
    config = flags.EvaluationConfig(use_saved_scores=True, **values)
    return evaluation.evaluate(config)


@pytest.fixture
def runs(tmp_path):
    """Three seeds of row (a), one run of row (d)."""
    for seed in range(3):
        make_run(tmp_path / f"a{seed}", "av_two_stream", seed)
    make_run(tmp_path / "d", noise=0.2)
    return tmp_path


def test_seeds_are_one_row_and_leads_are_told(runs, capsys):
    output_dir = runs / "tables"
    evaluate_saved(
        runs=",".join(str(runs / name) for name in ("d", "a2", "a0", "a1")),
        output_dir=str(output_dir),
    )
    output = capsys.readouterr().out
    assert "\x1b" not in output
    first, others = output.split("Table 2")
    assert "Leads" not in others  # They are in the page that it names.
    assert f"Open {output_dir}/report.html for leads" in others
    leads = (output_dir / "tables.md").read_text("utf-8")
    assert first.index("(a) Proposed") < first.index("(d) TS Video")
    assert "3 seeds" in first
    assert "standard deviation of (a): a2, a0, a1." in first
    assert "Leads of (d) TS Video-Only WSDDN-Type" in leads
    f1 = [
        json.loads((runs / f"a{seed}" / "metrics.json").read_text())["micro"][
            "f1"
        ]
        for seed in range(3)
    ]
    cell = f"{100 * np.mean(f1):.1f} ± {100 * np.std(f1, ddof=1):.1f}"
    assert cell in first
    comparison = json.loads((output_dir / "comparison.json").read_text())
    assert [row["seeds"] for row in comparison["rows"]] == [[2, 0, 1], [0]]
    assert comparison["rows"][0]["micro"]["f1"] == pytest.approx(np.mean(f1))
    assert comparison["pairs"][0]["f1_difference"] < 0
    assert comparison["pairs"][0]["interval"]["high"] < 0
    # (d) has one seed.
    assert comparison["pairs"][0]["is_more_than_chance"] is None
    assert len(json.loads((output_dir / "metrics.json").read_text())) == 4
    assert cell in (output_dir / "tables.md").read_text("utf-8")
    latex = (output_dir / "tables.tex").read_text("utf-8")
    assert cell.replace("±", r"$\pm$") in latex
    assert r"\textbf{" in latex
    rows = list(csv.DictReader((output_dir / "table1.csv").open()))
    assert rows[0]["num_runs"] == "3"
    assert (output_dir / "leads.csv").stat().st_size > 0
    assert "<html" in (output_dir / "report.html").read_text("utf-8")


def test_single_run_gets_its_files_and_no_leads(runs, capsys):
    (result,) = evaluate_saved(run_dir=str(runs / "d"))
    output = capsys.readouterr().out
    assert "Leads" not in output
    assert f"Open {runs}/d/report.html for figures" in output
    assert " ± " not in output.split("Table 1")[1]
    assert result.identity.seed == 0
    names = {path.name for path in (runs / "d").iterdir()}
    assert names >= {
        "thresholds.json",
        "metrics.json",
        "tables.md",
        "tables.tex",
        "table1.csv",
        "table2.csv",
        "report.html",
    }
    assert not names & {"leads.csv", "comparison.json"}


def test_terminal_shows_the_best_in_bold(runs, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    evaluate_saved(runs=f"{runs}/a0,{runs}/d")
    assert "\x1b[1m" in capsys.readouterr().out


def test_runs_of_other_settings_are_rows_of_their_own(runs):
    slow = make_run(runs / "slow", "av_two_stream", learning_rate=1e-6)
    evaluate_saved(
        runs=f"{runs}/a0,{runs}/a1,{slow}", output_dir=str(runs / "tables")
    )
    comparison = json.loads((runs / "tables" / "comparison.json").read_text())
    names = [row["run_names"] for row in comparison["rows"]]
    assert names == [["a0", "a1"], ["slow"]]
    # What differs is told in the tables, and again in that of the runs.
    page = (runs / "tables" / "report.html").read_text("utf-8")
    assert "learning_rate=1e-06</td>" in page
    assert ">1e-06</td>" in page


def test_patterns_take_the_runs_that_they_match(runs):
    (runs / "notes").mkdir()
    (runs / "file.txt").write_text("")
    results = evaluate_saved(runs=f"{runs}/*,{runs}/d/,")
    assert [result.identity.run_name for result in results] == [
        "a0",
        "a1",
        "a2",
        "d",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{runs}/none", "Expected a run directory"),
        ("{runs}/n*", "it matches none"),
        ("{runs}/d,{runs}/other", "other clips or another order, 25 and 25"),
        ("{runs}/d,{runs}/copy", "both of seed 0. Leave one out."),
        ("{runs}/broken", "evaluate.py"),
    ],
)
def test_what_makes_no_table_is_refused(runs, name, message):
    make_run(runs / "other", "av_one_stream", prefix="elsewhere")
    make_run(runs / "copy")
    make_run(runs / "broken")
    (runs / "broken" / "scores-val.npz").write_bytes(b"PK")
    with pytest.raises(ConfigError, match="Expected") as caught:
        evaluate_saved(runs=name.format(runs=runs))
    assert message in str(caught.value)


@pytest.fixture
def gated(tmp_path):
    """Two seeds whose scores are probabilities, one of row (b)."""
    for seed in range(2):
        make_run(tmp_path / f"g{seed}", "cvssp_gated_crnn", seed)
    make_run(tmp_path / "b", "audio_two_stream")
    return tmp_path


def test_fusion_is_the_mean_and_a_row_of_the_tables(gated, capsys):
    fused_dir = gated / "f"
    (result,) = evaluate_saved(fuse=f"{gated}/g*", output_dir=str(fused_dir))
    assert "(f) CVSSP - Fusion system" in capsys.readouterr().out
    for split in SPLITS:
        expected = np.mean(
            [score_set(split, seed=seed).scores for seed in range(2)], axis=0
        )
        fused = read_scores(str(fused_dir))[0][split]
        np.testing.assert_allclose(fused.scores, expected, rtol=1e-6)
    np.testing.assert_array_equal(result.test.scores, fused.scores)
    content = json.loads((fused_dir / "fusion.json").read_text())
    settings = {member.pop("settings") for member in content["members"]}
    assert len(settings) == 1
    del content["content_sha256"]
    assert content == {
        "system": "cvssp_fusion",
        "members": [
            {
                "run": f"{gated}/g{seed}",
                "system": "cvssp_gated_crnn",
                "seed": seed,
                "checkpoint": "last",
                "step": 100,
            }
            for seed in range(2)
        ],
    }
    assert result.identity.seed == "0+1"
    # The pattern now matches the fusion too, which is no member of itself.
    (again,) = evaluate_saved(fuse=f"{gated}/*g*", output_dir=str(gated / "fg"))
    (again,) = evaluate_saved(fuse=f"{gated}/*g*", output_dir=str(gated / "fg"))
    np.testing.assert_array_equal(again.test.scores, result.test.scores)
    results = evaluate_saved(runs=f"{gated}/f,{gated}/g*,{gated}/b")
    assert {result.identity.system for result in results} == {
        "audio_two_stream",
        "cvssp_fusion",
        "cvssp_gated_crnn",
    }
    last = capsys.readouterr().out.rpartition("Table 1.")[2]
    table = last.split("Table 2")[0]
    places = [table.index(f"({letter})") for letter in "bfg"]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("system", "changes", "fused", "seeds"),
    [
        # Each seed's fusion of two systems: seeds of one row.
        (
            "cvssp_gated_crnn_attention",
            {},
            ("g0,{runs}/h0", "g1,{runs}/h1"),
            [[0, 1]],
        ),
        # Fusions of other trainings: rows of their own.
        (
            "cvssp_gated_crnn",
            {"learning_rate": 1.0},
            ("g*", "h*"),
            [["0+1"], ["0+1"]],
        ),
    ],
)
def test_fusions_are_rows_by_their_settings(
    gated, system, changes, fused, seeds
):
    for seed in range(2):
        make_run(gated / f"h{seed}", system, seed, **changes)
    for number, members in enumerate(fused):
        evaluate_saved(
            fuse=f"{gated}/{members.format(runs=gated)}",
            output_dir=f"{gated}/f{number}",
        )
    evaluate_saved(runs=f"{gated}/f*", output_dir=str(gated / "tables"))
    comparison = json.loads((gated / "tables" / "comparison.json").read_text())
    assert [row["seeds"] for row in comparison["rows"]] == seeds
    # 100 steps at 1e-5 and at 1.
    travels = [
        row["training"]["weight_travel_limit"] for row in comparison["rows"]
    ]
    assert travels == pytest.approx([1e-3, 100][: len(travels)])
    differing = "not comparable" in comparison["training_notes"][0]
    assert differing == (len(travels) > 1)


def test_the_same_fusion_twice_is_refused(gated):
    for name in ("f0", "f1"):
        evaluate_saved(fuse=f"{gated}/g*", output_dir=f"{gated}/{name}")
    with pytest.raises(ConfigError, match="both of seed 0\\+1"):
        evaluate_saved(runs=f"{gated}/f0,{gated}/f1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fuse": "{runs}/g0,{runs}/b"}, "b of audio_two_stream, whose scores"),
        ({"fuse": "{runs}/g0,{runs}/e"}, "other clips or another order"),
        ({"fuse": "{runs}/g0"}, "two runs or checkpoints or more"),
        ({"fuse": "{runs}/g0,{runs}/g0"}, "two runs or checkpoints or more"),
        ({"fuse": "{runs}/g0@5,{runs}/g1"}, "kept checkpoints have no saved"),
        ({"fuse": "{runs}/g*", "output_dir": ""}, "where the fusion goes"),
        ({"fuse": "{runs}/g*", "output_dir": "{runs}/b"}, "of its own"),
        ({"fuse": "{runs}/g*", "runs": "x"}, "received --runs and --fuse"),
        ({"runs": "x", "dcase_output": "x"}, "what one run predicts"),
        ({}, "received neither"),
    ],
)
def test_what_cannot_be_fused_is_refused(gated, values, message):
    make_run(gated / "e", prefix="elsewhere")
    values = {"output_dir": "{runs}/f"} | values
    values = {k: v.format(runs=gated) for k, v in values.items()}
    with pytest.raises(ConfigError, match="Expected") as caught:
        evaluate_saved(**values)
    assert message in str(caught.value)
    assert not (gated / "f").exists()


def test_damaged_fusion_is_refused(gated):
    evaluate_saved(fuse=f"{gated}/g*", output_dir=f"{gated}/f")
    for content in ("{}", "[]", "{", '{"system": "x", "members": [1]}'):
        (gated / "f" / "fusion.json").write_text(content)
        with pytest.raises(ConfigError, match="fusion"):
            evaluate_saved(run_dir=f"{gated}/f")


def test_dcase_file_needs_dcase_clips(runs):
    with pytest.raises(ConfigError, match="--dcase_output: Expected"):
        evaluate_saved(run_dir=f"{runs}/d", dcase_output=f"{runs}/out.csv")


def test_dcase_file_holds_the_predictions(tmp_path):
    names = [f"{index:011d}_0.000_10.000" for index in range(50)]
    path = make_run(tmp_path / "d")
    halves = {"val": names[:25], "test": names[25:]}
    scores = {
        split: dataclasses.replace(score_set(split), clip_ids=clip_ids)
        for split, clip_ids in halves.items()
    }
    write_scores(path, scores)
    (result,) = evaluate_saved(
        run_dir=path, dcase_output=str(tmp_path / "tagging.csv")
    )
    lines = (tmp_path / "tagging.csv").read_text().splitlines()
    tagged = [line for line in lines if len(line.split("\t")) == 4]
    assert len(tagged) == result.predictions.sum() > 0


@pytest.fixture(scope="module")
def kept_run(features_dir, tmp_path_factory):
    """Row (d) with the weights of three steps kept, on drawn features."""
    path = tmp_path_factory.mktemp("kept") / "d"
    checkpoints = [("kept", step) for step in (10, 20, 30)]
    return untrained_run(
        path, features_dir, "visual_wsddn", checkpoints=checkpoints
    )


@pytest.mark.parametrize(
    ("which", "steps"),
    [("{run}@all", [10, 20, 30]), ("{run}@10,{run}@30", [10, 30])],
)
def test_checkpoints_of_one_run_are_fused(kept_run, tmp_path, which, steps):
    config = flags.EvaluationConfig(
        fuse=which.format(run=kept_run), output_dir=str(tmp_path)
    )
    (result,) = evaluation.evaluate(config)
    members = [
        Run(kept_run, "kept", step=step).scores("test").scores for step in steps
    ]
    expected = np.mean(members, axis=0)
    np.testing.assert_allclose(result.test.scores, expected, rtol=1e-6)
    assert result.test.missing_clip_ids == ("test001",)
    assert np.ptp([scores[0, 0] for scores in members]) > 0
    content = json.loads((tmp_path / "fusion.json").read_text())
    assert [member["step"] for member in content["members"]] == steps
    assert {member["checkpoint"] for member in content["members"]} == {"kept"}


@pytest.mark.parametrize(
    ("fused", "message"),
    [
        ("{run}@10,{run}@15", "a kept checkpoint of step 15"),
        ("{run},{run}@10", "a last checkpoint in"),
        ("{runs}/g0@all", "Expected kept checkpoints in"),
    ],
)
def test_checkpoints_that_are_not_there_are_named(
    kept_run, gated, fused, message
):
    config = flags.EvaluationConfig(
        fuse=fused.format(run=kept_run, runs=gated), output_dir=f"{gated}/f"
    )
    with pytest.raises(ConfigError, match=message):
        evaluation.evaluate(config)
