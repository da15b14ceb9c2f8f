"""A training run as a directory: its configuration, weights and scores."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from avmil.common import files
from avmil.common.errors import ConfigError, FeaturesError, config_errors
from avmil.common.progress import Progress
from avmil.evaluation.identity import RunIdentity, Training, WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.features.store import FeatureStore, differences
from avmil.runs import scoring
from avmil.runs.checkpoints import Checkpoints
from flags import TrainConfig, to_flagfile
from model import systems

SPLITS = ("val", "test")
CONFIG_FILE = "config.json"
FUSION_FILE = "fusion.json"
SCORES_FILE = "scores.json"
_PACKAGES = ("avmil", "tensorflow", "jax", "keras", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The features that a run is trained on."""

    recipe: dict[str, Any]  # Every parameter of their extraction.
    class_names: list[str]  # In the order of the scores.
    clips_sha256: str = ""  # Of the clips and their labels.

    @classmethod
    def of(cls, store: FeatureStore) -> TrainedOn:
        """Describes a features directory."""
        fields = dataclasses.fields(cls)
        return cls(**{field.name: store.info[field.name] for field in fields})


@dataclasses.dataclass(frozen=True)
class _RunContent:
    """Content of `config.json`."""

    config: TrainConfig
    features: TrainedOn


def write_config(
    directory: str, config: TrainConfig, trained_on: TrainedOn
) -> None:
    """Writes what `Run` reads, and the flags for people."""
    path = files.join(directory, "flags.txt")
    files.write_text(path, to_flagfile(config))
    content = dataclasses.asdict(_RunContent(config, trained_on))
    path = files.join(directory, CONFIG_FILE)
    files.write_json(path, content, digest=True)


def write_scores(
    directory: str,
    scores: Mapping[str, ScoreSet],
    weights: WeightsIdentity | None = None,
) -> None:
    """Writes `scores-{split}.npz`, and `scores.json` of known weights."""
    for split, score_set in scores.items():
        files.write_bytes(_scores_path(directory, split), score_set.to_bytes())
    if weights:
        path = files.join(directory, SCORES_FILE)
        files.write_json(path, dataclasses.asdict(weights), digest=True)


def read_scores(
    directory: str,
) -> tuple[dict[str, ScoreSet], WeightsIdentity | None]:
    """Reads what `write_scores` wrote.

    Returns:
        The scores of each split; the weights that they come from, or None.

    Raises:
        ConfigError: if scores are damaged.
        FileNotFoundError: if there are none.
    """
    scores = {}
    for split in SPLITS:
        path = _scores_path(directory, split)
        with config_errors(directory):
            scores[split] = ScoreSet.from_bytes(files.read_bytes(path), path)
    weights_path = files.join(directory, SCORES_FILE)
    if not files.exists(weights_path):
        return scores, None
    return scores, files.read_json(weights_path, WeightsIdentity)


def _scores_path(directory: str, split: str) -> str:
    return files.join(directory, f"scores-{split}.npz")


class ScoredRun:
    """The directory of a run, or of a fusion of runs.

    Both also have `scored`, their scores of `val` and of `test`; `identity`,
    what tells it from others; and `weights`, where the scores come from.

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
        return self.scored[split]


class Run(ScoredRun):
    """A run of train.py with one of its checkpoints.

    Args:
        path: Its directory.
        checkpoint: `last`, `best` or `kept`.
        features_dir: Features to score; by default those of the training.
        use_saved_scores: Whether to take the scores that lie in the directory,
            with the checkpoint that they come from.
        step: Step of the checkpoint; by default the newest of the kind.

    Attributes:
        config: The configuration of the training.
        trained_on: The features of the training.
        checkpoints: All of its checkpoints.

    Raises:
        ConfigError: if it is no run directory.
        FeaturesError: if a CVSSP system has features of an older version.
    """

    localizes = True

    def __init__(
        self,
        path: str,
        checkpoint: str = "last",
        features_dir: str = "",
        use_saved_scores: bool = False,
        step: int | None = None,
    ) -> None:
        super().__init__(path)
        self._checkpoint, self._step = checkpoint, step
        self._use_saved_scores = use_saved_scores
        self.checkpoints = Checkpoints(path)
        try:
            content = files.read_json(self.file(CONFIG_FILE), _RunContent)
        except FileNotFoundError as error:
            raise ConfigError(
                f"Expected a run directory, received {path} without "
                f"{CONFIG_FILE}. train.py makes one."
            ) from error
        self.config, self.trained_on = content.config, content.features
        if (
            systems.needs_standardization(self.config.system)
            and "cvssp_scaling_rate_hz" not in self.trained_on.recipe
        ):
            raise FeaturesError(
                "Expected features whose recipe names the scale of CVSSP's "
                f"spectrogram for {path}, received older ones in "
                f"{self.config.features_dir}. Extract again, and train into "
                "another --run_dir."
            )
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
            run = cls(path)
            there, received = (
                {f"--{k}": v for k, v in c.choices().items() if k != "steps"}
                for c in (run.config, config)
            )
            differing = differences(there, received) + [
                f"features: not the {name} that the run started with"
                for name, value in dataclasses.asdict(trained_on).items()
                if getattr(run.trained_on, name) != value
            ]
            if differing:
                listed = "\n  ".join(differing)
                raise ConfigError(
                    f"Expected the configuration of the run in {path}, "
                    f"received another one:\n  {listed}\n"
                    "Use the same flags or another --run_dir."
                )
        else:
            files.make_directory(path)
            files.write_json(files.join(path, "versions.json"), versions())
        write_config(path, config, trained_on)
        return cls(path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that it was trained on, in the order of the scores."""
        return tuple(self.trained_on.class_names)

    @functools.cached_property
    def weights(self) -> WeightsIdentity | None:
        """The weights of its scores; None where saved ones do not tell.

        Raises:
            ConfigError: if there is no such checkpoint, or no saved scores of
                it.
        """
        if self._use_saved_scores:
            saved = self._saved[1]
            if saved and self._checkpoint not in ("last", saved.checkpoint):
                raise ConfigError(
                    f"--checkpoint: Expected {saved.checkpoint}, whose scores "
                    f"{self.path} holds, received {self._checkpoint}. Evaluate "
                    "without --use_saved_scores."
                )
            return saved
        step = self.checkpoints.find(self._checkpoint, self._step)
        return WeightsIdentity(self._checkpoint, step)

    @functools.cached_property
    def model(self) -> keras.Model:
        """The trained network.

        Raises:
            ConfigError: if there is no such checkpoint, it cannot be read, or
                the saved scores do not say which one they come from.
        """
        if self.weights is None:
            raise ConfigError(
                f"Expected scores of known weights in {self.path}, received "
                f"some without {SCORES_FILE}. Evaluate without "
                "--use_saved_scores."
            )
        kind, step = dataclasses.astuple(self.weights)
        return self.checkpoints.load(kind, self.config.system, step)[0]

    def release(self) -> None:
        """Lets go of the network, which is loaded again when asked for."""
        self.__dict__.pop("model", None)

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
    def scored(self) -> dict[str, ScoreSet]:
        """Scores of both splits, by the network or from the directory."""
        if self._use_saved_scores:
            weights = self.weights or "unknown weights"
            print(f"Saved scores of {self.path}, {weights}.")
            return self._saved[0]
        return {split: of["scores"] for split, of in self._computed.items()}

    def modality_scores(self, split: str) -> dict[str, ScoreSet]:
        """Scores of all clips of `val` or `test` by modality.

        `audible` and `visible` are those of a modality alone, where the system
        gives them; `both` those of a system with both.
        """
        names = {"audio": "audible", "visual": "visible", "scores": "both"}
        if not systems.has_visual(self.config.system):
            names = {"scores": "audible"}
        elif not systems.has_audio(self.config.system):
            names = {"scores": "visible"}
        found = self._computed[split]
        return {names[n]: found[n] for n in names if n in found}

    @property
    def identity(self) -> RunIdentity:
        """Runs with the same settings differ in their seed only."""
        settings = self.config.choices()
        seed = settings.pop("seed")
        scored = dataclasses.asdict(self.weights) if self.weights else {}
        if scored.get("checkpoint") == "best" or settings["early_stopping"]:
            # It differs between seeds, others must not.
            scored.pop("step", None)
        described = [settings, dataclasses.asdict(self.trained_on), scored]
        return RunIdentity(
            self.config.system,
            self.name,
            seed,
            json.dumps(described, sort_keys=True),
            training_of(settings, self.weights),
            _shown_flags(settings, self.trained_on, scored),
        )

    @functools.cached_property
    def _computed(self) -> dict[str, dict[str, ScoreSet]]:
        """Scores of each split by the network: as of `scoring.Scorer`."""
        stores = self.stores
        print(f"Scoring {self.path} with its {self.weights}.")
        computed: dict[str, dict[str, ScoreSet]] = {}
        with Progress(sum(map(len, stores.values())), "clip") as progress:
            for split, store in stores.items():
                scorer = scoring.Scorer(
                    self.model, store, self.config.batch_size
                )
                computed[split] = scorer.score(progress.update)
        return computed

    @functools.cached_property
    def _saved(self) -> tuple[dict[str, ScoreSet], WeightsIdentity | None]:
        return read_scores(self.path)


def _shown_flags(
    choices: Mapping[str, Any],
    trained_on: TrainedOn,
    scored: Mapping[str, Any],
) -> dict[str, str]:
    """What decides the scores, as a reader sees it."""
    flags = {
        **choices,
        **trained_on.recipe,
        "fc_weights": os.path.basename(choices["fc_weights"]),
        "clips": f"sha256:{trained_on.clips_sha256}",
        **scored,
    }
    del flags["system"]
    if "step" in scored:  # Then it does not matter how many were planned.
        del flags["steps"]
    return {
        name: re.sub(r"^sha256:(.{8}).*", r"\1", str(value))
        for name, value in flags.items()
    }


def training_of(
    choices: Mapping[str, Any], weights: WeightsIdentity | None
) -> Training:
    """How the weights came about, from the choices of their `TrainConfig`."""
    fc_initializations = ()
    if systems.has_visual(choices["system"]):
        name = os.path.basename(choices["fc_weights"])
        fc_initializations = (name or "random",)
    if weights is None:
        return Training(fc_initializations=fc_initializations)
    rate = choices["learning_rate"]
    chosen = weights.checkpoint == "best" or choices.get("early_stopping")
    limit = choices["steps"] if chosen else weights.step
    return Training((weights.step * rate,), limit * rate, fc_initializations)


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
        found[package] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    found["git_revision"] = None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found["git_revision"] = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=os.path.dirname(os.path.abspath(__file__)),
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    return found
