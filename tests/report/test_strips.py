"""The heat maps below an annotated video."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from avmil.evaluation.class_localization import ClassLocalization
from avmil.report import strips
from avmil.report.strips import Strips
from tests.localized_clips import CLASS_NAMES, make_clip

RED = (255, 0, 0)
CURSOR = [64, 224, 255]


def render(width_px, num_classes=1, **changes):
    values = {"segment_scores": [[0, 0], [1, 1], [2, 2], [3, 3]], **changes}
    clip = make_clip(**values)
    names = itertools.islice(itertools.cycle(CLASS_NAMES), num_classes)
    classes = [ClassLocalization(clip, name) for name in names]
    return strips.render(classes, [RED] * num_classes, width_px)


@pytest.mark.parametrize("num_maps", [0, 1, 2])
@pytest.mark.parametrize("num_classes", [1, 2, 3])
def test_canvas_has_the_videos_width_and_an_even_height(num_classes, num_maps):
    for width_px in range(480, 1922, 2):
        canvas = strips.empty_canvas(width_px, num_classes, num_maps)
        received_px, height_px = canvas.get_width_height()
        assert received_px == width_px
        assert height_px % 2 == 0


@pytest.mark.parametrize("num_classes", [1, 2, 3])
@pytest.mark.parametrize("width_px", [480, 502, 510, 640, 1080, 1920])
def test_image_has_the_size_of_its_canvas(width_px, num_classes):
    height_px, received_px, _ = render(width_px, num_classes).image_rgb.shape
    assert received_px == width_px
    assert height_px % 2 == 0


def test_what_was_not_heard_is_of_no_color_of_the_map():
    below = render(640, duration_s=8.0)  # The segments end at 4 s.
    row = below.image_rgb[below.bottom_px - 8].astype(int)
    middle = below.cursor_px(4.0)
    assert (row[middle - 8 : middle - 3] > 250).all()  # The highest score.
    unheard = row[middle + 3 : round(below.right_px) - 3]
    assert np.ptp(unheard, axis=1).max() == 0  # Grays.
    assert unheard.min() > 100
    assert unheard.max() < 230


def test_cursor_at_the_border_stays_inside():
    image = np.full((4, 20, 3), 90, np.uint8)
    below = Strips(image, 0.0, 19.0, 0, 4, duration_s=1.0)
    assert below.at(0.0)[2, :4].tolist() == [CURSOR, CURSOR, [0] * 3, [90] * 3]
    assert below.at(1.0)[2, 18:].tolist() == [CURSOR, CURSOR]
