"""Extraction of all clips of a manifest, by processes that may die."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator

import dask
import distributed
import keras
from distributed.comm import CommClosedError

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ConfigError, ExtractionError
from avmil.common.progress import Progress
from avmil.features import extractor, shards
from avmil.features.given_features import (
    GivenFeatures,
    given_recipe,
    has_audio_of,
)
from avmil.features.shards import ExtractClip, Shard
from avmil.features.store import INFO_NAME, MissingClip, ShardIndex
from flags import ExtractionConfig, RecipeConfig

Work = tuple[Shard, ManifestEntry]

_START_TIMEOUT_S = 300
# At a time in one process.
_JAX_CLIPS = 4
_DASK = {
    # A clip whose process dies is not tried again beside others.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Decoding may keep a process from answering for minutes.
    "distributed.scheduler.worker-ttl": None,
    # Arithmetic libraries have the threads that they would have without dask.
    # JAX shares one device among all of them.
    "distributed.nanny.pre-spawn-environ": {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false"
    },
}


def extract(config: ExtractionConfig, recipe_config: RecipeConfig) -> int:
    """Extracts all clips of a manifest that are not extracted yet.

    Returns:
        An exit status: 1 if not a single clip could be extracted.

    Raises:
        AvmilError: for a mistake in flags or files, and if processes die
            before they extract anything.
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
    make_extractor = functools.partial(
        _make_extractor,
        recipe_config,
        num_threads,
        config.boxes_from,
        given is not None and has_audio_of(given, recipe),
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
                missing = _write_failed(config.features_dir, planned)
    num_extracted = len(rows) - len(missing)
    print(
        f"Finished: {num_extracted} of {len(rows)} clips extracted to "
        f"{config.features_dir}"
    )
    _print_reasons(missing)
    return int(not num_extracted)


def _print_reasons(missing: list[MissingClip]) -> None:
    if missing:
        print(f"{len(missing)} failed, see failed.csv there:")
    reasons = collections.Counter(
        (clip.stage, clip.reason.split(":")[0]) for clip in missing
    )
    for (stage, reason), count in reasons.most_common():
        print(f"  {count:6d}  {stage}: {reason}")


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


def _write_failed(features_dir: str, planned: list[Shard]) -> list[MissingClip]:
    """Lists the missing clips of all complete shards in failed.csv."""
    missing = [
        clip
        for shard in planned
        if shard.is_complete()
        for clip in ShardIndex.read(shard.path).missing
    ]
    rows = [(clip.clip_id, clip.stage, clip.reason) for clip in missing]
    path = files.join(features_dir, "failed.csv")
    files.write_csv(path, [("clip_id", "stage", "reason"), *rows])
    return missing


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
        ExtractionError: if processes die before their first clip.
    """
    work: list[Work] = []
    num_left = {}
    for shard in planned:
        rows = shard.open_rows()
        work += [(shard, row) for row in rows]
        num_left[shard.path] = len(rows)
        if not rows and not shard.is_complete():
            shard.join()
    num_failed = 0
    for shard, extracted in _extracted(
        work, make_extract_clip, num_workers, clips_at_a_time
    ):
        num_failed += not extracted
        progress.update(failed=num_failed)
        num_left[shard.path] -= 1
        if not num_left[shard.path]:
            shard.join()


def _extracted(
    work: list[Work],
    make_extract_clip: Callable[[], ExtractClip],
    num_workers: int,
    clips_at_a_time: int,
) -> Iterator[tuple[Shard, bool]]:
    """Yields the shard of each clip and whether the clip was extracted.

    When a process dies (a decoder's crash, memory), the clips under way are
    tried again, one at a time; one that kills its process also then is kept
    as missing, and the others go on.
    """
    if not work:
        return
    waiting = collections.deque(work)
    num_workers = min(num_workers, len(work))
    # One for each process to go on with while this one joins a shard.
    most_under_way = num_workers * (clips_at_a_time + 1)
    # Dask's notes are for administrators; absl would print them.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    with (
        dask.config.set(_DASK),
        # Its processes end with this one, however it ends.
        distributed.LocalCluster(
            n_workers=num_workers,
            threads_per_worker=clips_at_a_time,
            memory_limit=None,
            env={"TF_CPP_MIN_LOG_LEVEL": "3"},  # JAX sets a lower one here.
            dashboard_address=None,
            # Without a dashboard there still is a server: at any free port.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def submit(shard: Shard, row: ManifestEntry) -> distributed.Future:
            alone = dataclasses.replace(shard, rows=())  # Less to send.
            return client.submit(
                _extract_in_worker, make_extract_clip, alone, row, pure=False
            )

        while waiting:
            _prepare(client, num_workers, make_extract_clip)
            under_way: dict[distributed.Future, Work] = {}
            killed: list[Work] = []
            while under_way or (waiting and not killed):
                while (
                    waiting and not killed and len(under_way) < most_under_way
                ):
                    shard, row = waiting.popleft()
                    under_way[submit(shard, row)] = (shard, row)
                done, _ = distributed.wait(
                    list(under_way), return_when="FIRST_COMPLETED"
                )
                for future in done:
                    shard, row = under_way.pop(future)
                    try:
                        extracted = future.result()
                    except distributed.KilledWorker:
                        killed.append((shard, row))
                    else:
                        yield shard, extracted
            for shard, row in killed:
                _prepare(client, num_workers, make_extract_clip)
                try:
                    extracted = submit(shard, row).result()
                except distributed.KilledWorker:
                    extracted = False
                    shard.fail(row, "process", "the worker process died")
                yield shard, extracted


def _prepare(
    client: distributed.Client,
    num_workers: int,
    make_extract_clip: Callable[[], ExtractClip],
) -> None:
    """Waits until all processes, new ones too, have their extractor.

    Raises:
        ExtractionError: if a process dies meanwhile.
    """
    try:
        client.wait_for_workers(num_workers, timeout=_START_TIMEOUT_S)
        client.run(_prepare_worker, make_extract_clip)
    except (CommClosedError, TimeoutError) as error:
        raise ExtractionError(
            "Expected worker processes to reach their first clip, but one "
            "died. Is there enough memory? Try fewer --workers."
        ) from error


# The extractor of a worker process.
_extract_clip: ExtractClip | None = None
_making = threading.Lock()


def _prepare_worker(make_extract_clip: Callable[[], ExtractClip]) -> None:
    # A terminal interrupts all processes; this one is ended by its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _extractor(make_extract_clip)


def _extractor(make_extract_clip: Callable[[], ExtractClip]) -> ExtractClip:
    global _extract_clip
    with _making:
        if _extract_clip is None:
            _extract_clip = make_extract_clip()
    return _extract_clip


def _extract_in_worker(
    make_extract_clip: Callable[[], ExtractClip],
    shard: Shard,
    row: ManifestEntry,
) -> bool:
    # A new process may be given a clip before it is prepared.
    return shard.extract(row, _extractor(make_extract_clip))
