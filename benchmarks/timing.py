"""Times what is compared in turns, A B A B, and takes ratios within a turn.

A machine that is slow for a minute is slow for both, so that the ratio stays.
"""

from __future__ import annotations

import importlib
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

OURS = "avmil"
# Short work is repeated for at least this long in each turn.
_TURN_S = 0.1


def alternate(
    functions: Mapping[str, Callable[[], object]], turns: int = 5
) -> dict[str, list[float]]:
    """Seconds a call in each turn, after a first call that may compile."""

    def call_s(function: Callable[[], object], repeats: int = 1) -> float:
        start_s = time.perf_counter()
        for _ in range(repeats):
            function()
        return (time.perf_counter() - start_s) / repeats

    repeats = {}
    for name, function in functions.items():
        once_s = call_s(function)
        if once_s < 20 * _TURN_S:  # Else too long to call it once more.
            once_s = call_s(function)
        repeats[name] = max(1, math.ceil(_TURN_S / max(once_s, 1e-9)))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            times[name].append(call_s(function, repeats[name]))
    return times


def ratio(ours: Sequence[float], other: Sequence[float]) -> list[float]:
    """Median, lowest and highest of the turns' ratios."""
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def lines(what: str, times: Mapping[str, Sequence[float]]) -> list[str]:
    """Compares the first of `times`, avmil's, with each of the others."""
    (_, ours), *others = times.items()
    compared = []
    for name, other in others:
        columns = [what, _median(ours), name, _median(other)]
        columns.append("{:.2f} ({:.2f} to {:.2f})".format(*ratio(ours, other)))
        compared.append(columns)
    compared = compared or [[what, _median(ours), "", "", ""]]
    return [f"| {' | '.join(columns)} |" for columns in compared]


def compare(
    what: str,
    functions: Mapping[str, Callable[[], object]],
    turns: int = 5,
    steps: int = 1,
) -> list[str]:
    """Times functions in turns; a call of each does a number of steps."""
    times = alternate(functions, turns).items()
    return lines(what, {name: [s / steps for s in t] for name, t in times})


def run(name: str) -> list[str]:
    """Runs the benchmark of a module, and shows its lines as they come."""
    found = []
    for line in importlib.import_module(f"benchmarks.{name}").run():
        print(line, file=sys.stderr, flush=True)
        found.append(line)
    return found


def _median(times_s: Sequence[float]) -> str:
    median_s = statistics.median(times_s)
    return f"{median_s:.2f} s" if median_s >= 1 else f"{1e3 * median_s:.3g} ms"
