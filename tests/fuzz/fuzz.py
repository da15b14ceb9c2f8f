"""Reads many damaged files in guarded processes: `make fuzz`.

Every input follows from its seed. A child process reads them one after
another; when one crashes it, takes too long or too much memory, another child
goes on behind it.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import pathlib
import resource
import sys
import tempfile
import time

from tests.fuzz.targets import TARGETS, try_input

_SECONDS_AN_INPUT = 60
_START_S = 300
_MOST_ENDS = 10  # Of processes, for one file; then it is given up.
_MOST_MEMORY_BYTES = 2 << 30  # Beyond that of reading the sound file.


def _work(name: str, first: int, last: int, pipe) -> None:
    """Tries inputs of a target and sends the outcome of each."""
    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[name](pathlib.Path(folder))
        target.read()
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        most = used + _MOST_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        pipe.send("ready")
        for seed in range(first, last):
            outcome = try_input(target, seed)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            pipe.send((*outcome, peak / 2**10))


def run(name: str, num_inputs: int) -> tuple[collections.Counter, list, float]:
    """Tries inputs of a target.

    Returns:
        How often each outcome occurred, those that must not, and the peak of
        memory in MB.
    """
    counts, failures = collections.Counter(), []
    seed, peak_mb = 0, 0.0
    context = multiprocessing.get_context("spawn")
    while seed < num_inputs and counts["crash"] + counts["hang"] < _MOST_ENDS:
        ours, theirs = context.Pipe()
        child = context.Process(
            target=_work, args=(name, seed, num_inputs, theirs)
        )
        child.start()
        theirs.close()
        try:
            if not ours.poll(_START_S) or ours.recv() != "ready":
                raise TimeoutError(f"Expected the sound {name} to be read.")
            while seed < num_inputs:
                if not ours.poll(_SECONDS_AN_INPUT):
                    counts["hang"] += 1
                    failures.append((name, seed, "hang", ""))
                    seed += 1
                    break
                outcome, detail, mb = ours.recv()
                peak_mb = max(peak_mb, mb)
                counts[outcome] += 1
                if outcome not in ("same", "refused", "other file"):
                    failures.append((name, seed, outcome, detail))
                seed += 1
        except EOFError:
            counts["crash"] += 1
            failures.append((name, seed, "crash", ""))
            seed += 1
        finally:
            child.kill()
            child.join()
    return counts, failures, peak_mb


def main() -> int:
    """Prints a table of outcomes; 1 if there is one that must not be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="in all")
    parser.add_argument("targets", nargs="*", default=[*TARGETS])
    arguments = parser.parse_args()
    share = -(-arguments.inputs // len(arguments.targets))
    all_failures = []
    print("| file | inputs | outcomes | peak memory, MB | s |\n|-|-|-|-|-|")
    for name in arguments.targets:
        start_s = time.monotonic()
        counts, failures, peak_mb = run(name, share)
        listed = ", ".join(f"{n} {what}" for what, n in counts.most_common())
        took_s = time.monotonic() - start_s
        print(
            f"| {name} | {share} | {listed} | {peak_mb:.0f} | {took_s:.0f} |",
            flush=True,
        )
        all_failures += failures
    for failure in all_failures:
        print(*failure)
    return int(bool(all_failures))


if __name__ == "__main__":
    sys.exit(main())
