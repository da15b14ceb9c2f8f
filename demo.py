"""The whole way on drawn clips: videos in, the paper's tables and pages out.

    python demo.py

Draws and synthesizes clips, then runs the same commands that a user runs on
videos of one's own, printing each. All base networks are untrained, since
nothing is downloaded; the numbers show that the system learns, not how well
it does on real videos.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import sys
import time

import flags
from avmil.clips.manifest import read as read_manifest
from avmil.clips.sample_clips import (
    SampleClipsConfig,
    SampleClipsError,
    write_sample_clips,
)
from avmil.common import command_line
from avmil.common.errors import ConfigError
from avmil.common.progress import Progress

_ROOT = pathlib.Path(__file__).resolve().parent
# Test clips that are localized and get a page.
_NUM_PAGES = 4


def demonstrate(directory: pathlib.Path) -> int:
    """Runs all steps; returns the status of the first that failed, or 0."""
    start_s = time.monotonic()
    print(f"Drawing sample clips in {directory / 'clips'}", flush=True)
    manifest = _draw_clips(directory / "clips")
    for command in _commands(directory, manifest):
        print(f"\n$ {shlex.join(['python', *command])}", flush=True)
        status = subprocess.run(
            [sys.executable, str(_ROOT / command[0]), *command[1:]],
            check=False,
        ).returncode
        if status:
            return status
    print(f"\n{time.monotonic() - start_s:.0f} s in all.")
    index = (directory / "pages" / "index.html").resolve()
    print(f"See and hear it: open {index} in a browser.")
    return 0


def _draw_clips(directory: pathlib.Path) -> pathlib.Path:
    config = SampleClipsConfig()
    total = config.num_train + config.num_val + config.num_test
    try:
        with Progress(total, "clip") as progress:
            return write_sample_clips(directory, config, progress)
    except SampleClipsError as error:
        raise ConfigError(f"--demo_dir: {error}") from error


def _commands(
    directory: pathlib.Path, manifest: pathlib.Path
) -> list[list[str]]:
    features, run = directory / "features", directory / "runs" / "a"
    _, rows = read_manifest(str(manifest))
    videos = [row.path for row in rows if row.split == "test"]
    configs = os.path.relpath(_ROOT / "configs")
    return [
        [
            "extract_features.py",
            f"--flagfile={configs}/demo_extract.flags",
            f"--manifest={manifest}",
            f"--features_dir={features}",
        ],
        [
            "train.py",
            f"--flagfile={configs}/demo.flags",
            f"--features_dir={features}",
            f"--run_dir={run}",
        ],
        [
            "evaluate.py",
            f"--run_dir={run}",
            f"--truth={manifest.parent / 'truth.json'}",
        ],
        [
            "localize.py",
            *videos[:_NUM_PAGES],
            f"--run_dir={run}",
            f"--output_dir={directory / 'pages'}",
        ],
    ]


def main() -> int:
    """Reads the flags and runs the demonstration."""
    config = flags.read(flags.DemoConfig)
    return demonstrate(pathlib.Path(config.demo_dir))


if __name__ == "__main__":
    command_line.run(main, flags.DemoConfig)
