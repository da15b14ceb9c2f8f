"""The whole way on drawn clips: videos in, the paper's tables and pages out.

    python demo.py

Draws and synthesizes clips, then runs the same commands that a user runs on
videos of one's own, printing each. Frames go through AlexNet's convolution
layers, trained on ImageNet, which come from Python's package index; without a
network they are untrained. The audio network is always untrained.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import flags
from avmil.common import command_line
from avmil.common.progress import Progress

if TYPE_CHECKING:
    from avmil.clips.drawn_clips import ClipPlan, DrawnClipsConfig

_ROOT = pathlib.Path(__file__).resolve().parent
_NO_FLAGS: Mapping[str, Sequence[str]] = {}
# Without a network pip should give up soon; the user's own settings stay.
_PIP_SETTINGS = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15"}


def demonstrate(
    directory: pathlib.Path,
    clips: DrawnClipsConfig | None = None,
    num_pages: int = 4,
    more_flags: Mapping[str, Sequence[str]] = _NO_FLAGS,
) -> int:
    """Runs all steps; returns the status of the first that failed, or 0.

    Args:
        directory: Where clips, weights, features, the run and pages are put.
        clips: Which clips are drawn; None for all.
        num_pages: Test clips that are localized and get a page.
        more_flags: Further flags of each script.
    """
    from avmil.clips.drawn_clips import DrawnClipsConfig, write_drawn_clips

    start_s = time.monotonic()
    clips = clips or DrawnClipsConfig()
    print(f"Drawing clips in {directory / 'clips'}", flush=True)
    with Progress(clips.num_clips, "clip") as progress:
        manifest = write_drawn_clips(directory / "clips", clips, progress)
    features = f"--features_dir={directory / 'features'}"
    weights = f"--region_weights={_region_weights(directory)}"
    configs = os.path.relpath(command_line.configs_dir())
    run = f"--run_dir={directory / 'runs' / 'a'}"
    truth = f"--truth={manifest.parent / 'truth.json'}"
    pages = directory / "pages"
    clip_ids = _least_in_sync(clips)[:num_pages]
    videos = [f"{manifest.parent / 'clips' / name}.mp4" for name in clip_ids]
    for command in (
        [
            "extract_features.py",
            f"--flagfile={configs}/demo_extract.flags",
            weights,
            f"--manifest={manifest}",
            features,
        ],
        ["train.py", f"--flagfile={configs}/demo.flags", features, run],
        ["evaluate.py", run, truth],
        [
            "localize.py",
            *videos,
            run,
            f"--weights_dir={directory / 'weights'}",
            f"--output_dir={pages}",
        ],
    ):
        command += more_flags.get(command[0], ())
        if status := _run(command).returncode:
            return status
    print(f"\n{time.monotonic() - start_s:.0f} s in all.")
    index = (pages / "index.html").resolve()
    print(f"See and hear it: open {index} in a browser.")
    return 0


def _run(command: list[str], **options) -> subprocess.CompletedProcess:
    """Prints a command and runs its script."""
    print(f"\n$ {shlex.join(['python', *command])}", flush=True)
    script, *arguments = command
    return subprocess.run(
        [sys.executable, str(_ROOT / script), *arguments],
        check=False,
        **options,
    )


def _region_weights(directory: pathlib.Path) -> str:
    """AlexNet's file, fetched unless it is there; `random` if that fails."""
    path = directory / "weights" / "alexnet_conv.npz"
    if path.exists():
        return str(path)
    # Features that were extracted without weights go on without.
    if not (directory / "features").exists():
        fetched = _run(
            ["fetch_weights.py", "alexnet", f"--weights_dir={path.parent}"],
            env=_PIP_SETTINGS | os.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not fetched.returncode:
            return str(path)
    print(
        f"{path} could not be fetched (fetch_weights.py says why): the network "
        "for frames stays untrained, and objects are hardly found.",
        flush=True,
    )
    return "random"


def _least_in_sync(clips: DrawnClipsConfig) -> list[str]:
    """Test clips, first those whose sight and sound lie farthest apart."""
    from avmil.clips.drawn_clips import plan_clips

    def gap_s(plan: ClipPlan) -> float:
        return max(
            (
                max(e.sight.start_s - e.sound[1], e.sound[0] - e.sight.end_s)
                for e in plan.events
                if e.sight and e.sound
            ),
            default=-float("inf"),
        )

    plans = [plan for plan in plan_clips(clips) if plan.split == "test"]
    return [plan.clip_id for plan in sorted(plans, key=gap_s, reverse=True)]


@command_line.script()
def main(config: flags.DemoConfig) -> int:
    """Runs the demonstration."""
    return demonstrate(pathlib.Path(config.demo_dir))


if __name__ == "__main__":
    main()
