"""From one video to what a trained run finds in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from avmil.clips import media
from avmil.clips.manifest import ManifestEntry
from avmil.common.errors import ClipError, MediaError
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import Event
from avmil.features.extractor import ClipExtractor, stage
from avmil.localization.trained_run import TrainedRun
from avmil.runs import scoring
from flags import RecipeConfig

# Frames are kept in this size for the figures.
_LONG_SIDE_PX = 640


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizedVideo:
    """What a run finds in a video.

    Attributes:
        row: The video and its section.
        localization: Scores, boxes and times.
        predicted: Classes above their threshold, the best score first.
        events: Detected events.
        compared: The localization with the segment scores that events were
            found in.
        frames_rgb: The sampled frames, scaled down; none of a sound file.
    """

    row: ManifestEntry
    localization: ClipLocalization
    predicted: tuple[str, ...]
    events: tuple[Event, ...]
    compared: ClipLocalization
    frames_rgb: Sequence[np.ndarray]

    @property
    def ranked_classes(self) -> tuple[str, ...]:
        """All classes, the highest score first."""
        clip = self.localization
        order = np.argsort(-clip.scores, kind="stable")
        return tuple(clip.class_names[index] for index in order)


class VideoLocalizer:
    """Localizes the classes of a run in one video after the other.

    Args:
        run: The trained run.
        recipe: How its features were extracted, with the files of the base
            networks.

    Raises:
        ConfigError: if a weights file does not fit its network.
    """

    def __init__(self, run: TrainedRun, recipe: RecipeConfig) -> None:
        self._run, self._recipe = run, recipe
        self._extractor = ClipExtractor(recipe)

    def __call__(self, row: ManifestEntry) -> LocalizedVideo:
        """Localizes in one video.

        Args:
            row: A local file and the section to take.

        Raises:
            ClipError: with the stage that failed and the reason.
        """
        with stage("decode"):
            clip = self._decode(row)
        features = self._extractor.features(row, clip)
        height_px, width_px = (
            clip.frames_rgb[0].shape[:2] if clip.frames_rgb else (0, 0)
        )
        with stage("localize"):
            scored = scoring.localize(
                self._run.system,
                features,
                self._run.class_names,
                clip.duration_s,
            )
        localization = dataclasses.replace(
            scored,
            frame_size_px=(width_px, height_px),
            frame_times_s=clip.frame_times_s,
        )
        if not np.isfinite(localization.scores).all():
            raise ClipError("localize", "scores are not finite")
        return LocalizedVideo(
            row=row,
            localization=localization,
            predicted=self._run.predicted(localization),
            events=tuple(self._run.events(localization)),
            compared=self._run.compared(localization),
            frames_rgb=[
                scaled_down(frame, _LONG_SIDE_PX) for frame in clip.frames_rgb
            ],
        )

    def _decode(self, row: ManifestEntry) -> media.Clip:
        """Decodes what the recipe needs, and frames for the drawings."""
        section = row.path, row.start_s, row.end_s, self._recipe.frame_rate_hz
        audio = self._recipe.modalities != "visual"
        try:
            return media.decode_clip(*section, audio=audio)
        except MediaError:
            if self._recipe.modalities != "audio":
                raise
            return media.decode_clip(*section, video=False)


def scaled_down(image_rgb: np.ndarray, long_side_px: int) -> np.ndarray:
    """Scales an image to a long side, unless it is no longer than that."""
    height_px, width_px = image_rgb.shape[:2]
    scale = long_side_px / max(height_px, width_px)
    if scale >= 1:
        return image_rgb
    size_px = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return cv2.resize(image_rgb, size_px, interpolation=cv2.INTER_AREA)
