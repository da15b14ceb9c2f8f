"""Drawn objects and landscapes of the sample clips."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.clips.sample_canvas import Canvas, fractal_noise, vary
from avmil.clips.sample_pictures import (
    CLASS_PICTURES,
    DISTRACTOR_PICTURES,
    NUM_PHASES,
    draw_sprites,
)
from avmil.clips.sample_scenes import Scene

PICTURES = CLASS_PICTURES | DISTRACTOR_PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_sprites_fill_their_size_and_are_premultiplied(name):
    sprites = np.array(draw_sprites(PICTURES[name], 0, (90, 70)))
    assert sprites.shape == (NUM_PHASES, 70, 90, 4)
    alpha = sprites[..., 3].max(axis=0)
    for edge in (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:]):
        assert edge.max() > 16
    # Resizing rounds color and opacity apart by one at most.
    assert np.all(sprites[..., :3] <= sprites[..., 3:].astype(int) + 1)


@pytest.mark.parametrize("name", PICTURES)
def test_seeds_settle_the_details(name):
    first, same, other = (
        np.array(draw_sprites(PICTURES[name], seed, (90, 70)))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


@pytest.mark.parametrize("name", CLASS_PICTURES)
def test_objects_of_classes_have_moving_parts(name):
    first, second, *_ = draw_sprites(CLASS_PICTURES[name], 0, (90, 70))
    assert np.any(first != second)


def test_classes_differ_in_color_or_shape():
    drawn = [
        np.mean(
            [draw_sprites(p, seed, (16, 16))[0] for seed in range(4)], axis=0
        )
        for p in CLASS_PICTURES.values()
    ]
    for index, first in enumerate(drawn):
        for second in drawn[:index]:
            assert np.abs(first - second).mean() > 20


def test_canvas_draws_in_design_units():
    canvas = Canvas(10, 6, scale=4.0)
    canvas.box(2, 1, 8, 5, (200.0, 100.0, 50.0))
    image = canvas.image_rgba
    assert image.shape == (24, 40, 4)
    assert image[12, 20].tolist() == [200, 100, 50, 255]
    assert image[1, 20].tolist() == [0, 0, 0, 0]
    columns = np.flatnonzero(image[12, :, 3] > 127)
    assert abs(columns[0] - 8) <= 1
    assert abs(columns[-1] - 32) <= 1


def test_translucent_ellipse_is_premultiplied():
    canvas = Canvas(10, 10)
    canvas.ellipse(5, 5, 4, 4, (200.0, 100.0, 50.0), opacity=0.5)
    middle = canvas.image_rgba[10, 10].astype(int)
    assert np.all(np.abs(middle - [100, 50, 25, 128]) <= 1)


def test_noise_covers_its_range_at_every_octave():
    noise = fractal_noise(np.random.default_rng(0), 60, 90, (20.0, 30.0))
    assert noise.shape == (60, 90)
    assert (noise.min(), noise.max()) == pytest.approx((0.0, 1.0))


def test_colors_vary_within_bounds():
    rng = np.random.default_rng(0)
    varied = np.array([vary(rng, (255.0, 128.0, 0.0)) for _ in range(50)])
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert varied.std(axis=0).max() > 3


def test_scene_fills_frames_and_pans():
    scene = Scene(np.random.default_rng(3), 160, 96, 10.0)
    first, later = scene.frame(0.0), scene.frame(4.0)
    assert first.shape == (96, 160, 3)
    assert first.dtype == np.uint8
    assert first.std() > 20
    # The ground moves by 32 px or more in 4 s.
    change = np.abs(first.astype(int) - later).mean(axis=(1, 2))
    assert change[-20:].mean() > 1
    np.testing.assert_array_equal(first, scene.frame(0.0))


def test_ground_moves_by_whole_pixels_at_whole_pixel_times():
    scene = Scene(np.random.default_rng(5), 160, 96, 10.0)
    ground = scene._layers[-1]
    speed = ground.speed_px_per_s
    shift_s = 12 / abs(speed)
    first, later = (scene.frame(time_s)[-20:] for time_s in (0.0, shift_s))
    if speed > 0:
        first, later = later, first
    # Interpolation at the same subpixel position: equal up to rounding.
    difference = np.abs(later[:, 12:].astype(int) - first[:, :-12])
    assert difference.max() <= 2
