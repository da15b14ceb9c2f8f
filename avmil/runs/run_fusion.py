"""The fusion of several runs and checkpoints, row (f) of Table 1.

The members' probabilities are averaged: CVSSP's code does so over ten
checkpoints of one gated CRNN (`recognise`), and its fusion system joins
several.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.evaluation import scores
from avmil.runs import run_scores
from avmil.runs.run_directory import RunDirectory
from model import systems

SYSTEM = "cvssp_fusion"
_KEPT = "kept"


@dataclasses.dataclass(frozen=True)
class Member:
    """Weights that take part in a fusion.

    Attributes:
        run: The run directory.
        checkpoint: Kind of the checkpoint: `last`, `best` or `kept`.
        step: Its step; None for the newest.
    """

    run: str
    checkpoint: str
    step: int | None = None

    def __str__(self) -> str:
        return self.run if self.step is None else f"{self.run}@{self.step}"


def members(listed: str, checkpoint: str) -> list[Member]:
    """Reads what --fuse names.

    Args:
        listed: Runs, joined by commas: `RUN`, `RUN@STEP` or `RUN@all`, where
            RUN may be a pattern.
        checkpoint: Kind of the checkpoint of a plain `RUN`.

    Raises:
        ConfigError: if a run has no kept checkpoints, or if the whole names
            fewer than two members.
    """
    found = [
        member
        for item in filter(None, listed.split(","))
        for member in _expanded(item, checkpoint)
    ]
    found = list(dict.fromkeys(found))
    if len(found) < 2:
        raise ConfigError(
            "Expected two runs or checkpoints or more to fuse, received "
            f"{len(found)}: {listed}."
        )
    return found


def fuse(
    found: Sequence[Member],
    output_dir: str,
    features_dir: str = "",
    use_saved_scores: bool = False,
) -> None:
    """Averages the probabilities of the members and writes them.

    Args:
        found: As `members` returns them.
        output_dir: Gets `scores-{split}.npz` and `fusion.json`.
        features_dir: Features to score; by default those of each training.
        use_saved_scores: Takes the scores that lie in the runs.

    Raises:
        ConfigError: if a member's scores are no probabilities, if members are
            of other clips or classes, or if the directory is a run's.
    """
    if files.exists(files.join(output_dir, run_scores.CONFIG_FILE)):
        raise ConfigError(
            "Expected an --output_dir of its own for the fusion, received "
            f"the run {output_dir}."
        )
    for member in found:  # All, before the first one is scored.
        _check(member, use_saved_scores)
    scored = {
        member: _scores(member, features_dir, use_saved_scores)
        for member in found
    }
    try:
        val, test = (
            scores.fuse({str(m): getattr(s, split) for m, s in scored.items()})
            for split in run_scores.SPLITS
        )
    except ValueError as error:
        raise ConfigError(f"--fuse: {error}") from error
    files.make_directory(output_dir)
    run_scores.RunScores(val, test).write(output_dir)
    described = [_description(m, s.weights) for m, s in scored.items()]
    content = {"system": SYSTEM, "members": described}
    files.write_json(files.join(output_dir, run_scores.FUSION_FILE), content)


def _scores(
    member: Member, features_dir: str, use_saved_scores: bool
) -> run_scores.RunScores:
    if use_saved_scores:
        return run_scores.RunScores.read(member.run)
    return run_scores.score(
        RunDirectory(member.run), member.checkpoint, features_dir, member.step
    )


def identity(path: str) -> dict[str, Any]:
    """Names a fusion for the tables.

    Fusions whose members have the same settings differ in their seeds only.

    Args:
        path: The fusion's directory.

    Returns:
        `system`; `seed`, several joined by "+"; `settings`.

    Raises:
        ConfigError: if its list of members is damaged.
    """
    name = files.join(path, run_scores.FUSION_FILE)
    try:
        content = files.read_json(name)
        seeds = sorted({member["seed"] for member in content["members"]})
        settings = sorted(member["settings"] for member in content["members"])
        system = content["system"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"Expected a fusion that evaluate.py wrote, received {name}: "
            f"{error!r}."
        ) from error
    return {
        "system": system,
        "seed": seeds[0] if len(seeds) == 1 else "+".join(map(str, seeds)),
        "settings": json.dumps(settings),
    }


def _expanded(item: str, checkpoint: str) -> Iterator[Member]:
    """Yields the members that one item names."""
    pattern, _, which = item.rpartition("@")
    if which != "all" and not which.isdecimal():
        pattern, which = item, ""
    # A pattern may match fusions, the one that is made among them.
    for run in run_scores.directories(pattern, [run_scores.CONFIG_FILE]):
        if which == "all":
            for step in _kept_steps(run):
                yield Member(run, _KEPT, step)
        elif which:
            yield Member(run, _KEPT, int(which))
        else:
            yield Member(run, checkpoint)


def _kept_steps(run: str) -> list[int]:
    steps = RunDirectory(run).kept_steps()
    if not steps:
        raise ConfigError(
            f"Expected kept checkpoints in {run}, received none: train.py "
            "keeps them with --keep_every."
        )
    return steps


def _check(member: Member, use_saved_scores: bool) -> None:
    train_config, _ = RunDirectory(member.run).read()
    if not systems.gives_probabilities(train_config.system):
        raise ConfigError(
            "Expected runs whose scores are probabilities, which can be "
            f"averaged, received {member.run} of {train_config.system}, whose "
            "scores are not."
        )
    if use_saved_scores and member.checkpoint == _KEPT:
        raise ConfigError(
            "Expected --fuse of runs as a whole with --use_saved_scores, "
            f"received {member}: kept checkpoints have no saved scores."
        )


def _description(member: Member, weights: dict[str, Any]) -> dict[str, Any]:
    """What fusion.json keeps of a member."""
    return {
        "run": member.run,
        **run_scores.identity(member.run, weights),
        **weights,
    }
