"""How long each command takes to say how it is used.

A bare interpreter is the floor. Under 1 s is wanted, hence no TensorFlow; a
command that imports it is named.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import timing

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_NO_COMMANDS = {"flags.py", "setup.py"}


def run() -> Iterator[str]:
    """Compares `--help` of each command, and the list of weights."""
    scripts = sorted({path.name for path in _ROOT.glob("*.py")} - _NO_COMMANDS)
    commands = [[script, "--help"] for script in scripts]
    commands.append(["fetch_weights.py", "--list"])
    for command in commands:
        yield from timing.compare(
            " ".join(command),
            {
                timing.OURS: lambda c=command: _start(*c),
                "python -c pass": lambda: _start("-c", "pass"),
            },
        )
        imports = _start("-X", "importtime", *command).stderr
        if re.search(r"\| +tensorflow$", imports, re.M):
            yield f"`{' '.join(command)}` imports TensorFlow."


def _start(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,  # absl's --help has status 1.
    )
