"""Threads that do not keep a process from ending."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(function: Callable[..., T], *arguments: object) -> Future[T]:
    """Calls a function in a thread, which may be left alone."""
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001  # The future raises it.
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


@contextlib.contextmanager
def repeating(function: Callable[[], bool], every_s: float) -> Iterator[None]:
    """Calls a function every so often beside a block, as long as it is true."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every_s) and function():
            pass

    repeated = start(repeat)
    try:
        yield
    finally:
        ended.set()
        repeated.result()
