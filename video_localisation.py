"""From one video to what a trained run finds in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

import scoring
from clip_extraction import ClipExtractor, stage
from dataset import media
from dataset.manifest import ManifestRow
from dataset.media import MediaError
from dataset.shards import ClipError
from flags import RecipeConfig
from report.clip_localisation import ClipLocalisation
from report.events import Event
from trained_run import TrainedRun

# Frames are kept in this size for the figures.
_LONG_SIDE_PX = 640


@dataclasses.dataclass(frozen=True, eq=False)
class LocalisedVideo:
    """What a run finds in a video.

    Attributes:
        row: The video and its section.
        localisation: Scores, boxes and times.
        predicted: Classes above their threshold, the best score first.
        events: Detected events.
        compared: The localisation with the segment scores that events were
            found in.
        frames_rgb: The sampled frames, scaled down; none of a sound file.
    """

    row: ManifestRow
    localisation: ClipLocalisation
    predicted: tuple[str, ...]
    events: tuple[Event, ...]
    compared: ClipLocalisation
    frames_rgb: Sequence[np.ndarray]

    @property
    def ranked_classes(self) -> tuple[str, ...]:
        """All classes, the highest score first."""
        clip = self.localisation
        order = np.argsort(-clip.scores, kind="stable")
        return tuple(clip.class_names[index] for index in order)


class VideoLocaliser:
    """Localises the classes of a run in one video after the other.

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

    def __call__(self, row: ManifestRow) -> LocalisedVideo:
        """Localises in one video.

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
        with stage("localise"):
            scored = scoring.localise(
                self._run.system,
                features,
                self._run.class_names,
                clip.duration_s,
            )
        localisation = dataclasses.replace(
            scored,
            frame_size_px=(width_px, height_px),
            frame_times_s=clip.frame_times_s,
        )
        if not np.isfinite(localisation.scores).all():
            raise ClipError("localise", "scores are not finite")
        return LocalisedVideo(
            row=row,
            localisation=localisation,
            predicted=self._run.predicted(localisation),
            events=tuple(self._run.events(localisation)),
            compared=self._run.compared(localisation),
            frames_rgb=[
                scaled_down(frame, _LONG_SIDE_PX) for frame in clip.frames_rgb
            ],
        )

    def _decode(self, row: ManifestRow) -> media.Clip:
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
