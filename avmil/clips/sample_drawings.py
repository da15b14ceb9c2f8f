"""Drawings of the sample clips: an object of every class, and distractors.

Every public function takes a canvas, a generator and a phase in [0, 1): the
generator settles colors and details, the phase the moving parts. Objects
face right, and are drawn in design units with y downwards.
"""

from __future__ import annotations

import numpy as np

from avmil.clips.sample_canvas import Canvas, Color, vary

_DARK: Color = (34, 36, 42)
_TYRE: Color = (28, 27, 29)
_STEEL: Color = (168, 174, 182)
_GLASS: Color = (126, 176, 206)
_WHITE: Color = (240, 240, 236)
_LAMP: Color = (255, 236, 150)


def _wheel(
    canvas: Canvas,
    x: float,
    y: float,
    radius: float,
    phase: float,
    rim: Color = _STEEL,
) -> None:
    canvas.circle(x, y, radius, _TYRE)
    canvas.circle(x, y, 0.66 * radius, rim)
    canvas.circle(x, y, 0.54 * radius, (92, 96, 102))
    # Five spokes: a turn by one phase does not map the wheel to itself.
    for angle in 2 * np.pi * (np.arange(5) / 5 + phase):
        end = x + 0.6 * radius * np.cos(angle), y + 0.6 * radius * np.sin(angle)
        canvas.line([(x, y), end], rim, 0.1 * radius)
    canvas.circle(x, y, 0.16 * radius, _DARK)


def _shadow(canvas: Canvas, x1: float, x2: float, y: float) -> None:
    canvas.ellipse((x1 + x2) / 2, y, (x2 - x1) / 2, 3.0, (12, 12, 14), 0.5)


def ambulance(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """White van with a red stripe, a red cross and blue lights."""
    body = vary(rng, (246, 245, 238), 0.1, 0.04)
    red = vary(rng, (214, 36, 40))
    stripe_y = rng.uniform(58, 64)
    rear = rng.uniform(22, 27)
    _shadow(canvas, 20, 184, 106)
    hull = [(6, rear), (10, 20), (128, 20), (166, 52), (190, 60), (197, 70)]
    canvas.polygon([*hull, (197, 94), (6, 94)], body)
    canvas.polygon([(6, 88), (197, 88), (197, 95), (6, 95)], _DARK)
    canvas.box(6, stripe_y, 197, stripe_y + 12, red)
    canvas.box(6, stripe_y + 15, 197, stripe_y + 18, red)
    canvas.polygon([(120, 27), (131, 27), (158, 52), (120, 52)], _GLASS)
    canvas.line([(114, 24), (114, 86)], (176, 178, 180), 1.2)
    canvas.line([(162, 56), (158, 86)], (176, 178, 180), 1.2)
    cross_x = rng.uniform(50, 70)
    canvas.box(cross_x - 14, 35, cross_x + 14, 43, red)
    canvas.box(cross_x - 4, 25, cross_x + 4, 53, red)
    blue, dim = (70, 150, 255), (24, 44, 150)
    left, right = (blue, dim) if phase < 0.5 else (dim, blue)
    canvas.box(88, 9, 104, 20, left)
    canvas.box(104, 9, 120, 20, right)
    canvas.box(6, 30, 9, 42, right)
    canvas.ellipse(193, 74, 4, 5, _LAMP)
    for x in (46, 158):
        canvas.circle(x, 92, 20, (58, 58, 62))
        _wheel(canvas, x, 92, 16, phase)


def truck(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Orange container truck with a yellow cab."""
    cargo = vary(rng, (238, 128, 30))
    cab = vary(rng, (248, 202, 44))
    shade = tuple(0.82 * value for value in cargo)
    _shadow(canvas, 10, 190, 110)
    canvas.box(8, 82, 190, 94, _DARK)
    canvas.box(4, 6, 134, 82, cargo)
    for x in np.linspace(14, 124, int(rng.integers(9, 13))):
        canvas.box(x - 2, 10, x + 2, 78, shade)
    canvas.box(4, 6, 134, 11, shade)
    canvas.box(4, 77, 134, 82, shade)
    canvas.box(36, 32, 102, 54, _WHITE)
    canvas.line([(46, 43), (88, 43)], _DARK, 3)
    canvas.polygon([(88, 35), (96, 43), (88, 51)], _DARK)
    canvas.polygon(
        [(140, 28), (172, 28), (186, 56), (196, 62), (196, 92), (140, 92)], cab
    )
    canvas.polygon([(150, 34), (170, 34), (181, 56), (150, 56)], _GLASS)
    canvas.line([(146, 32), (146, 90)], _DARK, 1)
    canvas.box(188, 76, 196, 84, _LAMP)
    canvas.box(136, 14, 140, 84, _STEEL)
    blink = (255, 90, 40) if phase < 0.5 else (110, 20, 16)
    canvas.box(4, 83, 12, 92, blink)
    for x in (32, 62, 168):
        _wheel(canvas, x, 95, 15, phase, rim=(206, 206, 200))


def train(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Green steam engine with its tender, on rails."""
    green = vary(rng, (28, 104, 62))
    red = vary(rng, (190, 44, 38))
    brass = vary(rng, (226, 182, 70))
    canvas.box(0, 106, 270, 109, (150, 146, 142))
    for x in np.arange(6, 270, 14):
        canvas.box(x - 4, 109, x + 4, 113, (92, 66, 46))
    for number, x in enumerate((204, 188, 168)):
        radius = 5 + 2.5 * number + phase
        canvas.ellipse(x, 12 + number, radius * 1.4, radius, (225,) * 3, 0.55)
    canvas.box(6, 44, 66, 88, green)
    canvas.polygon([(8, 45), (24, 36), (46, 38), (64, 45)], (26, 24, 24))
    canvas.box(6, 84, 250, 92, red)
    canvas.box(66, 76, 78, 88, _DARK)
    canvas.box(78, 30, 122, 88, green)
    canvas.polygon([(72, 24), (128, 24), (128, 32), (72, 32)], _DARK)
    canvas.box(86, 38, 112, 58, _GLASS)
    canvas.box(120, 44, 226, 84, green)
    for x in np.linspace(132, 212, 4):
        canvas.box(x - 2, 44, x + 2, 84, brass)
    canvas.box(222, 40, 236, 88, _DARK)
    canvas.polygon([(202, 20), (222, 20), (218, 44), (206, 44)], _DARK)
    canvas.ellipse(166, 44, 11, 12, brass)
    canvas.circle(238, 52, 6, _LAMP)
    canvas.polygon([(236, 84), (250, 84), (266, 105), (240, 105)], red)
    for x, radius in ((22, 11), (50, 11), (222, 10)):
        _wheel(canvas, x, 106 - radius, radius, phase, rim=red)
    for x in (92, 132, 172):
        _wheel(canvas, x, 88, 18, phase, rim=red)
    angle = 2 * np.pi * phase
    shift_x, shift_y = 9 * np.cos(angle), 9 * np.sin(angle)
    rod = [(92 + shift_x, 88 + shift_y), (172 + shift_x, 88 + shift_y)]
    canvas.line(rod, _STEEL, 4)


def motorcycle(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Magenta motorcycle with its rider."""
    paint = vary(rng, (206, 24, 120))
    jacket = vary(rng, (40, 42, 60))
    helmet = vary(rng, (220, 36, 128))
    skin = (206, 160, 130)
    _shadow(canvas, 12, 140, 117)
    for x in (30, 122):
        canvas.circle(x, 90, 27, _TYRE)
        canvas.circle(x, 90, 20, (205, 208, 212))
        for angle in np.pi * (np.arange(6) / 6 + phase / 3):
            dx, dy = 20 * np.cos(angle), 20 * np.sin(angle)
            canvas.line([(x - dx, 90 - dy), (x + dx, 90 + dy)], _DARK, 1.6)
        canvas.circle(x, 90, 6, _STEEL)
    canvas.line([(122, 90), (104, 48), (96, 44)], _STEEL, 5)
    canvas.polygon([(40, 62), (64, 66), (100, 60), (88, 98), (56, 98)], _DARK)
    canvas.circle(72, 86, 13, _STEEL)
    canvas.circle(72, 86, 7, (110, 114, 120))
    canvas.line([(70, 98), (44, 102), (14, 98)], _STEEL, 6)
    canvas.polygon([(12, 58), (30, 52), (66, 60), (60, 68), (30, 66)], _DARK)
    canvas.polygon([(60, 60), (72, 48), (98, 46), (106, 58), (88, 68)], paint)
    canvas.polygon([(110, 62), (124, 58), (146, 74), (124, 68)], paint)
    canvas.polygon([(10, 60), (30, 56), (28, 64), (8, 72)], paint)
    canvas.circle(110, 52, 7, _LAMP)
    canvas.line([(48, 54), (80, 66), (66, 94)], (54, 62, 88), 11)
    canvas.line([(66, 95), (80, 97)], _TYRE, 7)
    canvas.polygon([(36, 54), (44, 24), (64, 22), (66, 40), (56, 60)], jacket)
    canvas.line([(58, 30), (78, 42), (96, 42)], jacket, 8)
    canvas.circle(97, 42, 4, skin)
    canvas.circle(66, 14, 13, helmet)
    canvas.polygon([(68, 8), (79, 10), (79, 18), (68, 18)], (30, 40, 60))


def helicopter(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Blue and yellow helicopter."""
    paint = vary(rng, (32, 92, 196))
    trim = vary(rng, (250, 220, 60))
    reach = 78 + 14 * np.cos(4 * np.pi * phase)
    canvas.ellipse(122, 14, 93, 5, (70, 74, 80), 0.35)
    canvas.line([(122 - reach, 14), (122 + reach, 14)], _DARK, 2.5)
    canvas.box(118, 12, 126, 34, _STEEL)
    canvas.polygon([(108, 42), (14, 38), (10, 46), (104, 74)], paint)
    canvas.polygon([(2, 14), (14, 12), (26, 42), (12, 46)], trim)
    angle = np.pi * (phase + 0.1)
    dx, dy = 14 * np.cos(angle), 14 * np.sin(angle)
    canvas.line([(14 - dx, 42 - dy), (14 + dx, 42 + dy)], (230,) * 3, 3)
    canvas.polygon([(94, 34), (150, 30), (156, 40), (90, 44)], trim)
    canvas.ellipse(132, 58, 46, 25, paint)
    canvas.polygon(
        [(138, 38), (156, 40), (172, 52), (176, 62), (138, 62)], _GLASS
    )
    canvas.line([(154, 38), (156, 62)], paint, 3)
    canvas.box(104, 46, 128, 62, (188, 222, 240))
    canvas.line([(92, 72), (174, 66)], trim, 4)
    canvas.line([(112, 80), (108, 95)], _STEEL, 3)
    canvas.line([(148, 80), (152, 95)], _STEEL, 3)
    canvas.line([(90, 92), (94, 96), (170, 96), (178, 90)], _DARK, 4)
    canvas.circle(132, 84, 3, (255, 70, 60) if phase < 0.5 else (110, 20, 20))


def church_bell(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Church tower with a swinging golden bell."""
    stone = vary(rng, (206, 192, 164), 0.02)
    mortar = tuple(0.86 * value for value in stone)
    slate = vary(rng, (146, 62, 52))
    gold = vary(rng, (238, 184, 40), 0.02)
    canvas.box(14, 66, 86, 196, stone)
    for row, y in enumerate(np.arange(72, 196, 9)):
        canvas.line([(14, y), (86, y)], mortar, 0.8)
        for x in np.arange(20 + 8 * (row % 2), 86, 16):
            canvas.line([(x, y), (x, y + 9)], mortar, 0.8)
    canvas.polygon([(50, 8), (6, 68), (94, 68)], slate)
    canvas.polygon([(50, 8), (50, 68), (94, 68)], tuple(0.8 * c for c in slate))
    canvas.line([(50, 0.5), (50, 12)], gold, 2)
    canvas.line([(45.5, 4), (54.5, 4)], gold, 2)
    canvas.ellipse(50, 92, 30, 20, (44, 38, 44))
    canvas.box(20, 92, 80, 142, (44, 38, 44))
    swing = 0.35 * np.sin(2 * np.pi * phase)
    cosine, sine = np.cos(swing), np.sin(swing)
    outline = [(-5, 8), (5, 8), (13, 20), (15, 36), (23, 48)]
    outline += [(-23, 48), (-15, 36), (-13, 20)]
    turned = [
        (50 + cosine * x - sine * y, 84 + sine * x + cosine * y)
        for x, y in [
            *outline,
            (0, 52),
            (-19, 43),
            (19, 43),
            (-9, 14),
            (-11, 38),
        ]
    ]
    canvas.circle(*turned[8], 5, (120, 84, 24))
    canvas.polygon(turned[:8], gold)
    canvas.line(turned[9:11], (150, 100, 20), 2)
    canvas.line(turned[11:13], (255, 240, 170), 3)
    canvas.line([(20, 90), (80, 90)], (110, 74, 44), 5)
    canvas.box(10, 142, 90, 148, mortar)
    canvas.ellipse(50, 172, 12, 14, (96, 58, 34))
    canvas.box(38, 172, 62, 196, (96, 58, 34))


def balloon(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Striped hot-air balloon in any hue."""
    paint = vary(rng, (176, 96, 206), hue=0.5)
    canvas.line([(28, 74), (40, 104)], _DARK, 1)
    canvas.line([(72, 74), (60, 104)], _DARK, 1)
    canvas.polygon([(12, 60), (88, 60), (60, 92), (40, 92)], paint)
    for radius, color in ((46, paint), (28, _WHITE), (11, paint)):
        canvas.ellipse(50, 48, radius, 46, color)
    canvas.box(39, 102, 61, 118, (130, 90, 54))


def tree(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Tree with a round crown."""
    leaf = vary(rng, (72, 124, 48), 0.06, 0.2)
    canvas.polygon([(44, 140), (47, 70), (55, 70), (58, 140)], (94, 66, 44))
    for _ in range(26):
        angle, radius = rng.uniform(0, 2 * np.pi), 30 * np.sqrt(rng.random())
        x, y = 50 + radius * np.cos(angle), 46 + radius * np.sin(angle)
        canvas.circle(x, y, rng.uniform(10, 16), vary(rng, leaf, 0.02, 0.15))


def kite(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Kite with a fluttering tail, in any hue."""
    first = vary(rng, (230, 120, 160), hue=0.5)
    second = vary(rng, (90, 200, 190), hue=0.5)
    wave = 4 * np.sin(2 * np.pi * (phase + np.arange(6) / 4))
    tail = [(30 - 4 * i + wave[i], 84 + 8 * i) for i in range(6)]
    canvas.line(tail, _DARK, 1.2)
    for x, y in tail[1:]:
        canvas.polygon([(x - 5, y - 3), (x + 5, y + 3), (x + 5, y - 3)], first)
    canvas.polygon([(50, 4), (84, 40), (30, 86)], first)
    canvas.polygon([(50, 4), (14, 36), (30, 86)], second)


def signpost(canvas: Canvas, rng: np.random.Generator, phase: float) -> None:
    """Signpost with two boards."""
    board = vary(rng, (60, 130, 90), hue=0.5)
    canvas.box(46, 20, 54, 120, _STEEL)
    canvas.polygon([(14, 8), (78, 8), (92, 22), (78, 36), (14, 36)], board)
    canvas.polygon([(86, 44), (22, 44), (8, 57), (22, 70), (86, 70)], _WHITE)
    canvas.line([(24, 22), (70, 22)], _WHITE, 4)
    canvas.line([(30, 57), (76, 57)], _DARK, 4)
