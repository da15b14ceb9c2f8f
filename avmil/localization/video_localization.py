"""What a trained run finds in a video."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure

from avmil.clips.manifest import ManifestEntry
from avmil.evaluation.clip_localization import (
    ClassLocalization,
    ClipLocalization,
    part_at,
)
from avmil.localization import writers
from avmil.localization.formats import FORMATS
from avmil.report import figures

if TYPE_CHECKING:
    from avmil.localization.trained_run import TrainedRun

# Frames are kept in this size and quality for the figures.
_LONG_SIDE_PX = 640
_KEPT_QUALITY = 95
_JPEG_QUALITY = 85


class Event(NamedTuple):
    """A detected event of a class, in seconds from the section's start."""

    onset_s: float
    offset_s: float
    score: float  # The highest of a segment: its share of its modality's.


class Box(NamedTuple):
    """A region of a sampled frame, for a class.

    Corners are pixels of the decoded frame, 0-based and inclusive.
    """

    time_s: float  # The frame's instant, from the start of the section.
    x1_px: float
    y1_px: float
    x2_px: float
    y2_px: float
    score: float  # Scaled over the video as in heat maps: 1 is the highest.


class Confidence(NamedTuple):
    """How many of the validation clips with such a score hold a class."""

    right: int
    of: int  # Ten, or all of fewer.


@dataclasses.dataclass(frozen=True, eq=False)
class VideoLocalization:
    """What a run finds in a video.

    Attributes:
        video: The media file and its section.
        run: The run.
        clip: Every score, box and time.
        predicted: Classes above their threshold, the best score first.
        is_foreign: Whether all scores lie below what validation showed of
            right predictions; nothing is predicted then.
        confidences: Of each class; empty where evaluate.py did not run.
        events: For each class its events by onset: none unless it is predicted
            and heard, segments passing their threshold.
        boxes: For each class the regions that show it, in temporal order: none
            unless it is predicted and seen, regions passing theirs.
        frames_rgb: The sampled frames, scaled down, `Pictures` of a real
            video; none of a sound file.
    """

    video: ManifestEntry
    run: TrainedRun
    clip: ClipLocalization
    predicted: tuple[str, ...]
    is_foreign: bool
    confidences: dict[str, Confidence]
    events: dict[str, list[Event]]
    boxes: dict[str, list[Box]]
    frames_rgb: Sequence[np.ndarray]

    def shown(self, class_names: Collection[str] = ()) -> tuple[str, ...]:
        """The classes to draw, the best one first.

        By default those predicted, or else the best one.
        """
        ranked = self.clip.ranked_classes
        wanted = class_names or self.predicted or ranked[:1]
        return tuple(name for name in ranked if name in wanted)

    def of_class(self, class_name: str) -> ClassLocalization:
        """What is found of a class, for figures, video and page.

        Raises:
            ValueError: if the run does not know the class.
        """
        boxes = {box[:-1] for box in self.boxes.get(class_name, ())}
        times_s = self.clip.region_times_s.tolist()
        corners = self.clip.boxes.tolist()
        found = [
            (time_s, *xyxy) in boxes
            for time_s, xyxy in zip(times_s, corners, strict=True)
        ]
        return ClassLocalization(
            self.clip,
            class_name,
            is_predicted=class_name in self.predicted,
            threshold=(self.run.thresholds or {}).get(class_name),
            confidence=self.confidences.get(class_name),
            found_regions=frozenset(np.flatnonzero(found).tolist()),
            events=self.events.get(class_name, ()),
        )

    def figure(self, class_name: str, number: int = 3) -> Figure:
        """Draws the paper's Fig. 3 or Fig. 4 for a class.

        Args:
            class_name: Any class of the run.
            number: 3 for the best boxes above both heat maps, 4 for boxes
                above the time axis.

        Raises:
            ValueError: if the run does not know the class, or for another
                number.
        """
        if number not in (3, 4):
            raise ValueError(f"Expected number 3 or 4, received {number}.")
        draw = figures.figure_3 if number == 3 else figures.figure_4
        return draw(self.of_class(class_name), self.frames_rgb)

    def picture_jpeg(
        self, class_name: str, long_side_px: int = _LONG_SIDE_PX
    ) -> bytes | None:
        """The best moment of a class as a JPEG; None without frames."""
        if not self.frames_rgb:
            return None
        best_s = self.of_class(class_name).best_s
        best = part_at(self.clip.frame_edges_s, best_s)
        image = scaled_down(self.frames_rgb[int(best)], long_side_px)
        return _to_jpeg(image, _JPEG_QUALITY)

    def save(
        self,
        output_dir: str | os.PathLike[str],
        class_names: Collection[str] = (),
        outputs: Collection[str] = writers.OUTPUTS,
        formats: Collection[str] = tuple(FORMATS),
    ) -> str:
        """Writes figures, annotated video, tables, subtitles and page.

        A sound file has no pictures, hence no video and no page.

        Args:
            output_dir: Folder of this video, local or remote; figures of an
                earlier start go.
            class_names: Classes to draw, as for `shown`.
            outputs: What to write, of `writers.OUTPUTS`.
            formats: Which `labels` to write, of `formats.FORMATS`.

        Returns:
            Name of the file to look at first; may be empty.

        Raises:
            ClipError: if the video cannot be encoded.
            ConfigError: for an unknown format.
        """
        shown = self.shown(class_names)
        directory = os.fspath(output_dir)
        return writers.write_all(self, shown, directory, outputs, formats)


class Pictures(Sequence):
    """Frames of a video, scaled down, in a temporary file.

    As JPEGs, of which an hour has about 0.3 GB. Items are uint8 [H, W, 3].
    """

    def __init__(self) -> None:
        self._jpegs = tempfile.TemporaryFile()  # noqa: SIM115
        self._starts = [0]

    def add(self, frame_rgb: np.ndarray) -> None:
        """Keeps a further frame."""
        self._jpegs.seek(self._starts[-1])
        self._jpegs.write(_to_jpeg(scaled_down(frame_rgb), _KEPT_QUALITY))
        self._starts.append(self._jpegs.tell())

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        number = range(len(self))[index]
        start, end = self._starts[number : number + 2]
        self._jpegs.seek(start)
        jpeg = np.frombuffer(self._jpegs.read(end - start), np.uint8)
        return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]


def _to_jpeg(image_rgb: np.ndarray, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", image_rgb[..., ::-1], options)[1].tobytes()


def scaled_down(
    image_rgb: np.ndarray, long_side_px: int = _LONG_SIDE_PX
) -> np.ndarray:
    """Scales an image to a long side, unless it is no longer than that."""
    height_px, width_px = image_rgb.shape[:2]
    scale = long_side_px / max(height_px, width_px)
    if scale >= 1:
        return image_rgb
    size_px = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return cv2.resize(image_rgb, size_px, interpolation=cv2.INTER_AREA)
