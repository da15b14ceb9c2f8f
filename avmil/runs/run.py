"""A training run as a directory: its configuration, weights and scores."""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

import keras

from avmil.common import files
from avmil.common.errors import ConfigError, FeaturesError
from avmil.common.progress import Progress
from avmil.evaluation.identity import RunIdentity, WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.features.store import FeatureStore, differences
from avmil.runs import scoring
from avmil.runs.checkpoints import Checkpoints, TrainState
from flags import TrainConfig, to_flagfile

SPLITS = ("val", "test")
CONFIG_FILE = "config.json"
FUSION_FILE = "fusion.json"
SCORES_FILE = "scores.json"
_PACKAGES = ("avmil", "tensorflow", "keras", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The features that a run is trained on.

    Attributes:
        recipe: Every parameter of their extraction.
        class_names: C names, in the order of the scores.
        clips_sha256: Digest of the clips and their labels.
    """

    recipe: dict[str, Any]
    class_names: list[str]
    clips_sha256: str = ""

    @classmethod
    def of(cls, store: FeatureStore) -> TrainedOn:
        """Describes a features directory."""
        fields = dataclasses.fields(cls)
        return cls(**{field.name: store.info[field.name] for field in fields})


@dataclasses.dataclass(frozen=True, eq=False)
class RunScores:
    """What a run says of the clips of both splits.

    Attributes:
        val: Of validation.
        test: Of test.
        weights: The weights that they come from; None where they are not
            known, or where there are several.
    """

    val: ScoreSet
    test: ScoreSet
    weights: WeightsIdentity | None = None

    def write(self, directory: str) -> None:
        """Writes `scores-*.npz` and `scores.json`."""
        for split in SPLITS:
            content = getattr(self, split).to_bytes()
            files.write_bytes(_scores_path(directory, split), content)
        if self.weights:
            path = files.join(directory, SCORES_FILE)
            files.write_json(path, dataclasses.asdict(self.weights))

    @classmethod
    def read(cls, directory: str) -> RunScores:
        """Reads what `write` wrote.

        Raises:
            ConfigError: if a file is damaged.
            FileNotFoundError: if there are no scores.
        """
        weights_path = files.join(directory, SCORES_FILE)
        try:
            val, test = (
                ScoreSet.from_bytes(files.read_bytes(path), path)
                for path in (_scores_path(directory, s) for s in SPLITS)
            )
            if not files.exists(weights_path):
                return cls(val, test)
            weights = WeightsIdentity(**files.read_json(weights_path))
        except TypeError as error:
            raise ConfigError(
                f"Expected checkpoint and step in {weights_path}, received "
                "something else. Evaluate without --use_saved_scores."
            ) from error
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return cls(val, test, weights)


def _scores_path(directory: str, split: str) -> str:
    return files.join(directory, f"scores-{split}.npz")


class ScoredRun(abc.ABC):
    """A run or a fusion of runs: a directory with scores of both splits.

    Args:
        path: The directory.

    Attributes:
        path: The directory.
        name: Its last part, which tells it from others.
        localizes: Whether it has a network that localizes classes in clips.
    """

    localizes: bool

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(os.path.normpath(path))

    def file(self, name: str) -> str:
        """Path of a file in the directory."""
        return files.join(self.path, name)

    def scores(self, split: str) -> ScoreSet:
        """Scores of all clips of `val` or `test`."""
        return getattr(self.scored, split)

    @property
    @abc.abstractmethod
    def scored(self) -> RunScores:
        """Scores of both splits, read or made when first asked for."""

    @property
    @abc.abstractmethod
    def identity(self) -> RunIdentity:
        """What tells it from others: system, name, seed, settings."""


class Run(ScoredRun):
    """A run of train.py with one of its checkpoints.

    Args:
        path: Its directory.
        checkpoint: Kind of the checkpoint: `last`, `best` or `kept`.
        step: Its step; by default the newest of the kind.
        features_dir: Features to score; by default those of the training.
        use_saved_scores: Whether to take the scores that lie in the directory,
            with the checkpoint that they come from.

    Attributes:
        config: The configuration of the training.
        trained_on: The features of the training.
        checkpoints: All of its checkpoints.

    Raises:
        ConfigError: if it is no run directory.
    """

    localizes = True

    def __init__(
        self,
        path: str,
        checkpoint: str = "last",
        step: int | None = None,
        features_dir: str = "",
        use_saved_scores: bool = False,
    ) -> None:
        super().__init__(path)
        self._checkpoint, self._step = checkpoint, step
        self._use_saved_scores = use_saved_scores
        self.checkpoints = Checkpoints(path)
        try:
            content = files.read_json(self.file(CONFIG_FILE))
            self.config = TrainConfig(**content["config"])
            self.trained_on = TrainedOn(**content["features"])
        except FileNotFoundError as error:
            raise ConfigError(
                f"Expected a run directory, received {path} without "
                f"{CONFIG_FILE}. train.py makes one."
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"Expected a run of this version of avmil, received "
                f"{self.file(CONFIG_FILE)}: {error}."
            ) from error
        self._features_dir = features_dir or self.config.features_dir

    def __str__(self) -> str:
        return self.path if self._step is None else f"{self.path}@{self._step}"

    @classmethod
    def start(cls, config: TrainConfig, trained_on: TrainedOn) -> Run:
        """Makes a run's directory, or checks that it is a run of this config.

        A run that has not saved anything yet may still change its config.

        Raises:
            ConfigError: names what differs from the run that is there.
        """
        path = config.run_dir
        if Checkpoints(path).steps("last"):
            cls(path)._refuse_differences(config, trained_on)
        else:
            files.make_directory(path)
            files.write_json(files.join(path, "versions.json"), versions())
        files.write_text(files.join(path, "flags.txt"), to_flagfile(config))
        content = {
            "config": dataclasses.asdict(config),
            "features": dataclasses.asdict(trained_on),
        }
        files.write_json(files.join(path, CONFIG_FILE), content)
        return cls(path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that it was trained on, in the order of the scores."""
        return tuple(self.trained_on.class_names)

    @property
    def system(self) -> keras.Model:
        """The trained network.

        Raises:
            ConfigError: if there is no such checkpoint, it cannot be read, or
                the saved scores do not say which one they come from.
        """
        return self._loaded[0]

    @property
    def weights(self) -> WeightsIdentity | None:
        """The weights of its scores; None where saved ones do not tell."""
        if self._use_saved_scores:
            return self.scored.weights
        return WeightsIdentity(self._checkpoint, self._loaded[1].step)

    @functools.cached_property
    def stores(self) -> dict[str, FeatureStore]:
        """The features of each split.

        Raises:
            FeaturesError: if they are not what the run was trained on.
        """
        directory = self._features_dir
        stores = {s: scoring.open_split(directory, s) for s in SPLITS}
        trained, received = (
            {**features.recipe, "classes": features.class_names}
            for features in (self.trained_on, TrainedOn.of(stores["val"]))
        )
        received = {name: received.get(name) for name in trained}
        if differing := differences(trained, received):
            listed = "\n  ".join(differing)
            raise FeaturesError(
                "Expected the features that the run was trained on, received "
                f"others in {directory}:\n  {listed}"
            )
        return stores

    @functools.cached_property
    def scored(self) -> RunScores:
        """Scores of both splits, with the network or from the directory."""
        if self._use_saved_scores:
            found = RunScores.read(self.path)
            print(f"Scores of the {found.weights or 'unknown weights'}.")
            return found
        stores = self.stores.values()
        print(f"Scoring {self.path} with its {self.weights}.")
        with Progress(sum(map(len, stores)), "clip") as progress:
            val, test = (
                scoring.score(
                    self.system, store, self.config.batch_size, progress.update
                )
                for store in stores
            )
        return RunScores(val, test, self.weights)

    @property
    def identity(self) -> RunIdentity:
        """Runs with the same settings differ in their seed only."""
        settings = self.config.choices()
        seed = settings.pop("seed")
        scored = dataclasses.asdict(self.weights) if self.weights else {}
        if scored.get("checkpoint") == "best":
            del scored["step"]  # It differs between seeds, others must not.
        described = [settings, dataclasses.asdict(self.trained_on), scored]
        return RunIdentity(
            self.config.system,
            self.name,
            seed,
            json.dumps(described, sort_keys=True),
        )

    def release(self) -> None:
        """Lets go of the network, which is loaded again when asked for."""
        self.__dict__.pop("_loaded", None)

    @functools.cached_property
    def _loaded(self) -> tuple[keras.Model, TrainState]:
        checkpoint, step = self._checkpoint, self._step
        if self._use_saved_scores:
            if self.weights is None:
                raise ConfigError(
                    f"Expected scores of known weights in {self.path}, "
                    f"received some without {SCORES_FILE}. Evaluate without "
                    "--use_saved_scores."
                )
            checkpoint, step = dataclasses.astuple(self.weights)
        loaded = self.checkpoints.load(checkpoint, self.config.system, step)
        if loaded is None:
            of_step = "" if step is None else f" of step {step}"
            raise ConfigError(
                f"Expected a {checkpoint} checkpoint{of_step} in {self.path}, "
                "received none: train.py has not saved one."
            )
        return loaded

    def _refuse_differences(
        self, config: TrainConfig, trained_on: TrainedOn
    ) -> None:
        there, received = (
            {f"--{k}": v for k, v in c.choices().items() if k != "steps"}
            for c in (self.config, config)
        )
        differing = differences(there, received) + [
            f"features: not the {name} that the run started with"
            for name, value in dataclasses.asdict(trained_on).items()
            if getattr(self.trained_on, name) != value
        ]
        if differing:
            listed = "\n  ".join(differing)
            raise ConfigError(
                f"Expected the configuration of the run in {self.path}, "
                f"received another one:\n  {listed}\n"
                "Use the same flags or another --run_dir."
            )


def run_directories(
    listed: str, with_files: Sequence[str] = (CONFIG_FILE, FUSION_FILE)
) -> list[str]:
    """Directories that a flag names, joined by commas.

    A name may be a pattern (`runs/*`); of what it matches, only directories
    with one of the files are taken: runs and fusions by default.

    Raises:
        ConfigError: if a pattern matches no run.
    """
    found: list[str] = []
    for name in filter(None, listed.split(",")):
        matches = [name.rstrip("/")]
        if set(name) & set("*?[") and not files.exists(name):
            matches = [
                path
                for path in files.matching(name)
                if any(files.exists(files.join(path, f)) for f in with_files)
            ]
        if not matches:
            raise ConfigError(
                f"Expected run directories, received {name}: it matches none "
                f"that holds {' or '.join(with_files)}."
            )
        found += matches
    return list(dict.fromkeys(found))


def versions() -> dict[str, str | None]:
    """Versions of Python, the packages and, in a git checkout, the source."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    try:
        revision = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=os.path.dirname(os.path.abspath(__file__)),
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        revision = None
    return {**found, "git_revision": revision}
