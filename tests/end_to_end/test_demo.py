"""The demonstration: a system learns from drawn clips, whole and in order."""

from __future__ import annotations

import json
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
    "train.py": ["--steps=80", "--batch_size=12", "--learning_rate=1e-3"],
}


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory):
    """A demonstration that failed in a step, then went on to its end."""
    directory = tmp_path_factory.mktemp("demo")

    def times():
        clips = directory.glob("clips/clips/*")
        return {path: path.stat().st_mtime_ns for path in clips}

    wrong = {"extract_features.py": ["--workers=-1"]}
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


def test_first_test_clips_have_pages(demo_dir):
    index = (demo_dir / "pages" / "index.html").read_text()
    shown = [n for n in range(CLIPS.num_test) if f"test{n:04d}" in index]
    assert shown == [0, 1]


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
