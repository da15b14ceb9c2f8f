"""Extraction of all clips of a manifest, here or on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import socket
from typing import Any

import distributed
import keras

from avmil.clips import manifest
from avmil.common import files
from avmil.common.errors import ConfigError
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

# At a time in one process.
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
    given = None
    if config.boxes_from:
        given = given_recipe(config.boxes_from)
        rate_hz = given["frame_rate_hz"]
        recipe_config = dataclasses.replace(
            recipe_config, frame_rate_hz=rate_hz
        )
    recipe = recipes.of_flags(recipe_config, given)
    num_workers, num_threads, clips_at_a_time = _processes(config.workers)
    given_audio = given is not None and has_audio_of(given, recipe)
    make_extractor = functools.partial(
        _make_extractor,
        recipe_config,
        0 if config.scheduler else num_threads,
        config.boxes_from,
        given_audio,
        config.features_dir,
        {**recipe, "KERAS_BACKEND": keras.backend.backend()},
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
        for shard in filter(Shard.is_complete, planned):
            truncated = shard.is_truncated()
            if truncated:
                print(f"{shard.path} is cut off: what it lacks is extracted.")
            if truncated or config.retry_failed:
                shard.reopen()
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
            dataset.remove_leftovers(planned)
        except ConfigError:  # Of the networks, before the first clip.
            dataset.discard_empty(config.features_dir)
            raise
        finally:
            if files.exists(files.join(config.features_dir, INFO_NAME)):
                status = dataset.report(config.features_dir, planned)
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
    recipe_config: RecipeConfig,
    num_threads: int,
    boxes_from: str,
    audio_too: bool,
    features_dir: str,
    recipe: dict,
) -> extractor.ClipExtractor:
    """Makes the extractor of a process, of whatever machine.

    Without `num_threads` it has as many as its process has for clips. A
    ConfigError if the process differs from the job's `recipe` and backend.
    """
    num_threads = num_threads or distributed.get_worker().state.nthreads
    extractor.configure_backend(num_threads)
    host = socket.gethostname()
    if not files.exists(files.join(features_dir, INFO_NAME)):
        raise ConfigError(
            f"Expected {features_dir} to be the same directory for all "
            f"workers, received {host}, which has none."
        )
    here = recipes.of_flags(
        recipe_config, given_recipe(boxes_from) if boxes_from else None
    )
    here["KERAS_BACKEND"] = keras.backend.backend()
    if differing := differences(recipe, here):
        listed = "\n  ".join(differing)
        raise ConfigError(
            "Expected the same weights and backend on all machines, received "
            f"on {host}:\n  {listed}"
        )
    given = GivenFeatures(boxes_from, audio_too) if boxes_from else None
    return extractor.ClipExtractor(recipe_config, num_threads, given)
