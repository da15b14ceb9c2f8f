"""Runs the entry scripts as a user does: in processes of their own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def start(script: str, *flags: str) -> subprocess.Popen:
    """Starts a script and returns the process."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / script), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def run(script: str, *flags: str, status: int = 0) -> str:
    """Runs a script to its end, checks its status and returns its output."""
    process = start(script, *flags)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == status, output
    return output


def flag_list(**values: object) -> list[str]:
    """Turns keyword arguments into flags."""
    return [f"--{name}={value}" for name, value in values.items()]
