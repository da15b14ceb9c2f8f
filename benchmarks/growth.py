"""How time and memory of the bookkeeping grow with the number of clips.

    python -m benchmarks.growth 1000 50000

Features of a few numbers a clip go through the project's own planning, writer,
store and batches, each number of clips in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.features import clip_features, shards
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore

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
        print(f"{num_clips:6d} {name:8}{seconds:7.2f} s {peak_mb:5.0f} MB")

    entries = [
        ManifestEntry(f"clip{n}", f"{directory}/{n}.mp4", ("a",), "train")
        for n in range(num_clips)
    ]
    manifest.write(f"{directory}/manifest.csv", ("a",), entries)
    lap("manifest")
    _, rows = manifest.read(f"{directory}/manifest.csv")
    features_dir = f"{directory}/features"
    planned = shards.plan(rows, features_dir, {}, ("a",), 64, _FIELDS)
    lap("plan")
    for shard in planned:
        for row in shard.open_rows():
            shard.extract(row, _made_up)
        shard.join()
    lap("extract")
    store = FeatureStore(features_dir, "train")
    lap("open")
    for index in np.random.default_rng(0).permutation(len(store)):
        store.read(index, ("regions", "segments"))
    lap("read")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        with tempfile.TemporaryDirectory() as folder:
            _measure(int(sys.argv[2]), folder)
    else:
        for count in sys.argv[1:]:
            command = [sys.executable, "-m", "benchmarks.growth", "--one"]
            subprocess.run([*command, count], check=True)
