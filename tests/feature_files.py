"""Made-up features directories for tests."""

from __future__ import annotations

import os

import numpy as np

from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ClipError
from avmil.features import clip_features, dataset
from avmil.features.clip_features import ClipFeatures
from avmil.features.shards import Shard

CLASS_NAMES = ("bus", "siren, loud", "train")
RECIPE = {"made": "up", "cvssp_scaling_rate_hz": 1.0}


def make_clip(
    clip_id: str,
    labels: tuple[str, ...] = (),
    num_regions: int = 3,
    num_segments: int = 2,
    seed: int = 0,
    segment_size: int = 128,
) -> ClipFeatures:
    """Random features; each label adds to its own part of every feature."""
    generator = np.random.default_rng([seed, *clip_id.encode()])
    regions = generator.random((num_regions, 9216), np.float32)
    segments = generator.random((num_segments, segment_size), np.float32)
    for label in labels:
        position = CLASS_NAMES.index(label)
        regions[:, position * 1000 : (position + 1) * 1000] += 2
        segments[:, position * 40 : (position + 1) * 40] += 2
    frame_times_s = np.arange(num_regions, dtype=np.float32) + 0.5
    onsets_s = np.arange(num_segments, dtype=np.float32) * 0.48
    return ClipFeatures(
        clip_id=clip_id,
        labels=labels,
        duration_s=max(float(num_regions), 0.48 * num_segments + 0.48),
        regions=regions.astype(np.float16),
        boxes=generator.random((num_regions, 4), np.float32),
        objectness=generator.random(num_regions, np.float32),
        region_times_s=frame_times_s,
        frame_times_s=frame_times_s,
        frame_size_px=np.array([320, 240], np.int32),
        log_mel=generator.random((num_segments, 96, 64), np.float32),
        segments=segments,
        segment_times_s=np.stack([onsets_s, onsets_s + 0.96], axis=1),
        cvssp_log_mel=generator.random((240, 64), np.float32),
    )


def make_rows(
    counts: dict[str, int], num_labels: int = 1
) -> list[ManifestEntry]:
    """Manifest rows whose labels go round the classes."""
    return [
        ManifestEntry(
            clip_id=f"{split}{i:03d}",
            path=f"{split}{i:03d}.mp4",
            labels=tuple(
                CLASS_NAMES[(i + k) % len(CLASS_NAMES)]
                for k in range(num_labels)
            ),
            split=split,
        )
        for split, count in counts.items()
        for i in range(count)
    ]


def plan_shards(
    directory: str | os.PathLike,
    rows: list[ManifestEntry],
    shard_size: int = 4,
    segment_size: int = 128,
    recipe: dict = RECIPE,
    class_names: tuple[str, ...] = CLASS_NAMES,
) -> list[Shard]:
    """Makes a features directory, without its features."""
    layout = clip_features.layout(9216, segment_size)
    return dataset.plan(
        rows, str(directory), recipe, class_names, shard_size, layout
    )


def write_features(
    directory: str,
    counts: dict[str, int],
    missing: tuple[str, ...] = (),
    shard_size: int = 4,
    segment_size: int = 128,
) -> list[ManifestEntry]:
    """Writes a complete features directory and returns its rows."""
    rows = make_rows(counts)

    def extract_clip(row: ManifestEntry) -> ClipFeatures:
        if row.clip_id in missing:
            raise ClipError("decode", "made to fail")
        return make_clip(
            row.clip_id,
            row.labels,
            2 + len(row.clip_id) % 3,
            segment_size=segment_size,
        )

    for shard in plan_shards(directory, rows, shard_size, segment_size):
        shard.complete(extract_clip)
    return rows
