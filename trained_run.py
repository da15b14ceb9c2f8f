"""A trained run, ready to localise classes in single clips."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dataset import files
from flags import ConfigError
from localisation_evaluation import (
    EVENT_THRESHOLDS_FILE,
    normalises_segments,
)
from report import thresholds as thresholds_lib
from report.clip_localisation import ClipLocalisation, scaled
from report.events import Event, detect_events
from report.localisation_audio import normalised
from run_directory import RunDirectory

# Without thresholds of its own an event is what scores in the upper half.
_SCALED_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run knows.

    Attributes:
        system: The trained system.
        system_name: Its name in `model.systems`.
        class_names: C classes.
        recipe: Recipe of the features that it was trained on.
        thresholds: Of each class; None where evaluate.py did not run.
        event_thresholds: Of each class, for segments; None where they were
            not tuned.
    """

    system: keras.Model
    system_name: str
    class_names: tuple[str, ...]
    recipe: Mapping[str, Any]
    thresholds: Mapping[str, float] | None
    event_thresholds: Mapping[str, float] | None

    def predicted(self, clip: ClipLocalisation) -> tuple[str, ...]:
        """Classes above their threshold, the best score first."""
        if self.thresholds is None:
            return ()
        passed = thresholds_lib.apply(
            clip.scores[np.newaxis], self._in_order(self.thresholds)
        )[0]
        order = np.argsort(-clip.scores, kind="stable")
        return tuple(self.class_names[i] for i in order if passed[i])

    def events(self, clip: ClipLocalisation) -> list[Event]:
        """When the classes are heard in a clip.

        With thresholds of their own, segment scores are compared as these
        were tuned. Without, an event of a predicted class is where its scaled
        scores are at least 0.5.
        """
        if self.event_thresholds is not None:
            limits = self._in_order(self.event_thresholds)
            if normalises_segments(self.system):
                clip = normalised(clip)
            return detect_events(clip, limits)
        columns = [scaled(column) for column in clip.segment_scores.T]
        passing = np.nextafter(_SCALED_THRESHOLD, 0)
        predicted = self.predicted(clip)
        limits = np.array(
            [passing if n in predicted else np.inf for n in self.class_names]
        )
        in_scale = np.stack(columns, axis=1)  # [T, C]
        return detect_events(
            dataclasses.replace(clip, segment_scores=in_scale), limits
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
            not of its classes.
    """
    directory = RunDirectory(run_dir)
    config, features = directory.read()
    loaded = directory.load(checkpoint, config.system)
    if loaded is None:
        raise ConfigError(
            f"Expected a checkpoint in {run_dir}, received none: train.py "
            "has not saved one yet."
        )
    system, _ = loaded
    class_names = tuple(features["class_names"])
    return TrainedRun(
        system=system,
        system_name=config.system,
        class_names=class_names,
        recipe=features["recipe"],
        thresholds=_thresholds(directory, "thresholds.json", class_names),
        event_thresholds=_thresholds(
            directory, EVENT_THRESHOLDS_FILE, class_names
        ),
    )


def _thresholds(
    directory: RunDirectory, name: str, class_names: tuple[str, ...]
) -> dict[str, float] | None:
    path = directory.file(name)
    if not files.exists(path):
        return None
    try:
        content = files.read_json(path)
        values = {key: float(content[key]) for key in class_names}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"Expected a threshold of each class in {path}, received a file "
            f"without: {error}. evaluate.py writes it."
        ) from error
    if not all(map(math.isfinite, values.values())):
        raise ConfigError(f"Expected finite thresholds in {path}.")
    return values
