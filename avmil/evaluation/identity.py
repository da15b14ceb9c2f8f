"""What distinguishes a run, and its scored weights, from others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple


@dataclasses.dataclass(frozen=True)
class WeightsIdentity:
    """Kind of a checkpoint (`last`, `best` or `kept`) and its training step."""

    checkpoint: str
    step: int

    def __str__(self) -> str:
        return f"{self.checkpoint} weights, step {self.step}"


class Training(NamedTuple):
    """How far the weights of a run's scores were trained, and from where.

    Weight travel is training steps times learning rate, about the farthest that
    Adam moves a weight. Runs of other travel are at other points of training.
    """

    # Of the scored weights; of a fusion several, none if not known.
    weight_travels: tuple[float, ...] = ()
    # Of the last weights that could have been scored: those of the whole
    # training where validation chose the checkpoint.
    weight_travel_limit: float | None = None
    # "random" or weights' file; of a fusion several, none without fc6 and fc7.
    fc_initializations: tuple[str, ...] = ()

    @classmethod
    def joined(cls, trainings: Iterable[Training]) -> Training:
        """The training of several runs together; unknown if one is."""
        travels, limits, fcs = zip(*trainings, strict=True)
        fcs = tuple(sorted(set().union(*fcs)))
        if None in limits:
            return cls(fc_initializations=fcs)
        return cls(tuple(sorted(set().union(*travels))), max(limits), fcs)

    @property
    def weight_travel(self) -> str:
        """Written "0.25", or "0.1 to 0.2" for several weights."""
        if not self.weight_travels:
            return "unknown"
        limit = f"{self.weight_travel_limit:.3g}"
        ends = self.weight_travels[:: len(self.weight_travels) - 1 or 1]
        ends = dict.fromkeys(f"{travel:.3g}" for travel in ends)
        text = " to ".join(ends)
        if limit not in ends:
            text += f" (best on validation up to {limit})"
        return text


@dataclasses.dataclass(frozen=True)
class RunIdentity:
    """Where a result comes from.

    Runs with the same system and settings differ in their seed only.
    """

    system: str  # In `model.systems`, or `cvssp_fusion`.
    run_name: str  # What tells this run from others of the system.
    seed: int | str | None = None  # Of a fusion joined by "+"; None: unknown.
    settings: str = ""  # Everything else that decides the scores, as JSON.
    training: Training = dataclasses.field(default=Training(), compare=False)
    # The settings as a reader sees them: flag or parameter -> its value.
    flags: Mapping[str, str] = dataclasses.field(
        default_factory=dict, compare=False
    )
