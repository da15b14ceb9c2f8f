"""Frames of the annotated video: boxes, and heat maps with a cursor below.

Each class has one color and, where it is found, its best box. Below the picture
lie its heat maps over time, with bars above them where it is seen and heard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from avmil.evaluation.clip_localization import ClassLocalization, part_at
from avmil.report import heat_maps, images

ColorRgb = tuple[int, int, int]

# The best class is yellow, as in the paper.
COLORS_RGB = ((255, 255, 0), (0, 229, 255), (255, 90, 255))
MAX_CLASSES = len(COLORS_RGB)

# Narrower videos are enlarged for the text below them to be legible; where
# their height forbids it, black lies at their sides.
_LEAST_WIDTH_PX, _MOST_SIDE_PX = 480, 1920

_BACKGROUND, _INK, _CURSOR_RGB = "#16181c", "#f0f2f5", (64, 224, 255)
# Of the heat maps, in inches, at a resolution that follows the video's width.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.78, 0.14, 0.06, 0.26
_NAME, _MAP, _GAP = 0.23, 0.15, 0.07
_LETTER = 0.088
_DPI, _NOMINAL_WIDTH_PX = 100, 640
_SPARE_PX = 0.01


class FramePainter:
    """Paints frames of a clip and up to `MAX_CLASSES` classes, the best first.

    Attributes:
        picture_px: Width and height of the picture, both even.
        size_px: Those of the painted frames, with heat maps and black sides.
        strips: The heat maps.
    """

    def __init__(
        self,
        classes: Sequence[ClassLocalization],
        frame_size_px: tuple[int, int],  # Of the video's upright frames.
    ) -> None:
        clip = classes[0].clip
        scale = max(1.0, _LEAST_WIDTH_PX / frame_size_px[0])
        scale = min(scale, _MOST_SIDE_PX / max(frame_size_px))
        self.picture_px = even_size_px([scale * side for side in frame_size_px])
        picture_width_px, height_px = self.picture_px
        width_px = max(picture_width_px, _LEAST_WIDTH_PX)
        self._left_px = (width_px - picture_width_px) // 2
        self.strips = draw_strips(classes, width_px)
        self.size_px = width_px, height_px + len(self.strips.image_rgb)
        self._edges_s = clip.frame_edges_s
        scale = np.divide(self.picture_px, frame_size_px)
        # From inclusive pixels to the lines between pixels.
        edges = (clip.boxes + np.array([0, 0, 1, 1])) * [*scale, *scale]
        limits = [*self.picture_px, *self.picture_px]
        self._boxes = np.clip(np.rint(edges), 0, limits).astype(int)  # [M, 4]
        self._line_px = max(2, round(min(self.picture_px) / 160))
        dpi = _resolution_dpi(picture_width_px)
        self._layers = [
            (
                scores,
                np.array(color),
                _label(scores, color, dpi)[:, :picture_width_px],
            )
            for scores, color in zip(classes, COLORS_RGB, strict=False)
        ]

    def __call__(self, image_rgb: np.ndarray, time_s: float) -> np.ndarray:
        """Paints an upright frame, uint8 [H, W, 3] to one of `size_px`."""
        shrinks = image_rgb.shape[1] > self.picture_px[0]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = cv2.resize(image_rgb, self.picture_px, interpolation=method)
        frame = int(part_at(self._edges_s, time_s))
        found = [
            (self._boxes[region], *layer)
            for layer in self._layers
            if (region := layer[0].shown_region(frame)) is not None
        ]
        for (x1, y1, x2, y2), scores, color, _ in reversed(found):
            box, line_px = picture[y1:y2, x1:x2], self._line_px
            border = np.ones(box.shape[:2], bool)
            border[line_px:-line_px, line_px:-line_px] = False
            box[border] = _blended(box[border], color, scores)
        places = place_labels(
            [box[:2] for box, *_ in found],
            [label.shape[1::-1] for *_, label in found],
            self.picture_px,
        )
        for place, (_, scores, _, label) in zip(places, found, strict=True):
            if place:
                (left, top), (height_px, width_px) = place, label.shape[:2]
                covered = np.s_[top : top + height_px, left : left + width_px]
                picture[covered] = _blended(picture[covered], label, scores)
        width_px, height_px = self.size_px
        painted = np.zeros((height_px, width_px, 3), np.uint8)
        right_px = self._left_px + picture.shape[1]
        painted[: len(picture), self._left_px : right_px] = picture
        painted[len(picture) :] = self.strips.at(time_s)
        return painted


def place_labels(
    corners: Sequence[tuple[int, int]],
    sizes_px: Sequence[tuple[int, int]],
    picture_px: tuple[int, int],
) -> list[tuple[int, int] | None]:
    """Places labels above their boxes, none over another.

    Boxes and labels are given by their upper left corners (x, y), labels and
    picture by width and height. A label is above its box, or else as near to
    that as there is room; None for one without room.
    """
    places: list[tuple[int, int] | None] = []
    placed: list[tuple[int, int, int, int]] = []  # x1, y1, x2, y2
    for (x1, y1), (width_px, height_px) in zip(corners, sizes_px, strict=True):
        left = max(0, min(x1, picture_px[0] - width_px))
        lowest = picture_px[1] - height_px
        above = max(0, min(y1 - height_px, lowest))
        beside = [b for b in placed if b[0] < left + width_px and left < b[2]]
        edges = [top for b in beside for top in (b[1] - height_px, b[3])]
        free = [
            top
            for top in (above, *edges)
            if 0 <= top <= lowest
            and all(top + height_px <= b[1] or b[3] <= top for b in beside)
        ]
        if free and left + width_px <= picture_px[0]:
            top = min(free, key=lambda top: abs(top - above))
            places.append((left, top))
            placed.append((left, top, left + width_px, top + height_px))
        else:
            places.append(None)
    return places


@dataclasses.dataclass(frozen=True, eq=False)
class Strips:
    """Heat maps of some classes, to be shown with a moving cursor.

    The picture, uint8 [H, W, 3], is without the cursor, which moves from
    `left_px` to `right_px` in `duration_s` and spans `top_px` to `bottom_px`.
    """

    image_rgb: np.ndarray
    left_px: float
    right_px: float
    top_px: int
    bottom_px: int
    duration_s: float

    def cursor_px(self, time_s: float) -> int:
        """Column of the cursor's middle."""
        share = min(max(time_s / self.duration_s, 0.0), 1.0)
        return round(self.left_px + share * (self.right_px - self.left_px))

    def at(self, time_s: float) -> np.ndarray:
        """The strips with the cursor, uint8 [H, W, 3]."""
        image, column = self.image_rgb.copy(), self.cursor_px(time_s)
        rows = slice(self.top_px, self.bottom_px)
        image[rows, max(column - 2, 0) : column + 3] = 0
        image[rows, max(column - 1, 0) : column + 2] = _CURSOR_RGB
        return image


def draw_strips(classes: Sequence[ClassLocalization], width_px: int) -> Strips:
    """Draws the heat maps of a clip's classes, of the video's width."""
    draws = []
    if len(classes[0].regions):
        draws.append(heat_maps.draw_frames)
    if len(classes[0].segments):
        draws.append(heat_maps.draw_segments)
    canvas = empty_canvas(width_px, len(classes), len(draws))
    figure, dpi = canvas.figure, canvas.figure.dpi
    width, height = figure.get_size_inches()
    num_letters = int((width - _LEFT) / _LETTER)
    top = height - _TOP
    for scores, color in zip(classes, COLORS_RGB, strict=False):
        color = np.divide(color, 255)
        name, room = scores.class_name, num_letters - len(scores.presence) - 2
        name = name if len(name) <= room else f"{name[: room - 1]}…"
        figure.text(
            _LEFT / width,
            (top - 0.45 * _NAME) / height,
            f"{name}: {scores.presence}",
            color=color,
            size=9,
            weight="bold",
            va="center",
            parse_math=False,
        )
        top -= _NAME
        for draw in draws:
            row = (width - _LEFT - _RIGHT) / width, _MAP / height
            corner = _LEFT / width, (top - _MAP) / height
            axes = figure.add_axes((*corner, *row))
            draw(axes, scores, color)
            axes.set_xlabel("")
            axes.tick_params(
                colors=_INK, labelsize=8, length=2, pad=1.5, labelbottom=False
            )
            axes.yaxis.label.set(color=_INK, size=8)
            axes.spines[:].set(color="0.45", linewidth=0.6)
            top -= _MAP + _GAP
    if draws:
        axes.tick_params(labelbottom=True)
    return Strips(
        image_rgb=_pixels(canvas),
        left_px=_LEFT * dpi,
        right_px=(width - _RIGHT) * dpi,
        top_px=round((_TOP + _NAME) * dpi),
        bottom_px=round((height - top - _GAP) * dpi),
        duration_s=classes[0].clip.duration_s,
    )


def empty_canvas(
    width_px: int, num_classes: int, num_maps: int
) -> FigureCanvasAgg:
    """A canvas of a video's width; its height is even."""
    dpi = _resolution_dpi(width_px)
    block = _NAME + num_maps * (_MAP + _GAP)
    height = _TOP + num_classes * block + _BOTTOM
    size_px = width_px, 2 * round(height * dpi / 2)
    # Inches times dpi is rounded down: 1.16 x 100 would be 115.
    size = [(side_px + _SPARE_PX) / dpi for side_px in size_px]
    return FigureCanvasAgg(Figure(size, dpi=dpi, facecolor=_BACKGROUND))


def even_size_px(size_px: Sequence[float]) -> tuple[int, int]:
    """The nearest width and height that H.264 can store."""
    width_px, height_px = (max(2, 2 * round(px / 2)) for px in size_px)
    return width_px, height_px


def _resolution_dpi(width_px: int) -> float:
    """Pixels of an inch: text grows with the video."""
    return _DPI * max(1.0, width_px / _NOMINAL_WIDTH_PX)


def _label(
    scores: ClassLocalization, color: ColorRgb, dpi: float
) -> np.ndarray:
    """Draws a name, black on a color, uint8 [H, W, 3] of its size."""
    text = scores.class_name
    if not scores.found_regions:
        text += f": {scores.presence}"
    figure = Figure(dpi=dpi, facecolor=np.divide(color, 255))
    style = {"size": 9, "ha": "center", "va": "center", "parse_math": False}
    label = figure.text(0.5, 0.5, text, **style)
    canvas = FigureCanvasAgg(figure)
    with images.legible(figure):
        extent = label.get_window_extent(canvas.get_renderer())
    figure.set_size_inches((extent.width + 8) / dpi, (extent.height + 6) / dpi)
    return _pixels(canvas)


def _blended(
    pixels: np.ndarray, color: np.ndarray, scores: ClassLocalization
) -> np.ndarray:
    opacity = 1.0 if scores.found_regions else heat_maps.FADED
    return np.rint(pixels * (1 - opacity) + color * opacity)


def _pixels(canvas: FigureCanvasAgg) -> np.ndarray:
    with images.legible(canvas.figure):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # [H, W, 3]
