"""Extraction of all clips of a manifest, here or on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import math
import socket
from typing import Any

import distributed
import keras
from dask.system import CPU_COUNT

from avmil.clips import manifest
from avmil.common import files
from avmil.common.errors import ConfigError, listed
from avmil.common.progress import Progress
from avmil.features import dataset, extractor, shards
from avmil.features import recipe as recipes
from avmil.features.given_features import (
    GivenFeatures,
    given_recipe,
    has_audio_of,
)
from avmil.features.shards import Shard
from avmil.features.store import INFO_NAME, differences
from flags import ExtractionConfig, RecipeConfig

# Clips that a process extracts at a time with JAX.
_JAX_CLIPS = 4


def extract(config: ExtractionConfig, recipe_config: RecipeConfig) -> int:
    """Extracts all clips of a manifest that are not extracted yet.

    Returns:
        An exit status: 1 if not a single clip could be extracted.

    Raises:
        AvmilError: for a mistake in flags or files, or if no process starts.
    """
    if config.scheduler:
        config = _with_absolute_paths(
            config, "manifest", "features_dir", "boxes_from"
        )
        recipe_config = _with_absolute_paths(
            recipe_config, *recipes.file_flags(recipe_config)
        )
    class_names, rows = manifest.read(
        config.manifest, config.classes, config.allow_outside_paths
    )
    given = given_recipe(config.boxes_from) if config.boxes_from else None
    if given:
        rate_hz = given["frame_rate_hz"]
        recipe_config = dataclasses.replace(
            recipe_config, frame_rate_hz=rate_hz
        )
    recipe = recipes.of_flags(recipe_config, given)
    num_workers, num_threads, clips_at_a_time = _processes(config.workers)
    make_extractor = functools.partial(
        _make_extractor,
        config,
        recipe_config,
        {**recipe, "KERAS_BACKEND": keras.backend.backend()},
        num_threads,
    )
    with files.exclusive(config.features_dir):
        planned = dataset.plan(
            rows,
            config.features_dir,
            recipe,
            class_names,
            config.shard_size,
            recipes.layout(recipe_config),
        )
        _reopen(planned, config.retry_failed)
        num_open = sum(len(shard.open_rows()) for shard in planned)
        try:
            with Progress(len(rows), "clip", len(rows) - num_open) as progress:
                shards.complete(
                    planned,
                    make_extractor,
                    num_workers,
                    progress,
                    clips_at_a_time,
                    config.scheduler,
                )
            dataset.remove_leftovers(config.features_dir, planned)
        except ConfigError:  # While networks are made, before the first clip.
            dataset.discard_empty(config.features_dir)
            raise
        finally:
            if files.exists(files.join(config.features_dir, INFO_NAME)):
                status = dataset.report(config.features_dir, planned)
    return status


def _reopen(planned: list[Shard], retry_failed: bool) -> None:
    """Reopens shards that are cut off, and those whose clips are retried."""
    for shard in filter(Shard.is_complete, planned):
        truncated = shard.is_truncated()
        if truncated:
            print(f"{shard.path} is cut off: what it lacks is extracted.")
        if truncated or retry_failed:
            shard.reopen()


def _processes(num_workers: int) -> tuple[int, int, int]:
    """Number of processes, of threads in each, and of clips at a time in each.

    The same whatever is left to do, for the same bits. JAX compiles for each
    size of frames, in every process, and shares all cores or one device: its
    processes are few, and their threads extract clips of their own.
    """
    is_jax = keras.backend.backend() == "jax"
    num_workers = num_workers or math.ceil(
        CPU_COUNT / (_JAX_CLIPS if is_jax else 1)
    )
    num_threads = max(1, CPU_COUNT // num_workers)
    return num_workers, num_threads, num_threads if is_jax else 1


def _with_absolute_paths(config: Any, *names: str) -> Any:
    """Makes local paths absolute: a worker's current folder is another."""
    paths = {name: getattr(config, name) for name in names}
    absolute = {
        name: files.absolute(path)
        for name, path in paths.items()
        if path and not path.startswith(("random", "imagenet"))
    }
    return dataclasses.replace(config, **absolute)


def _make_extractor(
    config: ExtractionConfig,
    recipe_config: RecipeConfig,
    recipe: dict,
    num_threads: int,
) -> extractor.ClipExtractor:
    """Makes the extractor of a worker process, on whatever machine.

    On a cluster it has as many threads as its process has for clips.

    Raises:
        ConfigError: if the process sees another directory, other weights or
            another backend than the job, whose `recipe` names them.
    """
    if config.scheduler:
        num_threads = distributed.get_worker().state.nthreads
    extractor.configure_backend(num_threads)
    host = socket.gethostname()
    if not files.exists(files.join(config.features_dir, INFO_NAME)):
        raise ConfigError(
            f"Expected {config.features_dir} to be the same directory for all "
            f"workers, received {host}, which has none."
        )
    given = given_recipe(config.boxes_from) if config.boxes_from else None
    here = recipes.of_flags(recipe_config, given)
    here["KERAS_BACKEND"] = keras.backend.backend()
    if differing := differences(recipe, here):
        raise ConfigError(
            "Expected the same weights and backend on all machines, received "
            f"on {host}:{listed(differing)}"
        )
    taken_over = None
    if given:
        with_audio = has_audio_of(given, here)
        taken_over = GivenFeatures(config.boxes_from, with_audio)
    return extractor.ClipExtractor(recipe_config, num_threads, taken_over)
