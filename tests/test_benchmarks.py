"""Benchmarks start, and take ratios within a turn."""

from __future__ import annotations

import itertools
import pathlib
import subprocess
import sys

from benchmarks import reading, timing

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_help_lists_the_benchmarks():
    command = [sys.executable, "-m", "benchmarks", "--help"]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "training_steps" in result.stdout


def test_reading_is_timed(monkeypatch):
    monkeypatch.setattr(reading, "_NUM_CLIPS", 4)
    monkeypatch.setattr(reading, "_BATCH", 2)
    monkeypatch.setattr(reading, "_NUM_BATCHES", 2)
    monkeypatch.setattr(timing, "_TURN_S", 0.0)

    lines = list(reading.run())

    assert [line.split(" | ")[2] for line in lines] == 2 * [
        "copying",
        "tf.data",
    ]


def test_functions_are_timed_in_turns(monkeypatch):
    called = []
    # A call of `a` takes 20 s and one of `b` 10 s, and the machine is ten times
    # as slow in the second of the two turns.
    costs_s = {"a": 20.0, "b": 10.0}
    slowness = itertools.chain([1] * 4, [10] * 2)
    now_s = 0.0

    def call(name):
        nonlocal now_s
        called.append(name)
        now_s += costs_s[name] * next(slowness)

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now_s)
    times = timing.alternate(
        {name: lambda n=name: call(n) for name in costs_s}, turns=2
    )

    assert "".join(called).endswith("abab")
    assert times == {"a": [20.0, 200.0], "b": [10.0, 100.0]}
    assert timing.ratio(times["a"], times["b"]) == [2.0, 2.0, 2.0]


def test_ratios_are_of_turns_and_not_of_medians():
    assert timing.ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == [2.0, 1.0, 3.0]
