"""Sample clips: a small data set with exact truth, made on the spot.

Objects of six classes move over landscapes, and their sounds are heard over
noise; sight and sound are placed independently, and some classes of a clip are
only seen or only heard. Nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from avmil.clips.sample_events import ClipPlan
from avmil.clips.sample_media import write_clip
from avmil.clips.sample_plans import CLASS_NAMES, SampleClipsConfig, plan_clips
from avmil.common import files
from avmil.common.progress import Progress

# Raised whenever the same config would give other clips.
_VERSION = 1


class SampleClipsError(ValueError):
    """A directory that holds something else than the wanted clips."""


def write_sample_clips(
    directory: str | pathlib.Path,
    config: SampleClipsConfig,
    progress: Progress | None = None,
    num_threads: int = 2,
) -> pathlib.Path:
    """Makes the sample clips, or those of them that are missing.

    Writes `clips/*.mp4`, `classes.txt`, `truth.json`, `sample_clips.json` (the
    config) and, once all the rest is there, `manifest.csv`.

    Args:
        directory: Local directory, made where missing.
        config: What to make.
        progress: Updated for each clip, those that are there included.
        num_threads: Clips made at the same time; most of the work is done
            outside of Python's lock. Does not change the clips.

    Returns:
        The path of the manifest.

    Raises:
        SampleClipsError: if the directory holds clips of another config, or
            a manifest of other clips.
        FeaturesError: if another process is writing to the directory.
    """
    directory = pathlib.Path(directory)
    (directory / "clips").mkdir(parents=True, exist_ok=True)
    with files.exclusive(str(directory)):
        _claim(directory, config)
        plans = plan_clips(config)
        missing = [p for p in plans if not _clip_path(directory, p).exists()]
        if progress:
            progress.update(len(plans) - len(missing))
        for _ in _made(directory, config, missing, num_threads):
            if progress:
                progress.update()
        manifest = directory / "manifest.csv"
        if missing or not manifest.exists():
            _write_tables(directory, plans)
    return manifest


def _claim(directory: pathlib.Path, config: SampleClipsConfig) -> None:
    """Writes the config, or checks it against the one that is there."""
    path = directory / "sample_clips.json"
    wanted = {"version": _VERSION, **dataclasses.asdict(config)}
    if not path.exists():
        if (directory / "manifest.csv").exists():
            raise SampleClipsError(
                f"Expected no other data set in {directory}, received one "
                "with a manifest.csv. Name another directory."
            )
        files.write_json(path, wanted)
        return
    found = files.read_json(path)
    if found != wanted:
        raise SampleClipsError(
            f"Expected sample clips with {_difference(wanted, found)} in "
            f"{directory}, received {_difference(found, wanted)}. Name another "
            "directory, or remove this one to make its clips anew."
        )


def _difference(shown: dict[str, Any], other: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value}"
        for name, value in shown.items()
        if other.get(name) != value
    )


def _clip_path(directory: pathlib.Path, plan: ClipPlan) -> pathlib.Path:
    return directory / "clips" / f"{plan.clip_id}.mp4"


def _made(
    directory: pathlib.Path,
    config: SampleClipsConfig,
    plans: list[ClipPlan],
    num_threads: int,
) -> Iterator[ClipPlan]:
    """Makes clips and yields their plans."""

    def make(plan: ClipPlan) -> ClipPlan:
        write_clip(plan, config, _clip_path(directory, plan))
        return plan

    pool = ThreadPoolExecutor(num_threads)
    try:
        yield from pool.map(make, plans)
    finally:
        # An interrupt does not wait for the clips that have not begun.
        pool.shutdown(cancel_futures=True)


def _write_tables(directory: pathlib.Path, plans: list[ClipPlan]) -> None:
    truth = {plan.clip_id: [e.truth() for e in plan.events] for plan in plans}
    files.write_text(directory / "truth.json", json.dumps(truth) + "\n")
    files.write_text(directory / "classes.txt", "\n".join(CLASS_NAMES) + "\n")
    rows = [
        f"{p.clip_id},clips/{p.clip_id}.mp4,{';'.join(p.labels)},{p.split}\n"
        for p in plans
    ]
    # The manifest comes last: whoever finds it finds all the rest.
    files.write_text(
        directory / "manifest.csv",
        "clip_id,path,labels,split\n" + "".join(rows),
    )
