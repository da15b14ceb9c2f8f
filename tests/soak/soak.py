"""Disturbs extraction and training, and compares their results: `make soak`.

The commands run as users start them, but for their imports, which a server of
forks has done before. They or their workers are killed at random moments, on
the local disk and, with the workers of a Dask cluster, on an object store;
before every start the times of all local files are moved by years, and so is
the clock of a training. (Dask's processes must share one.) Then a full disk
grows by one file, or some pages, from start to
start. The results must be those of an undisturbed job, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib
import logging
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import fsspec
import psutil
from moto.server import ThreadedMotoServer

from avmil.common import files
from tests.checkpoint_files import read_weights
from tests.command_line import flag_list
from tests.common.test_processes import running
from tests.end_to_end.test_extract import (
    UNTRAINED,
    drawn_frames,
    write_manifest,
)
from tests.feature_files import write_features
from tests.media_files import noise, write_clip

_MOST_S = 300
_MOST_STARTS = 100
_MOST_AHEAD_S = 10 * 365 * 86_400.0
_STEPS = 40
_TRAINING = {
    "steps": _STEPS,
    "batch_size": 2,
    "fc_units": 4,
    "audio_units": 4,
    "learning_rate": 0.003,
    "validate_every": 20,
    "checkpoint_every": 2,
    "save_interval_s": 0,
    "xla": False,
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A command that is disturbed.

    Attributes:
        script: Its script.
        logs: Folder for what it prints.
        output: The flag that names the directory of its result.
        flags: Its other flags.
        has_workers: Whether it starts processes that may be killed too.
        cluster: Whose children are its workers instead, if any.
    """

    script: str
    logs: pathlib.Path
    output: str
    flags: dict[str, object]
    has_workers: bool = False
    cluster: psutil.Process | None = None


class Process:
    """A command under way in a process of its own, with its output."""

    def __init__(self, job: Job, directory: str, ahead_s: float) -> None:
        self._log = str(job.logs / f"log-{time.monotonic_ns()}")
        arguments = flag_list(**{job.output: directory}, **job.flags)
        self._process = multiprocessing.get_context("forkserver").Process(
            target=_run, args=(job.script, arguments, self._log, ahead_s)
        )
        self._process.start()

    def ends_within(self, seconds: float) -> bool:
        self._process.join(seconds)
        return self._process.exitcode is not None

    def kill(self) -> list[psutil.Process]:
        """Kills it, and gives what it leaves to end by itself."""
        family = self.family()
        self._process.kill()
        self._process.join()
        return family

    def family(self) -> list[psutil.Process]:
        """The process, and behind it those that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def is_done(self, may_refuse: bool) -> bool:
        """Says whether it succeeded, or else told in a line why it could not.

        All else is an AssertionError.
        """
        output = pathlib.Path(self._log).read_text()
        status = self._process.exitcode
        refused = status == 2 and "Traceback" not in output
        if status and not (may_refuse and refused):
            raise AssertionError(f"status {status}:\n{output[-5000:]}")
        return not status


def _run(script: str, arguments: list[str], log: str, ahead_s: float) -> None:
    """Runs an entry script in this process, whose clock is ahead."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    clock = time.time
    time.time = lambda: clock() + ahead_s
    files._SIGN_EVERY_S, files._DEAD_AFTER_S = 0.2, 2.0
    sys.argv = [script, *arguments]
    importlib.import_module(script).main()


def contents(job: Job, directory: str) -> dict[str, str]:
    """A digest of each of the files, or arrays, that are the job's result."""
    if job.script == "extract_features":
        return {
            name: files.sha256(files.join(directory, name))
            for name in files.names(directory)
            if name != ".lock"
        }
    digests = {}
    checkpoints = files.join(directory, "checkpoints")
    for name in files.names(checkpoints):
        place = files.join(checkpoints, name)
        digests[name] = files.sha256(files.join(place, "state.json"))
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder, "model.keras")
            files.copy(files.join(place, copy.name), copy)
            for array, values in read_weights(copy.parent).items():
                digest = hashlib.sha256(values.tobytes()).hexdigest()
                digests[f"{name}/{array}"] = digest
    return digests


def killed(
    job: Job,
    directory: str,
    expected: dict[str, str],
    typical_s: float,
    num_kills: int,
    generator: random.Random,
) -> str:
    """Kills a job again and again, and jobs behind it; the row of a table."""
    num_jobs = num_workers = num_results = 0
    left: list[psutil.Process] = []
    while True:
        is_last = num_jobs + num_workers >= num_kills
        place = f"{directory}-{num_results}"
        _move_file_times(place, generator)
        has_dask = job.has_workers or job.cluster
        most_s = 0.0 if has_dask else _MOST_AHEAD_S
        ahead_s = generator.uniform(-most_s, most_s)
        process = Process(job, place, ahead_s)
        moment_s = _MOST_S if is_last else generator.uniform(0, typical_s)
        is_without_worker = False
        if not is_last and generator.random() < 0.5:
            before_s = generator.uniform(0, moment_s)
            process.ends_within(before_s)
            moment_s -= before_s
            is_without_worker = _kill_worker(job, process, generator)
            num_workers += is_without_worker
        if not process.ends_within(moment_s):
            assert not is_last, f"{place} hangs"
            left += process.kill()
            num_jobs += 1
        elif process.is_done(may_refuse=is_without_worker):
            if contents(job, place) != expected:
                raise AssertionError(f"another result in {place}")
            num_results += 1
            if is_last:
                break
    _, alive = psutil.wait_procs(left, timeout=60)
    assert not alive, alive
    where = "object store" if files.is_remote(directory) else "local disk"
    return (
        f"| {job.script} | {where} | {num_jobs} | {num_workers} | "
        f"{num_results} of {num_results} |"
    )


def _kill_worker(job: Job, process: Process, generator: random.Random) -> bool:
    """Kills one of a job's workers, if there is one at this moment."""
    family = process.family()[1:] if job.has_workers else []
    if job.cluster:
        family = job.cluster.children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = [p for p in family if "spawn_main" in " ".join(p.cmdline())]
        if workers:
            generator.choice(workers).kill()
            return True
    return False


def _move_file_times(directory: str, generator: random.Random) -> None:
    """Sets the times of all local files to moments of 1970 to 2100."""
    if files.is_remote(directory):
        return
    for path in pathlib.Path(directory).rglob("*"):
        moment_s = generator.uniform(0, 130 * 365 * 86_400)
        with contextlib.suppress(FileNotFoundError):  # A worker's, that ends.
            os.utime(path, (moment_s, moment_s))


def filled(
    job: Job,
    disk: pathlib.Path,
    expected: dict[str, str],
    option: str,
    step: int,
) -> str:
    """Starts a job on a full disk that grows by steps; the row of a table."""
    capacity, num_refused = step, 0
    mount = ["mount", "-t", "tmpfs", "-o", f"{option}={step}", "soak"]
    subprocess.run([*mount, str(disk)], check=True)
    try:
        while True:
            process = Process(job, str(disk / "made"), 0.0)
            assert process.ends_within(_MOST_S), f"hangs with {capacity}"
            if process.is_done(may_refuse=True):
                break
            num_refused += 1
            assert num_refused < _MOST_STARTS, f"never enough for {job.script}"
            capacity += step
            larger = f"remount,{option}={capacity}"
            subprocess.run(["mount", "-o", larger, str(disk)], check=True)
        if contents(job, str(disk / "made")) != expected:
            raise AssertionError(f"another result in {disk}")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    what = {"nr_inodes": "files", "size": "bytes"}[option]
    return f"| {job.script} | {what} | {num_refused} | 1 of 1 |"


@contextlib.contextmanager
def object_store() -> Iterator[str]:
    """A bucket of a server on loopback, for this process and its children."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    fsspec.filesystem("s3").mkdir("bucket")
    try:
        yield "s3://bucket"
    finally:
        server.stop()


@contextlib.contextmanager
def cluster(folder: pathlib.Path) -> Iterator[tuple[str, psutil.Process]]:
    """The file of a Dask scheduler, and the process of its workers."""
    path = folder / "scheduler.json"
    file = ["--scheduler-file", str(path), "--no-dashboard"]
    with running("scheduler", "--host", "127.0.0.1", "--port", "0", *file):
        while not path.exists():
            time.sleep(0.05)
        with running("worker", "--nthreads", "1", *file) as workers:
            yield str(path), workers


def make_inputs(folder: pathlib.Path) -> tuple[dict, dict]:
    """Flags of an extraction, with a damaged clip, and of a training."""
    clips = folder / "clips"
    clips.mkdir()
    rows = []
    for number in range(8):
        name = f"clip{number}"
        path = clips / f"{name}.mp4"
        write_clip(path, drawn_frames(number), noise(2.0))
        split = ("train", "train", "val", "test")[number % 4]
        rows.append([name, path.name, ("bus", "train")[number % 2], split])
    path.write_bytes(path.read_bytes()[:999])
    extraction = {"manifest": write_manifest(clips, rows), "shard_size": 2}
    write_features(str(folder / "features"), {"train": 6, "val": 3})
    training = {"features_dir": folder / "features"}
    return extraction | UNTRAINED, training | _TRAINING


def kill_all(
    jobs: list[tuple[Job, str]], folder: pathlib.Path, num_kills: int
) -> list[dict[str, str]]:
    """Kills jobs whose results go below given roots, and prints a table.

    Returns:
        What undisturbed jobs made, each in a folder `whole{number}`.
    """
    print("| command | on | killed | workers killed | same result | s |")
    print("|-|-|-|-|-|-|")
    generator = random.Random(0)
    undisturbed = []
    for number, (job, root) in enumerate(jobs):
        start_s = time.monotonic()
        process = Process(job, str(folder / f"whole{number}"), 0.0)
        assert process.ends_within(_MOST_S), "hangs undisturbed"
        process.is_done(may_refuse=False)
        typical_s = time.monotonic() - start_s
        undisturbed.append(contents(job, str(folder / f"whole{number}")))
        place = f"{root}/killed{number}"
        expected = undisturbed[-1]
        row = killed(job, place, expected, typical_s, num_kills, generator)
        print(f"{row} {time.monotonic() - start_s:.0f} |", flush=True)
    return undisturbed


def fill_all(
    jobs: list[tuple[Job, str]],
    folder: pathlib.Path,
    undisturbed: list[dict[str, str]],
) -> None:
    """Starts jobs on full disks that grow, and prints a table."""
    print("\n| command | disk full of | refused | same result | s |")
    print("|-|-|-|-|-|")
    disk = folder / "disk"
    disk.mkdir()
    # Each start of a training leaves a file of curves.
    for number, num_files in ((1, 1), (2, 2)):
        job, expected = jobs[number][0], undisturbed[number]
        made = (folder / f"whole{number}").rglob("*")
        size = sum(path.stat().st_size for path in made)
        for option, step in ("nr_inodes", num_files), ("size", size // 12):
            start_s = time.monotonic()
            row = filled(job, disk, expected, option, step)
            print(f"{row} {time.monotonic() - start_s:.0f} |", flush=True)


def main() -> None:
    """Prints tables of what was done; fails at the first other result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of each job")
    num_kills = parser.parse_args().kills
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["__main__", "avmil.features.extraction", "avmil.runs.training"]
    )
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        folder = pathlib.Path(name)
        bucket = stack.enter_context(object_store())
        scheduler, workers = stack.enter_context(cluster(folder))
        extraction, training = make_inputs(folder)
        extract = Job("extract_features", folder, "features_dir", extraction)
        train = Job("train", folder, "run_dir", training)
        own = {**extraction, "workers": 1}
        others = {**extraction, "scheduler": scheduler}
        jobs = [
            (dataclasses.replace(extract, flags=own, has_workers=True), name),
            (
                dataclasses.replace(extract, flags=others, cluster=workers),
                bucket,
            ),
            (train, name),
            (train, bucket),
        ]
        undisturbed = kill_all(jobs, folder, num_kills)
        if os.geteuid():
            print("\nNo disk was filled: only root can mount one.")
        else:
            fill_all(jobs, folder, undisturbed)


if __name__ == "__main__":
    main()
