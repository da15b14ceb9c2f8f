"""A system with planted weights localizes planted proposals exactly."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation.clip_localization import ClassLocalization
from avmil.features.clip_features import ClipFeatures
from avmil.report import figures
from avmil.runs import scoring
from model import systems

CLASS_NAMES = ("bus", "train", "siren")
TRAIN, SIREN = 1, 2
NUM_FRAMES, BOXES_A_FRAME, NUM_SEGMENTS = 10, 10, 20
REGION, SEGMENT = 37, 5
VISUAL_DIMENSION, AUDIO_DIMENSION = 1234, 7


@pytest.fixture(scope="module")
def system():
    """Its units pass one dimension each on, to one class each."""
    config = systems.SystemConfig(fc_units=4, audio_units=4, segment_size=128)
    built = systems.build("av_two_stream", len(CLASS_NAMES), config)
    for variable in built.weights:
        variable.assign(np.zeros(variable.shape))
    plant(built.get_layer("fc6").kernel, (VISUAL_DIMENSION, 0), 1.0)
    plant(built.get_layer("fc7").kernel, (0, 0), 1.0)
    plant(built.get_layer("audio_fc").kernel, (AUDIO_DIMENSION, 0), 1.0)
    for name, column in (("visual_scoring", TRAIN), ("audio_scoring", SIREN)):
        scoring_layer = built.get_layer(name)
        plant(scoring_layer.classification.kernel, (0, column), 1.0)
        plant(scoring_layer.localization.kernel, (0, column), 5.0)
    return built


def plant(variable, position, value):
    values = np.zeros(variable.shape, np.float32)
    values[position] = value
    variable.assign(values)


@pytest.fixture(scope="module")
def localized(system):
    count = NUM_FRAMES * BOXES_A_FRAME
    regions = np.zeros((count, 9216), np.float16)
    regions[REGION, VISUAL_DIMENSION] = 2.0
    segments = np.zeros((NUM_SEGMENTS, 128), np.float32)
    segments[SEGMENT, AUDIO_DIMENSION] = 3.0
    corners = np.arange(count, dtype=np.float32)
    frame_times_s = np.arange(NUM_FRAMES, dtype=np.float32) + 0.5
    onsets_s = 0.48 * np.arange(NUM_SEGMENTS, dtype=np.float32)
    clip = ClipFeatures(
        clip_id="planted",
        labels=(),
        duration_s=10.0,
        regions=regions,
        boxes=np.stack([corners, corners, corners + 60, corners + 40], axis=1),
        objectness=np.zeros(count, np.float32),
        region_times_s=np.repeat(frame_times_s, BOXES_A_FRAME),
        frame_times_s=frame_times_s,
        frame_size_px=np.array([320, 240], np.int32),
        log_mel=np.zeros((NUM_SEGMENTS, 96, 64), np.float32),
        segments=segments,
        segment_times_s=np.stack([onsets_s, onsets_s + 0.96], axis=1),
        cvssp_log_mel=np.zeros((240, 64), np.float32),
    )
    return scoring.localize(system, clip, CLASS_NAMES)


def test_planted_proposals_have_the_scores_of_equation_1(localized):
    # A = 2 and B = 10 at the planted region, 0 at the other 99.
    share = np.exp(10) / (np.exp(10) + 99)
    expected = np.zeros((100, 3))
    expected[REGION, TRAIN] = 2 * share
    np.testing.assert_allclose(localized.region_scores, expected, rtol=1e-5)
    # A = 3 and B = 15 at the planted segment, 0 at the other 19.
    share = np.exp(15) / (np.exp(15) + 19)
    expected = np.zeros((20, 3))
    expected[SEGMENT, SIREN] = 3 * share
    np.testing.assert_allclose(localized.segment_scores, expected, rtol=1e-5)
    # Each modality names one class: its norm is 1.
    np.testing.assert_allclose(localized.scores, [0, 1, 1], rtol=1e-5)


def test_planted_region_is_the_only_one_that_is_visible(localized):
    scores = ClassLocalization(localized, "train")
    assert np.flatnonzero(scores.regions).tolist() == [REGION]
    assert scores.regions[REGION] == 1
    assert np.flatnonzero(scores.frames).tolist() == [REGION // BOXES_A_FRAME]
    assert not scores.segments.any()


def test_planted_segment_is_the_only_one_that_is_audible(localized):
    scores = ClassLocalization(localized, "siren")
    assert np.flatnonzero(scores.segments).tolist() == [SEGMENT]
    # Segment 5 lasts from 2.4 to 3.36 s: the heat map shows it half-way to
    # its neighbors, around 2.88 s.
    np.testing.assert_allclose(
        scores.clip.segment_edges_s[SEGMENT : SEGMENT + 2],
        [2.64, 3.12],
        atol=1e-6,
    )


def test_figures_show_the_planted_region(localized):
    frames = [np.zeros((240, 320, 3), np.uint8)] * NUM_FRAMES
    scores = ClassLocalization(localized, "train")
    figure = figures.figure_3(scores, frames, max_frames=1)
    (picture,) = [axes for axes in figure.axes if axes.images]
    assert picture.get_xlabel() == "3.5 s: 1.00"
    (box,) = picture.patches
    assert box.get_bbox().extents.tolist() == [36.5, 36.5, 97.5, 77.5]
