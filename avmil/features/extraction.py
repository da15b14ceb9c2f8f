"""Extraction of all clips of a manifest, by processes that may die."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable

import keras

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files, processes
from avmil.common.errors import ConfigError
from avmil.common.progress import Progress
from avmil.features import extractor, shards
from avmil.features.given_features import (
    GivenFeatures,
    given_recipe,
    has_audio_of,
)
from avmil.features.shards import ExtractClip, Shard
from avmil.features.store import INFO_NAME
from flags import ExtractionConfig, RecipeConfig

Work = tuple[Shard, ManifestEntry]

# At a time in one process.
_JAX_CLIPS = 4


def extract(config: ExtractionConfig, recipe_config: RecipeConfig) -> int:
    """Extracts all clips of a manifest that are not extracted yet.

    Returns:
        An exit status: 1 if not a single clip could be extracted.

    Raises:
        AvmilError: for a mistake in flags or files, or if no process starts.
    """
    class_names, rows = manifest.read(
        config.manifest, config.classes, config.allow_outside_paths
    )
    given = None
    if config.boxes_from:
        given = given_recipe(config.boxes_from)
        rate_hz = given["frame_rate_hz"]
        recipe_config = dataclasses.replace(
            recipe_config, frame_rate_hz=rate_hz
        )
    recipe = extractor.recipe(recipe_config, given)
    num_workers, num_threads, clips_at_a_time = _processes(config.workers)
    given_audio = given is not None and has_audio_of(given, recipe)
    make_extractor = functools.partial(
        _make_extractor,
        recipe_config,
        num_threads,
        config.boxes_from,
        given_audio,
    )
    with files.exclusive(config.features_dir):
        planned = shards.plan(
            rows,
            config.features_dir,
            recipe,
            class_names,
            config.shard_size,
            extractor.layout(recipe_config),
        )
        for shard in filter(Shard.is_complete, planned):
            truncated = shard.is_truncated()
            if truncated:
                print(f"{shard.path} is cut off: what it lacks is extracted.")
            if truncated or config.retry_failed:
                shard.reopen()
        num_open = sum(len(shard.open_rows()) for shard in planned)
        try:
            with Progress(len(rows), "clip", len(rows) - num_open) as progress:
                run(
                    planned,
                    make_extractor,
                    num_workers,
                    progress,
                    clips_at_a_time,
                )
        except ConfigError:  # Of the networks, before the first clip.
            shards.discard_empty(config.features_dir)
            raise
        finally:
            if files.exists(files.join(config.features_dir, INFO_NAME)):
                status = shards.report(config.features_dir, planned)
    return status


def _processes(num_workers: int) -> tuple[int, int, int]:
    """Number of processes, of threads in each, and of clips at a time in each.

    The same whatever is left to do, for the same bits. JAX compiles for each
    size of frames, in every process, and shares all cores or one device: its
    processes are few, and their threads extract clips of their own.
    """
    num_cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Not on every system.
        num_cores = len(os.sched_getaffinity(0))
    is_jax = keras.backend.backend() == "jax"
    num_workers = num_workers or math.ceil(
        num_cores / (_JAX_CLIPS if is_jax else 1)
    )
    num_threads = max(1, num_cores // num_workers)
    return num_workers, num_threads, num_threads if is_jax else 1


def _make_extractor(
    recipe_config: RecipeConfig,
    num_threads: int,
    boxes_from: str,
    audio_too: bool,
) -> extractor.ClipExtractor:
    given = GivenFeatures(boxes_from, audio_too) if boxes_from else None
    return extractor.ClipExtractor(recipe_config, num_threads, given)


def run(
    planned: list[Shard],
    make_extract_clip: Callable[[], ExtractClip],
    num_workers: int,
    progress: Progress,
    clips_at_a_time: int = 1,
) -> None:
    """Extracts what shards lack in processes of their own and joins them.

    Args:
        planned: The shards.
        make_extract_clip: Called once in each process, hence picklable.
        num_workers: Most processes.
        progress: Updated for each clip, with the number of failures.
        clips_at_a_time: Clips that a process extracts at the same time.

    Raises:
        WorkerError: if processes die before their first clip.
    """
    by_path = {shard.path: shard for shard in planned}
    work, num_left = [], {}
    for shard in planned:
        rows = shard.open_rows()
        alone = dataclasses.replace(shard, rows=())  # Less to send.
        work += [(alone, row) for row in rows]
        num_left[shard.path] = len(rows)
        if not rows and not shard.is_complete():
            shard.join()
    num_failed = 0
    for (alone, row), extracted in processes.apply(
        functools.partial(_make_keep, make_extract_clip),
        work,
        num_workers,
        clips_at_a_time,
    ):
        if extracted is None:
            alone.fail(row, "process", "the worker process died")
        num_failed += not extracted
        progress.update(failed=num_failed)
        num_left[alone.path] -= 1
        if not num_left[alone.path]:
            by_path[alone.path].join()


def _make_keep(
    make_extract_clip: Callable[[], ExtractClip],
) -> Callable[[Work], bool]:
    """Makes the function that extracts and keeps a clip, in its process."""
    extract_clip = make_extract_clip()

    def keep(work: Work) -> bool:
        shard, row = work
        return shard.extract(row, extract_clip)

    return keep
