"""Frames of the annotated video: boxes, and heat maps with a cursor below.

Boxes have the color of their class and, as in Fig. 4, the opacity of their
scaled score; of a second and third class only the best box of each frame is
shown. Below the picture lie the heat maps of each class over time.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from avmil.evaluation.class_localization import ClassLocalization
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.report import strips
from avmil.report.strips import ColorRgb

# The best class is yellow, as in the paper.
COLORS_RGB: tuple[ColorRgb, ...] = (
    (255, 255, 0),
    (0, 229, 255),
    (255, 90, 255),
)
MAX_CLASSES = len(COLORS_RGB)

# Narrower videos are enlarged for the text below them to be legible; where
# their height forbids it, black lies at their sides.
_LEAST_WIDTH_PX, _MOST_SIDE_PX = 480, 1920
_FAINTEST, _LABELLED = 0.02, 0.5


class FramePainter:
    """Paints the frames of one clip.

    Args:
        localization: Scores of the clip.
        class_names: Up to `MAX_CLASSES` classes to show, the best one first.
        frame_size_px: Width and height of the video's upright frames.

    Attributes:
        picture_px: Width and height of the picture, both even.
        size_px: Width and height of the painted frames: picture, heat maps
            and black beside a narrow picture; both even.
        strips: The heat maps.

    Raises:
        ValueError: for no class, too many of them, or an unknown one.
    """

    def __init__(
        self,
        localization: ClipLocalization,
        class_names: Sequence[str],
        frame_size_px: tuple[int, int],
    ) -> None:
        if not 1 <= len(class_names) <= MAX_CLASSES:
            raise ValueError(
                f"Expected 1 to {MAX_CLASSES} classes, received "
                f"{len(class_names)}."
            )
        classes = [ClassLocalization(localization, n) for n in class_names]
        colors = COLORS_RGB[: len(classes)]
        self.picture_px = _picture_px(frame_size_px)
        picture_width_px, height_px = self.picture_px
        width_px = max(picture_width_px, _LEAST_WIDTH_PX)
        self._left_px = (width_px - picture_width_px) // 2
        self.strips = strips.render(classes, colors, width_px)
        self.size_px = width_px, height_px + len(self.strips.image_rgb)
        self._frame_at = classes[0].frame_at
        self._layers = [
            _ClassLayer(
                scores,
                color,
                self.picture_px,
                frame_size_px,
                best_only=scores is not classes[0],
            )
            for scores, color in zip(classes, colors, strict=True)
        ]

    def __call__(self, image_rgb: np.ndarray, time_s: float) -> np.ndarray:
        """Paints a frame.

        Args:
            image_rgb: uint8 [H, W, 3], upright.
            time_s: When it is shown, from the start of the clip.

        Returns:
            uint8 [height, width, 3] of `size_px`.
        """
        shrinks = image_rgb.shape[1] > self.picture_px[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = cv2.resize(image_rgb, self.picture_px, interpolation=method)
        frame = self._frame_at(time_s)
        for layer in reversed(self._layers):  # The best class lies on top.
            layer.paint(picture, frame)
        width_px, height_px = self.size_px
        painted = np.zeros((height_px, width_px, 3), np.uint8)
        right_px = self._left_px + picture.shape[1]
        painted[: len(picture), self._left_px : right_px] = picture
        painted[len(picture) :] = self.strips.at(time_s)
        return painted


class _ClassLayer:
    """The boxes of one class."""

    def __init__(
        self,
        scores: ClassLocalization,
        color: ColorRgb,
        picture_px: tuple[int, int],
        frame_size_px: tuple[int, int],
        best_only: bool,
    ) -> None:
        self._best_only = best_only
        self._scores, self._color = scores, np.array(color)
        scale = np.divide(picture_px, frame_size_px)
        # From inclusive pixels to the lines between pixels.
        edges = (scores.clip.boxes + np.array([0, 0, 1, 1])) * [*scale, *scale]
        limits = [*picture_px, *picture_px]
        self._boxes = np.clip(np.rint(edges), 0, limits).astype(int)
        self._line_px = max(2, round(min(picture_px) / 160))
        dpi = strips.resolution_dpi(picture_px[0])
        self._label = strips.render_label(scores.class_name, color, dpi)

    def paint(self, picture: np.ndarray, frame: int) -> None:
        """Paints the boxes of a sampled frame, the best one last."""
        opacities = self._scores.regions
        regions = np.flatnonzero(self._scores.region_frames == frame)
        regions = regions[np.argsort(opacities[regions])]
        for region in regions[-1:] if self._best_only else regions:
            if opacities[region] >= _FAINTEST:
                self._paint_box(picture, region)
        for region in regions[-1:]:
            if opacities[region] >= _LABELLED:
                self._paint_label(picture, region)

    def _paint_box(self, picture: np.ndarray, region: int) -> None:
        x1, y1, x2, y2 = self._boxes[region]
        box = picture[y1:y2, x1:x2]
        line_px = self._line_px
        sides = (
            box[:line_px],
            box[max(line_px, len(box) - line_px) :],
            box[line_px:-line_px, :line_px],
            box[line_px:-line_px, max(line_px, x2 - x1 - line_px) :],
        )
        for side in sides:
            self._blend(side, self._color, self._scores.regions[region])

    def _paint_label(self, picture: np.ndarray, region: int) -> None:
        """Writes the class above a box, or inside it at the upper border."""
        x1, y1, _, _ = self._boxes[region]
        height_px, width_px = self._label.shape[:2]
        top = y1 - height_px if y1 >= height_px else y1
        left = max(0, min(x1, picture.shape[1] - width_px))
        place = picture[top : top + height_px, left : left + width_px]
        label = self._label[: place.shape[0], : place.shape[1]]
        self._blend(place, label, self._scores.regions[region])

    @staticmethod
    def _blend(place: np.ndarray, color: np.ndarray, opacity: float) -> None:
        place[:] = np.rint(place * (1 - opacity) + color * opacity)


def even_size_px(size_px: tuple[float, float]) -> tuple[int, int]:
    """The nearest width and height that H.264 can store."""
    width_px, height_px = (max(2, 2 * round(px / 2)) for px in size_px)
    return width_px, height_px


def _picture_px(frame_size_px: tuple[int, int]) -> tuple[int, int]:
    width_px, height_px = frame_size_px
    scale = max(1.0, _LEAST_WIDTH_PX / width_px)
    scale = min(scale, _MOST_SIDE_PX / max(width_px, height_px))
    return even_size_px((width_px * scale, height_px * scale))
