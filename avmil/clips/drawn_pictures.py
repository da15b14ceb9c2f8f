"""Pictures of the drawn clips: objects, and the landscapes behind them.

Objects face right and are drawn in design units, with y downwards. All
pictures are premultiplied RGBA: OpenCV blends an anti-aliased edge with the
zeros of an empty canvas.
"""

from __future__ import annotations

import colorsys
import dataclasses
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

Color = Sequence[float]  # Red, green and blue, up to 255.
Rng = np.random.Generator

NUM_PHASES = 4  # Pictures of an object, between which its parts move.

_PX_PER_UNIT = 2
_DARK, _TIRE, _STEEL = (34, 36, 42), (28, 27, 29), (168, 174, 182)
_GLASS, _WHITE, _LAMP = (126, 176, 206), (240, 240, 236), (255, 236, 150)
_GOLD = (234, 184, 56)


class _Canvas:
    """A transparent drawing surface in design units."""

    def __init__(self, width: int, height: int) -> None:
        shape = (height * _PX_PER_UNIT, width * _PX_PER_UNIT, 4)
        self.image = np.zeros(shape, np.uint8)  # RGBA

    def fill(self, color: Color, *points: tuple[float, float]) -> None:
        """Fills a polygon, or the box between two opposite corners."""
        if len(points) == 2:
            (x1, y1), (x2, y2) = points
            points = (x1, y1), (x2, y1), (x2, y2), (x1, y2)
        fill = (*color, 255)
        cv2.fillPoly(self.image, [_pixels(points)], fill, cv2.LINE_AA)

    def line(
        self, color: Color, width: float, *points: tuple[float, float]
    ) -> None:
        """Draws an open line."""
        pixels, width_px = [_pixels(points)], round(width * _PX_PER_UNIT)
        stroke = (*color, 255)
        cv2.polylines(self.image, pixels, False, stroke, width_px, cv2.LINE_AA)

    def disk(
        self,
        color: Color,
        center: tuple[float, float],
        radius: float,
        radius_y: float | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Fills a circle or an ellipse; below opacity 1 it replaces."""
        where = _pixels([center, (radius, radius_y or radius)])
        fill = [opacity * value for value in (*color, 255)]
        cv2.ellipse(self.image, *where, 0, 0, 360, fill, -1, cv2.LINE_AA)

    def wheels(
        self, places: Sequence[tuple[float, float, float]], phase: float
    ) -> None:
        """Draws turning wheels (x, y, radius)."""
        for x, y, radius in places:
            self.disk(_TIRE, (x, y), radius)
            self.disk(_STEEL, (x, y), 0.7 * radius)
            self.disk((92, 96, 102), (x, y), 0.56 * radius)
            # Five spokes: one phase does not turn the wheel into itself.
            for angle in 2 * np.pi * (np.arange(5) / 5 + phase):
                dx, dy = 0.6 * radius * _direction(angle)
                self.line(_STEEL, 0.14 * radius, (x, y), (x + dx, y + dy))


def _pixels(points: Sequence[tuple[float, float]]) -> np.ndarray:
    return np.rint(np.multiply(points, _PX_PER_UNIT)).astype(np.int32)


def _direction(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


def _ambulance(c: _Canvas, phase: float, body: Color, red: Color) -> None:
    hull = (10, 20), (128, 20), (166, 52), (190, 60), (197, 70), (197, 94)
    c.fill(body, (6, 24), *hull, (6, 94))
    c.fill(_DARK, (6, 88), (197, 95))
    c.fill(red, (6, 60), (197, 72))
    c.fill(red, (6, 75), (197, 78))
    c.fill(_GLASS, (120, 27), (131, 27), (158, 52), (120, 52))
    c.line(_STEEL, 1.2, (114, 24), (114, 86))
    c.fill(red, (46, 35), (74, 43))
    c.fill(red, (56, 25), (64, 53))
    lights = (70, 150, 255), (24, 44, 150)
    left, right = lights if phase < 0.5 else lights[::-1]
    c.fill(left, (88, 9), (104, 20))
    c.fill(right, (104, 9), (120, 20))
    c.disk(_LAMP, (193, 74), 4, 5)
    c.wheels([(46, 92, 18), (158, 92, 18)], phase)


def _truck(c: _Canvas, phase: float, cargo: Color, cab: Color) -> None:
    c.fill(_DARK, (8, 82), (190, 94))
    c.fill(cargo, (4, 6), (134, 82))
    for x in range(14, 134, 11):
        c.line(np.multiply(cargo, 0.82), 4, (x, 8), (x, 80))
    c.fill(_WHITE, (36, 32), (102, 54))
    c.line(_DARK, 3, (46, 43), (88, 43))
    c.fill(_DARK, (88, 35), (96, 43), (88, 51))
    front = (140, 28), (172, 28), (186, 56), (196, 62), (196, 92)
    c.fill(cab, *front, (140, 92))
    c.fill(_GLASS, (150, 34), (170, 34), (181, 56), (150, 56))
    c.fill(_LAMP, (188, 76), (196, 84))
    c.wheels([(32, 95, 15), (64, 95, 15), (168, 95, 15)], phase)


def _train(c: _Canvas, phase: float, green: Color, red: Color) -> None:
    c.fill((120, 100, 86), (0, 106), (270, 112))
    for radius, x in ((5, 204), (8, 188), (11, 168)):
        c.disk((225,) * 3, (x, 14), 1.4 * (radius + phase), radius, 0.55)
    c.fill(green, (6, 44), (66, 88))
    c.fill(_TIRE, (8, 45), (24, 36), (46, 38), (64, 45))
    c.fill(_DARK, (66, 76), (78, 88))
    c.fill(green, (78, 30), (122, 88))
    c.fill(_DARK, (72, 24), (128, 32))
    c.fill(_GLASS, (86, 38), (112, 58))
    c.fill(green, (120, 44), (226, 84))
    for x in (132, 159, 186, 212):
        c.line(_GOLD, 4, (x, 46), (x, 82))
    c.fill(_DARK, (222, 40), (236, 88))
    c.fill(_DARK, (202, 20), (222, 20), (218, 44), (206, 44))
    c.disk(_GOLD, (166, 44), 11)
    c.disk(_LAMP, (238, 52), 6)
    c.fill(red, (6, 84), (250, 84), (266, 105), (240, 105), (236, 92), (6, 92))
    c.wheels([(22, 95, 11), (50, 95, 11), (222, 95, 11)], phase)
    c.wheels([(92, 88, 18), (132, 88, 18), (172, 88, 18)], phase)
    x, y = 9 * _direction(2 * np.pi * phase)
    c.line(red, 4, (92 + x, 88 + y), (172 + x, 88 + y))


def _motorcycle(c: _Canvas, phase: float, paint: Color, dress: Color) -> None:
    c.wheels([(30, 90, 27), (122, 90, 27)], phase)
    c.line(_STEEL, 5, (122, 90), (104, 48), (96, 44))
    c.fill(_DARK, (40, 62), (64, 66), (100, 60), (88, 98), (56, 98))
    c.disk(_STEEL, (72, 86), 12)
    c.line(_STEEL, 6, (70, 98), (44, 102), (14, 98))
    c.fill(_DARK, (12, 58), (30, 52), (66, 60), (60, 68), (30, 66))
    c.fill(paint, (60, 60), (72, 48), (98, 46), (106, 58), (88, 68))
    c.fill(paint, (110, 62), (124, 58), (146, 74), (124, 68))
    c.fill(paint, (10, 60), (30, 56), (28, 64), (8, 72))
    c.disk(_LAMP, (110, 52), 7)
    c.line((54, 62, 88), 11, (48, 54), (80, 66), (66, 94))
    c.fill(dress, (36, 54), (44, 24), (64, 22), (66, 40), (56, 60))
    c.line(dress, 8, (58, 30), (78, 42), (96, 42))
    c.disk(paint, (66, 14), 13)
    c.fill((30, 40, 60), (68, 8), (79, 18))


def _helicopter(c: _Canvas, phase: float, paint: Color, trim: Color) -> None:
    reach = 78 + 14 * np.cos(4 * np.pi * phase)
    c.disk((70, 74, 80), (122, 14), 93, 5, 0.35)
    c.line(_DARK, 2.5, (122 - reach, 14), (122 + reach, 14))
    c.fill(_STEEL, (118, 12), (126, 34))
    c.fill(paint, (108, 42), (14, 38), (10, 46), (104, 74))
    c.fill(trim, (2, 14), (14, 12), (26, 42), (12, 46))
    x, y = 14 * _direction(np.pi * (phase + 0.1))
    c.line(_WHITE, 3, (14 - x, 42 - y), (14 + x, 42 + y))
    c.fill(trim, (94, 34), (150, 30), (156, 40), (90, 44))
    c.disk(paint, (132, 58), 46, 25)
    c.fill(_GLASS, (138, 38), (156, 40), (172, 52), (176, 62), (138, 62))
    c.fill(_GLASS, (104, 46), (128, 62))
    c.line(trim, 4, (92, 72), (174, 66))
    c.line(_STEEL, 3, (112, 80), (108, 95))
    c.line(_STEEL, 3, (148, 80), (152, 95))
    c.line(_DARK, 4, (90, 92), (94, 96), (170, 96), (178, 90))


def _church_bell(c: _Canvas, phase: float, stone: Color, roof: Color) -> None:
    c.fill(stone, (14, 66), (86, 196))
    for y in range(72, 196, 9):
        c.line(np.multiply(stone, 0.86), 0.8, (14, y), (86, y))
    c.fill(roof, (50, 8), (6, 68), (94, 68))
    c.fill(np.multiply(roof, 0.8), (50, 8), (50, 68), (94, 68))
    c.line(_GOLD, 2, (50, 1), (50, 12))
    c.line(_GOLD, 2, (45, 4), (55, 4))
    c.disk(_DARK, (50, 92), 30, 20)
    c.fill(_DARK, (20, 92), (80, 142))
    down = _direction(np.pi / 2 + 0.35 * np.sin(2 * np.pi * phase))
    side = np.array([down[1], -down[0]])
    shape = (-5, 8), (5, 8), (13, 20), (15, 36), (23, 48), (-23, 48), (-15, 36)
    bell = [(50, 84) + x * side + y * down for x, y in (*shape, (-13, 20))]
    c.disk((120, 84, 24), (50, 84) + 52 * down, 5)
    c.fill(_GOLD, *bell)
    c.line(_LAMP, 3, bell[4], bell[5])
    c.line((110, 74, 44), 5, (20, 90), (80, 90))
    c.disk((96, 58, 34), (50, 172), 12, 14)
    c.fill((96, 58, 34), (38, 172), (62, 196))


def _balloon(c: _Canvas, phase: float, paint: Color, basket: Color) -> None:
    c.line(_DARK, 1, (28, 74), (40, 104), (60, 104), (72, 74))
    c.fill(paint, (12, 60), (88, 60), (60, 92), (40, 92))
    for radius, color in ((46, paint), (28, _WHITE), (11, paint)):
        c.disk(color, (50, 48), radius, 46)
    c.fill(basket, (39, 102), (61, 118))


def _kite(c: _Canvas, phase: float, first: Color, second: Color) -> None:
    wave = 4 * np.sin(2 * np.pi * (phase + np.arange(6) / 4))
    tail = [(30 - 4 * i + wave[i], 84 + 8 * i) for i in range(6)]
    c.line(_DARK, 1.2, *tail)
    for x, y in tail[1:]:
        c.fill(first, (x - 5, y - 3), (x + 5, y + 3), (x + 5, y - 3))
    c.fill(first, (50, 4), (84, 40), (30, 86))
    c.fill(second, (50, 4), (14, 36), (30, 86))


@dataclasses.dataclass(frozen=True)
class Picture:
    """How an object is drawn and where it belongs.

    Attributes:
        draw: Draws it in a phase from 0 to 1 and two colors.
        size: (width, height) in design units.
        height: (least, greatest) height as a share of the frame's height.
        bottom: (least, greatest) lower edge as a share of the frame's height.
        colors: The two colors, before they vary.
        hue: How much their hue varies, as a share of the color circle.
    """

    draw: Callable[[_Canvas, float, Color, Color], None]
    size: tuple[int, int]
    height: tuple[float, float]
    bottom: tuple[float, float]
    colors: tuple[Color, Color]
    hue: float = 0.03

    def sprites(self, rng: Rng, size_px: tuple[int, int]) -> np.ndarray:
        """Draws the object in all its phases; it fills them to their edges.

        Returns:
            uint8 [NUM_PHASES, height, width, 4], premultiplied RGBA.
        """
        colors = [_vary(rng, color, self.hue) for color in self.colors]
        drawn = []
        for phase in range(NUM_PHASES):
            canvas = _Canvas(*self.size)
            self.draw(canvas, phase / NUM_PHASES, *colors)
            drawn.append(canvas.image)
        extent = np.max([image[..., 3] for image in drawn], axis=0)
        x, y, width, height = cv2.boundingRect(extent)
        cut = (image[y : y + height, x : x + width] for image in drawn)
        sprites = np.float32(
            [
                cv2.resize(image, size_px, None, 0, 0, cv2.INTER_AREA)
                for image in cut
            ]
        )
        # Light from above, rounded edges and a little dirt, [height, width].
        light = cv2.GaussianBlur(sprites[..., 3].max(axis=0), (0, 0), 3.0)
        light = 0.6 + 0.4 * light / 255
        light *= np.linspace(1.2, 0.85, size_px[1])[:, None]
        light *= 0.88 + 0.24 * _noise(rng, size_px[::-1], (14, 14))
        sprites[..., :3] *= light[..., None]
        return np.minimum(sprites, sprites[..., 3:]).astype(np.uint8)


_GROUND = (0.80, 0.97)

CLASS_PICTURES = {
    "ambulance": Picture(_ambulance, (200, 112), (0.26, 0.38), _GROUND,
                         ((246, 245, 238), (214, 36, 40))),
    "church_bell": Picture(_church_bell, (100, 200), (0.42, 0.58), (0.70, 0.80),
                           ((206, 192, 164), (146, 62, 52))),
    "helicopter": Picture(_helicopter, (220, 100), (0.22, 0.30), (0.36, 0.58),
                          ((32, 92, 196), (250, 220, 60))),
    "motorcycle": Picture(_motorcycle, (150, 120), (0.30, 0.42), _GROUND,
                          ((206, 24, 120), (40, 42, 60))),
    "train": Picture(_train, (270, 114), (0.26, 0.36), (0.78, 0.92),
                     ((28, 104, 62), (190, 44, 38))),
    "truck": Picture(_truck, (200, 114), (0.30, 0.42), _GROUND,
                     ((238, 128, 30), (248, 202, 44))),
}  # fmt: skip

_DISTRACTOR_PICTURES = {
    "balloon": Picture(_balloon, (100, 120), (0.18, 0.28), (0.34, 0.55),
                       ((176, 96, 206), (130, 90, 54)), hue=0.5),
    "kite": Picture(_kite, (100, 130), (0.16, 0.26), (0.32, 0.5),
                    ((230, 120, 160), (90, 200, 190)), hue=0.5),
}  # fmt: skip

DISTRACTORS = tuple(_DISTRACTOR_PICTURES)
PICTURES = CLASS_PICTURES | _DISTRACTOR_PICTURES

# Colors of the sky above and below, distant hills, wood, ground.
_PALETTES = (
    ((74, 138, 206), (196, 222, 236), (112, 148, 150), (66, 110, 74),
     (112, 146, 74)),  # Summer day.
    ((70, 62, 124), (248, 172, 116), (128, 90, 122), (76, 60, 84),
     (122, 100, 80)),  # Sunset.
    ((108, 168, 214), (240, 226, 196), (206, 164, 122), (176, 122, 84),
     (214, 180, 122)),  # Desert.
    ((138, 158, 184), (222, 228, 234), (168, 182, 200), (92, 108, 122),
     (222, 228, 234)),  # Winter.
    ((66, 92, 140), (250, 206, 196), (120, 122, 156), (58, 78, 92),
     (100, 116, 88)),  # Dawn.
)  # fmt: skip


class Scene:
    """A landscape that pans slowly: sky, hills, a wood, and ground.

    Each is a strip wider than the frame; the near ones move faster.

    Args:
        rng: Determines what the scene looks like.
        size_px: (width, height) of the frames.
        duration_s: How long the scene lasts.
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
        high, low, *colors = (np.float32(_vary(rng, c)) for c in palette)
        hills, wood, ground = colors

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
            upper, lower = np.int_(
                horizon + np.array((0.42, 0.94)) * (height - horizon)
            )
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
    rng: Rng,
    size: tuple[int, int],
    cell_px: tuple[float, float],
    top: np.ndarray,
    bottom: np.ndarray,
) -> np.ndarray:
    """Fills [height, width, 3] with a grainy blend of two colors."""
    blend = np.linspace(top, bottom, size[0], dtype=np.float32)[:, None]
    return blend * (0.8 + 0.4 * _noise(rng, size, cell_px)[..., None])


def _noise(
    rng: Rng, size: tuple[int, int], cell_px: tuple[float, float]
) -> np.ndarray:
    """Returns noise of four scales, float32 [height, width] in [0, 1].

    The coarsest has cells of cell_px (height, width); each next one has half
    the size and half the amplitude.
    """
    noise = np.zeros(size, np.float32)
    for scale in (1, 2, 4, 8):
        cells = np.ceil(np.multiply(size, scale) / cell_px).astype(int) + 1
        grid = rng.random(cells, np.float32) / scale
        noise += cv2.resize(grid, size[::-1], None, 0, 0, cv2.INTER_CUBIC)
    return (noise - noise.min()) / max(np.ptp(noise), 1e-6)


def _vary(rng: Rng, color: Color, hue: float = 0.03) -> Color:
    """Returns a color whose hue varies, and whose brightness does by 8 %."""
    h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in color))
    h, v = (h + rng.uniform(-hue, hue)) % 1.0, v * rng.uniform(0.92, 1.08)
    return tuple(255 * x for x in colorsys.hsv_to_rgb(h, s, min(v, 1.0)))
