"""Threads beside a block."""

from __future__ import annotations

import threading

import pytest

from avmil.common import threads


def test_a_function_is_repeated_while_it_is_true():
    calls, ended = [], threading.Event()

    def work():
        calls.append(len(calls))
        if len(calls) == 3:
            ended.set()
        return len(calls) < 3

    with threads.repeating(work, 0.001):
        assert ended.wait(60)
    assert calls == [0, 1, 2]


def test_what_fails_beside_a_block_fails_at_its_end():
    failed = threading.Event()

    def fail():
        failed.set()
        raise ZeroDivisionError

    with (
        pytest.raises(ZeroDivisionError),
        threads.repeating(fail, 0.001),
    ):
        assert failed.wait(60)
