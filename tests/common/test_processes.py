"""Items through the workers of a real Dask scheduler, which are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from avmil.common import processes
from avmil.common.errors import WorkerError
from avmil.common.progress import Progress
from avmil.features import dataset, shards
from avmil.features.store import FeatureStore
from tests.command_line import ROOT
from tests.feature_files import make_clip, make_rows, plan_shards

pytestmark = pytest.mark.slow

# A clip that ends every process that extracts it.
DEADLY = "train003"
# Each costs seconds, in which Dask starts another process; for more of them
# there is `make soak`.
NUM_KILLS = 3


@contextlib.contextmanager
def running(*options):
    """A process of Dask's own command line, ended with all of its own."""
    command = [sys.executable, "-m", "dask", *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        own = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        assert not psutil.wait_procs(own, timeout=60)[1]


@pytest.fixture(scope="module")
def scheduler_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("dask") / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with running("scheduler", *options, "--scheduler-file", str(path)):
        while not path.exists():
            time.sleep(0.05)
        yield path


@pytest.fixture(scope="module")
def workers(scheduler_file):
    options = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    file = ["--scheduler-file", str(scheduler_file)]
    with running("worker", *file, *options) as process:
        yield process


def extract_slowly(row):
    time.sleep(0.1)
    if row.clip_id == DEADLY:
        os._exit(9)
    return make_clip(row.clip_id, row.labels)


def make_slow():
    return extract_slowly


def contents(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir()}


def kill(process, progress, killed):
    """Kills one of the workers at random moments, with work in between."""
    generator = random.Random(0)
    while len(killed) < NUM_KILLS:
        before = progress.done
        while progress.done == before:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 0.5))
        # Nannies stay; their worker processes have a command of their own. One
        # that ends just now is left out.
        with contextlib.suppress(psutil.NoSuchProcess):
            found = [
                child
                for child in process.children(recursive=True)
                if "spawn_main" in " ".join(child.cmdline())
            ]
            if found:
                generator.choice(found).send_signal(signal.SIGKILL)
                killed.append(True)


def test_killed_workers_cost_no_clip_but_that_which_kills_them(
    scheduler_file, workers, tmp_path
):
    rows = make_rows({"train": 12 + 6 * NUM_KILLS, "val": 6, "test": 6})
    for shard in plan_shards(str(tmp_path / "whole"), rows, 8):
        for row in shard.open_rows():
            if row.clip_id == DEADLY:
                shard.fail(row, "process", "the worker process died")
            else:
                shard.extract(row, extract_slowly)
        shard.join()
    planned = plan_shards(str(tmp_path / "killed"), rows, 8)
    killed = []
    with Progress(len(rows), "clip") as progress:
        thread = threading.Thread(
            target=kill, args=(workers, progress, killed), daemon=True
        )
        thread.start()
        scheduler = str(scheduler_file)
        shards.complete(planned, make_slow, 0, progress, 1, scheduler)
        thread.join(60)
    assert len(killed) == NUM_KILLS
    assert progress.done == len(rows)
    assert 1 <= progress.notes["workers"] <= 2
    (missing,) = FeatureStore(str(tmp_path / "killed")).missing
    assert (missing.clip_id, missing.stage) == (DEADLY, "process")
    dataset.remove_leftovers(str(tmp_path / "killed"), planned)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(processes, "_CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(WorkerError, match=r"tcp://127\.0\.0\.1:9"):
        list(processes.apply(make_slow, [1], 1, scheduler="tcp://127.0.0.1:9"))


def test_workers_that_die_while_they_start_are_told(monkeypatch):
    def start(**_):
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(processes.distributed, "LocalCluster", start)
    with pytest.raises(WorkerError, match="reach their first clip"):
        list(processes.apply(make_slow, [1], 1))
