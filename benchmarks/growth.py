"""How the time and memory of everything but networks grow with the clips.

    python -m benchmarks.growth 1000 50000

Features of a few numbers a clip go through the project's own planning, writer,
store, training (row b, each clip about once) and evaluation, each number of
clips in a process of its own. An eighth each of the clips is for validation
and for the test.

    python -m benchmarks.growth --tasks 50000

times tasks that do nothing, as extraction hands clips to the workers of a Dask
scheduler, on two processes of this machine: what Dask costs a clip.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import processes
from avmil.features import clip_features, dataset
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore
from avmil.runs import evaluation, training
from flags import EvaluationConfig, TrainConfig

_CLASSES = ("a", "b", "c", "d")
_SPLITS = (*("train",) * 6, "val", "test")
_FIELDS = clip_features.layout(16, 16)


def _made_up(row: ManifestEntry) -> ClipFeatures:
    arrays = {
        name: np.ones(np.abs(field.shape).astype(int), field.dtype)
        for name, field in _FIELDS.items()
        if name != "duration_s"
    }
    return ClipFeatures(row.clip_id, row.labels, 1.0, **arrays)


def _measure(num_clips: int, directory: str) -> None:
    """Prints seconds and the most memory until then of each stage."""
    times_s = [time.perf_counter()]

    def lap(name: str) -> None:
        times_s.append(time.perf_counter())
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        seconds = times_s[-1] - times_s[-2]
        print(f"{num_clips:6d} {name:9}{seconds:7.2f} s {peak_mb:5.0f} MB")

    entries = [
        ManifestEntry(
            f"clip{n}",
            f"{directory}/{n}.mp4",
            (_CLASSES[n // len(_SPLITS) % len(_CLASSES)],),
            _SPLITS[n % len(_SPLITS)],
        )
        for n in range(num_clips)
    ]
    manifest.write(f"{directory}/manifest.csv", _CLASSES, entries)
    lap("manifest")
    _, rows = manifest.read(f"{directory}/manifest.csv")
    features_dir = f"{directory}/features"
    planned = dataset.plan(rows, features_dir, {}, _CLASSES, 64, _FIELDS)
    lap("plan")
    for shard in planned:
        shard.complete(_made_up)
    lap("extract")
    store = FeatureStore(features_dir, "train")
    lap("open")
    for index in np.random.default_rng(0).permutation(len(store)):
        store.read(index, ("regions", "segments"))
    lap("read")
    run_dir = f"{directory}/run"
    training.train(
        TrainConfig(
            system="audio_two_stream",
            features_dir=features_dir,
            run_dir=run_dir,
            batch_size=24,
            steps=len(store) // 24,
            validate_every=len(store) // 24,
        )
    )
    lap("train")
    evaluation.evaluate(EvaluationConfig(run_dir=run_dir))
    lap("evaluate")


def _nothing() -> Callable[[int], int]:
    return int


def _measure_tasks(num_tasks: int) -> None:
    """Prints what a task costs, the start of the processes left out."""
    done = processes.apply(_nothing, range(num_tasks), 2)
    next(done)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    num_done = sum(1 for _ in done)
    cost_ms = (time.perf_counter() - start_s) / num_done * 1e3
    cpu_ms = (time.process_time() - start_cpu_s) / num_done * 1e3
    print(
        f"{num_tasks} tasks: {cost_ms:.2f} ms a task, of which client and "
        f"scheduler compute {cpu_ms:.2f} ms"
    )


if __name__ == "__main__":
    if sys.argv[1] == "--tasks":
        _measure_tasks(int(sys.argv[2]))
    elif sys.argv[1] == "--one":
        with tempfile.TemporaryDirectory() as folder:
            _measure(int(sys.argv[2]), folder)
    else:
        for count in sys.argv[1:]:
            command = [sys.executable, "-m", "benchmarks.growth", "--one"]
            subprocess.run([*command, count], check=True)
