"""Politeness towards a server, shared by all workers."""

from __future__ import annotations

import threading
import time

_MAX_PAUSE_S = 300.0


class StoppedError(Exception):
    """The work is to end; what is under way is given up."""


class RateLimit:
    """Spaces out requests, and backs off where the server asks for it.

    Args:
        interval_s: Time between two requests of all workers together. It
            doubles with each failure in a row, up to five minutes.
        max_failures: Failures in a row after which all work stops.

    Attributes:
        stop_reason: Why the work stopped; empty while it goes on.
    """

    def __init__(self, interval_s: float, max_failures: int = 20) -> None:
        self.stop_reason = ""
        self._interval_s = interval_s
        self._max_failures = max_failures
        self._num_failures = 0
        self._next_s = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self) -> None:
        """Waits for the next request's turn.

        Raises:
            StoppedError: If the work stops first.
        """
        self.check()
        with self._lock:
            turn_s = max(self._next_s, time.monotonic())
            self._next_s = turn_s + self._interval_s
        if self._stopped.wait(max(turn_s - time.monotonic(), 0.0)):
            raise StoppedError

    def check(self) -> None:
        """Raises StoppedError if the work is to end."""
        if self._stopped.is_set():
            raise StoppedError

    def served(self) -> None:
        """Notes that the server answered."""
        with self._lock:
            self._num_failures = 0

    def failed(self, message: str, retry_after_s: float = 0.0) -> None:
        """Notes that the server refused, was overloaded or out of reach.

        Args:
            message: What happened.
            retry_after_s: How long the server asked to wait.
        """
        with self._lock:
            self._num_failures += 1
            pause_s = self._interval_s * 2.0 ** min(self._num_failures, 20)
            pause_s = min(max(pause_s, retry_after_s), _MAX_PAUSE_S)
            self._next_s = max(self._next_s, time.monotonic() + pause_s)
            too_many = self._num_failures >= self._max_failures
        if too_many:
            self.stop(
                f"{self._max_failures} requests in a row failed, the last one "
                f"with: {message}"
            )

    def stop(self, reason: str) -> None:
        """Ends all work; the first reason stays."""
        self.stop_reason = self.stop_reason or reason
        self._stopped.set()
