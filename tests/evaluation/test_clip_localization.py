"""A clip's parts over time, and one of its classes scaled."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from avmil.evaluation.clip_localization import (
    ClassLocalization,
    heat,
    part_at,
    scaled,
)
from tests.localized_clips import make_clip


@pytest.mark.parametrize(
    ("duration_s", "expected_s"),
    [
        # Middles at 0.48, 0.96 and 1.44 s; the last offset is 1.92 s.
        (25.0, [0, 0.72, 1.2, 1.92]),
        (1.5, [0, 0.72, 1.2, 1.5]),
        (1.0, [0, 0.72, 1, 1]),
    ],
)
def test_segments_end_with_the_last_offset_or_the_clip(duration_s, expected_s):
    times_s = np.array([[0, 0.96], [0.48, 1.44], [0.96, 1.92]])
    clip = make_clip("clip", np.zeros((3, 2)), times_s, duration_s=duration_s)
    np.testing.assert_allclose(clip.segment_edges_s, expected_s, atol=1e-6)


@pytest.mark.parametrize(
    ("times_s", "duration_s", "expected_s"),
    [
        ([0.5, 1.5], 2.0, [0, 1, 2]),
        ([0.5, 1.5], 2.4, [0, 1, 2.4]),  # The next frame would be at 2.5 s.
        ([0.5, 1.5], 1.6, [0, 1, 1.6]),
        ([0.5, 1.5], 25.0, [0, 1, 2]),  # The video ends before the sound.
        ([0.25, 0.75], 25.0, [0, 0.5, 1]),
        ([0.5], 0.2, [0, 0.2]),
        ([0.5], 25.0, [0, 1]),
        ([], 25.0, [0]),
    ],
)
def test_frames_end_where_another_one_is_missing(
    times_s, duration_s, expected_s
):
    clip = dataclasses.replace(
        make_clip(duration_s=duration_s), frame_times_s=np.array(times_s)
    )
    assert clip.frame_edges_s.tolist() == expected_s


def test_parts_begin_with_their_edge_and_the_last_one_stays():
    edges_s = np.array([0.0, 1.0, 2.0])
    found = part_at(edges_s, [0, 0.99, 1.0, 2.0, 9.0])
    assert found.tolist() == [0, 0, 1, 1, 1]


@pytest.fixture
def train():
    """Three regions in the first of two frames, one in the second."""
    clip = make_clip(
        segment_scores=[[0, -1], [0, 1], [0, 0]],
        boxes=np.zeros((4, 4)),
        region_times_s=[0.5, 0.9, 0.5, 1.1],
        region_scores=[[0, 1], [0, 3], [0, 2], [0, 5.0]],
        duration_s=3.0,
        class_names=("bus", "train"),
    )
    return ClassLocalization(clip, "train")


def test_scores_are_scaled_over_the_whole_clip(train):
    assert train.regions.tolist() == [0, 0.5, 0.25, 1]
    assert train.segments.tolist() == [0, 1, 0.5]
    # Equal scores are black.
    assert not ClassLocalization(train.clip, "bus").regions.any()


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # Under eleven scores none is an outlier: as in the paper.
        ([-1, 3, 1], [0, 1, 0.5]),
        # The lowest of 20 does not turn the others white ...
        ([-100, *[0] * 17, 1, 2], [0, *[0] * 17, 0.5 * 8 / 102, 8 / 102]),
        # ... and does not darken what stands out otherwise.
        ([-50, *[0] * 17, 25, 50], [0, *[0] * 17, 0.5, 1]),
        ([7.0] * 20, [0.0] * 20),
    ],
)
def test_robust_scale(scores, expected):
    np.testing.assert_allclose(heat(scores, "robust"), expected, atol=1e-12)


def test_the_paper_s_scale_spans_all_scores():
    scores = [-100, *[0] * 17, 1, 2]
    np.testing.assert_array_equal(heat(scores, "paper"), scaled(scores))
    clip = make_clip(segment_scores=np.transpose([scores, scores]))
    robust = ClassLocalization(clip, clip.class_names[0]).segments
    clip = dataclasses.replace(clip, heat_scale="paper")
    paper = ClassLocalization(clip, clip.class_names[0]).segments
    assert robust[-1] < 0.1 < 0.9 < paper[1]


def test_a_frame_has_the_score_of_its_best_region(train):
    assert train.clip.region_frames.tolist() == [0, 0, 0, 1]
    assert train.frames.tolist() == [0.5, 1, 0]
    assert [train.shown_region(frame) for frame in range(3)] == [1, 3, None]


def test_the_best_moment_is_seen_or_else_heard(train):
    found = functools.partial(
        ClassLocalization, train.clip, "train", is_predicted=True, threshold=0.0
    )
    events = [(0.5, 1.0, 0.2), (2.0, 2.5, 0.9)]
    seen = found(found_regions=frozenset([1, 3]), events=events)
    assert seen.best_s == pytest.approx(1.1)  # Region 3 scores highest.
    assert seen.sights_s == [(0.0, 2.0)]
    assert seen.presence == "seen and heard"
    assert [seen.shown_region(frame) for frame in range(3)] == [1, 3, None]
    heard = found(events=events)
    assert heard.best_s == 2.0
    assert heard.shown_region(0) is None
    assert found().best_s == 0.0


def test_no_proposals_leave_no_cells():
    scores = ClassLocalization(make_clip(duration_s=0.0), "bus")
    assert scores.segments.shape == scores.frames.shape == (0,)
    assert scores.clip.segment_edges_s.tolist() == [0]
    assert scores.clip.frame_edges_s.tolist() == [0]


def test_unknown_class_is_refused(train):
    with pytest.raises(ValueError, match="bus, train, received 'tram'"):
        ClassLocalization(train.clip, "tram")
