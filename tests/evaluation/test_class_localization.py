"""One class of a clip: scaling, and what is shown when."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation.class_localization import ClassLocalization
from avmil.evaluation.clip_localization import ClipLocalization


def make_clip(**changes):
    """Two frames with three regions and one, three segments of 10 % hop."""
    values = {
        "clip_id": "clip",
        "class_names": ("bus", "train"),
        "scores": np.array([-0.5, 0.25]),
        "duration_s": 2.0,
        "frame_size_px": (64, 48),
        "frame_times_s": np.array([0.5, 1.5]),
        "boxes": np.array(
            [[0, 0, 9, 9], [8, 8, 39, 31], [20, 4, 60, 40], [4, 4, 35, 27]],
            np.float32,
        ),
        "region_times_s": np.array([0.5, 0.5, 0.5, 1.5]),
        "region_scores": np.array([[0, 1], [0, 3], [0, 2], [0, 5.0]]),
        "segment_times_s": np.array([[0, 0.96], [0.48, 1.44], [0.96, 1.92]]),
        "segment_scores": np.array([[0, -1], [0, 1], [0, 0.0]]),
    }
    return ClipLocalization(**{**values, **changes})


def without_regions(**changes):
    return make_clip(
        boxes=np.zeros((0, 4)),
        region_times_s=np.zeros(0),
        region_scores=np.zeros((0, 2)),
        **changes,
    )


def without_segments(**changes):
    return make_clip(
        segment_times_s=np.zeros((0, 2)),
        segment_scores=np.zeros((0, 2)),
        **changes,
    )


def test_scores_are_scaled_over_the_whole_clip():
    scores = ClassLocalization(make_clip(), "train")
    assert scores.score == 0.25
    assert scores.regions.tolist() == [0, 0.5, 0.25, 1]
    assert scores.segments.tolist() == [0, 1, 0.5]


def test_equal_scores_are_black():
    scores = ClassLocalization(make_clip(), "bus")
    assert scores.regions.tolist() == [0, 0, 0, 0]


def test_a_frame_has_the_score_of_its_best_region():
    scores = ClassLocalization(make_clip(), "train")
    assert scores.region_frames.tolist() == [0, 0, 0, 1]
    assert scores.frames.tolist() == [0.5, 1]


def test_frame_without_regions_scores_0():
    clip = make_clip(region_times_s=np.array([1.5, 1.5, 1.5, 1.5]))
    assert ClassLocalization(clip, "train").frames.tolist() == [0, 1]


def test_each_instant_shows_the_segment_whose_middle_is_nearest():
    # Middles at 0.48, 0.96 and 1.44 s.
    edges_s = ClassLocalization(make_clip(), "train").segment_edges_s
    np.testing.assert_allclose(edges_s, [0, 0.72, 1.2, 1.92])


def test_frames_take_over_half_way():
    scores = ClassLocalization(make_clip(), "train")
    assert scores.frame_edges_s.tolist() == [0, 1, 2]
    found = [scores.frame_at(time_s) for time_s in (0, 0.99, 1.0, 5.0)]
    assert found == [0, 0, 1, 1]


def test_no_proposals_leave_no_cells():
    clip = without_segments(frame_times_s=np.zeros(0))
    scores = ClassLocalization(clip, "train")
    assert scores.segment_edges_s.tolist() == [0]
    assert scores.segments.shape == (0,)
    assert scores.frame_edges_s.tolist() == [0]


def test_unknown_class_is_refused():
    with pytest.raises(ValueError, match="bus, train, received 'tram'"):
        ClassLocalization(make_clip(), "tram")
