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

_CLASS_NAMES = tuple(f"class {number:02d}" for number in range(17))
_SIZE = 16


def _made_up(row: ManifestEntry) -> ClipFeatures:
    times_s = np.zeros(1, np.float32)
    return ClipFeatures(
        clip_id=row.clip_id,
        labels=row.labels,
        duration_s=1.0,
        regions=np.ones((1, _SIZE), np.float16),
        boxes=np.zeros((1, 4), np.float32),
        objectness=times_s,
        region_times_s=times_s,
        frame_times_s=times_s,
        frame_size_px=np.ones(2, np.int32),
        log_mel=np.zeros((1, 96, 64), np.float32),
        segments=np.ones((1, _SIZE), np.float32),
        segment_times_s=np.zeros((1, 2), np.float32),
        cvssp_log_mel=np.zeros((0, 64), np.float32),
    )


def _measure(num_clips: int, directory: str) -> None:
    """Prints a row of seconds, and the most memory up to each stage."""
    cells = []
    start_s = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start_s
        seconds = time.perf_counter() - start_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        cells.append(f"{name} {seconds:.2f} s, {peak_mb:.0f} MB")
        start_s = time.perf_counter()

    entries = [
        ManifestEntry(f"clip{n:06d}", f"{directory}/{n}.mp4", (name,), "train")
        for n in range(num_clips)
        for name in [_CLASS_NAMES[n % len(_CLASS_NAMES)]]
    ]
    manifest.write(f"{directory}/manifest.csv", _CLASS_NAMES, entries)
    lap("(start)")
    fields = clip_features.layout(_SIZE, _SIZE)
    for name in ("plan", "plan again"):
        class_names, rows = manifest.read(f"{directory}/manifest.csv")
        planned = shards.plan(
            rows, f"{directory}/features", {}, class_names, 64, fields
        )
        for shard in planned:
            shard.open_rows()
        lap(name)
    for shard in planned:
        for row in shard.open_rows():
            shard.extract(row, _made_up)
        shard.join()
    lap("extract")
    store = FeatureStore(f"{directory}/features", "train")
    lap("open")
    for index in np.random.default_rng(0).permutation(len(store)):
        store.read(index, ("regions", "segments"))
    lap("read")
    print(f"{num_clips:6d} clips: {'; '.join(cells)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        with tempfile.TemporaryDirectory() as folder:
            _measure(int(sys.argv[2]), folder)
    else:
        for count in sys.argv[1:]:
            command = [sys.executable, "-m", "benchmarks.growth", "--one"]
            subprocess.run([*command, count], check=True)
