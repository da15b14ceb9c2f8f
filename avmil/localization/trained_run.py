"""A trained run, ready to localize classes in any video."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from typing import Any, TypedDict

import keras
import numpy as np

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, ConfigError
from avmil.evaluation.clip_localization import (
    ClassLocalization,
    ClipLocalization,
    detect_events,
    score_cells,
)
from avmil.evaluation.identity import WeightsIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.features.extractor import ClipExtractor, stage
from avmil.localization import packed_run, videos
from avmil.localization.recipe import WeightsFiles, with_weights
from avmil.localization.video_localization import (
    Box,
    Confidence,
    Event,
    Pictures,
    VideoLocalization,
)
from avmil.runs import scoring
from avmil.runs.fusion import Fusion, open_run
from avmil.runs.localization_evaluation import (
    EVENT_THRESHOLDS_FILE,
    EventThresholds,
)
from avmil.runs.run import SCORES_FILE, Run, read_scores
from flags import RecipeConfig
from model import systems

# Validation clips that a confidence counts.
_NUM_CLOSEST = 10
# Share of the validation clips with a right prediction below which videos are
# foreign.
_FOREIGN_SHARE = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """A trained run: its network, thresholds, and the files that it needs.

    Attributes:
        name: Name of the run's directory.
        system: Name of its system in `model.systems`.
        class_names: C classes.
        recipe: Recipe of the features that it was trained on.
        weights: Which of its weights were loaded.
        model: The trained system.
        weights_files: Where the weights of the base networks are.
        thresholds: Of each class; None where evaluate.py did not run.
        event_thresholds, box_thresholds: Of each class, for segments and for
            regions; None where they were not tuned for these weights, and of
            a modality that the system lacks.
        num_segments, num_regions: Proposals of a clip for which these
            thresholds hold; they fall as it grows. None: for any number.
        thresholds_from: What those of events were tuned on, `labels` or
            `truth`; empty where they were not.
        validation: Scores of the validation clips; None without evaluate.py.
        test_f1: Micro-averaged; None without evaluate.py.
        is_at_chance: Whether evaluate.py found it no better than chance.
    """

    name: str
    system: str
    class_names: tuple[str, ...]
    recipe: Mapping[str, Any]
    weights: WeightsIdentity
    model: keras.Model
    weights_files: WeightsFiles
    thresholds: Mapping[str, float] | None = None
    event_thresholds: Mapping[str, float] | None = None
    box_thresholds: Mapping[str, float] | None = None
    num_segments: float | None = None
    num_regions: float | None = None
    thresholds_from: str = ""
    validation: ScoreSet | None = None
    test_f1: float | None = None
    is_at_chance: bool = False

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
            averages = systems.gives_probabilities(self.system)
            if self.lacks_modality(clip) and not averages:
                # The other one is taken to agree.
                clip = dataclasses.replace(clip, scores=2 * clip.scores)
        return VideoLocalization(
            video=video,
            run=self,
            clip=clip,
            predicted=self.predicted(clip),
            is_foreign=self.is_foreign(clip),
            confidences=self.confidences(clip),
            events=self.events(clip),
            boxes=self.boxes(clip),
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
        return ClipExtractor(self.extraction, needs_both=False)

    def is_foreign(self, clip: ClipLocalization) -> bool:
        """Whether all scores lie below what validation showed.

        That is, if their largest margin over the thresholds is one that 95 in
        100 validation clips with a right prediction exceed. Never of a clip
        that lacks a modality.
        """
        if self.lacks_modality(clip):
            return False
        margin = self._margins(clip.scores).max(initial=-np.inf)
        return bool(margin < self._least_margin)

    def lacks_modality(self, clip: ClipLocalization) -> bool:
        """Whether an audio-visual system scored pictures or sound alone."""
        is_whole = len(clip.segment_scores) and len(clip.region_scores)
        has_both = systems.has_audio(self.system) and systems.has_visual(
            self.system
        )
        return has_both and not is_whole

    def predicted(self, clip: ClipLocalization) -> tuple[str, ...]:
        """Classes above their threshold, the best score first.

        None of a foreign video.
        """
        if self.thresholds is None or self.is_foreign(clip):
            return ()
        margins = self._margins(clip.scores)
        by_name = dict(zip(self.class_names, margins > 0, strict=True))
        return tuple(name for name in clip.ranked_classes if by_name[name])

    def confidences(self, clip: ClipLocalization) -> dict[str, Confidence]:
        """How often such scores of a class were right on validation.

        Counts the clips whose score lies on the same side of the threshold,
        the closest ones. Empty where evaluate.py did not run, and of a clip
        that lacks a modality.
        """
        known = self.thresholds is not None and self.validation is not None
        if not known or self.lacks_modality(clip):
            return {}
        margins = self._margins(self.validation.scores)  # [N, C]
        passes = self._margins(clip.scores) > 0  # [C]
        found: dict[str, Confidence] = {}
        for column, name in enumerate(self.class_names):
            scores = self.validation.scores[:, column]
            such = np.isfinite(scores) & (
                (margins[:, column] > 0) == passes[column]
            )
            distances = np.abs(scores[such] - clip.scores[column])
            closest = np.argsort(distances, kind="stable")[:_NUM_CLOSEST]
            right = self.validation.labels[such, column][closest]
            if len(right):
                found[name] = Confidence(int(right.sum()), len(right))
        return found

    def events(self, clip: ClipLocalization) -> dict[str, list[Event]]:
        """When each predicted class is heard; the lists of others are empty.

        The score of an event is the highest in it, overlapping segments being
        averaged.
        """
        found: dict[str, list[Event]] = {name: [] for name in self.class_names}
        if self.event_thresholds is None or not len(clip.segment_scores):
            return found
        predicted = self.predicted(clip)
        limits = np.array(
            [
                self.event_thresholds[name] if name in predicted else np.inf
                for name in self.class_names
            ]
        )
        if self.num_segments:
            limits *= self.num_segments / len(clip.segment_scores)
        cells_s, scores = score_cells(clip)  # [K, 2], [K, C]
        for _, name, onset_s, offset_s in detect_events(clip, limits):
            inside = (cells_s[:, 0] < offset_s) & (cells_s[:, 1] > onset_s)
            best = scores[inside, self.class_names.index(name)].max()
            found[name].append(Event(onset_s, offset_s, float(best)))
        return found

    def boxes(self, clip: ClipLocalization) -> dict[str, list[Box]]:
        """Where each predicted class is seen; the lists of others are empty."""
        found: dict[str, list[Box]] = {name: [] for name in self.class_names}
        if self.box_thresholds is None or not len(clip.region_scores):
            return found
        for name in self.predicted(clip):
            limit = self.box_thresholds[name]
            if self.num_regions:
                limit *= self.num_regions / len(clip.region_scores)
            scores = clip.region_scores[:, self.class_names.index(name)]
            relative = ClassLocalization(clip, name).regions
            for region in np.flatnonzero(scores > limit):
                corners = clip.boxes[region].tolist()
                time_s = float(clip.region_times_s[region])
                score = float(relative[region])
                found[name].append(Box(time_s, *corners, score))
        return found

    def _margins(self, scores: np.ndarray) -> np.ndarray:
        """Scores [..., C] minus the thresholds; none without thresholds."""
        if self.thresholds is None:
            return np.zeros(0)
        return scores - [self.thresholds[name] for name in self.class_names]

    @functools.cached_property
    def _least_margin(self) -> float:
        if self.thresholds is None or self.validation is None:
            return -math.inf
        margins = self._margins(self.validation.scores)  # [N, C]
        is_right = ((margins > 0) & (self.validation.labels > 0)).any(axis=1)
        if not is_right.any():
            return -math.inf
        return float(np.quantile(margins[is_right].max(axis=1), _FOREIGN_SHARE))


class _Micro(TypedDict, total=False):
    f1: float | None


class _Metrics(TypedDict, total=False):
    """The entries of `metrics.json` that are read."""

    micro: _Micro
    is_at_chance: bool


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
        run_dir: Directory that train.py wrote, or what export_model.py packed
            of it; local or remote.
        checkpoint: `last` or `best`.
        weights_dir: Where the weights of the run's base networks are looked
            for, as in `WeightsFiles`, unless the following name them.
        edge_forest: The structured edge forest of the run.
        region_weights: Weights of its base visual network.
        audio_weights: Weights of its base audio network.

    Raises:
        ConfigError: if it is no run, has no checkpoint, or its thresholds are
            not of its classes or of other weights.
    """
    # TensorFlow's pool would keep what loading takes: 0.5 GB at the paper's
    # sizes. It is read at the first operation; a few frames at a time are as
    # fast without it.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    with packed_run.opened(os.fspath(run_dir)) as directory:
        return _load(
            open_run(directory, checkpoint),
            WeightsFiles(
                weights_dir, edge_forest, region_weights, audio_weights
            ),
        )


def _load(run: Run | Fusion, weights_files: WeightsFiles) -> TrainedRun:
    if not run.localizes:
        raise ConfigError(
            f"Expected a run, received the fusion {run.path}, which has no "
            "weights: localize with one of its members (fusion.json)."
        )
    kind, step = dataclasses.astuple(run.weights)
    system = run.config.system
    model, _ = run.checkpoints.load(kind, system, step, optimizer=False)
    metrics_path = run.file("metrics.json")
    has_metrics = files.exists(metrics_path)
    measured = files.read_json(metrics_path, _Metrics) if has_metrics else {}
    return TrainedRun(
        name=run.name,
        system=system,
        class_names=run.class_names,
        recipe=run.trained_on.recipe,
        weights=run.weights,
        model=model,
        weights_files=weights_files,
        thresholds=_thresholds(run),
        validation=_validation(run),
        test_f1=measured.get("micro", {}).get("f1"),
        is_at_chance=measured.get("is_at_chance", False),
        **_thresholds_within(run),
    )


def _thresholds(run: Run) -> dict[str, float] | None:
    """The thresholds of evaluate.py for these weights, or the user's own."""
    path, scored = run.file("thresholds.json"), run.file(SCORES_FILE)
    if not files.exists(path):
        return None
    if files.exists(scored):
        tuned_on = files.read_json(scored, WeightsIdentity)
        if tuned_on != run.weights:
            raise ConfigError(
                f"Expected thresholds of the {run.weights} in {path}, received "
                f"those of the {tuned_on}. Run evaluate.py "
                f"--checkpoint={run.weights.checkpoint} once more."
            )
    tuned = files.read_json(path, dict[str, float], "evaluate.py writes it.")
    return _by_class(path, tuned, run)


def _thresholds_within(run: Run) -> dict[str, Any]:
    """The thresholds of events and boxes, if they are of these weights.

    None of a file that an older version wrote.
    """
    path = run.file(EVENT_THRESHOLDS_FILE)
    content: EventThresholds = {}
    if files.exists(path):
        advice = "evaluate.py writes it."
        content = files.read_json(path, EventThresholds, advice)
    is_of_run = content.get("weights") == dataclasses.asdict(run.weights)
    if not (is_of_run and "from" in content):
        return {}
    by_class = {
        name: content.get(name) and _by_class(path, content[name], run)
        for name in ("thresholds", "box_thresholds")
    }
    return {
        "event_thresholds": by_class["thresholds"],
        "box_thresholds": by_class["box_thresholds"],
        "num_segments": content.get("num_segments"),
        "num_regions": content.get("num_regions"),
        "thresholds_from": content["from"],
    }


def _validation(run: Run) -> ScoreSet | None:
    """The scores of validation by these weights; None where there are none."""
    try:
        scored, weights = read_scores(run.path)
    except FileNotFoundError:
        return None
    return scored["val"] if weights == run.weights else None


def _by_class(
    path: str, values: Mapping[str, float], run: Run
) -> dict[str, float]:
    """Thresholds in the order of the run's classes."""
    if lacking := [name for name in run.class_names if name not in values]:
        raise ConfigError(
            f"Expected a threshold of each class in {path}, received a file "
            f"without: {', '.join(lacking)}. evaluate.py writes it."
        )
    return {name: values[name] for name in run.class_names}
