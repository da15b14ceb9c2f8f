"""A function applied to many items in processes that may die."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import dask
import distributed
from distributed.comm import CommClosedError
from distributed.protocol import pickle

from avmil.common import files
from avmil.common.errors import WorkerError
from avmil.common.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Function = Callable[[Item], Result]

# With these variables JAX and TensorFlow share a device among processes.
SHARED_DEVICE = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
_START_TIMEOUT_S = 300
_CONNECT_TIMEOUT_S = 30
_COUNT_EVERY_S = 5.0
# After so many deaths of its process an item is tried alone.
_DEATHS_BESIDE_OTHERS = 2
# Two jobs may share the workers of a cluster.
_FUNCTIONS_KEPT = 2
_DASK = {
    # The deaths of an item's processes are counted here.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Decoding may keep a process from answering for minutes.
    "distributed.scheduler.worker-ttl": None,
    # Arithmetic libraries have the threads that they would have without dask.
    "distributed.nanny.pre-spawn-environ": SHARED_DEVICE,
}
_NONE_READY = (
    "Expected worker processes to reach their first clip, but one died or none "
    "came. Is there enough memory? Try fewer --workers."
)
# A terminal interrupts all processes; these are ended by their parent.
_IGNORE_INTERRUPTS = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
)


def apply(
    make_function: Callable[[], Function],
    items: Iterable[Item],
    num_workers: int,
    items_at_a_time: int = 1,
    scheduler: str = "",
    progress: Progress | None = None,
) -> Iterator[tuple[Item, Result | None]]:
    """Yields each item with the function's result, as they are done.

    When a process dies (a decoder's crash, memory, a lost machine), the items
    under way are tried again beside others, and after a second death alone,
    behind all others; one whose process dies also then has no result, None.
    An item may hence be applied more than once, by two processes even.

    Args:
        make_function: Called once in each process, hence picklable.
        items: Picklable items; to a deque some may be added on the way.
        num_workers: Most processes of this machine.
        items_at_a_time: Items that one of them works on at the same time.
        scheduler: Dask scheduler whose workers are used instead of them,
            tcp://host:port or a scheduler file.
        progress: Shows the number of workers.

    Raises:
        WorkerError: if processes die before their first item, or there is no
            scheduler, or it ends.
    """
    is_deque = isinstance(items, collections.deque)
    waiting = items if is_deque else collections.deque(items)
    if not waiting:
        return
    num_workers = min(num_workers, len(waiting))
    # Dask's notes are for administrators; absl would print them.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with _cluster(scheduler, num_workers, items_at_a_time) as client:
        pickled = pickle.dumps(make_function)
        prepare = functools.partial(
            _prepare, client, 0 if scheduler else num_workers, pickled
        )
        under_way: dict[distributed.Future, tuple[Item, int]] = {}
        suspects: collections.deque[Item] = collections.deque()
        completed = distributed.as_completed(loop=client.loop)

        def submit(item: Item, deaths: int = 0) -> None:
            future = client.submit(
                _apply, pickled, item, pure=False, resources=_resources()
            )
            under_way[future] = item, deaths
            completed.add(future)

        prepare()
        counted_s = float("-inf")
        while waiting or under_way or suspects:
            if time.monotonic() > counted_s + _COUNT_EVERY_S:
                threads = client.nthreads()
                counted_s = time.monotonic()
                if progress:
                    progress.notes["workers"] = len(threads)
            # One more for each process, while a result is used here.
            most_under_way = max(1, sum(threads.values()) + len(threads))
            while waiting and len(under_way) < most_under_way:
                submit(waiting.popleft())
            if not under_way:
                prepare()
                submit(suspects.popleft(), _DEATHS_BESIDE_OTHERS)
            future = next(completed)
            item, deaths = under_way.pop(future)
            result = None
            try:
                result = future.result()
            except distributed.KilledWorker:
                if not deaths:
                    submit(item, deaths=1)
                    continue
                if deaths < _DEATHS_BESIDE_OTHERS:
                    suspects.append(item)
                    continue
            yield item, result


@contextlib.contextmanager
def _cluster(
    scheduler: str, num_workers: int, items_at_a_time: int
) -> Iterator[distributed.Client]:
    """Connects to a scheduler, or starts processes that end with this one."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(_DASK))
        if not scheduler:
            try:
                cluster = distributed.LocalCluster(
                    n_workers=num_workers,
                    threads_per_worker=items_at_a_time,
                    memory_limit=None,
                    # JAX sets a lower level here.
                    env={"TF_CPP_MIN_LOG_LEVEL": "3"},
                    preload=_IGNORE_INTERRUPTS,
                    dashboard_address=None,
                    # There is a server all the same: on this machine only.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    silence_logs=logging.CRITICAL,
                )
            except RuntimeError as error:
                raise WorkerError(_NONE_READY) from error
            client = distributed.Client(stack.enter_context(cluster))
        else:
            address = scheduler
            if "://" not in scheduler:
                address = files.read_json(scheduler, dict[str, Any])["address"]
            try:
                client = distributed.Client(address, timeout=_CONNECT_TIMEOUT_S)
            except (OSError, ValueError) as error:
                raise WorkerError(
                    f"--scheduler: Expected a Dask scheduler at {address}, "
                    f"received: {error}"
                ) from error
            print(f"Dask's dashboard: {client.dashboard_link}", flush=True)
        try:
            yield stack.enter_context(client)
        except (CancelledError, CommClosedError) as error:
            raise WorkerError(
                f"Expected the Dask scheduler {scheduler} to stay, but the "
                "connection was lost. The same command goes on."
            ) from error


def _prepare(
    client: distributed.Client, num_workers: int, pickled: bytes
) -> None:
    """Waits until all processes have their function, or one of a cluster has.

    A WorkerError if a process dies meanwhile, or none comes.
    """
    try:
        if num_workers:
            client.wait_for_workers(num_workers, timeout=_START_TIMEOUT_S)
            client.run(_make, pickled)
        else:
            made = client.submit(
                _make, pickled, pure=False, resources=_resources()
            )
            made.result(timeout=_START_TIMEOUT_S)
    except (CommClosedError, TimeoutError, distributed.KilledWorker) as error:
        raise WorkerError(_NONE_READY) from error
    except (ImportError, RuntimeError) as error:
        # The scheduler's is a RuntimeError that does not say more.
        if isinstance(error, RuntimeError) and "deserial" not in str(error):
            raise
        raise WorkerError(
            "Expected a scheduler and workers that have what this process "
            f"has, received one without it: {error}."
        ) from error


def _resources() -> dict[str, float] | None:
    """What DASK_ANNOTATIONS__RESOURCES asks of a worker, for each item."""
    return dask.config.get("annotations.resources", None)


_making = threading.Lock()


@functools.lru_cache(_FUNCTIONS_KEPT)
def _made(pickled: bytes) -> Function:
    return pickle.loads(pickled)()


def _make(pickled: bytes) -> None:
    with _making:
        _made(pickled)


def _apply(pickled: bytes, item: Any) -> Any:
    _make(pickled)  # A new process may be given an item before its function.
    return _made(pickled)(item)
