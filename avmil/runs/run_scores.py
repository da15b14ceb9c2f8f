"""The scores of a run on validation and test: made, written and read.

A fusion of runs is a directory with scores and the list of what was fused
(`run_fusion.py`), and no weights of its own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import keras

from avmil.common import files
from avmil.common.errors import ConfigError, FeaturesError
from avmil.common.progress import Progress
from avmil.evaluation.scores import ScoreSet
from avmil.features.store import FeatureStore
from avmil.runs import scoring
from avmil.runs.run_directory import RunDirectory
from flags import BOOKKEEPING

SPLITS = ("val", "test")
FUSION_FILE = "fusion.json"
WEIGHTS_FILE = "scores.json"
CONFIG_FILE = "config.json"
_RUN_FILES = (CONFIG_FILE, FUSION_FILE)
_WILDCARDS = "*?["


def directories(
    listed: str, with_files: Sequence[str] = _RUN_FILES
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
        if set(name) & set(_WILDCARDS) and not files.exists(name):
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


def is_fusion(path: str) -> bool:
    """Says whether a directory is a fusion of runs."""
    return files.exists(files.join(path, FUSION_FILE))


@dataclasses.dataclass(frozen=True, eq=False)
class RunScores:
    """What a run says of the clips of both splits.

    Attributes:
        val: Of validation.
        test: Of test.
        weights: The checkpoint and step that they come from; empty where it
            is not known or where there are no weights.
    """

    val: ScoreSet
    test: ScoreSet
    weights: dict[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, path: str) -> None:
        """Writes `scores-*.npz` and `scores.json` into a directory."""
        for split in SPLITS:
            content = getattr(self, split).to_bytes()
            files.write_bytes(_path(path, split), content)
        if self.weights:
            files.write_json(files.join(path, WEIGHTS_FILE), self.weights)

    @classmethod
    def read(cls, path: str) -> RunScores:
        """Reads what `write` wrote.

        Raises:
            ConfigError: if a file is damaged.
            FileNotFoundError: if there are no scores.
        """
        weights_path = files.join(path, WEIGHTS_FILE)
        try:
            val, test = (
                ScoreSet.from_bytes(files.read_bytes(name), name)
                for name in (_path(path, split) for split in SPLITS)
            )
            known = files.exists(weights_path)
            return cls(
                val, test, files.read_json(weights_path) if known else {}
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run's system and the features it is evaluated on.

    Attributes:
        system: The trained system.
        val: Features of validation.
        test: Features of test.
        batch_size: Clips at a time, as in training.
        weights: The checkpoint and step of the system's weights.
    """

    system: keras.Model
    val: FeatureStore
    test: FeatureStore
    batch_size: int
    weights: dict[str, Any]


def load(
    directory: RunDirectory,
    checkpoint: str,
    features_dir: str = "",
    step: int | None = None,
) -> LoadedRun:
    """Loads a checkpoint of a run and opens its features.

    Args:
        directory: The run.
        checkpoint: Its kind: `last`, `best` or `kept`.
        features_dir: Features to score; by default those of the training.
        step: The checkpoint's step; by default the newest of the kind.

    Raises:
        ConfigError: if there is no such checkpoint.
        FeaturesError: if the features are not what the run was trained on.
    """
    train_config, trained_on = directory.read()
    features_dir = features_dir or train_config.features_dir
    val, test = (scoring.open_split(features_dir, split) for split in SPLITS)
    _check_features(features_dir, val.info, trained_on)
    loaded = directory.load(checkpoint, train_config.system, step)
    if loaded is None:
        of_step = "" if step is None else f" of step {step}"
        raise ConfigError(
            f"Expected a {checkpoint} checkpoint{of_step} in "
            f"{directory.path}, received none: train.py has not saved one."
        )
    system, state = loaded
    weights = {"checkpoint": checkpoint, "step": state.step}
    return LoadedRun(system, val, test, train_config.batch_size, weights)


def identity(path: str, weights: dict[str, Any]) -> dict[str, Any]:
    """Names a run for the tables.

    Args:
        path: Its directory.
        weights: The checkpoint and step of its scores.

    Returns:
        `system`, `seed`, and as `settings` all else that decides the scores:
        runs with the same settings differ in their seed only.
    """
    train_config, trained_on = RunDirectory(path).read()
    settings = {
        name: value
        for name, value in dataclasses.asdict(train_config).items()
        if name != "seed" and name not in BOOKKEEPING
    }
    # The best step differs between seeds, others must not.
    scored = {
        name: value
        for name, value in weights.items()
        if name != "step" or weights["checkpoint"] != "best"
    }
    return {
        "system": train_config.system,
        "seed": train_config.seed,
        "settings": json.dumps([settings, trained_on, scored], sort_keys=True),
    }


def score(
    directory: RunDirectory,
    checkpoint: str,
    features_dir: str = "",
    step: int | None = None,
) -> RunScores:
    """Scores both splits with a checkpoint of a run.

    Arguments and errors as of `load`.
    """
    run = load(directory, checkpoint, features_dir, step)
    print(
        f"Scoring {directory.path} with its {checkpoint} weights, step "
        f"{run.weights['step']}."
    )
    with Progress(len(run.val) + len(run.test), "clip") as progress:
        val, test = (
            scoring.score(run.system, store, run.batch_size, progress.update)
            for store in (run.val, run.test)
        )
    return RunScores(val, test, run.weights)


def _path(directory: str, split: str) -> str:
    return files.join(directory, f"scores-{split}.npz")


def _check_features(
    features_dir: str, info: dict[str, Any], trained_on: dict[str, Any]
) -> None:
    there = {**info["recipe"], "classes": info["class_names"]}
    trained = {**trained_on["recipe"], "classes": trained_on["class_names"]}
    differing = [
        f"{name}: trained on {value!r}, received {there.get(name)!r}"
        for name, value in trained.items()
        if there.get(name) != value
    ]
    if differing:
        listed = "\n  ".join(differing)
        raise FeaturesError(
            "Expected the features that the run was trained on, received "
            f"others in {features_dir}:\n  {listed}"
        )
