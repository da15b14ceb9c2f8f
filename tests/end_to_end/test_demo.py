"""The demonstration: a system learns from drawn clips, whole and in order."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.command_line import ROOT, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    run("demo.py", f"--demo_dir={directory}")
    return directory


def test_row_a_clearly_beats_chance_on_test(demo_dir):
    metrics = json.loads((demo_dir / "runs/a/metrics.json").read_text())
    chance = metrics["chance"]
    lead = metrics["micro"]["f1"] - chance["random_mean"]["f1"]
    assert lead > 0.2
    assert lead > 4 * chance["random_std"]["f1"]
    assert metrics["micro"]["f1"] > chance["every_class"]["f1"] + 0.2
    assert metrics["num_test_missing"] == 0
    assert metrics["num_test_clips"] >= 40


def test_second_run_finds_everything_done(demo_dir):
    def times():
        kept = (
            *demo_dir.glob("clips/clips/*"),
            *demo_dir.glob("features/*.tfrecord"),
        )
        return {path: path.stat().st_mtime for path in kept}

    before = times()
    output = run("demo.py", f"--demo_dir={demo_dir}")
    assert "Going on after step" in output
    assert "Table 1" in output
    assert times() == before


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
