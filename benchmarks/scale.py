"""What whole data sets cost: the arithmetic of docs/scale.md.

python -m benchmarks.scale
"""

from __future__ import annotations

import tabulate

_CLIPS = {"DCASE 2017": 52_763, "VGGSound": 200_000, "AudioSet": 2_000_000}
# benchmarks/results.md: "whole clip", on two cores.
_CORE_S = 2 * 1.15
# There, "edges and boxes", on two cores.
_BOXES_CORE_S = 2 * 0.263
# docs/results.md: 360 clips in 33 and 48 s, given the boxes, by one GPU.
_GPU_S = (33 + 48) / 2 / 360
_CORES_OF_A_GPU = 16
# `benchmarks.growth --tasks 3000`: what client and scheduler compute.
_TASK_S = 4.32e-3
# docs/formats.md and README.md: features on disk; H.264 of 10 s.
_FEATURES_MB, _CLIP_MB = 2.4, 1.0
# Rounded list prices of large providers.
_CORE_USD_H, _GPU_USD_H, _GB_MONTH_USD = 0.04, 4.0, 0.023


def rate(num_cores: int, num_gpus: int) -> float:
    """Clips a second: what workers give, and at most what Dask hands out.

    A GPU has 16 cores of its own, which search boxes, its other work over.
    """
    if num_gpus:
        a_clip_s = _GPU_S + _BOXES_CORE_S / _CORES_OF_A_GPU
        return min(num_gpus / a_clip_s, 1 / _TASK_S)
    return min(num_cores / _CORE_S, 1 / _TASK_S)


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def main() -> None:
    """Prints the tables of docs/scale.md."""
    machines = [(1, 0), (16, 0), (256, 0), (0, 1), (0, 8)]
    rows = []
    for num_cores, num_gpus in machines:
        clips_s = rate(num_cores, num_gpus)
        usd_h = num_cores * _CORE_USD_H + num_gpus * _GPU_USD_H
        written, read = _FEATURES_MB * clips_s, _CLIP_MB * clips_s
        cells = [
            f"{_duration(n / clips_s)}, {n / clips_s / 3600 * usd_h:,.0f} $"
            for n in _CLIPS.values()
        ]
        name = f"{num_gpus} GPU" if num_gpus else f"{num_cores} cores"
        # Each clip is written, read and written again by the join.
        flow = f"{read:.1f} / {2 * written:.1f} / {written:.1f}"
        rows.append([name, f"{clips_s:.1f}", *cells, flow])
    headers = ["", "clips/s", *_CLIPS, "MB/s: clips / written / read again"]
    print(tabulate.tabulate(rows, headers, "github"), end="\n\n")
    rows = []
    for name, n in _CLIPS.items():
        clips_gb, features_gb = (
            n * mb / 1e3 for mb in (_CLIP_MB, _FEATURES_MB)
        )
        usd = (clips_gb + features_gb) * _GB_MONTH_USD
        cells = [f"{gb:,.0f} GB" for gb in (clips_gb, features_gb)]
        rows.append([name, f"{n:,}", *cells, -(-n // 64), f"{usd:,.0f} $"])
    headers = ["", "clips", "clips on disk", "features", "shards", "a month"]
    print(tabulate.tabulate(rows, headers, "github"), end="\n\n")
    limit = 1 / _TASK_S
    print(
        f"One client and scheduler hand out {limit:.0f} clips/s: "
        f"{limit * _CORE_S:.0f} cores."
    )


if __name__ == "__main__":
    main()
