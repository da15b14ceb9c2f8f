"""Backgrounds of the sample clips: landscapes that pan slowly.

A scene is a stack of layers (sky, distant hills, a skyline or a wood, ground
with a road), each of which moves sideways at its own speed: near ones faster.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from avmil.clips.sample_canvas import Color, fractal_noise, vary


@dataclasses.dataclass(frozen=True)
class _Palette:
    sky_top: Color
    sky_bottom: Color
    hills: Color
    middle: Color
    ground: Color


_PALETTES = (
    _Palette(  # Summer day.
        (74, 138, 206), (196, 222, 236), (112, 148, 150), (66, 110, 74),
        (112, 146, 74),
    ),
    _Palette(  # Sunset.
        (70, 62, 124), (248, 172, 116), (128, 90, 122), (76, 60, 84),
        (122, 100, 80),
    ),
    _Palette(  # Desert.
        (108, 168, 214), (240, 226, 196), (206, 164, 122), (176, 122, 84),
        (214, 180, 122),
    ),
    _Palette(  # Winter.
        (138, 158, 184), (222, 228, 234), (168, 182, 200), (92, 108, 122),
        (222, 228, 234),
    ),
    _Palette(  # Overcast.
        (120, 128, 138), (198, 200, 200), (126, 134, 138), (86, 92, 90),
        (128, 130, 106),
    ),
    _Palette(  # Dawn.
        (66, 92, 140), (250, 206, 196), (120, 122, 156), (58, 78, 92),
        (100, 116, 88),
    ),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A strip that is wider than the frame.

    Attributes:
        image_rgb: uint8 [height, wide, 3].
        opacity: float32 [height, wide]; None where it is 1 throughout.
        top_px: Row of the frame where the strip begins.
        start_px: Column of the strip at the frame's left edge at 0 s.
        speed_px_per_s: Change of that column.
    """

    image_rgb: np.ndarray
    opacity: np.ndarray | None
    top_px: int
    start_px: float
    speed_px_per_s: float


class Scene:
    """A landscape that pans.

    Args:
        rng: Settles what the scene looks like.
        width_px: Width of the frames.
        height_px: Height of the frames.
        duration_s: How long the scene lasts.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        width_px: int,
        height_px: int,
        duration_s: float,
    ):
        self._rng = rng
        self._width_px, self._height_px = width_px, height_px
        self._duration_s = duration_s
        self._speed_px_per_s = rng.choice((-1, 1)) * rng.uniform(8, 24)
        palette = _PALETTES[rng.integers(len(_PALETTES))]
        horizon_px = round(height_px * rng.uniform(0.56, 0.66))
        self._layers = [
            self._sky(palette, horizon_px + 2),
            self._hills(palette, horizon_px),
            self._middle(palette, horizon_px),
            self._ground(palette, horizon_px),
        ]

    def frame(self, time_s: float) -> np.ndarray:
        """Returns the scene at a time, uint8 [height, width, 3], RGB."""
        frame = np.empty((self._height_px, self._width_px, 3), np.uint8)
        for layer in self._layers:
            column = layer.start_px + layer.speed_px_per_s * time_s
            image = self._view(layer.image_rgb, column)
            rows = slice(layer.top_px, layer.top_px + len(image))
            if layer.opacity is not None:
                opacity = self._view(layer.opacity, column)
                image = cv2.blendLinear(
                    image, frame[rows], opacity, 1.0 - opacity
                )
            frame[rows] = image
        return frame

    def _view(self, strip: np.ndarray, column: float) -> np.ndarray:
        shift = np.array([[1.0, 0.0, -column], [0.0, 1.0, 0.0]])
        return cv2.warpAffine(
            strip,
            shift,
            (self._width_px, len(strip)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _wide_px(self, depth: float) -> int:
        travel_px = abs(self._speed_px_per_s) * depth * self._duration_s
        return self._width_px + int(np.ceil(travel_px)) + 2

    def _layer(
        self,
        image: np.ndarray,
        opacity: np.ndarray | None,
        top_px: int,
        depth: float,
    ) -> _Layer:
        speed = self._speed_px_per_s * depth
        return _Layer(
            np.clip(image, 0, 255).astype(np.uint8),
            opacity,
            top_px,
            1.0 if speed > 0 else self._wide_px(depth) - self._width_px - 1.0,
            speed,
        )

    def _sky(self, palette: _Palette, height: int) -> _Layer:
        wide = self._wide_px(0.15)
        sky = _gradient(
            vary(self._rng, palette.sky_top),
            vary(self._rng, palette.sky_bottom),
            height,
            wide,
        )
        cell_px = self._rng.uniform(20, 60), self._rng.uniform(70, 200)
        clouds = fractal_noise(self._rng, height, wide, cell_px, octaves=5)
        cover = self._rng.uniform(0.35, 0.7)
        density = np.clip((clouds - cover) / 0.35, 0.0, 0.85)[..., None]
        lit = _gradient((255, 255, 255), palette.sky_bottom, height, wide)
        return self._layer(sky + density * (lit - sky), None, 0, 0.15)

    def _hills(self, palette: _Palette, horizon_px: int) -> _Layer:
        height, wide = round(0.3 * self._height_px), self._wide_px(0.35)
        top = horizon_px + 2 - height
        ridge = 0.8 * height * _outline(self._rng, wide, 150)
        noise = fractal_noise(self._rng, height, wide, (16, 30))
        color = vary(self._rng, palette.hills)
        image = _textured(color, palette.sky_bottom, noise, 0.25)
        return self._layer(image, _below(ridge, height), top, 0.35)

    def _middle(self, palette: _Palette, horizon_px: int) -> _Layer:
        height, wide = round(0.22 * self._height_px), self._wide_px(0.6)
        top = horizon_px + 2 - height
        color = vary(self._rng, palette.middle)
        noise = fractal_noise(self._rng, height, wide, (8, 8))
        if self._rng.random() < 0.5:
            ridge = height * _wood(self._rng, wide)
            image = _textured(color, palette.hills, noise, 0.4)
        else:
            ridge = height * _skyline(self._rng, wide)
            walls = tuple(0.4 * value + 66.0 for value in color)
            image = _textured(walls, palette.hills, noise, 0.3)
            image += _windows(self._rng, height, wide)
        return self._layer(image, _below(ridge, height), top, 0.6)

    def _ground(self, palette: _Palette, horizon_px: int) -> _Layer:
        height, wide = self._height_px - horizon_px, self._wide_px(1.0)
        color = vary(self._rng, palette.ground)
        coarse = fractal_noise(self._rng, height, wide, (18, 70), octaves=5)
        fine = fractal_noise(self._rng, height, wide, (3, 9), octaves=2)
        image = _textured(color, palette.middle, 0.6 * coarse + 0.4 * fine, 0.5)
        if self._rng.random() < 0.7:
            _pave(self._rng, image, fine)
        return self._layer(image, None, horizon_px, 1.0)


def _gradient(top: Color, bottom: Color, height: int, width: int) -> np.ndarray:
    """Vertical gradient, float32 [height, width, 3]."""
    share = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    rows = (1 - share) * np.float32(top) + share * np.float32(bottom)
    return np.repeat(rows, width, axis=1)


def _textured(
    color: Color, haze: Color, noise: np.ndarray, contrast: float
) -> np.ndarray:
    """Color in haze above, full below, with noise; [height, width, 3]."""
    hazy = tuple(0.6 * c + 0.4 * h for c, h in zip(color, haze, strict=True))
    plain = _gradient(hazy, color, *noise.shape)
    return plain * (1 + contrast * (noise[..., None] - 0.5))


def _outline(rng: np.random.Generator, wide: int, cell_px: int) -> np.ndarray:
    """Smooth line in [0, 1], one value a column."""
    return fractal_noise(rng, 1, wide, (1, cell_px), octaves=5)[0]


def _wood(rng: np.random.Generator, wide: int) -> np.ndarray:
    """Upper edge of a row of firs, a share of the height for each column."""
    period = rng.uniform(9, 14)
    position = np.arange(wide) / period + 0.35 * _outline(rng, wide, 12)
    crown = np.abs(2 * (position % 1.0) - 1)
    tallness = rng.uniform(0.25, 0.5, int(position[-1]) + 2)
    return 0.75 - (1 - crown) * tallness[position.astype(int)]


def _skyline(rng: np.random.Generator, wide: int) -> np.ndarray:
    """Upper edge of a row of houses, a share of the height for each column."""
    widths = rng.integers(14, 38, wide // 14 + 1)
    return np.repeat(rng.uniform(0.05, 0.7, len(widths)), widths)[:wide]


def _windows(rng: np.random.Generator, height: int, wide: int) -> np.ndarray:
    """Light to add where windows are, float32 [height, wide, 1]."""
    rows, columns = height // 6 + 1, wide // 6 + 1
    levels = rng.choice((-18.0, 10.0, 60.0), (rows, columns), p=(0.5, 0.3, 0.2))
    pane = np.zeros((6, 6), np.float32)
    pane[1:5, 2:5] = 1.0
    return np.kron(levels, pane)[:height, :wide, None].astype(np.float32)


def _below(ridge: np.ndarray, height: int) -> np.ndarray:
    """Opacity of what lies below a ridge (rows from the top), anti-aliased."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    return np.clip(rows - ridge[None] + 0.5, 0, 1).astype(np.float32)


def _pave(
    rng: np.random.Generator, ground: np.ndarray, noise: np.ndarray
) -> None:
    """Lays a road with a dashed line onto the ground [height, width, 3]."""
    height, width = ground.shape[:2]
    top, bottom = round(0.42 * height), round(0.94 * height)
    asphalt = rng.uniform(84, 112) + 22 * (noise[top:bottom, :, None] - 0.5)
    ground[top:bottom] = asphalt * np.float32((1.0, 1.0, 1.04))
    ground[[top, bottom - 1]] = 196.0
    middle = (top + bottom) // 2
    dashes = np.flatnonzero(np.arange(width) % 44 < 24)
    ground[middle - 1 : middle + 1, dashes] = 214.0
