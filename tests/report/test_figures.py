"""Fig. 3 and Fig. 4 as figure objects."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.patches import ConnectionPatch, Rectangle

from avmil.evaluation.clip_localization import ClassLocalization
from avmil.report import figures, images
from tests.localized_clips import make_clip, overlapping

NAMES = ("bus", "train")


def localized(num_frames=3, num_regions=2, num_segments=4, size_px=(64, 48)):
    """Region r of frame f scores 2 f + r for `train`, segment t scores -t."""
    count = num_frames * num_regions
    x1 = np.arange(count) % 5
    return make_clip(
        boxes=np.stack([x1, x1 + 1, x1 + 20, x1 + 11], axis=1),
        region_times_s=np.repeat(np.arange(num_frames) + 0.5, num_regions),
        region_scores=np.outer(np.arange(count), [0.0, 1.0]),
        segment_times_s=overlapping(num_segments),
        segment_scores=np.outer(-np.arange(num_segments), [0, 1]),
        duration_s=float(num_frames),
        class_names=NAMES,
        scores=np.array([-0.5, 0.25]),
        frame_size_px=size_px,
    )


def found(clip, name="train", regions=None, **changes):
    """The class as it is where it is found, by default in all regions."""
    regions = range(len(clip.boxes)) if regions is None else regions
    facts = {"is_predicted": True, "threshold": 0.2, "events": [(0.5, 1.0, 1)]}
    return ClassLocalization(
        clip, name, found_regions=frozenset(regions), **(facts | changes)
    )


def frames(clip):
    width_px, height_px = clip.frame_size_px
    count = len(clip.frame_times_s)
    return [
        np.full((height_px, width_px, 3), k, np.uint8) for k in range(count)
    ]


def draw_4(clip, name="train"):
    return figures.figure_4(found(clip, name), frames(clip))


def picture_axes(figure):
    return [axes for axes in figure.axes if axes.images]


def map_axes(figure):
    """Axes of the heat maps; the color bar, the last axes, is none."""
    return [
        axes
        for axes in figure.axes[:-1]
        if any(isinstance(c, QuadMesh) for c in axes.collections)
    ]


def mesh(axes):
    (found,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    return found


def boxes(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_figure_3_shows_scaled_regions_and_segments():
    figure = figures.figure_3(found(localized()))
    regions, segments = map_axes(figure)
    assert mesh(regions).get_array().tolist() == [[0, 0.2, 0.4, 0.6, 0.8, 1]]
    np.testing.assert_allclose(
        mesh(segments).get_array(), [[1, 2 / 3, 1 / 3, 0]]
    )
    for axes in (regions, segments):
        assert mesh(axes).get_clim() == (0, 1)
    # Fig. 3: "black is 0 and white 1".
    colors = mesh(regions).get_cmap()([0.0, 1.0])
    assert colors[1].tolist() == [1, 1, 1, 1]
    assert (colors[0, :3] < 0.05).all()
    assert not picture_axes(figure)  # Without frames, the maps alone.
    assert regions.get_xlim() == (0, 6)
    labels = [label.get_text() for label in regions.get_xticklabels()]
    assert labels == ["0.5", "1.5", "2.5"]
    assert regions.get_xticks().tolist() == [1, 3, 5]  # Middles of frames.
    assert segments.get_xlim() == (0, 3)
    assert segments.get_xlabel() == "time (s)"


def test_figure_3_draws_the_best_box_of_the_best_frames_in_green():
    clip = localized()
    figure = figures.figure_3(found(clip), frames(clip), max_frames=2)
    pictures = picture_axes(figure)
    assert [axes.images[0].get_array()[0, 0, 0] for axes in pictures] == [1, 2]
    assert [axes.get_xlabel() for axes in pictures] == [
        "1.5 s: 0.60",
        "2.5 s: 1.00",
    ]
    (box,) = boxes(pictures[1])
    red, green, blue = to_rgb(box.get_edgecolor())
    assert green > 0.8
    assert max(red, blue) < 0.3
    # Inclusive pixels 0 to 20 and 1 to 11: region 5, whose x1 is 0.
    assert box.get_bbox().extents.tolist() == [-0.5, 0.5, 20.5, 11.5]


def test_figure_4_shows_the_best_box_as_opaque_as_its_score():
    pictures = picture_axes(draw_4(localized()))
    opacities = [[box.get_alpha() for box in boxes(a)] for a in pictures]
    assert opacities == [[0.2], [0.6], [1]]
    color = boxes(pictures[0])[0].get_edgecolor()
    assert to_rgb(color) == (1, 1, 0)


def test_a_class_has_boxes_where_it_is_found():
    clip = localized()
    seen = found(clip, regions=[5], events=())
    (picture,) = picture_axes(figures.figure_3(seen, frames(clip)))
    assert picture.get_xlabel() == "2.5 s: 1.00"
    pictures = picture_axes(figures.figure_4(seen, frames(clip)))
    assert [len(boxes(axes)) for axes in pictures] == [0, 0, 1]
    heard = found(clip, regions=[])
    pictures = picture_axes(figures.figure_3(heard, frames(clip), max_frames=1))
    assert [a.get_xlabel() for a in pictures] == ["0.5 s"]  # Best segment.


def test_bars_show_where_a_class_is_found():
    clip = localized()
    seen = found(clip, regions=[2, 3, 4], events=[(0.5, 1, 2), (2, 3, 4)])
    assert seen.sights_s == [(1.0, 3.0)]
    (axes,) = map_axes(figures.figure_4(seen))
    (bars,) = [c for c in axes.collections if not isinstance(c, QuadMesh)]
    extents = [path.get_extents().intervalx for path in bars.get_paths()]
    np.testing.assert_allclose(extents, [(0.5, 1), (2, 3)])


def test_what_is_not_found_is_faded():
    clip = localized()
    absent = ClassLocalization(clip, "train", threshold=0.3)
    for draw in (figures.figure_3, figures.figure_4):
        figure = draw(absent, frames(clip))
        assert texts(figure)[1].startswith("not found: 0.05 below")
        for axes in map_axes(figure):
            colors = mesh(axes).get_cmap()([0.0, 1.0])[:, :3]
            assert np.ptp(colors, axis=0).max() < 0.4
        opacities = [
            b.get_alpha() for a in picture_axes(figure) for b in boxes(a)
        ]
        assert max(opacities) < 0.4


def test_figure_4_leads_frames_to_their_instant():
    figure = draw_4(localized())
    (segments,) = map_axes(figure)
    assert segments.get_xlim() == (0, 3)
    lines = [a for a in figure.artists if isinstance(a, ConnectionPatch)]
    assert [line.xy2 for line in lines] == [(0.5, 1), (1.5, 1), (2.5, 1)]


def test_figure_4_shows_the_best_frame_of_each_part():
    clip = localized(num_frames=60)
    clip.region_scores[2 * 33, 1] = 1000
    figure = draw_4(clip)
    shown = [a.images[0].get_array()[0, 0, 0] for a in picture_axes(figure)]
    assert 2 <= len(shown) <= 8
    assert 33 in shown
    assert shown == sorted(shown)


def test_what_was_not_scored_is_hatched():
    clip = localized(num_segments=2)  # They end at 1.44 s of 3 s.
    (_, segments), (over_time,) = (
        map_axes(figures.figure_3(found(clip))),
        map_axes(draw_4(clip)),
    )
    for axes in (segments, over_time):
        assert axes.get_xlim() == (0, 3)
        edges_s = mesh(axes).get_coordinates()[0, :, 0]
        np.testing.assert_allclose(edges_s, [0, 0.72, 1.44])
        assert axes.patch.get_hatch()


def test_frames_behind_the_last_segment_are_not_the_best_ones():
    # The segments end at 1.44 s, the last one scores highest.
    clip = localized(num_regions=0, num_segments=2)
    clip.segment_scores[:, 1] = [0, 1]
    figure = figures.figure_3(found(clip), frames(clip))
    shown = [a.images[0].get_array()[0, 0, 0] for a in picture_axes(figure)]
    assert shown == [0]


def test_frames_may_be_smaller_than_the_video():
    clip = localized()
    small = [frame[::2, ::2] for frame in frames(clip)]
    figure = figures.figure_3(found(clip), small)
    image = picture_axes(figure)[0].images[0]
    assert tuple(image.get_extent()) == (-0.5, 63.5, 47.5, -0.5)


def test_without_regions_frames_follow_the_segments():
    clip = localized(num_regions=0)
    figure = figures.figure_3(found(clip), frames(clip), max_frames=1)
    (axes,) = picture_axes(figure)
    assert axes.images[0].get_array()[0, 0, 0] == 0  # Segment 0 is the best.
    assert not boxes(axes)
    assert len(map_axes(figure)) == 1
    assert len(map_axes(draw_4(clip))) == 1


def test_without_segments_figure_4_shows_the_regions_over_time():
    clip = localized(num_segments=0)
    (axes,) = map_axes(draw_4(clip))
    np.testing.assert_allclose(mesh(axes).get_array(), [[0.2, 0.6, 1]])
    assert axes.get_xlim() == (0, 3)
    assert len(map_axes(figures.figure_3(found(clip)))) == 1


def test_title_says_how_sure():
    empty = localized(num_regions=0, num_segments=0)
    for clip in (localized(), empty):
        sure = found(clip, confidence=(9, 10))
        presence = "seen and heard" if len(clip.boxes) else "heard"
        expected = (
            f"{presence}: 9 of 10 such were right, 0.05 above its threshold"
        )
        title = texts(figures.figure_3(sure))
        assert title == ["train", f"{expected} (clip clip)"]
    for is_predicted, text in ((False, "no threshold"), (True, "labeled")):
        unjudged = ClassLocalization(localized(), "train", is_predicted)
        figure = figures.figure_3(unjudged)
        assert texts(figure) == ["train", f"{text} (clip clip)"]
        colors = mesh(map_axes(figure)[0]).get_cmap()([0.0, 1.0])[:, :3]
        assert (np.ptp(colors, axis=0).max() > 0.9) == is_predicted


@pytest.mark.parametrize(
    "name",
    [
        r"a$b_c^{$\frac",
        "Air horn, truck horn " * 12,
        "n" * 300,
        "\x07\x00\x1b[0m",
    ],
)
def test_any_class_name_is_drawn_as_it_is(name):
    clip = localized()
    object.__setattr__(clip, "class_names", ("bus", name))
    figure = draw_4(clip, name)
    title = figure.texts[0]
    assert title.get_text().replace("\n", " ").replace(" ", "") == name.replace(
        " ", ""
    )
    assert images.to_svg(figure)
    images.to_png(figure, 50)
    extent = title.get_window_extent()
    assert extent.x1 <= figure.bbox.width
    assert picture_axes(figure)[0].bbox.y1 < extent.y0


@pytest.mark.parametrize("num_frames", [1, 2, 60])
@pytest.mark.parametrize("size_px", [(64, 48), (36, 64), (200, 20)])
def test_frames_lie_inside_beside_each_other_and_above_the_maps(
    num_frames, size_px
):
    clip = localized(num_frames, size_px=size_px)
    for figure in (
        figures.figure_3(found(clip), frames(clip)),
        draw_4(clip),
    ):
        bounds = [axes.get_position() for axes in picture_axes(figure)]
        assert bounds
        assert all(b.x0 >= 0 and b.x1 <= 1 and b.y1 < 1 for b in bounds)
        top = max(axes.get_position().y1 for axes in map_axes(figure))
        assert min(b.y0 for b in bounds) > top
        for left, right in itertools.pairwise(bounds):
            assert left.x1 <= right.x0
        width_in, height_in = figure.get_size_inches()
        aspect = bounds[0].width * width_in / (bounds[0].height * height_in)
        assert aspect == pytest.approx(size_px[0] / size_px[1], rel=1e-6)
        assert height_in < 6
