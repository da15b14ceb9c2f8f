"""Runs the entry scripts as a user does: in processes of their own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]


def start(
    script: str, *flags: str, without: Sequence[str] = (), **environment: str
) -> subprocess.Popen:
    """Starts a script and returns the process.

    Modules that it has to do without cannot be imported.
    """
    code = (
        "import runpy, sys\n"
        f"sys.modules |= dict.fromkeys({without})\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return subprocess.Popen(
        [
            sys.executable,
            *(["-c", code] if without else []),
            str(ROOT / script),
            *flags,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )


def run(
    script: str, *flags: str, status: int = 0, without: Sequence[str] = ()
) -> str:
    """Runs a script to its end, checks its status and returns its output."""
    process = start(script, *flags, without=without)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == status, output
    return output


def flag_list(**values: object) -> list[str]:
    """Turns keyword arguments into flags."""
    return [f"--{name}={value}" for name, value in values.items()]
