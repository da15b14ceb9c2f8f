"""A trained run, ready to localize classes in any video."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, ConfigError
from avmil.evaluation.clip_localization import ClipLocalization, heat
from avmil.evaluation.events import detect_events, score_cells
from avmil.evaluation.identity import WeightsIdentity
from avmil.features.extractor import ClipExtractor, stage
from avmil.localization import videos
from avmil.localization.recipe import WeightsFiles, with_weights
from avmil.localization.video_localization import (
    Event,
    Pictures,
    VideoLocalization,
)
from avmil.runs import scoring
from avmil.runs.fusion import open_run
from avmil.runs.localization_evaluation import (
    EVENT_THRESHOLDS_FILE,
)
from avmil.runs.run import SCORES_FILE, Run
from flags import RecipeConfig

# Without thresholds of its own an event is what scores in the upper half.
_SCALED_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run knows.

    Attributes:
        name: Name of the run's directory.
        system: Name of its system in `model.systems`.
        class_names: C classes.
        recipe: Recipe of the features that it was trained on.
        thresholds: Of each class; None where evaluate.py did not run.
        event_thresholds: Of each class, for segments; None where they were
            not tuned for these weights.
        weights: Its weights.
        model: The trained system.
        weights_files: Where the weights of the base networks are.
    """

    name: str
    system: str
    class_names: tuple[str, ...]
    recipe: Mapping[str, Any]
    thresholds: Mapping[str, float] | None
    event_thresholds: Mapping[str, float] | None
    weights: WeightsIdentity
    model: keras.Model
    weights_files: WeightsFiles

    def localize(
        self,
        video: str | os.PathLike[str] | ManifestEntry,
        start_s: float = 0.0,
        end_s: float | None = None,
        heat_scale: str = "robust",
    ) -> VideoLocalization:
        """Localizes the classes in a video.

        A video is one bag, as a clip in training. The weights of the run's
        base networks are looked up the first time.

        Args:
            video: A media file, local or remote; or a clip, whose name and
                section then count.
            start_s: Start of the section to take.
            end_s: End of it; None for the end of the video.
            heat_scale: Scale of heat maps and boxes' scores, `robust` or
                `paper` (`clip_localization.heat_limits`).

        Raises:
            ClipError: if the video cannot be used, with the stage that failed
                and the reason.
            ConfigError: if a weights file of the run is missing or another
                one, or the section ends before it starts.
        """
        if not isinstance(video, ManifestEntry):
            video = videos.entry(os.fspath(video), start_s, end_s)
        pictures = Pictures()
        with videos.local_entry(video) as local:
            features = self.extractor(
                local, pictures.add, scoring.region_streams(self.model)
            )
        with stage("localize"):
            clip = dataclasses.replace(
                scoring.localize_streams(
                    self.model, features, self.class_names
                ),
                heat_scale=heat_scale,
            )
            if not np.isfinite(clip.scores).all():
                raise ClipError("localize", "scores are not finite")
        return VideoLocalization(
            video=video,
            run=self,
            clip=clip,
            predicted=self.predicted(clip),
            events=self.events(clip),
            frames_rgb=pictures if len(clip.frame_times_s) else (),
        )

    @functools.cached_property
    def extraction(self) -> RecipeConfig:
        """How features are extracted; errors as of `with_weights`."""
        return with_weights(self.recipe, self.model.input, self.weights_files)

    @functools.cached_property
    def extractor(self) -> ClipExtractor:
        """The base networks.

        Raises:
            ConfigError: if a file is missing, another one, or does not fit.
        """
        return ClipExtractor(self.extraction)

    def predicted(self, clip: ClipLocalization) -> tuple[str, ...]:
        """Classes above their threshold, the best score first."""
        if self.thresholds is None:
            return ()
        passed = clip.scores > self._in_order(self.thresholds)
        by_name = dict(zip(self.class_names, passed, strict=True))
        return tuple(name for name in clip.ranked_classes if by_name[name])

    def events(self, clip: ClipLocalization) -> dict[str, list[Event]]:
        """When each of the predicted classes is heard; other lists are empty.

        The score of an event is the highest in it, overlapping segments being
        averaged, of the scores that thresholds are compared with.
        """
        limits = np.nextafter(_SCALED_THRESHOLD, 0)  # Itself, it is enough.
        if self.event_thresholds is not None:
            limits = self._in_order(self.event_thresholds)
        compared = self.compared(clip)
        predicted = self.predicted(clip)
        wanted = [name in predicted for name in self.class_names]
        cells_s, scores = score_cells(compared)  # [K, 2], [K, C]
        found: dict[str, list[Event]] = {name: [] for name in self.class_names}
        for _, name, onset_s, offset_s in detect_events(
            compared, np.where(wanted, limits, np.inf)
        ):
            inside = (cells_s[:, 0] < offset_s) & (cells_s[:, 1] > onset_s)
            best = scores[inside, self.class_names.index(name)].max()
            found[name].append(Event(onset_s, offset_s, float(best)))
        return found

    def compared(self, clip: ClipLocalization) -> ClipLocalization:
        """Puts in the segment scores that events are found in.

        With thresholds of their own, these are the segments' own scores;
        without, those of the heat maps.
        """
        if self.event_thresholds is not None:
            return clip
        columns = [
            heat(column, clip.heat_scale) for column in clip.segment_scores.T
        ]
        return dataclasses.replace(clip, segment_scores=np.transpose(columns))

    def _in_order(self, by_class: Mapping[str, float]) -> np.ndarray:
        return np.array([by_class[name] for name in self.class_names])


def load_run(
    run_dir: str | os.PathLike[str],
    checkpoint: str = "last",
    weights_dir: str = "weights",
    edge_forest: str = "",
    region_weights: str = "",
    audio_weights: str = "",
) -> TrainedRun:
    """Loads a run, ready to localize in videos.

    Args:
        run_dir: Directory that train.py wrote, local or remote.
        checkpoint: `last` or `best`.
        weights_dir: Local folder in which the weights of the run's base
            networks are looked for, by their SHA-256, unless they are named.
        edge_forest: The structured edge forest of the run.
        region_weights: Weights of its base visual network.
        audio_weights: Weights of its base audio network.

    Raises:
        ConfigError: if it is no run, has no checkpoint, or its thresholds are
            not of its classes or of other weights.
    """
    run = open_run(os.fspath(run_dir), checkpoint)
    if not run.localizes:
        raise ConfigError(
            f"Expected a run, received the fusion {run_dir}, which has no "
            "weights: localize with one of its members (fusion.json)."
        )
    kind, step = dataclasses.astuple(run.weights)
    system = run.config.system
    model, _ = run.checkpoints.load(kind, system, step, optimizer=False)
    return TrainedRun(
        name=run.name,
        system=system,
        class_names=run.class_names,
        recipe=run.trained_on.recipe,
        thresholds=_thresholds(run),
        event_thresholds=_event_thresholds(run),
        weights=run.weights,
        model=model,
        weights_files=WeightsFiles(
            weights_dir, edge_forest, region_weights, audio_weights
        ),
    )


def _thresholds(run: Run) -> dict[str, float] | None:
    """Those of evaluate.py, for these weights, or the user's own."""
    path, scored = run.file("thresholds.json"), run.file(SCORES_FILE)
    if not files.exists(path):
        return None
    if files.exists(scored):
        tuned_on = WeightsIdentity(**files.read_json(scored))
        if tuned_on != run.weights:
            raise ConfigError(
                f"Expected thresholds of the {run.weights} in {path}, received "
                f"those of the {tuned_on}. Run evaluate.py "
                f"--checkpoint={run.weights.checkpoint} once more."
            )
    return _by_class(path, files.read_json(path), run.class_names)


def _event_thresholds(run: Run) -> dict[str, float] | None:
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
    if tuned_on != dataclasses.asdict(run.weights):
        return None
    return _by_class(path, values, run.class_names)


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
