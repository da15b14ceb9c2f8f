"""A trained run, ready to localize classes in single clips."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.evaluation import thresholds as thresholds_lib
from avmil.evaluation.clip_localization import ClipLocalization, scaled
from avmil.evaluation.events import Event, detect_events, normalized
from avmil.runs.fusion import open_run
from avmil.runs.localization_evaluation import (
    EVENT_THRESHOLDS_FILE,
    normalizes_segments,
)
from avmil.runs.run import SCORES_FILE, Run

# Without thresholds of its own an event is what scores in the upper half.
_SCALED_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run knows.

    Attributes:
        name: Name of the run's directory.
        system: The trained system.
        system_name: Its name in `model.systems`.
        class_names: C classes.
        recipe: Recipe of the features that it was trained on.
        thresholds: Of each class; None where evaluate.py did not run.
        event_thresholds: Of each class, for segments; None where they were
            not tuned for these weights.
        weights: Their `checkpoint` and `step`.
    """

    name: str
    system: keras.Model
    system_name: str
    class_names: tuple[str, ...]
    recipe: Mapping[str, Any]
    thresholds: Mapping[str, float] | None
    event_thresholds: Mapping[str, float] | None
    weights: Mapping[str, Any]

    def predicted(self, clip: ClipLocalization) -> tuple[str, ...]:
        """Classes above their threshold, the best score first."""
        if self.thresholds is None:
            return ()
        passed = thresholds_lib.apply(
            clip.scores[np.newaxis], self._in_order(self.thresholds)
        )[0]
        order = np.argsort(-clip.scores, kind="stable")
        return tuple(self.class_names[i] for i in order if passed[i])

    def events(self, clip: ClipLocalization) -> list[Event]:
        """When the predicted classes are heard in a clip."""
        if self.event_thresholds is None:
            limits = np.full(len(self.class_names), _SCALED_THRESHOLD)
            limits = np.nextafter(limits, 0)  # Met by the threshold itself.
        else:
            limits = self._in_order(self.event_thresholds)
        predicted = self.predicted(clip)
        wanted = [name in predicted for name in self.class_names]
        return detect_events(
            self.compared(clip), np.where(wanted, limits, np.inf)
        )

    def compared(self, clip: ClipLocalization) -> ClipLocalization:
        """Puts in the segment scores that events are found in.

        With thresholds of their own, segment scores are compared as these
        were tuned; without, as scaled in the heat maps.
        """
        if self.event_thresholds is not None:
            normalizes = normalizes_segments(self.system)
            return normalized(clip) if normalizes else clip
        columns = [scaled(column) for column in clip.segment_scores.T]
        return dataclasses.replace(
            clip, segment_scores=np.stack(columns, axis=1)
        )

    def _in_order(self, by_class: Mapping[str, float]) -> np.ndarray:
        return np.array([by_class[name] for name in self.class_names])


def load(run_dir: str, checkpoint: str = "last") -> TrainedRun:
    """Loads a run.

    Args:
        run_dir: Directory that train.py wrote.
        checkpoint: `last` or `best`.

    Raises:
        ConfigError: if it is no run, has no checkpoint, or its thresholds are
            not of its classes or of other weights.
    """
    run = open_run(run_dir, checkpoint)
    if not run.localizes:
        raise ConfigError(
            f"Expected a run, received the fusion {run_dir}, which has no "
            "weights: localize with one of its members (fusion.json)."
        )
    weights = dataclasses.asdict(run.weights)
    return TrainedRun(
        name=run.name,
        system=run.system,
        system_name=run.config.system,
        class_names=run.class_names,
        recipe=run.trained_on.recipe,
        thresholds=_thresholds(run, weights, run.class_names),
        event_thresholds=_event_thresholds(run, weights, run.class_names),
        weights=weights,
    )


def _thresholds(
    run: Run,
    weights: Mapping[str, Any],
    class_names: tuple[str, ...],
) -> dict[str, float] | None:
    """Those of evaluate.py, for these weights, or the user's own."""
    path = run.file("thresholds.json")
    if not files.exists(path):
        return None
    scored = run.file(SCORES_FILE)
    tuned_on = files.read_json(scored) if files.exists(scored) else weights
    if tuned_on != weights:
        raise ConfigError(
            f"Expected thresholds of the {_described(weights)} in {path}, "
            f"received those of the {_described(tuned_on)}. Run evaluate.py "
            f"--checkpoint={weights['checkpoint']} once more."
        )
    return _by_class(path, files.read_json(path), class_names)


def _event_thresholds(
    run: Run,
    weights: Mapping[str, Any],
    class_names: tuple[str, ...],
) -> dict[str, float] | None:
    """None too where they were tuned for other weights."""
    path = run.file(EVENT_THRESHOLDS_FILE)
    if not files.exists(path):
        return None
    content = files.read_json(path)
    try:
        tuned_on, values = content["weights"], content["thresholds"]
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"Expected weights and thresholds in {path}, received none: "
            f"{error}. evaluate.py writes it."
        ) from error
    if tuned_on != weights:
        return None
    return _by_class(path, values, class_names)


def _described(weights: Mapping[str, Any]) -> str:
    return "{checkpoint} weights, step {step}".format(**weights)


def _by_class(
    path: str, content: Any, class_names: tuple[str, ...]
) -> dict[str, float]:
    try:
        values = {name: float(content[name]) for name in class_names}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"Expected a threshold of each class in {path}, received a file "
            f"without: {error}. evaluate.py writes it."
        ) from error
    if not all(map(math.isfinite, values.values())):
        raise ConfigError(f"Expected finite thresholds in {path}.")
    return values
