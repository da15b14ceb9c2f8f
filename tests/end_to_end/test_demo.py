"""The demonstration: a system learns from drawn clips, whole and in order."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from avmil.clips.drawn_clips import DrawnClipsConfig
from demo import demonstrate
from tests.command_line import ROOT

pytestmark = pytest.mark.slow

CLIPS = DrawnClipsConfig(num_train=24, num_val=6, num_test=12, duration_s=3.0)
FLAGS = {
    "extract_features.py": ["--workers=1"],
    "train.py": ["--steps=200", "--batch_size=12", "--learning_rate=1e-3"],
}


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory):
    """A demonstration without a network that failed, then went on."""
    directory = tmp_path_factory.mktemp("demo")

    def times():
        clips = directory.glob("clips/clips/*")
        return {path: path.stat().st_mtime_ns for path in clips}

    wrong = {"extract_features.py": ["--workers=-1"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        assert demonstrate(directory, CLIPS, 2, wrong) != 0
        before = times()
        assert len(before) == CLIPS.num_clips
        assert not (directory / "runs").exists()
        assert demonstrate(directory, CLIPS, 2, FLAGS) == 0
    assert times() == before
    return directory


def test_row_a_clearly_beats_chance_on_test(demo_dir):
    metrics = json.loads((demo_dir / "runs/a/metrics.json").read_text())
    chance = metrics["chance"]
    lead = metrics["micro"]["f1"] - chance["random_mean"]["f1"]
    assert lead > 0.2
    assert metrics["micro"]["f1"] > chance["every_class"]["f1"] + 0.1
    assert metrics["num_test_missing"] == 0
    assert metrics["num_test_clips"] == CLIPS.num_test


def test_pages_show_clips_least_in_sync(demo_dir):
    truth = json.loads((demo_dir / "clips" / "truth.json").read_text())

    def gaps_s(number):
        for event in truth[f"test{number:04d}"]:
            if event["sight"] and event["sound"]:
                (onset_s, offset_s), sight = event["sound"], event["sight"]
                yield sight["t0"] - offset_s
                yield onset_s - sight["t1"]

    index = (demo_dir / "pages" / "index.html").read_text()
    numbers = range(CLIPS.num_test)
    shown = {n for n in numbers if f"test{n:04d}" in index}
    assert len(shown) == 2
    gap_s = {n: max(gaps_s(n), default=-10.0) for n in numbers}
    others = [gap_s[n] for n in numbers if n not in shown]
    assert min(gap_s[n] for n in shown) >= max(others)


def test_network_for_frames_stays_untrained_without_weights(demo_dir):
    info = json.loads((demo_dir / "features/dataset_info.json").read_text())
    assert info["recipe"]["region_weights"] == "random"


def test_weights_that_are_there_are_used(tmp_path, monkeypatch):
    def succeed(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, len(commands) - 1)

    commands = []
    weights = tmp_path / "weights" / "alexnet_conv.npz"
    weights.parent.mkdir()
    weights.touch()
    # All commands succeed but the second one.
    monkeypatch.setattr(subprocess, "run", succeed)
    clips = DrawnClipsConfig(1, 1, 1, duration_s=3.0)
    assert demonstrate(tmp_path, clips) == 1
    names = [pathlib.Path(command[1]).name for command in commands]
    assert names == ["extract_features.py", "train.py"]
    assert f"--region_weights={weights}" in commands[0]


def test_wrong_python_gets_one_clear_line(tmp_path):
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        f'exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 0); '
        'exec(sys.argv[1])" "$2"\n'
    )
    fake.chmod(0o755)
    (tmp_path / "setup.py").touch()
    (tmp_path / "constraints.txt").touch()
    answer = subprocess.run(
        ["make", "--file", str(ROOT / "Makefile"), f"PYTHON={fake}", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "Expected Python 3.10 to 3.12, received 3.9" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / ".venv").exists()
