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

    Runs with the same system and settings differ in their seed only.
    """

    system: str  # In `model.systems`, or `cvssp_fusion`.
    run_name: str  # What tells this run from others of the system.
    seed: int | str | None = None  # Of a fusion joined by "+"; None: unknown.
    settings: str = ""  # Everything else that decides the scores, as JSON.
