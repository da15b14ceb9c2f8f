"""Which event a video shows, where it is seen and when it is heard.

    import avmil

    store = avmil.FeatureStore("features", split="train")
    clip = store[0]
    run = avmil.load_run("runs/a")
    result = run.localize("video.mp4")
    result.save("found/")

The rooms, in the direction of the data: `clips` (manifests and decoding),
`features`, `evaluation` (measures), `report` (tables and pages), `runs`
(training and scoring) and `localization` (any video and a run). A room
imports from `common` and from rooms before it.
"""

from __future__ import annotations

import importlib
from typing import Any

# Imported on first use: TensorFlow takes seconds.
_HOMES = {
    "AvmilError": "avmil.common.errors",
    "ClipFeatures": "avmil.features.clip_features",
    "FeatureStore": "avmil.features.store",
    "TrainedRun": "avmil.localization",
    "VideoLocalization": "avmil.localization",
    "join_features": "avmil.features.dataset",
    "load_run": "avmil.localization",
}

__all__ = [  # noqa: PLE0604  # The names are strings.
    *_HOMES
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
