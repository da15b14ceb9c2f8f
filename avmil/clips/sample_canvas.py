"""Drawing tools of the sample clips: an anti-aliased canvas and noise."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

# OpenCV takes coordinates as integers with this many fractional bits.
_SHIFT = 4

Color = tuple[float, float, float]


class Canvas:
    """A transparent drawing surface in design units.

    OpenCV blends every channel of an anti-aliased edge with what lies below.
    On a surface that starts as all zeros this leaves premultiplied colors.

    Args:
        width: Width in design units.
        height: Height in design units.
        scale: Pixels for one design unit.
    """

    def __init__(self, width: float, height: float, scale: float = 2.0):
        self._scale = scale
        shape = (round(height * scale), round(width * scale), 4)
        self.image_rgba = np.zeros(shape, np.uint8)

    def polygon(
        self, points: Sequence[tuple[float, float]], color: Color
    ) -> None:
        """Fills a polygon given as (x, y) corners."""
        cv2.fillPoly(
            self.image_rgba,
            [self._fixed_point(points)],
            _opaque(color),
            cv2.LINE_AA,
            _SHIFT,
        )

    def box(
        self, x1: float, y1: float, x2: float, y2: float, color: Color
    ) -> None:
        """Fills an upright rectangle."""
        self.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], color)

    def line(
        self,
        points: Sequence[tuple[float, float]],
        color: Color,
        width: float = 1.0,
    ) -> None:
        """Draws an open line through (x, y) points."""
        cv2.polylines(
            self.image_rgba,
            [self._fixed_point(points)],
            False,
            _opaque(color),
            max(1, round(width * self._scale)),
            cv2.LINE_AA,
            _SHIFT,
        )

    def ellipse(
        self,
        x: float,
        y: float,
        radius_x: float,
        radius_y: float,
        color: Color,
        opacity: float = 1.0,
    ) -> None:
        """Fills an ellipse; below full opacity it replaces what is there."""
        red, green, blue = (opacity * value for value in color)
        center = self._fixed_point([(x, y)])[0]
        axes = self._fixed_point([(radius_x, radius_y)])[0]
        cv2.ellipse(
            self.image_rgba,
            tuple(center.tolist()),
            tuple(axes.tolist()),
            0.0,
            0.0,
            360.0,
            (red, green, blue, 255.0 * opacity),
            cv2.FILLED,
            cv2.LINE_AA,
            _SHIFT,
        )

    def circle(self, x: float, y: float, radius: float, color: Color) -> None:
        """Fills a circle."""
        self.ellipse(x, y, radius, radius, color)

    def _fixed_point(self, points: Sequence[tuple[float, float]]) -> np.ndarray:
        scaled = np.asarray(points, np.float64) * self._scale * (1 << _SHIFT)
        return np.rint(scaled).astype(np.int32)


def vary(
    rng: np.random.Generator,
    color: Color,
    hue: float = 0.03,
    brightness: float = 0.1,
) -> Color:
    """Returns a color (0 to 255) with its hue and brightness jittered.

    Args:
        rng: Source of randomness.
        color: (red, green, blue).
        hue: Greatest change, as a share of the color circle.
        brightness: Greatest loss or gain, as a share.
    """
    h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in color))
    h = (h + rng.uniform(-hue, hue)) % 1.0
    v = min(v * rng.uniform(1 - brightness, 1 + brightness), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(h, s, v)
    return 255 * red, 255 * green, 255 * blue


def fractal_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell_px: tuple[float, float],
    octaves: int = 4,
) -> np.ndarray:
    """Returns multi-octave value noise, float32 [height, width] in [0, 1].

    Args:
        rng: Source of randomness.
        height: Height in pixels.
        width: Width in pixels.
        cell_px: (height, width) of a cell of the coarsest octave.
        octaves: Number of octaves; each halves the cell and the amplitude.
    """
    noise = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = [
            int(np.ceil(size * 2**octave / cell)) + 1
            for size, cell in zip((height, width), cell_px, strict=True)
        ]
        grid = rng.random(cells, np.float32)
        noise += 0.5**octave * cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_CUBIC
        )
    low, high = noise.min(), noise.max()
    return (noise - low) / max(high - low, 1e-6)


def _opaque(color: Color) -> tuple[float, float, float, float]:
    return (*color, 255.0)
