"""Runs benchmarks, each in a process of its own, and writes their tables.

`python -m benchmarks --help` lists them; `make bench` runs all.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.metadata
import multiprocessing
import os
import pathlib
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence

import psutil

from benchmarks import timing

NAMES = (
    "log_mel",
    "roi_pooling",
    "networks",
    "training_steps",
    "reading",
    "clip_stages",
    "start_up",
)
_PACKAGES = (
    *("numpy", "scipy", "keras", "tensorflow", "jax", "torch", "torchvision"),
    *("opencv-contrib-python-headless", "av"),
)
_EXPLANATION = """\
Times are medians. A ratio is avmil's time divided by the other's in the same
turn, hence below 1 where avmil is faster: the median over turns, in which both
are timed one after the other, with the lowest and the highest one. There are
five turns where a section does not say otherwise."""
_HEADER = (
    "| | time | against | its time | ratio |\n| --- | --: | --- | --: | --: |"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, runs benchmarks and prints what they found."""
    listed = "\n".join(f"  {n:16}{_docstring(n)[0]}" for n in NAMES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Runs benchmarks, by default all of them:\n{listed}",
        epilog="KERAS_BACKEND=jax runs them on JAX, without TensorFlow. "
        "`python -m benchmarks.growth 1000 50000` shows how time and memory "
        "grow with the number of clips.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--output", help="Markdown file to write, too.")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"Expected names of the list, received {sorted(unknown)}.")
    parts = ["# Benchmarks", _EXPLANATION, _machine()]
    for name in options.names or NAMES:
        # JAX and PyTorch do not outlive a fork.
        with multiprocessing.get_context("spawn").Pool(1) as process:
            found = process.apply(timing.run, [name])
        title, text = _docstring(name)
        table = [line for line in found if line.startswith("|")]
        notes = [f"- {line}" for line in found if line not in table]
        parts += [f"## {title.rstrip('.')}", text, "\n".join([_HEADER, *table])]
        parts += ["\n".join(notes)] if notes else []
    print("\n\n".join(parts))
    if options.output:
        text = "\n\n".join(parts) + "\n"
        pathlib.Path(options.output).write_text(text, encoding="utf-8")


def _docstring(name: str) -> tuple[str, str]:
    """First line and rest of a benchmark's docstring, without importing it."""
    path = pathlib.Path(__file__).with_name(f"{name}.py")
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    title, _, text = docstring.partition("\n")
    return title, text.strip()


def _machine() -> str:
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    memory_gib = psutil.virtual_memory().total / 2**30
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # Linux alone has it.
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    lines = [
        f"Processor: {model[1] if model else platform.processor()}, "
        f"{cores} cores",
        f"Memory: {memory_gib:.0f} GiB",
        f"System: {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}",
    ]
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpus = subprocess.run(query, capture_output=True, text=True, check=True)
        lines.append(f"GPU: {', '.join(gpus.stdout.splitlines())}")
    named = []
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            named.append(f"{package} {importlib.metadata.version(package)}")
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    lines.append(f"Versions: {', '.join(named)}; Keras on {backend}")
    if load > 0.2 * cores:
        lines.append(
            f"The machine was shared (load {load:.1f} at the start): ratios "
            "count, times less"
        )
    return "\n".join(f"- {line}." for line in lines)


if __name__ == "__main__":
    main()
