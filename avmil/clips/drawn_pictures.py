"""Pictures of the drawn clips: objects, and the landscapes behind them.

Objects face right; a table of shapes in design units, with y downwards, is
drawn by one function. Inside they have less contrast than at their outlines:
else EdgeBoxes proposes a window rather than the whole truck. All pictures are
premultiplied RGBA: OpenCV blends an anti-aliased edge with the zeros of an
empty canvas.
"""

from __future__ import annotations

import colorsys
import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np

Color = Sequence[float]  # Red, green and blue, up to 255, or premultiplied.
Pair = tuple[float, float]
Rng = np.random.Generator

NUM_PHASES = 4  # Pictures of an object, between which its parts move.

_PX_PER_UNIT = 2
_COLORS = {
    "dark": "#22242a", "tire": "#1c1b1d", "steel": "#a8aeb6",
    "rim": "#5c6066", "glass": "#7eb0ce", "white": "#f0f0ec",
    "tint": "#6a8fa8", "lamp": "#ffec96", "gold": "#eab838",
    "blue": "#4696ff", "wood": "#603a22", "shade": "#8f8266",
    "jeans": "#363e58", "haze": "#191a1c59",
}  # fmt: skip


def _wheel(x: float, y: float, radius: float) -> list[tuple]:
    radii = {"tire": radius, "rim": 0.6 * radius}
    disks = [("disk", color, x, y, r, r) for color, r in radii.items()]
    return [*disks, ("turning", "steel", x, y, 0.6 * radius)]


@dataclasses.dataclass(frozen=True)
class Picture:
    """How an object is drawn and where it belongs.

    Shapes are (kind, color, *numbers), each over those before it: "box" x1 y1
    x2 y2; "fill", a polygon's x y x y ...; "line", its width and x y x y ...;
    "disk" x y and two radii; and the parts that move: "blink", a box that is
    there half of the time; "swing", a polygon about its first point;
    "turning", spokes about x y of a length.
    """

    size: tuple[int, int]  # (width, height) in design units.
    height: Pair  # Its least and greatest share of the frame's height.
    bottom: Pair  # The same of its lower edge.
    colors: tuple[str, str]  # Its own, "body" and "trim", before they vary.
    shapes: tuple[tuple, ...]
    hue: float = 0.03  # How much it varies, as a share of the color circle.

    def sprites(self, rng: Rng, size_px: tuple[int, int]) -> np.ndarray:
        """Draws the object in all its phases, filling them to their edges.

        uint8 [NUM_PHASES, height, width, 4], premultiplied RGBA.
        """
        colors = {n: bytes.fromhex(c[1:]) for n, c in _COLORS.items()}
        colors["body"] = _vary(rng, self.colors[0], self.hue)
        colors["trim"] = _vary(rng, self.colors[1], self.hue)
        height, width = np.multiply(self.size[::-1], _PX_PER_UNIT)
        drawn = np.zeros((NUM_PHASES, height, width, 4), np.uint8)
        for number, image in enumerate(drawn):
            for kind, color, *numbers in self.shapes:
                fill = (*colors[color], 255)[:4]
                _draw(image, kind, fill, numbers, number / NUM_PHASES)
        x, y, width, height = cv2.boundingRect(drawn[..., 3].max(axis=0))
        seen = drawn[:, y : y + height, x : x + width]
        sprites = np.float32(
            [cv2.resize(d, size_px, None, 0, 0, cv2.INTER_AREA) for d in seen]
        )
        # Light from above, rounded edges and a little dirt, [height, width].
        light = cv2.GaussianBlur(sprites[..., 3].max(axis=0), (0, 0), 3.0)
        light = 0.6 + 0.4 * light / 255
        light *= np.linspace(1.2, 0.85, size_px[1])[:, None]
        light *= 0.88 + 0.24 * _noise(rng, size_px[::-1], (14, 14))
        sprites[..., :3] *= light[..., None]
        return np.minimum(sprites, sprites[..., 3:]).astype(np.uint8)


def _draw(
    image: np.ndarray, kind: str, fill: Color, numbers: list, phase: float
) -> None:
    """Draws one shape of a `Picture` in a phase from 0 to 1, in place."""
    width = numbers.pop(0) if kind == "line" else 0
    points = np.reshape(numbers[: len(numbers) // 2 * 2], (-1, 2))
    if kind in ("box", "blink"):
        (x1, y1), (x2, y2) = points
        points = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
    elif kind == "swing":
        angle = 0.35 * np.sin(2 * np.pi * phase)
        turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        points = points[0] + (points - points[0]) @ turn
    elif kind == "turning":
        # Five spokes: one phase does not turn them into themselves.
        angles = 2 * np.pi * (np.arange(5) / 5 + phase)
        ends = numbers[2] * np.column_stack([np.cos(angles), np.sin(angles)])
        points = points + np.insert(ends, np.arange(5), 0.0, axis=0)
        width = 0.23 * numbers[2]
    pixels = np.rint(points * _PX_PER_UNIT).astype(np.int32)
    if kind == "disk":
        cv2.ellipse(image, *pixels, 0, 0, 360, fill, -1, cv2.LINE_AA)
    elif width:
        width_px = max(round(width * _PX_PER_UNIT), 1)
        cv2.polylines(image, [pixels], False, fill, width_px, cv2.LINE_AA)
    elif kind != "blink" or phase < 0.5:
        cv2.fillPoly(image, [pixels], fill, cv2.LINE_AA)


_GROUND = (0.80, 0.97)

# fmt: off
CLASS_PICTURES = {
    "ambulance": Picture(
        (200, 112), (0.21, 0.30), _GROUND, ("#f6f5ee", "#d62428"), (
        ("fill", "body", 6, 24, 10, 20, 128, 20, 166, 52, 190, 60, 197, 70,
         197, 94, 6, 94),
        ("box", "dark", 6, 88, 197, 95),
        ("box", "trim", 6, 60, 197, 72), ("box", "trim", 6, 75, 197, 78),
        ("fill", "glass", 120, 27, 131, 27, 158, 52, 120, 52),
        ("box", "trim", 46, 35, 74, 43), ("box", "trim", 56, 25, 64, 53),
        ("box", "dark", 88, 9, 120, 20), ("blink", "blue", 88, 9, 120, 20),
        ("disk", "lamp", 193, 74, 4, 5),
        *_wheel(46, 92, 18), *_wheel(158, 92, 18),
        )),
    "church_bell": Picture(
        (100, 200), (0.34, 0.46), (0.7, 0.8), ("#cec0a4", "#923e34"), (
        ("box", "body", 14, 66, 86, 196),
        ("fill", "trim", 50, 8, 6, 68, 94, 68),
        ("line", "gold", 2, 50, 1, 50, 12),
        ("line", "gold", 2, 45, 4, 55, 4),
        ("disk", "shade", 50, 92, 30, 20), ("box", "shade", 20, 92, 80, 142),
        ("swing", "gold", 50, 84, 55, 92, 63, 104, 65, 120, 73, 132,
         54, 132, 54, 138, 46, 138, 46, 132, 27, 132, 35, 120, 37, 104,
         45, 92),
        ("line", "wood", 5, 20, 90, 80, 90),
        ("disk", "wood", 50, 172, 12, 14), ("box", "wood", 38, 172, 62, 196),
        )),
    "helicopter": Picture(
        (220, 100), (0.18, 0.24), (0.36, 0.58), ("#205cc4", "#fadc3c"), (
        ("disk", "haze", 122, 14, 93, 5),
        ("box", "dark", 58, 13, 186, 15),
        ("blink", "dark", 30, 13, 214, 15),
        ("box", "steel", 118, 12, 126, 34),
        ("fill", "body", 108, 42, 14, 38, 10, 46, 104, 74),
        ("fill", "trim", 2, 14, 14, 12, 26, 42, 12, 46),
        ("turning", "white", 14, 42, 14),
        ("fill", "trim", 94, 34, 150, 30, 156, 40, 90, 44),
        ("disk", "body", 132, 58, 46, 25),
        ("fill", "glass", 138, 38, 156, 40, 172, 52, 176, 62, 138, 62),
        ("box", "glass", 104, 46, 128, 62),
        ("line", "trim", 4, 92, 72, 174, 66),
        ("line", "steel", 3, 112, 80, 108, 95),
        ("line", "steel", 3, 148, 80, 152, 95),
        ("line", "dark", 4, 90, 92, 94, 96, 170, 96, 178, 90),
        )),
    "motorcycle": Picture(
        (150, 120), (0.24, 0.34), _GROUND, ("#ce1878", "#282a3c"), (
        *_wheel(30, 90, 27), *_wheel(122, 90, 27),
        ("line", "steel", 5, 122, 90, 104, 48, 96, 44),
        ("fill", "dark", 40, 62, 64, 66, 100, 60, 88, 98, 56, 98),
        ("disk", "steel", 72, 86, 12, 12),
        ("line", "steel", 6, 70, 98, 44, 102, 14, 98),
        ("fill", "dark", 12, 58, 30, 52, 66, 60, 60, 68, 30, 66),
        ("fill", "body", 60, 60, 72, 48, 98, 46, 106, 58, 88, 68),
        ("fill", "body", 110, 62, 124, 58, 146, 74, 124, 68),
        ("disk", "lamp", 110, 52, 7, 7),
        ("line", "jeans", 11, 48, 54, 80, 66, 66, 94),
        ("fill", "trim", 36, 54, 44, 24, 64, 22, 66, 40, 56, 60),
        ("line", "trim", 8, 58, 30, 78, 42, 96, 42),
        ("disk", "body", 66, 14, 13, 13), ("box", "dark", 68, 8, 79, 18),
        )),
    "train": Picture(
        (270, 104), (0.19, 0.27), (0.78, 0.92), ("#b02430", "#eee2c4"), (
        ("box", "dark", 8, 84, 262, 96), ("box", "wood", 0, 97, 270, 103),
        ("fill", "body", 4, 20, 8, 14, 214, 14, 240, 22, 262, 52, 266, 84,
         4, 84),
        ("box", "trim", 4, 62, 265, 69),
        ("fill", "tint", 10, 26, 230, 26, 247, 46, 10, 46),
        ("line", "dark", 2, 90, 14, 102, 3, 122, 3, 134, 14),
        ("disk", "lamp", 258, 74, 4, 5),
        *_wheel(34, 89, 12), *_wheel(66, 89, 12),
        *_wheel(200, 89, 12), *_wheel(232, 89, 12),
        )),
    "truck": Picture(
        (200, 114), (0.24, 0.34), _GROUND, ("#ee801e", "#f8ca2c"), (
        ("box", "dark", 8, 82, 190, 94), ("box", "body", 4, 6, 134, 82),
        ("fill", "body", 138, 28, 172, 28, 186, 56, 196, 62, 196, 92,
         130, 92),
        ("box", "trim", 4, 62, 196, 70),
        ("fill", "glass", 154, 35, 170, 35, 180, 55, 154, 55),
        ("box", "lamp", 188, 76, 196, 84),
        *_wheel(32, 95, 15), *_wheel(64, 95, 15), *_wheel(168, 95, 15),
        )),
}

_DISTRACTOR_PICTURES = {
    "balloon": Picture(
        (100, 120), (0.18, 0.28), (0.34, 0.55), ("#b060ce", "#825a36"), (
        ("line", "dark", 1, 28, 74, 40, 104, 60, 104, 72, 74),
        ("fill", "body", 12, 60, 88, 60, 60, 92, 40, 92),
        ("disk", "body", 50, 48, 46, 46), ("disk", "white", 50, 48, 28, 46),
        ("disk", "body", 50, 48, 11, 46), ("box", "trim", 39, 102, 61, 118),
        ), hue=0.5),
    "kite": Picture(
        (100, 130), (0.16, 0.26), (0.3, 0.5), ("#e678a0", "#5ac8be"), (
        ("swing", "body", 30, 84, 24, 102, 32, 108, 22, 126, 18, 120, 26, 108),
        ("fill", "body", 50, 4, 84, 40, 30, 86),
        ("fill", "trim", 50, 4, 14, 36, 30, 86),
        ), hue=0.5),
}
# fmt: on

DISTRACTORS = tuple(_DISTRACTOR_PICTURES)
PICTURES = CLASS_PICTURES | _DISTRACTOR_PICTURES

# Colors of the sky above and below, distant hills, wood, ground.
_PALETTES = (
    ("#4a8ace", "#c4deec", "#709496", "#426e4a", "#70924a"),  # Summer day.
    ("#463e7c", "#f8ac74", "#805a7a", "#4c3c54", "#7a6450"),  # Sunset.
    ("#6ca8d6", "#f0e2c4", "#cea47a", "#b07a54", "#d6b47a"),  # Desert.
    ("#8a9eb8", "#dee4ea", "#a8b6c8", "#5c6c7a", "#dee4ea"),  # Winter.
    ("#425c8c", "#facec4", "#787a9c", "#3a4e5c", "#647458"),  # Dawn.
)


class Scene:
    """A landscape that pans slowly: sky, hills, a wood, and ground.

    Each is a strip wider than the frame, for all of the scene's duration; the
    near ones move faster. size_px is the (width, height) of the frames.
    """

    def __init__(
        self, rng: Rng, size_px: tuple[int, int], duration_s: float
    ) -> None:
        self._size_px = width, height = size_px
        self._pan_px_per_s = rng.choice((-1, 1)) * rng.uniform(8, 24)
        wide = width + math.ceil(abs(self._pan_px_per_s) * duration_s) + 2
        self._first_px = 1 if self._pan_px_per_s > 0 else wide - width - 1
        horizon = round(height * rng.uniform(0.56, 0.66))
        palette = _PALETTES[rng.integers(len(_PALETTES))]
        high, low, hills, wood, ground = (
            np.float32(_vary(rng, color)) for color in palette
        )

        cell_px = rng.uniform(20, 60), rng.uniform(70, 200)
        clouds = _noise(rng, (horizon, wide), cell_px)[..., None]
        clouds = np.clip((clouds - rng.uniform(0.35, 0.7)) / 0.35, 0.0, 0.85)
        sky = np.linspace(high, low, horizon)[:, None]  # [horizon, 1, 3]
        sky = _cut_out(sky + clouds * (255 - sky), np.zeros(wide))

        hills = _texture(rng, (horizon, wide), (16, 30), low, hills)
        outline = _noise(rng, (1, wide), (1, 150))[0]
        hills = _cut_out(hills, horizon - height * (0.04 + 0.26 * outline))

        wood = _texture(rng, (horizon, wide), (8, 8), low, wood)
        position = np.arange(wide) / rng.uniform(9, 14)
        position += 0.35 * _noise(rng, (1, wide), (1, 12))[0]
        slope = 1 - np.abs(2 * (position % 1.0) - 1)
        tall = rng.uniform(0.06, 0.12, wide)[position.astype(int)]
        wood = _cut_out(wood, horizon - height * (0.05 + slope * tall))

        ground = _texture(rng, (height, wide), (12, 50), 0.7 * ground, ground)
        if rng.random() < 0.7:  # A road with a dashed line.
            sides = np.multiply((0.42, 0.94), height - horizon)
            upper, lower = np.int_(horizon + sides)
            road = ground[upper:lower]
            road[:] = rng.normal(rng.uniform(84, 112), 4, (*road.shape[:2], 1))
            road[[0, -1]] = 196
            middle = len(road) // 2
            road[middle - 1 : middle + 1, np.arange(wide) % 44 < 24] = 214
        ground = _cut_out(ground, np.full(wide, horizon))
        self._layers = (0.15, sky), (0.35, hills), (0.6, wood), (1.0, ground)

    def frame(self, time_s: float) -> np.ndarray:
        """Returns the scene at a time, uint8 [height, width, 3], RGB."""
        width, height = self._size_px
        frame = np.zeros((height, width, 3), np.uint8)
        for nearness, (strip, top) in self._layers:
            column = self._first_px + self._pan_px_per_s * nearness * time_s
            shift = np.array([[1, 0, -column], [0, 1, 0]])
            shown = cv2.warpAffine(strip, shift, (width, len(strip)))
            overlay(frame[top : top + len(strip)], shown)
        return frame


def overlay(frame_rgb: np.ndarray, picture: np.ndarray) -> None:
    """Lays a premultiplied RGBA picture over a frame of its size, in place."""
    red, green, blue, opacity = cv2.split(picture)
    clear = cv2.merge([cv2.bitwise_not(opacity)] * 3)
    seen = cv2.multiply(frame_rgb, clear, scale=1 / 255)
    frame_rgb[:] = cv2.add(seen, cv2.merge([red, green, blue]))


def _cut_out(image: np.ndarray, ridge: np.ndarray) -> tuple[np.ndarray, int]:
    """Keeps what is below a ridge: premultiplied RGBA, and its upper row."""
    rows = np.arange(len(image))[:, None]
    opacity = np.clip(rows - ridge + 1.0, 0.0, 1.0)[..., None]
    image = np.dstack([np.clip(image, 0, 255) * opacity, 255 * opacity])
    top = max(int(ridge.min()), 0)
    return image[top:].astype(np.uint8), top


def _texture(
    rng: Rng, size: Pair, cell_px: Pair, top: np.ndarray, bottom: np.ndarray
) -> np.ndarray:
    """Fills [height, width, 3] with a grainy blend of two colors."""
    blend = np.linspace(top, bottom, size[0], dtype=np.float32)[:, None]
    return blend * (0.8 + 0.4 * _noise(rng, size, cell_px)[..., None])


def _noise(rng: Rng, size: Pair, cell_px: Pair) -> np.ndarray:
    """Returns noise from cells of (height, width), float32 in [0, 1].

    Each of four scales has half the cells and half the amplitude of the last.
    """
    noise = np.zeros(size, np.float32)
    for scale in (1, 2, 4, 8):
        cells = np.ceil(np.multiply(size, scale) / cell_px).astype(int) + 1
        grid = rng.random(cells, np.float32) / scale
        noise += cv2.resize(grid, size[::-1], None, 0, 0, cv2.INTER_CUBIC)
    return (noise - noise.min()) / max(np.ptp(noise), 1e-6)


def _vary(rng: Rng, color: str, hue: float = 0.03) -> Color:
    """Returns a color whose hue varies, and whose brightness does by 8 %."""
    h, s, v = colorsys.rgb_to_hsv(*(v / 255 for v in bytes.fromhex(color[1:])))
    h, v = (h + rng.uniform(-hue, hue)) % 1.0, v * rng.uniform(0.92, 1.08)
    return tuple(255 * x for x in colorsys.hsv_to_rgb(h, s, min(v, 1.0)))
