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
from collections.abc import Mapping, Sequence

import flags
from avmil.clips.drawn_clips import DrawnClipsConfig, write_drawn_clips
from avmil.clips.manifest import read
from avmil.common import command_line
from avmil.common.progress import Progress

_ROOT = pathlib.Path(__file__).resolve().parent
# Flagfiles of an installed avmil, or of a checkout.
_CONFIGS = (_ROOT / "avmil" / "configs", _ROOT / "configs")
_CLIPS = DrawnClipsConfig()
_NO_FLAGS: Mapping[str, Sequence[str]] = {}


def demonstrate(
    directory: pathlib.Path,
    clips: DrawnClipsConfig = _CLIPS,
    num_pages: int = 4,
    more_flags: Mapping[str, Sequence[str]] = _NO_FLAGS,
) -> int:
    """Runs all steps; returns the status of the first that failed, or 0.

    Args:
        directory: Where clips, features, the run and pages are put.
        clips: Which clips are drawn.
        num_pages: Test clips that are localized and get a page.
        more_flags: Further flags of each script.
    """
    start_s = time.monotonic()
    print(f"Drawing clips in {directory / 'clips'}", flush=True)
    with Progress(clips.num_clips, "clip") as progress:
        manifest = write_drawn_clips(directory / "clips", clips, progress)
    _, rows = read(str(manifest))
    videos = [row.path for row in rows if row.split == "test"][:num_pages]
    configs = os.path.relpath(next(filter(pathlib.Path.is_dir, _CONFIGS)))
    features = f"--features_dir={directory / 'features'}"
    run = f"--run_dir={directory / 'runs' / 'a'}"
    extraction = f"--flagfile={configs}/demo_extract.flags"
    truth = f"--truth={manifest.parent / 'truth.json'}"
    pages = directory / "pages"
    for command in (
        ["extract_features.py", extraction, f"--manifest={manifest}", features],
        ["train.py", f"--flagfile={configs}/demo.flags", features, run],
        ["evaluate.py", run, truth],
        ["localize.py", *videos, run, f"--output_dir={pages}"],
    ):
        command += more_flags.get(command[0], ())
        print(f"\n$ {shlex.join(['python', *command])}", flush=True)
        script, *arguments = command
        status = subprocess.run(
            [sys.executable, str(_ROOT / script), *arguments], check=False
        ).returncode
        if status:
            return status
    print(f"\n{time.monotonic() - start_s:.0f} s in all.")
    index = (pages / "index.html").resolve()
    print(f"See and hear it: open {index} in a browser.")
    return 0


def main() -> int:
    """Reads the flags and runs the demonstration."""
    return demonstrate(pathlib.Path(flags.read(flags.DemoConfig).demo_dir))


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.DemoConfig)


if __name__ == "__main__":
    console_entry_point()
