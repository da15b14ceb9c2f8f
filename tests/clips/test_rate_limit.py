"""Spacing out requests and backing off."""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from avmil.clips.rate_limit import RateLimit, StoppedError


def waited_s(limit):
    begin_s = time.monotonic()
    limit.wait()
    return time.monotonic() - begin_s


def test_requests_of_all_workers_are_spaced_out():
    limit = RateLimit(0.05)
    begin_s = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pool.map(lambda _: limit.wait(), range(5))
    assert 0.2 <= time.monotonic() - begin_s < 0.6


def test_pauses_double_with_failures_and_end_with_a_success():
    limit = RateLimit(0.02)
    limit.wait()
    for pause_s in (0.04, 0.08, 0.16):
        limit.failed("HTTP 429")
        assert pause_s - 0.01 <= waited_s(limit) < pause_s + 0.1
    limit.served()
    limit.failed("HTTP 429")
    assert waited_s(limit) < 0.14


def test_the_servers_own_wish_is_kept():
    limit = RateLimit(0.0)
    limit.failed("HTTP 503", retry_after_s=0.2)
    assert waited_s(limit) >= 0.19


def test_too_many_failures_in_a_row_stop_all_work():
    limit = RateLimit(0.0, max_failures=3)
    limit.failed("a")
    limit.failed("b")
    limit.served()
    for message in "cd":
        limit.failed(message)
        limit.wait()
    limit.failed("HTTP 429")
    with pytest.raises(StoppedError):
        limit.wait()
    assert limit.stop_reason == (
        "3 requests in a row failed, the last one with: HTTP 429"
    )


def test_a_stop_ends_a_long_wait():
    limit = RateLimit(60.0)
    limit.wait()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(limit.wait)
        time.sleep(0.05)
        limit.stop("enough")
        with pytest.raises(StoppedError):
            waiting.result(timeout=5)
    limit.stop("later")
    assert limit.stop_reason == "enough"
