"""A training step of every row of Table 1 at the sizes of its flagfile.

Batches are drawn by index from 96 made-up clips in memory: 100 regions and 20
segments each, 17 classes. PyTorch has the same model, weights and optimizer
(fused Adam). "Products" are the matrix products of fc6 and fc7 and of their
gradients and nothing else, by keras.ops: the share of the machine's peak that
training reaches is 1 / ratio. They are the same in rows (a), (c), (d) and (e).
Row (g) has no counterpart, since PyTorch's GRU has no hard sigmoid, nor has
row (h), which is not the paper's. Two turns: a step takes seconds on a CPU.
"""

from __future__ import annotations

import importlib.util
import itertools
import pathlib
import re
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from avmil.runs import steps
from benchmarks import timing
from model import systems

_CONFIGS = pathlib.Path(__file__).resolve().parents[1] / "configs"
_NUM_CLIPS, _NUM_CLASSES, _NUM_REGIONS, _NUM_SEGMENTS = 96, 17, 100, 20
_TURNS = 2


def run() -> Iterator[str]:
    """Compares all rows that are trained, with bfloat16 too on a GPU."""
    if not importlib.util.find_spec("torch"):
        yield "Not compared with PyTorch, which is not installed."
    precisions = ["float32"]
    if steps.has_accelerator():
        precisions.append("mixed_bfloat16")
    clips = _clips()
    for precision, path in itertools.product(
        precisions, sorted(_CONFIGS.glob("[a-h]_*.flags"))
    ):
        values = dict(re.findall(r"^--(\w+)=(\S+)$", path.read_text(), re.M))
        if "system" in values:  # Row (f) is not trained.
            yield from _row(path.name[0], values, precision, clips)


def _row(
    name: str,
    values: dict[str, str],
    precision: str,
    clips: dict[str, np.ndarray],
) -> Iterator[str]:
    keras.mixed_precision.set_dtype_policy(precision)
    batch_size = int(values["batch_size"])
    num_steps = 100 if steps.has_accelerator() else 1
    generator = np.random.default_rng(0)
    rows = generator.integers(_NUM_CLIPS, size=(num_steps, batch_size))
    model = systems.build(values["system"], _NUM_CLASSES)
    clips = {name: clips[name] for name in (*model.input, "labels")}
    functions = {timing.OURS: _ours(model, values, clips, rows)}
    if name == "a":
        functions["products"] = _products(batch_size, precision, num_steps)
    if importlib.util.find_spec("torch") and name not in "gh":
        for kind, compiled in (("eager", False), ("compiled", True)):
            train = _torch(model, values, clips, precision, compiled)
            try:
                if compiled:
                    train(rows)
            except RuntimeError as error:
                first, *_ = str(error).splitlines()
                yield f"({name}): PyTorch {kind} failed: {first}"
                continue
            functions[f"PyTorch, {kind}"] = lambda t=train: t(rows)
    what = f"({name}) {values['system']}, {precision}"
    yield from timing.compare(what, functions, _TURNS, num_steps)


def _clips() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    regions = generator.random((_NUM_CLIPS, _NUM_REGIONS, 9216), np.float32)
    labels = generator.random((_NUM_CLIPS, _NUM_CLASSES)) < 0.1
    return {
        "regions": regions.astype(np.float16),
        "region_mask": np.ones((_NUM_CLIPS, _NUM_REGIONS), bool),
        "segments": generator.random(
            (_NUM_CLIPS, _NUM_SEGMENTS, 128), np.float32
        ),
        "segment_mask": np.ones((_NUM_CLIPS, _NUM_SEGMENTS), bool),
        "cvssp_log_mel": generator.random((_NUM_CLIPS, 240, 64), np.float32),
        "labels": labels.astype(np.float32),
    }


def _ours(
    model: keras.Model,
    values: dict[str, str],
    clips: dict[str, np.ndarray],
    rows: np.ndarray,
) -> Callable[[], np.ndarray]:
    model.compile(
        keras.optimizers.Adam(
            float(values["learning_rate"]),
            epsilon=float(values["adam_epsilon"]),
        ),
        loss=systems.losses(values["system"]),
        jit_compile=values["xla"] == "true",
    )
    train = steps.train_function(model)
    resident = {name: ops.convert_to_tensor(a) for name, a in clips.items()}
    return lambda: np.asarray(train(resident, rows.astype(np.int32)))


def _products(
    batch_size: int, precision: str, num_steps: int
) -> Callable[[], object]:
    """fc6, its weights' gradient; fc7, its weights' and inputs' gradient."""
    size = batch_size * _NUM_REGIONS
    shapes = [(size, 9216, 4096), (9216, size, 4096), (size, 4096, 4096)]
    shapes += [(4096, size, 4096), (size, 4096, 4096)]
    generator = np.random.default_rng(0)
    dtype = precision.removeprefix("mixed_")
    pairs = [
        [
            ops.cast(generator.random(shape, np.float32), dtype)
            for shape in ((rows, inner), (inner, columns))
        ]
        for rows, inner, columns in shapes
    ]

    def multiply() -> np.ndarray:
        for _ in range(num_steps):
            for a, b in pairs:
                product = ops.matmul(a, b)
        return np.asarray(product[0, 0])  # Waits for all, as they are queued.

    return multiply


def _torch(
    model: keras.Model,
    values: dict[str, str],
    clips: dict[str, np.ndarray],
    precision: str,
    compiled: bool,
) -> Callable[[np.ndarray], None]:
    import torch

    from benchmarks import torch_models

    torch.backends.cuda.matmul.allow_tf32 = True
    tensors = {
        name: torch.from_numpy(array).to(torch_models.DEVICE)
        for name, array in clips.items()
    }
    system = torch_models.System(model).eval()
    batch = {name: array[:2] for name, array in clips.items()}
    batch.pop("labels")
    with torch.inference_mode():
        scores = system({name: t[:2] for name, t in tensors.items()})
    expected = model.predict_on_batch(batch)["scores"]
    np.testing.assert_allclose(scores.cpu(), expected, atol=2e-2)
    return torch_models.train_function(
        system,
        tensors,
        float(values["learning_rate"]),
        float(values["adam_epsilon"]),
        precision == "mixed_bfloat16",
        compiled,
    )
