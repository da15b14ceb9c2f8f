"""Which part of a clip segments and frames stand for."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import timeline
from tests.localized_clips import make_clip

NO_TIMES = np.zeros((0, 2))


def clip_of(segment_times_s=NO_TIMES, duration_s=4.0, **changes):
    clip = make_clip(
        segment_scores=np.zeros((len(segment_times_s), 2)),
        segment_times_s=segment_times_s,
        duration_s=duration_s,
    )
    for name, value in changes.items():
        object.__setattr__(clip, name, value)
    return clip


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
    edges_s = timeline.segment_edges_s(clip_of(times_s, duration_s))
    np.testing.assert_allclose(edges_s, expected_s, atol=1e-6)


@pytest.mark.parametrize(
    ("num_frames", "duration_s", "expected_s"),
    [
        (2, 2.0, [0, 1, 2]),
        (2, 2.4, [0, 1, 2.4]),  # The next frame would be at 2.5 s.
        (2, 1.6, [0, 1, 1.6]),
        (2, 25.0, [0, 1, 2]),  # The video ends before the sound.
        (1, 0.2, [0, 0.2]),
        (1, 25.0, [0, 1]),
        (0, 25.0, [0]),
    ],
)
def test_frames_end_where_another_one_is_missing(
    num_frames, duration_s, expected_s
):
    times_s = np.arange(num_frames, dtype=np.float32) + 0.5
    clip = clip_of(duration_s=duration_s, frame_times_s=times_s)
    assert timeline.frame_edges_s(clip).tolist() == expected_s


def test_frame_rate_decides_about_the_last_frame():
    clip = clip_of(duration_s=25.0, frame_times_s=np.array([0.25, 0.75]))
    assert timeline.frame_edges_s(clip).tolist() == [0, 0.5, 1]


def test_no_segments_stand_for_nothing():
    assert timeline.segment_edges_s(clip_of()).tolist() == [0]


def test_parts_begin_with_their_edge_and_the_last_one_stays():
    edges_s = np.array([0.0, 1.0, 2.0])
    found = timeline.part_at(edges_s, [0, 0.99, 1.0, 2.0, 9.0])
    assert found.tolist() == [0, 0, 1, 1, 1]


def test_regions_belong_to_the_nearest_frame():
    times_s = np.array([0.5, 0.9, 1.1, 3.5])
    clip = clip_of(region_times_s=times_s)
    assert timeline.region_frames(clip).tolist() == [0, 0, 1, 3]
