r"""Extracts the features of all clips of a manifest.

    python extract_features.py --manifest=clips/manifest.csv \
        --features_dir=features --edge_forest=model.yml.gz \
        --region_weights=bvlc_reference_caffenet.caffemodel \
        --audio_weights=vggish_model.ckpt

Started again with the same flags it goes on where it stopped. Clips that
cannot be extracted are listed in `failed.csv` of the features directory.
"""

from __future__ import annotations

import collections
import csv
import functools
import io
import os

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.clips import manifest
from avmil.common import files
from avmil.common.progress import Progress
from avmil.features import extractor, shards, workers


def extract(
    config: flags.ExtractionConfig, recipe_config: flags.RecipeConfig
) -> int:
    """Extracts all clips; returns 1 if not a single one could be extracted."""
    files.enable_remote(config.features_dir, config.manifest)
    class_names, rows = manifest.read(
        config.manifest, config.classes, config.allow_outside_paths
    )
    tasks = shards.plan(rows, config.features_dir, config.shard_size)
    recipe = extractor.recipe(recipe_config)
    files.make_directory(config.features_dir)
    with files.exclusive(config.features_dir):
        shards.open_features_dir(
            config.features_dir, recipe, class_names, tasks, config.shard_size
        )
        try:
            _run(config, recipe_config, tasks)
        finally:
            missing = _write_failed(config.features_dir, tasks)
    print(_summary(len(rows), missing, config.features_dir))
    return int(len(missing) == len(rows))


def _run(
    config: flags.ExtractionConfig,
    recipe_config: flags.RecipeConfig,
    tasks: list[shards.ShardTask],
) -> None:
    if config.retry_failed:
        _reopen_failed(tasks)
    open_tasks = [task for task in tasks if not task.writer().is_complete()]
    if not open_tasks:
        return
    total = sum(len(task.rows) for task in tasks)
    done = total - sum(task.num_open() for task in open_tasks)
    num_cores = _num_cores()
    num_workers = min(config.workers or num_cores, len(open_tasks))
    make_extractor = functools.partial(
        extractor.ClipExtractor,
        recipe_config,
        max(1, num_cores // num_workers),
    )
    with Progress(total, "clip", done) as progress:
        workers.run(open_tasks, make_extractor, num_workers, progress)


def _num_cores() -> int:
    """Cores that this process may use; not every system can tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _reopen_failed(tasks: list[shards.ShardTask]) -> None:
    for task in tasks:
        writer = task.writer()
        if writer.is_complete() and writer.index()["missing"]:
            writer.reopen()


def _write_failed(
    features_dir: str, tasks: list[shards.ShardTask]
) -> list[dict]:
    """Lists the missing clips of all complete shards in failed.csv."""
    writers = [task.writer() for task in tasks]
    missing = [
        clip
        for writer in writers
        if writer.is_complete()
        for clip in writer.index()["missing"]
    ]
    text = io.StringIO(newline="")
    table = csv.DictWriter(
        text, ("clip_id", "stage", "reason"), extrasaction="ignore"
    )
    table.writeheader()
    table.writerows(missing)
    files.write_text(files.join(features_dir, "failed.csv"), text.getvalue())
    return missing


def _summary(num_clips: int, missing: list[dict], features_dir: str) -> str:
    lines = [
        f"{num_clips - len(missing)} of {num_clips} clips extracted to "
        f"{features_dir}"
    ]
    if missing:
        lines.append(f"{len(missing)} failed, see failed.csv there:")
    reasons = collections.Counter(
        (clip["stage"], clip["reason"].split(":")[0]) for clip in missing
    )
    lines += [
        f"  {count:6d}  {stage}: {reason}"
        for (stage, reason), count in reasons.most_common()
    ]
    return "\n".join(lines)


def main() -> int:
    """Reads the flags and extracts."""
    return extract(
        flags.read(flags.ExtractionConfig), flags.read(flags.RecipeConfig)
    )


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.ExtractionConfig, flags.RecipeConfig)


if __name__ == "__main__":
    console_entry_point()
