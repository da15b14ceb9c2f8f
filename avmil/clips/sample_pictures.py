"""Pictures of the sample clips: where objects belong, and their sprites."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from avmil.clips import sample_drawings as draw
from avmil.clips.sample_canvas import Canvas, fractal_noise

NUM_PHASES = 4


@dataclasses.dataclass(frozen=True)
class Picture:
    """How an object is drawn and where it belongs.

    Attributes:
        draw: Drawing function, see `sample_drawings`.
        size: (width, height) of the canvas in design units.
        aspect: Nominal width / height in the clip.
        height: (least, greatest) height as a share of the frame's height.
        bottom: (least, greatest) lower edge as a share of the frame's height.
    """

    draw: Callable[[Canvas, np.random.Generator, float], None]
    size: tuple[float, float]
    aspect: float
    height: tuple[float, float]
    bottom: tuple[float, float]


def draw_sprites(
    picture: Picture, seed: int, size_px: tuple[int, int]
) -> list[np.ndarray]:
    """Draws an object in all its phases, cut tight to its extent.

    Args:
        picture: What to draw.
        seed: Settles colors and details.
        size_px: (width, height) of the result; the object fills it.

    Returns:
        NUM_PHASES images uint8 [height, width, 4], premultiplied RGBA.
    """
    phases = []
    for phase in range(NUM_PHASES):
        canvas = Canvas(*picture.size)
        # The same details in every phase.
        rng = np.random.default_rng(seed)
        picture.draw(canvas, rng, phase / NUM_PHASES)
        phases.append(canvas.image_rgba)
    extent = np.max([image[..., 3] for image in phases], axis=0)
    left, top, width, height = cv2.boundingRect(extent)
    shading = _shading(np.random.default_rng(seed), height, width)
    sprites = []
    for image in phases:
        cut = image[top : top + height, left : left + width]
        shaded = np.minimum(cut * shading, cut[..., 3:])
        sprites.append(
            cv2.resize(
                shaded.astype(np.uint8), size_px, interpolation=cv2.INTER_AREA
            )
        )
    return sprites


def _shading(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Light from above and a little dirt, float32 [height, width, 4]."""
    light = np.linspace(1.1, 0.8, height, dtype=np.float32)[:, None]
    dirt = fractal_noise(rng, height, width, (24.0, 24.0), octaves=3)
    shading = np.ones((height, width, 4), np.float32)
    shading[..., :3] = (light * (0.86 + 0.22 * dirt))[..., None]
    return shading


_GROUND = (0.80, 0.97)

CLASS_PICTURES = {
    "ambulance": Picture(
        draw.ambulance, (200, 112), 1.9, (0.26, 0.38), _GROUND
    ),
    "church_bell": Picture(
        draw.church_bell, (100, 200), 0.48, (0.42, 0.58), (0.70, 0.80)
    ),
    "helicopter": Picture(
        draw.helicopter, (220, 100), 2.1, (0.22, 0.30), (0.36, 0.58)
    ),
    "motorcycle": Picture(
        draw.motorcycle, (150, 120), 1.2, (0.30, 0.42), _GROUND
    ),
    "train": Picture(draw.train, (270, 114), 2.5, (0.26, 0.36), (0.78, 0.92)),
    "truck": Picture(draw.truck, (200, 114), 1.75, (0.30, 0.42), _GROUND),
}

DISTRACTOR_PICTURES = {
    "balloon": Picture(
        draw.balloon, (100, 120), 0.78, (0.18, 0.28), (0.34, 0.55)
    ),
    "kite": Picture(draw.kite, (100, 130), 0.65, (0.16, 0.26), (0.32, 0.5)),
    "signpost": Picture(
        draw.signpost, (100, 120), 0.8, (0.2, 0.32), (0.7, 0.85)
    ),
    "tree": Picture(draw.tree, (100, 142), 0.7, (0.3, 0.45), (0.68, 0.8)),
}
