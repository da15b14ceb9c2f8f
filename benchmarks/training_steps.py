"""Times a training step of every row at the sizes of its flagfile.

    python -m benchmarks.training_steps

Batches are made up, so that neither disk nor decoding counts: 100 regions and
20 segments a clip, 17 classes. Prints milliseconds a step (the median), the
ratio to row (a) in the same run, and hours for the flagfile's steps.
"""

from __future__ import annotations

import pathlib
import re
import statistics
import time

import keras
import numpy as np

from model import systems

_ROOT = pathlib.Path(__file__).resolve().parents[1]

_NUM_CLASSES, _NUM_REGIONS, _NUM_SEGMENTS = 17, 100, 20
_NUM_STEPS = 7


def main() -> None:
    """Times all rows that are trained."""
    print("row  system                      ms/step  to (a)    hours")
    reference_s = None
    for path in sorted((_ROOT / "configs").glob("[a-g]_*.flags")):
        values = dict(re.findall(r"^--(\w+)=(\S+)$", path.read_text(), re.M))
        if "system" not in values:  # Row (f) is not trained.
            continue
        step_s = _step_s(values)
        reference_s = reference_s or step_s
        hours = step_s * int(values["steps"]) / 3600
        print(
            f"({path.name[0]})  {values['system']:26}{1000 * step_s:9.1f}"
            f"{step_s / reference_s:8.3f}{hours:9.1f}",
            flush=True,
        )


def _step_s(values: dict[str, str]) -> float:
    system = systems.build(values["system"], _NUM_CLASSES)
    system.compile(
        keras.optimizers.Adam(
            float(values["learning_rate"]),
            epsilon=float(values["adam_epsilon"]),
        ),
        loss={"scores": systems.loss(values["system"])},
        jit_compile=values["xla"] == "true",
    )
    batch = _batch(int(values["batch_size"]))
    inputs = {name: batch[name] for name in system.input}
    times_s = []
    for _ in range(_NUM_STEPS + 1):
        start_s = time.perf_counter()
        system.train_on_batch(inputs, {"scores": batch["labels"]})
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s[1:])  # The first one compiles.


def _batch(size: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    regions = generator.random((size, _NUM_REGIONS, 9216), np.float32)
    return {
        "regions": regions.astype(np.float16),
        "region_mask": np.ones((size, _NUM_REGIONS), bool),
        "segments": generator.random((size, _NUM_SEGMENTS, 128), np.float32),
        "segment_mask": np.ones((size, _NUM_SEGMENTS), bool),
        "cvssp_log_mel": generator.random((size, 240, 64), np.float32),
        "labels": (generator.random((size, _NUM_CLASSES)) < 0.1) * 1.0,
    }


if __name__ == "__main__":
    main()
