"""Disturbs extraction and training, and compares their results: `make soak`.

The commands run as users start them, but for their imports, which a server of
forks has done before. They are killed at random moments, with workers and
without, on the local disk and on an object store; before every start the times
of all local files and the job's clock are moved by years. Then a disk that is
full grows by one file, or some pages, from start to start. The results must be
those of an undisturbed job, bit for bit.
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
import signal
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
from tests.end_to_end.test_extract import (
    UNTRAINED,
    drawn_frames,
    write_manifest,
)
from tests.feature_files import write_features
from tests.media_files import noise, write_clip

_MOST_S = 300
_WORKER_KILLS = 2  # In a job: a third may give up a clip, as it should.
_YEARS_S = 10 * 365 * 86_400.0
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


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A command, the flag of its directory, and whether it has workers."""

    script: str
    output: str
    flags: dict[str, object]
    has_workers: bool


class Process:
    """A command under way in a process of its own, with its output."""

    def __init__(self, job: Job, directory: str, ahead_s: float) -> None:
        self._log = f"{tempfile.mkdtemp()}/log"
        arguments = flag_list(**{job.output: directory}, **job.flags)
        self._process = multiprocessing.get_context("forkserver").Process(
            target=_run, args=(job.script, arguments, self._log, ahead_s)
        )
        self._process.start()

    def ends_within(self, seconds: float) -> bool:
        self._process.join(seconds)
        return self._process.exitcode is not None

    def family(self) -> list[psutil.Process]:
        """The process, and behind it those that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def check_end(self, is_refused: bool = False) -> None:
        """The command must have succeeded, or said in a line why it cannot."""
        output = pathlib.Path(self._log).read_text()
        status = self._process.exitcode
        refused = status == 2 and "Traceback" not in output
        if status and not (is_refused and refused):
            raise AssertionError(f"status {status}:\n{output[-5000:]}")

    @property
    def status(self) -> int:
        return self._process.exitcode


def _run(script: str, arguments: list[str], log: str, ahead_s: float) -> None:
    """Runs an entry script in this process, whose clock is ahead."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    clock = time.time
    time.time = lambda: clock() + ahead_s
    files._SIGN_EVERY_S, files._DEAD_AFTER_S = 0.2, 2.0
    sys.argv = [script, *arguments]
    importlib.import_module(script).console_entry_point()


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
    seed: int,
) -> str:
    """Kills a job again and again, and jobs behind it; the row of a table."""
    generator = random.Random(seed)
    num_parents = num_workers = num_results = 0
    left: list[psutil.Process] = []
    while True:
        ahead_s = generator.uniform(-_YEARS_S, _YEARS_S)
        place = f"{directory}-{num_results}"
        _move_file_times(place, generator)
        process = Process(job, place, ahead_s)
        was_worker_killed = False
        enough = num_parents + num_workers >= num_kills
        ended = enough and process.ends_within(_MOST_S)
        for _ in range(_WORKER_KILLS * job.has_workers * (not enough)):
            ended = process.ends_within(generator.uniform(0, typical_s / 2))
            workers = [one for one in process.family()[1:] if _is_worker(one)]
            if workers and not ended and generator.random() < 0.5:
                generator.choice(workers).kill()
                num_workers, was_worker_killed = num_workers + 1, True
        if not ended and not process.ends_within(
            generator.uniform(0, typical_s)
        ):
            family = process.family()
            left += family
            family[0].send_signal(signal.SIGKILL)
            process.ends_within(_MOST_S)
            num_parents += 1
            continue
        process.check_end(is_refused=was_worker_killed)
        if process.status:  # A worker did not get to its first clip.
            continue
        if contents(job, place) != expected:
            raise AssertionError(f"another result in {place}")
        num_results += 1
        if enough:
            break
    _, alive = psutil.wait_procs(left, timeout=60)
    assert not alive, alive
    where = "object store" if files.is_remote(directory) else "local disk"
    return (
        f"| {job.script} | {where} | {num_parents} | {num_workers} | "
        f"{num_results} of {num_results} |"
    )


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "spawn_main" in " ".join(process.cmdline())
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
            process.check_end(is_refused=True)
            if process.status == 0:
                break
            num_refused += 1
            capacity += step
            larger = f"remount,{option}={capacity}"
            subprocess.run(["mount", "-o", larger, str(disk)], check=True)
        if contents(job, str(disk / "made")) != expected:
            raise AssertionError(f"another result in {disk}")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return f"| {job.script} | {option} | {num_refused} | 1 of 1 |"


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


def make_jobs(folder: pathlib.Path) -> list[Job]:
    """An extraction of clips, one of them damaged, and a training."""
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
    extraction = {"manifest": write_manifest(clips, rows), "workers": 2}
    extraction |= {"shard_size": 2, **UNTRAINED}
    write_features(str(folder / "features"), {"train": 6, "val": 3})
    training = {"features_dir": folder / "features", **_TRAINING}
    return [
        Job("extract_features", "features_dir", extraction, True),
        Job("train", "run_dir", training, False),
    ]


def main() -> int:
    """Prints tables of what was done; fails at the first other result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of each job")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["avmil.features.extraction", "avmil.runs.training", __name__]
    )
    with (
        tempfile.TemporaryDirectory() as name,
        object_store() as bucket,
    ):
        folder = pathlib.Path(name)
        jobs = make_jobs(folder)
        results = {}
        print(
            "| command | on | kills | of workers alone | undisturbed results "
            "| s |\n|-|-|-|-|-|-|"
        )
        for job in jobs:
            start_s = time.monotonic()
            whole = str(folder / job.script)
            process = Process(job, whole, 0.0)
            process.ends_within(_MOST_S)
            process.check_end()
            typical_s = time.monotonic() - start_s
            results[job] = contents(job, whole)
            for root in (name, bucket):
                start_s = time.monotonic()
                row = killed(
                    job,
                    f"{root}/{job.script}-killed",
                    results[job],
                    typical_s,
                    arguments.kills,
                    arguments.seed,
                )
                print(f"{row} {time.monotonic() - start_s:.0f} |", flush=True)
        if os.geteuid():
            print("\nNo disk was filled: only root can mount one.")
            return 0
        print("\n| command | full of | refused | undisturbed results |")
        print("|-|-|-|-|")
        disk = folder / "disk"
        disk.mkdir()
        for job in jobs:
            made = pathlib.Path(name, job.script).rglob("*")
            size = sum(path.stat().st_size for path in made)
            for option, step in (("nr_inodes", 1), ("size", size // 10)):
                print(filled(job, disk, results[job], option, step), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
