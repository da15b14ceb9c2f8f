"""What tells a run, and the weights that were scored, from others."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class WeightsIdentity:
    """Kind of a checkpoint (`last`, `best` or `kept`) and its training step."""

    checkpoint: str
    step: int

    def __str__(self) -> str:
        return f"{self.checkpoint} weights, step {self.step}"


@dataclasses.dataclass(frozen=True)
class RunIdentity:
    """Where a result comes from.

    Attributes:
        system: Name of the system in `model.systems`, or `cvssp_fusion`.
        run_name: What tells this run from others of the system.
        seed: Its seed; those of a fusion joined by "+"; None if not known.
        settings: Everything else that decides the scores, as JSON: runs with
            the same system and settings differ in their seed only.
    """

    system: str
    run_name: str
    seed: int | str | None = None
    settings: str = ""
