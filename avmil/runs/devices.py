"""The devices, of one host or several, among which each batch is divided.

Only the training steps run on all of them. Keras' variables, and with them
validation and checkpoints, are those of each process alone: JAX can wait for
ever where one process computes on all devices and another does not.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from avmil.common.errors import ConfigError, WorkerError, config_errors

_ADDRESS = "JAX_COORDINATOR_ADDRESS"
_AXIS = "batch"


@contextlib.contextmanager
def joined_processes(devices: str) -> Iterator[None]:
    """Joins the processes that were started to train one run together.

    SLURM names them to each task of a job step, JAX_COORDINATOR_ADDRESS,
    JAX_NUM_PROCESSES and JAX_PROCESS_ID elsewhere; one device is not joined
    to others. Entered before Keras computes anything.

    Raises:
        ConfigError: if the variables are no numbers.
        WorkerError: if another process has ended.
    """
    numbers = {}
    is_named = _ADDRESS in os.environ
    is_task = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1
    if devices == "1" or not (is_named or is_task):
        yield
        return
    if is_named:
        with config_errors(_ADDRESS, KeyError):
            numbers["num_processes"] = int(os.environ["JAX_NUM_PROCESSES"])
            numbers["process_id"] = int(os.environ["JAX_PROCESS_ID"])
    import jax

    # JAX aborts a process that loses another one, and says so: Python's stack
    # tells nothing beside that.
    faulthandler.disable()
    try:
        jax.distributed.initialize(**numbers)
        yield
    except jax.errors.JaxRuntimeError as error:
        raise WorkerError(
            "Expected all processes to train to the end, but another one has "
            f"ended, or cannot be reached: {str(error).splitlines()[0]}. Start "
            "all of them again: the same command goes on from the last "
            "checkpoint."
        ) from error


def leave() -> None:
    """Waits for the other processes, which the first one's end would end."""
    if _process_of()[1] > 1:
        import jax

        highest(0)
        jax.distributed.shutdown()


def is_first_process() -> bool:
    """Whether this process writes the run, of those that train together."""
    return _process_of()[0] == 0


def _process_of() -> tuple[int, int]:
    """The number of this process, and of how many that train together."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def highest(value: int) -> int:
    """The highest value of the processes that train together.

    All of them call it, and none goes on before the last one has.
    """
    if _process_of()[1] == 1:
        return value
    import jax

    mesh = jax.sharding.Mesh(jax.devices(), _AXIS)
    values = jax.make_array_from_callback(
        (mesh.size,), divided(mesh), lambda _: np.array([value], np.int32)
    )
    found = jax.jit(jax.numpy.max, out_shardings=everywhere(mesh))(values)
    # On all devices: JAX's multihost_utils wait for the first one alone. Then
    # the next message may overtake this one on others, and CPUs mix them up.
    return int(jax.block_until_ready(found).addressable_data(0))


def find(devices: str, batch_size: int) -> Any:
    """The devices among which batches are divided, a number or `all`.

    Returns:
        A `jax.sharding.Mesh` of one axis, or None where the steps run on
        Keras' default device.

    Raises:
        ConfigError: if there are fewer, or they do not divide the batch.
    """
    if devices == "1":
        return None
    if devices != "all" and not (devices.isdecimal() and int(devices)):
        raise ConfigError(
            f"--devices: Expected a number or all, received {devices!r}."
        )
    if keras.backend.backend() != "jax":
        raise ConfigError(
            "--devices: Expected 1, since batches are divided with JAX only, "
            f"received {devices}. Use --backend=jax."
        )
    import jax

    found = jax.devices()
    count = len(found) if devices == "all" else int(devices)
    if count > len(found) or (count < len(found) and jax.process_count() > 1):
        raise ConfigError(
            f"--devices: Expected at most the {len(found)} devices of this "
            f"host, or all of several hosts, received {devices}."
        )
    if batch_size % count:
        raise ConfigError(
            f"--batch_size: Expected a multiple of the {count} devices, "
            f"received {batch_size}."
        )
    return jax.sharding.Mesh(found[:count], _AXIS)


def own_part(mesh: Any, batch_size: int) -> slice:
    """The clips of a batch that the devices of this process compute."""
    import jax

    processes = [device.process_index for device in mesh.devices]
    per_device = batch_size // len(processes)
    start = processes.index(jax.process_index()) * per_device
    stop = start + processes.count(jax.process_index()) * per_device
    return slice(start, stop)


def everywhere(mesh: Any) -> Any:
    """The sharding of an array that each device has."""
    import jax

    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def divided(mesh: Any, axis: int = 0) -> Any:
    """The sharding of an array whose axis is that of a batch."""
    import jax

    spec = jax.sharding.PartitionSpec(*[None] * axis, _AXIS)
    return jax.sharding.NamedSharding(mesh, spec)


def divide(mesh: Any, part: np.ndarray, axis: int = 0) -> Any:
    """Joins the processes' parts of an array whose axis is that of a batch."""
    import jax

    return jax.make_array_from_process_local_data(divided(mesh, axis), part)


class Copies:
    """The copies of arrays that this process' devices of a mesh have."""

    def __init__(self, mesh: Any) -> None:
        self._mesh = mesh
        # Of each array those on the devices behind the first one.
        self._others: Any = None

    def join(self, tree: Any) -> Any:
        """Makes arrays of all devices of those on the first one.

        Those on other devices are what `part` left there; at first they are
        copied, by each process, else JAX compares them in one message each.
        """
        import jax

        if self._others is None:
            local = [d for d in self._mesh.devices if d in jax.local_devices()]
            self._others = jax.tree.map(
                lambda first: [jax.device_put(first, d) for d in local[1:]],
                tree,
            )
        return jax.tree.map(
            lambda first, others: jax.make_array_from_single_device_arrays(
                first.shape, everywhere(self._mesh), [first, *others]
            ),
            tree,
            self._others,
        )

    def part(self, tree: Any) -> Any:
        """Takes the arrays of the first device, which `join` then asks for."""
        import jax

        self._others = jax.tree.map(
            lambda whole: [s.data for s in whole.addressable_shards[1:]], tree
        )
        return jax.tree.map(lambda whole: whole.addressable_data(0), tree)
