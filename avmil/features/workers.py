"""Shards extracted by local processes, none of which can stop the job."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

from avmil.common.progress import Progress
from avmil.features import shards
from avmil.features.shards import ExtractClip, ShardTask

# Processes are spawned: TensorFlow does not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")
_POLL_S = 0.2

# State of a worker process, set once by `_start_worker`.
_make_extract_clip: Callable[[], ExtractClip]
_extract_clip: ExtractClip | None = None
_queue: multiprocessing.queues.SimpleQueue


def run(
    tasks: list[ShardTask],
    make_extract_clip: Callable[[], ExtractClip],
    num_workers: int,
    progress: Progress,
) -> None:
    """Extracts shards in processes of their own.

    A clip whose extraction kills its process (a decoder's crash, memory) is
    kept as missing, and the others go on.

    Args:
        tasks: The shards.
        make_extract_clip: Called once in each process, hence picklable.
        num_workers: Number of processes.
        progress: Updated for each clip, with the number of failures.
    """
    job = _Job(make_extract_clip, progress)
    started = job.run_pool(tasks, num_workers)
    while started is not None:
        # Without a clip under way, a task alone tells why processes die.
        for task in started or tasks[:1]:
            job.run_alone(task)
        tasks = [task for task in tasks if not task.writer().is_complete()]
        started = job.run_pool(tasks, num_workers)


class _Job:
    """Runs pools of workers and counts their clips."""

    def __init__(
        self, make_extract_clip: Callable[[], ExtractClip], progress: Progress
    ) -> None:
        self._make_extract_clip = make_extract_clip
        self._progress = progress
        self._num_failed = 0

    def run_pool(
        self, tasks: list[ShardTask], num_workers: int
    ) -> list[ShardTask] | None:
        """Runs all tasks; where a process dies, returns those under way."""
        queue = _CONTEXT.SimpleQueue()
        pool = concurrent.futures.ProcessPoolExecutor(
            max(1, min(num_workers, len(tasks))),
            _CONTEXT,
            _start_worker,
            (self._make_extract_clip, queue),
        )
        try:
            self._watch([pool.submit(_extract, t) for t in tasks], queue)
        except BrokenProcessPool:
            return [t for t in tasks if t.writer().current() is not None]
        finally:
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(cancel_futures=True)
        return None

    def run_alone(self, task: ShardTask) -> None:
        """Runs one task with no other beside it, so that deaths have a name.

        Raises:
            RuntimeError: if the process dies before its first clip.
        """
        rows = {row.clip_id: row for row in task.rows}
        while self.run_pool([task], 1) is not None:
            clip_id = task.writer().current()
            if clip_id is None:
                raise RuntimeError(
                    "Expected a worker process to reach its first clip, but "
                    "it died. Is there enough memory? Try fewer --workers."
                )
            task.writer().fail(
                shards.missing_clip(
                    rows[clip_id], "process", "the worker process died"
                )
            )
            self._count(failed=True)

    def _watch(
        self,
        futures: list[concurrent.futures.Future],
        queue: multiprocessing.queues.SimpleQueue,
    ) -> None:
        waiting = set(futures)
        while waiting:
            done, waiting = concurrent.futures.wait(
                waiting, _POLL_S, concurrent.futures.FIRST_EXCEPTION
            )
            while not queue.empty():
                self._count(failed=queue.get())
            for future in done:
                future.result()

    def _count(self, failed: bool) -> None:
        self._num_failed += failed
        self._progress.update(failed=self._num_failed)


def _start_worker(
    make_extract_clip: Callable[[], ExtractClip],
    queue: multiprocessing.queues.SimpleQueue,
) -> None:
    global _make_extract_clip, _queue
    _make_extract_clip, _queue = make_extract_clip, queue
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the job is killed: no orphan writes shards."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _extract(task: ShardTask) -> None:
    # Made here and not at the start: its errors then reach the user.
    global _extract_clip
    if _extract_clip is None:
        _extract_clip = _make_extract_clip()
    shards.extract(task, _extract_clip, _queue.put)
