"""A function applied to many items in processes that may die."""

from __future__ import annotations

import collections
import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import dask
import distributed
from distributed.comm import CommClosedError

from avmil.common.errors import WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")
Function = Callable[[Item], Result]

# With these variables JAX and TensorFlow share a device among processes.
SHARED_DEVICE = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
_START_TIMEOUT_S = 300
_DASK = {
    # An item whose process dies is not tried again beside others.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Decoding may keep a process from answering for minutes.
    "distributed.scheduler.worker-ttl": None,
    # Arithmetic libraries have the threads that they would have without dask.
    "distributed.nanny.pre-spawn-environ": SHARED_DEVICE,
}


def apply(
    make_function: Callable[[], Function],
    items: Iterable[Item],
    num_workers: int,
    items_at_a_time: int = 1,
) -> Iterator[tuple[Item, Result | None]]:
    """Yields each item with the function's result, as they are done.

    When a process dies (a decoder's crash, memory), the items under way are
    tried again, one at a time; one that kills its process also then has no
    result, None, and the others go on.

    Args:
        make_function: Called once in each process, hence picklable.
        items: Picklable items.
        num_workers: Most processes.
        items_at_a_time: Items that a process works on at the same time.

    Raises:
        WorkerError: if processes die before their first item.
    """
    waiting = collections.deque(items)
    if not waiting:
        return
    num_workers = min(num_workers, len(waiting))
    # One for each process to go on with while this one uses a result.
    most_under_way = num_workers * (items_at_a_time + 1)
    # Dask's notes are for administrators; absl would print them.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    with (
        dask.config.set(_DASK),
        # Its processes end with this one, however it ends.
        distributed.LocalCluster(
            n_workers=num_workers,
            threads_per_worker=items_at_a_time,
            memory_limit=None,
            env={"TF_CPP_MIN_LOG_LEVEL": "3"},  # JAX sets a lower one here.
            dashboard_address=None,
            # Without a dashboard there still is a server: at any free port.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def submit(item: Item) -> distributed.Future:
            return client.submit(
                _apply_in_worker, make_function, item, pure=False
            )

        while waiting:
            _prepare(client, num_workers, make_function)
            under_way: dict[distributed.Future, Item] = {}
            killed: list[Item] = []
            while under_way or (waiting and not killed):
                while (
                    waiting and not killed and len(under_way) < most_under_way
                ):
                    item = waiting.popleft()
                    under_way[submit(item)] = item
                done, _ = distributed.wait(
                    list(under_way), return_when="FIRST_COMPLETED"
                )
                for future in done:
                    item = under_way.pop(future)
                    try:
                        result = future.result()
                    except distributed.KilledWorker:
                        killed.append(item)
                    else:
                        yield item, result
            for item in killed:
                _prepare(client, num_workers, make_function)
                try:
                    result = submit(item).result()
                except distributed.KilledWorker:
                    result = None
                yield item, result


def _prepare(
    client: distributed.Client,
    num_workers: int,
    make_function: Callable[[], Function],
) -> None:
    """Waits until all processes, new ones too, have their function.

    Raises:
        WorkerError: if a process dies meanwhile.
    """
    try:
        client.wait_for_workers(num_workers, timeout=_START_TIMEOUT_S)
        client.run(_prepare_worker, make_function)
    except (CommClosedError, TimeoutError) as error:
        raise WorkerError(
            "Expected worker processes to reach their first clip, but one "
            "died. Is there enough memory? Try fewer --workers."
        ) from error


# The function of a worker process.
_function: Function | None = None
_making = threading.Lock()


def _prepare_worker(make_function: Callable[[], Function]) -> None:
    # A terminal interrupts all processes; this one is ended by its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _made(make_function)


def _made(make_function: Callable[[], Function]) -> Function:
    global _function
    with _making:
        if _function is None:
            _function = make_function()
    return _function


def _apply_in_worker(make_function: Callable[[], Function], item: Any) -> Any:
    # A new process may be given an item before it is prepared.
    return _made(make_function)(item)
