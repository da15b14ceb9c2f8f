"""The fusion of several runs and checkpoints, row (f) of Table 1.

The members' probabilities are averaged: CVSSP's code does so over ten
checkpoints of one gated CRNN (`recognise`), and its fusion system joins
several.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import msgspec

from avmil.common import files
from avmil.common.errors import ConfigError, config_errors
from avmil.evaluation import scores
from avmil.evaluation.identity import RunIdentity, Training, WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.runs.checkpoints import Checkpoints
from avmil.runs.run import (
    CONFIG_FILE,
    FUSION_FILE,
    SPLITS,
    Run,
    ScoredRun,
    read_scores,
    run_directories,
    training_of,
    write_scores,
)
from model import systems

SYSTEM = "cvssp_fusion"


@dataclasses.dataclass
class _Member:
    """A member in `fusion.json`; checkpoint and step where they are known."""

    run: str
    system: str
    seed: int
    settings: str
    checkpoint: str = ""
    step: int | None = None


@dataclasses.dataclass
class _FusionContent:
    """Content of `fusion.json`."""

    system: str
    members: Annotated[list[_Member], msgspec.Meta(min_length=1)]


class _Choices(TypedDict):
    """What a member's settings say of its training."""

    system: str
    fc_weights: str
    learning_rate: float
    steps: int
    early_stopping: int


class Fusion(ScoredRun):
    """The mean of several runs, which `fuse` wrote: no network."""

    localizes = False
    weights = None  # There are several.

    def __init__(self, path: str) -> None:
        super().__init__(path)
        name = self.file(FUSION_FILE)
        content = files.read_json(name, _FusionContent)
        members = content.members
        seeds = sorted({member.seed for member in members})
        # Fusions with the same settings differ in their members' seeds.
        self.identity = RunIdentity(
            content.system,
            self.name,
            seeds[0] if len(seeds) == 1 else "+".join(map(str, seeds)),
            json.dumps(sorted(member.settings for member in members)),
            Training.joined(_training(member, name) for member in members),
            {"members": str(len(members))},
        )

    @functools.cached_property
    def scored(self) -> dict[str, ScoreSet]:
        """Mean probabilities of both splits, from the directory."""
        print(f"Scores of the fusion {self.path}.")
        return read_scores(self.path)[0]


def _training(member: _Member, name: str) -> Training:
    """How a member was trained, from its settings in `fusion.json`."""
    choices, *_ = files.parse_json(
        member.settings, tuple[_Choices, Any, Any], name
    )
    weights = None
    if member.step is not None:
        weights = WeightsIdentity(member.checkpoint, member.step)
    return training_of(choices, weights)


def open_run(path: str, *options: Any, **named: Any) -> Run | Fusion:
    """Opens a run, with the arguments of `Run`, or a fusion.

    Raises:
        ConfigError: if the directory is neither.
    """
    if files.exists(files.join(path, FUSION_FILE)):
        return Fusion(path)
    return Run(path, *options, **named)


def open_members(
    listed: str,
    checkpoint: str = "last",
    features_dir: str = "",
    use_saved_scores: bool = False,
) -> list[Run]:
    """Opens the runs that --fuse names; other arguments as for `Run`.

    That is `RUN`, `RUN@STEP` or `RUN@all`, joined by commas, where RUN may be
    a pattern.

    Raises:
        ConfigError: if a run has no kept checkpoints or its scores are no
            probabilities, or if the whole names fewer than two members.
    """
    members: list[Run] = []
    for item in filter(None, listed.split(",")):
        pattern, _, which = item.rpartition("@")
        if which != "all" and not which.isdecimal():
            pattern, which = item, ""
        if which and use_saved_scores:
            raise ConfigError(
                "Expected --fuse of runs as a whole with --use_saved_scores, "
                f"received {item}: kept checkpoints have no saved scores."
            )
        # A pattern may match fusions, the one that is made among them.
        for path in run_directories(pattern, [CONFIG_FILE]):
            steps = [int(which)] if which.isdecimal() else [None]
            if which == "all":
                steps = Checkpoints(path).steps("kept")
            if not steps:
                raise ConfigError(
                    f"Expected kept checkpoints in {path}, received none: "
                    "train.py keeps them with --keep_every."
                )
            kind = "kept" if which else checkpoint
            members += [
                Run(path, kind, features_dir, use_saved_scores, step)
                for step in steps
            ]
    members = list({str(member): member for member in members}.values())
    if len(members) < 2:
        raise ConfigError(
            "Expected two runs or checkpoints or more to fuse, received "
            f"{len(members)}: {listed}."
        )
    for member in members:
        if not systems.gives_probabilities(member.config.system):
            raise ConfigError(
                "Expected runs whose scores are probabilities, which can be "
                f"averaged, received {member.path} of {member.config.system}, "
                "whose scores are not."
            )
    return members


def fuse(members: Sequence[Run], output_dir: str) -> Fusion:
    """Averages the probabilities of runs into a directory of their fusion.

    Raises:
        ConfigError: if scores are no probabilities, if members are of other
            clips or classes, or if the directory is a run's.
    """
    if files.exists(files.join(output_dir, CONFIG_FILE)):
        raise ConfigError(
            "Expected an --output_dir of its own for the fusion, received "
            f"the run {output_dir}."
        )
    scored: dict[str, dict[str, ScoreSet]] = {split: {} for split in SPLITS}
    described = []
    for member in members:
        for split, score_set in member.scored.items():
            scored[split][str(member)] = score_set
        of = member.identity
        weights = dataclasses.astuple(member.weights) if member.weights else ()
        described.append(
            _Member(member.path, of.system, of.seed, of.settings, *weights)
        )
        member.release()
    with config_errors("--fuse"):
        fused = {split: scores.fuse(of) for split, of in scored.items()}
    files.make_directory(output_dir)
    write_scores(output_dir, fused)
    content = dataclasses.asdict(_FusionContent(SYSTEM, described))
    path = files.join(output_dir, FUSION_FILE)
    files.write_json(path, content, digest=True)
    return Fusion(output_dir)
