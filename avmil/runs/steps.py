"""The clips of a split where training wants them, and its compiled steps.

What differs between Keras' backends is here and nowhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import psutil
from keras import ops

from avmil.common.progress import Progress
from avmil.features.batches import BatchLoader, in_order
from avmil.features.store import FeatureStore
from avmil.runs import devices

# Memory of an accelerator that is left to the model and its steps.
_LEFT_BYTES = 4 << 30
# Share of the free host memory that a split may take.
_HOST_SHARE = 0.5
# Steps of one call on an accelerator: enough to hide the call.
_STEPS_PER_CALL = 250
# Clips that are sent to an accelerator at once.
_CLIPS_PER_TRANSFER = 64

# Clips, and which of them are the batch of each step, int32 [K, B]; None where
# the clips are the batch of a single step.
Call = tuple[dict[str, Any], np.ndarray | None]


class SplitData:
    """The clips of a split on the accelerator, in host memory or in files.

    Args:
        store: The split's features.
        batch_size: Clips at a time.
        inputs: Inputs of the system.
        cache: `device`, `host`, `none`, or `auto` for the first of them for
            which there is an accelerator and memory.
        mesh: Devices among which each batch is divided; this process then has
            its part of the batches.

    Attributes:
        steps_per_call: Steps of a call at most.
        in_flight: Calls that may be under way beside the next one, to which
            clips are sent meanwhile; none on a CPU, where they would only wait
            for each other, nor of calls of many steps.
    """

    def __init__(
        self,
        store: FeatureStore,
        batch_size: int,
        inputs: Iterable[str],
        cache: str = "none",
        mesh: Any = None,
    ) -> None:
        inputs = tuple(inputs)
        self._part = slice(None)
        if mesh:
            self._part = devices.own_part(mesh, batch_size)
            batch_size = self._part.stop - self._part.start
        self._loader = BatchLoader(store, batch_size, inputs)
        self._resident: dict[str, Any] | None = None
        if cache == "auto":
            cache = _choose_cache(self._loader.split_bytes)
        accelerated = has_accelerator()
        self.in_flight = int(accelerated)
        self.steps_per_call = 1
        if cache == "none":
            return
        with Progress(len(store), "clip") as progress:
            if cache == "host":
                self._loader.hold(progress.update)
                return
            self._resident = _to_device(store, inputs, progress.update, mesh)
        if accelerated:
            self.steps_per_call, self.in_flight = _STEPS_PER_CALL, 0

    def calls(self, chunks: Iterable[np.ndarray]) -> Iterator[Call]:
        """Yields what the steps take of chunks of indices [K, B].

        Clips that are not resident hold until the next call but one.
        """
        chunks = (chunk[:, self._part] for chunk in chunks)
        if self._resident is not None:
            for chunk in chunks:
                yield self._resident, chunk.astype(np.int32)
            return
        rows = (indices for chunk in chunks for indices in chunk)
        for batch in self._loader.ahead(rows):
            yield batch, None


def batch_of(clips: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The clips of one batch, which `rows` [B] lists unless it is None."""
    if rows is None:
        return clips
    return {name: ops.take(v, rows, axis=0) for name, v in clips.items()}


def train_function(model: keras.Model, mesh: Any = None) -> Callable[..., Any]:
    """Makes the function that trains a compiled model, on a mesh of devices.

    It takes a call of `SplitData` and returns the loss of each step, float32
    [K], possibly before it is computed: `numpy.asarray` waits for it. Nothing
    else changes the model's variables meanwhile.
    """
    if keras.backend.backend() == "jax":
        return _jax_train_function(model, mesh)
    model.make_train_function()

    def train(clips: dict[str, Any], rows: np.ndarray | None) -> Any:
        losses = []
        for step_rows in [None] if rows is None else rows:
            batch = dict(batch_of(clips, step_rows))
            labels = dict.fromkeys(model.loss, batch.pop("labels"))
            model.reset_metrics()  # Else the loss is a mean over steps.
            logs = model.train_function(iter([(batch, labels)]))
            losses.append(logs["loss"])
        return losses

    return train


def _jax_train_function(model: keras.Model, mesh: Any) -> Callable[..., Any]:
    """Many steps in one compiled call, without a copy of the variables.

    Of a mesh each device has all variables; the sum of their gradients is that
    of the batch. The model's are those of this process' first device.
    """
    import jax

    model.optimizer.build(model.trainable_variables)
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
    )
    no_metrics = [np.zeros(v.shape, v.dtype) for v in model.metrics_variables]
    copies = devices.Copies(mesh)

    def step(state: Any, clips: dict[str, Any], rows: Any) -> tuple[Any, Any]:
        batch = dict(batch_of(clips, rows))
        if mesh:
            batch = jax.lax.with_sharding_constraint(
                batch, devices.divided(mesh)
            )
        labels = dict.fromkeys(model.loss, batch.pop("labels"))
        logs, after = model.train_step((*state, no_metrics), (batch, labels))
        return after[:3], logs["loss"]

    @functools.partial(
        jax.jit,
        donate_argnums=0,
        out_shardings=devices.everywhere(mesh) if mesh else None,
    )
    def steps(state: Any, clips: dict[str, Any], rows: Any) -> tuple[Any, Any]:
        if rows is None:
            state, loss = step(state, clips, None)
            return state, loss[None]
        return jax.lax.scan(lambda s, r: step(s, clips, r), state, rows)

    def train(clips: dict[str, Any], rows: np.ndarray | None) -> Any:
        if mesh and rows is None:
            divide = functools.partial(devices.divide, mesh)
            clips = jax.tree.map(divide, clips)
        elif mesh:
            rows = devices.divide(mesh, rows, axis=1)
        elif rows is not None and len(rows) == 1:
            # By themselves, else XLA fuses them with the step, whose result
            # then differs in rounding from that of a batch of the host.
            clips, rows = batch_of(clips, rows[0]), None
        state = tuple([v.value for v in group] for group in variables)
        if mesh:
            state = copies.join(state)
        state, losses = steps(state, clips, rows)
        if mesh:
            if not has_accelerator():
                # CPUs may mix up the messages of two calls under way.
                jax.block_until_ready(state)
            state = copies.part(state)
        for group, values in zip(variables, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return losses

    return train


def has_accelerator() -> bool:
    """Whether Keras computes on more than the processor."""
    names = keras.distribution.list_devices()
    return any(not name.startswith("cpu") for name in names)


def _choose_cache(split_bytes: int) -> str:
    """The fastest place in which a split fits.

    TensorFlow does not say how much memory an accelerator has: there it is
    used on demand only.
    """
    if keras.backend.backend() == "jax" and has_accelerator():
        import jax

        stats = jax.local_devices()[0].memory_stats() or {}
        free = stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)
        if not devices.highest(split_bytes > free - _LEFT_BYTES):
            return "device"
    fits = split_bytes <= _HOST_SHARE * psutil.virtual_memory().available
    return "host" if fits else "none"


def _to_device(
    store: FeatureStore,
    inputs: tuple[str, ...],
    on_clips: Callable[[int], None],
    mesh: Any,
) -> dict[str, Any]:
    """Sends a split part by part, so that host memory need not hold it."""
    size = min(_CLIPS_PER_TRANSFER, len(store))
    starts = range(0, len(store), size)
    parts = BatchLoader(store, size, inputs).ahead(in_order(len(store), size))
    update = None
    if keras.backend.backend() == "jax":
        import jax

        update = _jax_update_function()
        place = devices.everywhere(mesh) if mesh else None
    sent: dict[str, Any] = {}
    for start, part in zip(starts, parts, strict=True):
        count = min(size, len(store) - start)
        for name, array in part.items():
            if update:
                if name not in sent:
                    shape = len(store), *array.shape[1:]
                    zeros = jax.numpy.zeros(shape, array.dtype, device=place)
                    sent[name] = zeros
                sent[name] = update(sent[name], array[:count], start)
            else:
                sent.setdefault(name, []).append(ops.array(array[:count]))
        on_clips(count)
    if update:
        return sent
    return {name: ops.concatenate(arrays) for name, arrays in sent.items()}


def _jax_update_function() -> Callable[[Any, np.ndarray, int], Any]:
    """Writes in place: a split may take most of the accelerator's memory."""
    import jax

    @functools.partial(jax.jit, donate_argnums=0)
    def update(whole: Any, part: Any, start: Any) -> Any:
        return jax.lax.dynamic_update_slice_in_dim(whole, part, start, axis=0)

    return lambda *arguments: jax.block_until_ready(update(*arguments))
