"""Exports a run for use elsewhere: packed, or its network in other formats."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import tempfile
from typing import Any

import keras
import numpy as np

from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.localization import model_card, packed_run
from avmil.localization.trained_run import TrainedRun, load_run
from avmil.runs.checkpoints import Checkpoints, TrainState
from avmil.runs.run import SCORES_FILE, Run, write_config
from flags import ExportConfig

# Where the run has them.
_COPIED_FILES = (
    *("versions.json", "thresholds.json", "event_thresholds.json"),
    *("metrics.json", SCORES_FILE, "scores-val.npz", "scores-test.npz"),
)


def export_run(run_dir: str, config: ExportConfig) -> None:
    """Exports a run.

    `packed` gives one file, which `load_run` opens; the other formats a
    folder: the network, and what a packed run holds beside it.

    Raises:
        ConfigError: if it is no run, the output is there, ONNX is asked for
            and not installed, or lacks one of the network's operations.
    """
    output = config.output.rstrip("/")
    if files.is_remote(output) or files.exists(output):
        raise ConfigError(
            f"Expected a local --output that is not there yet, received "
            f"{output}."
        )
    with (
        packed_run.opened(run_dir) as directory,
        tempfile.TemporaryDirectory() as folder,
        files.replacing(output) as temporary,
    ):
        trained = load_run(directory, config.checkpoint)
        model, weights = trained.model, trained.weights
        _write_facts(Run(directory), trained, folder)
        if config.format == "packed":
            state = TrainState(weights.step)
            Checkpoints(folder).save(weights.checkpoint, model, state)
            packed_run.pack(folder, temporary)
            return
        if config.format == "saved_model":
            path = os.path.join(folder, "saved_model")
            model.export(path, format="tf_saved_model", verbose=False)
        elif config.format == "keras":
            model.save(os.path.join(folder, "model.keras"))
        else:
            _write_onnx(model, os.path.join(folder, "model.onnx"))
        shutil.copytree(folder, temporary)


def _write_facts(run: Run, trained: TrainedRun, folder: str) -> None:
    """Writes all but the weights; paths of this machine are left out."""
    fc_weights = os.path.basename(run.config.fc_weights)
    config = dataclasses.replace(
        run.config, features_dir="", run_dir="", fc_weights=fc_weights
    )
    write_config(folder, config, run.trained_on)
    for name in _COPIED_FILES:
        if files.exists(run.file(name)):
            files.copy(run.file(name), os.path.join(folder, name))
    metrics = os.path.join(folder, "metrics.json")
    card = model_card.render(
        trained,
        files.read_json(metrics, dict[str, Any])
        if files.exists(metrics)
        else {},
        config.choices(),
    )
    classes = "".join(f"{name}\n" for name in run.class_names)
    files.write_text(os.path.join(folder, "classes.txt"), classes)
    files.write_text(os.path.join(folder, "README.md"), card)


def _write_onnx(model: keras.Model, path: str) -> None:
    """Writes an ONNX file, whose operators are checked."""
    try:
        importlib.import_module("tf2onnx")
        checker = importlib.import_module("onnx.checker")
    except ImportError as error:
        raise ConfigError(
            f"--format=onnx: Expected the packages of the extra `onnx`, "
            f"received: {error}. Install them: "
            "pip install -c constraints.txt '.[onnx]'."
        ) from error
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            # As tensors they would become inputs of the file.
            layer.mean, layer.variance = map(
                np.array, (layer.mean, layer.variance)
            )
    model(model.input)  # Keras exports none that was never called.
    model.export(path, format="onnx", verbose=False)
    try:
        checker.check_model(path, full_check=True)
    except checker.ValidationError as error:
        raise ConfigError(
            f"--format=onnx: Expected operators that ONNX has, received a "
            f"{model.name} with others: {error}. Use --format=saved_model."
        ) from error
