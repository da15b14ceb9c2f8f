"""train.py on several devices and hosts: the same run as on one device."""

from __future__ import annotations

import signal
import socket
import time

import jax
import keras
import numpy as np
import pytest

from avmil.common.errors import ConfigError
from avmil.runs import training
from flags import TrainConfig
from tests.checkpoint_files import read_weights
from tests.command_line import flag_list, start
from tests.feature_files import write_features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("features"))
    write_features(directory, {"train": 12, "val": 1})
    return directory


def start_train(features_dir, run_dir, num_devices, environment=(), **changes):
    """Starts train.py in a process of virtual devices."""
    values = {
        "features_dir": features_dir,
        "run_dir": run_dir,
        "backend": "jax",
        "steps": 12,
        "batch_size": 4,
        "fc_units": 8,
        "audio_units": 8,
        "learning_rate": 0.003,
        # At 1e-8 Adam takes a step for a gradient that is rounding alone.
        "adam_epsilon": 1e-3,
        "validate_every": 10**6,
        "checkpoint_every": 6,
        "save_interval_s": 1e6,
        "devices": "all",
    }
    count = f"--xla_force_host_platform_device_count={num_devices}"
    return start(
        "train.py",
        *flag_list(**(values | changes)),
        without=["tensorflow"],  # Its import takes seconds.
        XLA_FLAGS=count,
        **dict(environment),
    )


def train(*arguments, **changes):
    process = start_train(*arguments, **changes)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def one_device(features_dir, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("one") / "run"
    train(features_dir, run_dir, 1)
    return run_dir


def assert_close(first, second):
    name = "checkpoints/last-00000012"
    expected, found = read_weights(first / name), read_weights(second / name)
    assert expected.keys() == found.keys()
    for key, values in expected.items():
        # Adam's moments are not as small as the weights.
        atol = 1e-6 if key.startswith("layers") else 1e-4
        np.testing.assert_allclose(found[key], values, 1e-6, atol, err_msg=key)


def start_two(*arguments, **changes):
    """Starts two processes that train together."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    joined = {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    return [
        start_train(
            *arguments, {**joined, "JAX_PROCESS_ID": str(number)}, **changes
        )
        for number in range(2)
    ]


def ends_of(processes, timeout_s):
    """Statuses and outputs of the processes, which end within a time."""
    outputs = [p.communicate(timeout=timeout_s)[0] for p in processes]
    return [process.returncode for process in processes], outputs


def test_two_processes_begin_and_one_goes_on(
    features_dir, one_device, tmp_path
):
    """Two devices each, clips in files; then four, clips on the devices."""
    processes = start_two(features_dir, tmp_path, 2, steps=6, cache="none")
    statuses, outputs = ends_of(processes, 300)
    assert statuses == [0, 0], outputs
    assert "is finished" in outputs[0]
    assert "loss" not in outputs[1]
    output = train(features_dir, tmp_path, 4, cache="device")
    assert "Going on after step 6" in output
    assert_close(one_device, tmp_path)


def test_two_processes_end_together(features_dir, tmp_path):
    """Interrupted behind a checkpoint; without one if one was killed."""

    def steps():
        return [
            int(p.name[5:]) for p in tmp_path.glob("checkpoints/last-*[0-9]")
        ]

    def start_and_wait():
        before = max(steps(), default=0)
        changes = {"steps": 10**6, "cache": "device", "save_interval_s": 0}
        changes["system"] = "audio_two_stream"  # The quickest to start.
        processes = start_two(features_dir, tmp_path, 1, **changes)
        while max(steps(), default=0) <= before:
            assert processes[0].poll() is None, processes[0].communicate()
            time.sleep(0.1)
        return processes

    processes = start_and_wait()
    processes[1].send_signal(signal.SIGINT)
    statuses, outputs = ends_of(processes, 60)
    assert statuses == [130, 130], outputs
    (kept,) = steps()
    processes = start_and_wait()
    processes[1].kill()
    statuses, outputs = ends_of(processes, 150)
    assert statuses[0] not in (0, 130)
    assert f"Going on after step {kept}" in outputs[0]
    assert "another" in outputs[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": "4"}, "Expected at most the 2 devices"),
        ({"devices": "some"}, "a number or all, received 'some'"),
        ({"batch_size": 3}, "a multiple of the 2 devices, received 3"),
        ({"backend": "tensorflow"}, "Use --backend=jax"),
    ],
)
def test_devices_that_cannot_be_used(
    features_dir, tmp_path, monkeypatch, changes, message
):
    run_dir = tmp_path / "run"
    values = {"backend": "jax", "devices": "all", "batch_size": 4} | changes
    config = TrainConfig(
        features_dir=features_dir, run_dir=str(run_dir), **values
    )
    monkeypatch.setattr(keras.backend, "backend", lambda: config.backend)
    monkeypatch.setattr(jax, "devices", lambda: ["first", "second"])
    with pytest.raises(ConfigError, match=message):
        training.train(config)
    assert not run_dir.exists()
