"""The directory of a training run: its configuration and checkpoints."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import tempfile
from typing import Any

import keras
import tensorflow as tf

import model.systems  # noqa: F401  # Registers the layers for loading.
from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.features.store import differences
from flags import BOOKKEEPING, TrainConfig, to_flagfile

# Flags that a run may change when it goes on.
_FREE = (*BOOKKEEPING, "steps")
_PACKAGES = ("avmil", "tensorflow", "keras", "numpy", "scikit-learn")


@dataclasses.dataclass
class TrainState:
    """What a run needs beside the model to go on.

    Attributes:
        step: Finished training steps.
        sampler: State of the batch sampler behind this step.
        dropout_seeds: States of the dropout layers' generators.
        best_micro_f1: Best micro F1 on validation so far, -1 before any.
        best_step: Its step.
    """

    step: int = 0
    sampler: dict | None = None
    dropout_seeds: list[list[int]] = dataclasses.field(default_factory=list)
    best_micro_f1: float = -1.0
    best_step: int = 0


class RunDirectory:
    """Reads and writes a run directory, local or remote.

    Args:
        path: The directory.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def file(self, *names: str) -> str:
        """Path of a file in the directory."""
        return files.join(self.path, *names)

    def open(self, config: TrainConfig, features: dict[str, Any]) -> None:
        """Makes the directory, or checks that it is a run of this config.

        A run that has not saved anything yet may still change its config.

        Args:
            config: The configuration.
            features: What the run was trained on: recipe, classes and clips.

        Raises:
            ConfigError: names what differs from the run that is there.
        """
        content = {"config": dataclasses.asdict(config), "features": features}
        if self._checkpoints("last"):
            self._refuse_differences(
                files.read_json(self.file("config.json")), content
            )
        else:
            files.make_directory(self.path)
            files.write_json(self.file("versions.json"), versions())
        files.write_text(self.file("flags.txt"), to_flagfile(config))
        files.write_json(self.file("config.json"), content)

    def read(self) -> tuple[TrainConfig, dict[str, Any]]:
        """Reads the configuration and what the run was trained on.

        Raises:
            ConfigError: if this is no run directory.
        """
        try:
            content = files.read_json(self.file("config.json"))
            return TrainConfig(**content["config"]), content["features"]
        except FileNotFoundError as error:
            raise ConfigError(
                f"Expected a run directory, received {self.path} without "
                "config.json. train.py makes one."
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"Expected a run of this version of avmil, received "
                f"{self.file('config.json')}: {error}."
            ) from error

    def _refuse_differences(
        self, old: dict[str, Any], new: dict[str, Any]
    ) -> None:
        there, received = (
            {f"--{k}": v for k, v in run["config"].items() if k not in _FREE}
            for run in (old, new)
        )
        differing = differences(there, received)
        differing += [
            f"features: not the {name} that the run started with"
            for name, value in new["features"].items()
            if old["features"].get(name) != value
        ]
        if differing:
            listed = "\n  ".join(differing)
            raise ConfigError(
                f"Expected the configuration of the run in {self.path}, "
                f"received another one:\n  {listed}\n"
                "Use the same flags or another --run_dir."
            )

    def save(
        self,
        kind: str,
        system: keras.Model,
        state: TrainState,
        num_kept: int = 1,
    ) -> None:
        """Saves a checkpoint and removes the older ones of its kind.

        Args:
            kind: `last` (with the optimizer, to go on), `best` or `kept`.
            system: The compiled model.
            state: The state at the same step.
            num_kept: How many checkpoints of the kind stay.
        """
        name = _name(kind, state.step)
        final = self.file("checkpoints", name)
        partial = f"{final}.partial"
        files.make_directory(partial)
        if kind != "last":  # Without the optimizer: never compiled.
            system = keras.Model(system.input, system.output, name=system.name)
        try:
            _save_model(system, files.join(partial, "model.keras"))
        except OSError as error:
            raise OSError(
                f"Expected to write a checkpoint to {partial}, received: "
                f"{error}."
            ) from error
        files.write_json(
            files.join(partial, "state.json"), dataclasses.asdict(state)
        )
        if files.exists(final):
            tf.io.gfile.rmtree(final)
        tf.io.gfile.rename(partial, final)
        # Later ones are of a run that was set back to an older checkpoint.
        earlier = [n for n in self._checkpoints(kind) if n <= name]
        stay = sorted(earlier)[-num_kept:]
        for other in self._entries(kind):
            if other not in stay:
                tf.io.gfile.rmtree(self.file("checkpoints", other))

    def kept_steps(self) -> list[int]:
        """Steps of the checkpoints of the kind `kept`, ascending."""
        names = sorted(self._checkpoints("kept"))
        return [int(name.rpartition("-")[2]) for name in names]

    def load(
        self, kind: str, system_name: str, step: int | None = None
    ) -> tuple[keras.Model, TrainState] | None:
        """Loads a checkpoint of a kind; None if there is none.

        Args:
            kind: As for `save`.
            system_name: The system that the checkpoint must be of.
            step: Its step; by default the newest.

        Raises:
            ConfigError: if it cannot be read or is of another system.
        """
        names = self._checkpoints(kind)
        if step is not None:
            names = [name for name in names if name == _name(kind, step)]
        if not names:
            return None
        path = self.file("checkpoints", max(names))
        try:
            state = TrainState(**files.read_json(f"{path}/state.json"))
            with files.local_copy(f"{path}/model.keras") as local:
                system = keras.saving.load_model(local)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"Expected a checkpoint in {path}, received something that "
                f"cannot be read: {error}. Delete it to go on without it."
            ) from error
        if system.name != system_name:
            raise ConfigError(
                f"Expected a checkpoint of {system_name} in {path}, received "
                f"one of {system.name}. Was it copied from another run?"
            )
        return system, state

    def _checkpoints(self, kind: str) -> list[str]:
        """Names of the checkpoints that were saved to their end."""
        return [n for n in self._entries(kind) if not n.endswith(".partial")]

    def _entries(self, kind: str) -> list[str]:
        directory = self.file("checkpoints")
        if not files.exists(directory):
            return []
        names = (name.rstrip("/") for name in tf.io.gfile.listdir(directory))
        return [name for name in names if name.startswith(f"{kind}-")]


def _name(kind: str, step: int) -> str:
    """Name of a checkpoint; names sort as the steps do."""
    return f"{kind}-{step:08d}"


def _save_model(system: keras.Model, path: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        remote = files.is_remote(path)
        local = os.path.join(directory, "model.keras") if remote else path
        system.save(local)
        if remote:
            tf.io.gfile.copy(local, path, overwrite=True)


def versions() -> dict[str, str | None]:
    """Versions of Python, the packages and the source."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return {**found, "git_revision": _git_revision()}


def _git_revision() -> str | None:
    """Revision of the source, None outside a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=os.path.dirname(os.path.abspath(__file__)),
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
