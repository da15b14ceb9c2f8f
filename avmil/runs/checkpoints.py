"""The checkpoints of a run: all that it needs to go on, bit for bit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
import zipfile

import keras

import model.systems  # noqa: F401  # Registers the layers for loading.
from avmil.common import files
from avmil.common.errors import ConfigError


@dataclasses.dataclass
class TrainState:
    """What a run needs beside the model to go on.

    Attributes:
        step: Finished training steps.
        sampler: State of the batch sampler behind this step.
        dropout_seeds: States of the dropout layers' generators.
        best: The best value on validation so far of what --best_by names, -1
            before any.
        best_step: Its step.
        num_worse: Validations since then.
        backend: The Keras backend of the last steps.
    """

    step: int = 0
    sampler: dict | None = None
    dropout_seeds: list[list[int]] = dataclasses.field(default_factory=list)
    best: float = -1.0
    best_step: int = 0
    num_worse: int = 0
    backend: str = "tensorflow"


class Checkpoints:
    """Saves and loads the checkpoints of a run, local or remote.

    They are of three kinds: `last` (with the optimizer, to go on), `best` (on
    validation) and `kept` (for a fusion).

    Args:
        run_dir: The run's directory.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._path = files.join(run_dir, "checkpoints")

    def steps(self, kind: str) -> list[int]:
        """Steps of the checkpoints that were saved to their end, ascending."""
        return sorted(
            int(name.removeprefix(f"{kind}-"))
            for name in files.names(self._path)
            if name.startswith(f"{kind}-") and self._is_whole(name)
        )

    def find(self, kind: str, step: int | None = None) -> int:
        """The step of the newest checkpoint, unless one is given.

        Raises:
            ConfigError: if there is none.
        """
        for found in reversed(self.steps(kind)):
            if step in (None, found):
                return found
        of_step = "" if step is None else f" of step {step}"
        raise ConfigError(
            f"Expected a {kind} checkpoint{of_step} in {self._run_dir}, "
            "received none: train.py has not saved one, or trained on since."
        )

    def save(
        self,
        kind: str,
        network: keras.Model,
        state: TrainState,
        num_kept: int = 1,
    ) -> None:
        """Saves a compiled network; `num_kept` checkpoints of its kind stay."""
        final = self._of(kind, state.step)
        is_remote = files.is_remote(final)
        partial = final if is_remote else f"{final}.partial"
        files.make_directory(partial)
        if kind != "last":  # Without the optimizer: never compiled.
            network = keras.Model(
                network.input, network.output, name=network.name
            )
        model_path = files.join(partial, "model.keras")
        replaced = files.replacing if is_remote else contextlib.nullcontext
        try:
            with replaced(model_path) as local:
                network.save(local)
        except OSError as error:
            raise OSError(
                f"Expected to write a checkpoint to {partial}, received: "
                f"{error}."
            ) from error
        state_path = files.join(partial, "state.json")
        files.write_json(state_path, dataclasses.asdict(state), digest=True)
        if not is_remote:
            files.path(final).rmtree(missing_ok=True)
            files.path(partial).rename(final)
        # Later ones are of a run that was set back to an older checkpoint.
        earlier = [step for step in self.steps(kind) if step <= state.step]
        stay = {self._of(kind, step) for step in earlier[-num_kept:]}
        for name in files.names(self._path):
            path = files.join(self._path, name)
            if name.startswith(f"{kind}-") and path not in stay:
                files.path(path).rmtree()

    def load(
        self,
        kind: str,
        system: str,
        step: int | None = None,
        optimizer: bool = True,
    ) -> tuple[keras.Model, TrainState]:
        """Loads the newest checkpoint of a kind, or the one of a step.

        Args:
            kind: `last`, `best` or `kept`.
            system: Name of the system that the checkpoint must be of.
            step: Its step.
            optimizer: Whether to load the optimizer's variables, which are
                twice as many as the network's.

        Raises:
            ConfigError: if there is none, it is damaged, has layers that are
                not known here, or is of another system.
        """
        path = self._of(kind, self.find(kind, step))
        try:
            state = files.read_json(files.join(path, "state.json"), TrainState)
            with (
                files.local_copy(files.join(path, "model.keras")) as local,
                tempfile.TemporaryDirectory() as folder,
            ):
                unpack(local, folder)
                network = _load_model(folder, path, optimizer)
        except (OSError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"Expected a whole checkpoint in {path}, received one whose "
                f"model.keras or state.json is missing or damaged: {error}. "
                "Copy it once more, or delete it to go on without it."
            ) from error
        if network.name != system:
            raise ConfigError(
                f"Expected a checkpoint of {system} in {path}, received one "
                f"of {network.name}. Was it copied from another run?"
            )
        return network, state

    def _is_whole(self, name: str) -> bool:
        """An object store renames no folder: there state.json comes last."""
        if files.is_remote(self._path):
            return files.exists(files.join(self._path, name, "state.json"))
        return not name.endswith(".partial")

    def _of(self, kind: str, step: int) -> str:
        """Path of a checkpoint; names sort as the steps do."""
        return files.join(self._path, f"{kind}-{step:08d}")


def unpack(path: str, folder: str, known: str = ".*") -> None:
    """Unpacks an archive whose members are stored without compression.

    Checksums are compared. Of Keras's: it would hold the whole file in memory
    beside the network, and unpack any size.

    Raises:
        BadZipFile: if it is damaged, or holds other names than are known.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not re.fullmatch(known, name, re.VERBOSE):
                    raise ValueError(f"it holds {name!a}, which no run has")
            members = archive.infolist()
            if sum(m.file_size for m in members) > os.path.getsize(path):
                raise ValueError("it unpacks to more than its size")
            archive.extractall(folder)
    except OSError:  # As of a full disk.
        raise
    except Exception as error:
        raise zipfile.BadZipFile(str(error)) from error


def _load_model(folder: str, path: str, optimizer: bool) -> keras.Model:
    """Loads the unpacked, intact model of a checkpoint at a path."""
    try:
        return keras.saving.load_model(folder, compile=optimizer)
    except Exception as error:  # Of any layer, backend or library.
        found = re.search(r"Could not locate class '(\w+)'", str(error))
        reason = f"{type(error).__name__} in Keras"
        if found:
            reason = f"a layer {found[1]}, which is not known here"
        raise ConfigError(
            f"Expected a checkpoint of this version of avmil in {path}, "
            f"received {reason}. It was saved by a checkout with other layers, "
            "or by another Keras: use that one (versions.json of the run)."
        ) from error
