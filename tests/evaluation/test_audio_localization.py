"""When classes are heard: cells, events, tables over time, their scores."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import audio_localization
from avmil.evaluation.clip_localization import detect_events, score_cells
from tests.localized_clips import CLASS_NAMES, heard, make_clip, seen


@pytest.mark.parametrize(
    ("times_s", "scores", "cells_s", "expected"),
    [
        (
            [[0, 0.96], [0.48, 1.44], [0.96, 1.92]],
            [[1, 0], [3, 2], [5, 0]],
            [[0, 0.48], [0.48, 0.96], [0.96, 1.44], [1.44, 1.5]],
            [[1, 0], [2, 1], [4, 1], [5, 0]],
        ),
        # A gap is no cell.
        (
            [[0, 0.5], [1, 1.5]],
            [[1, 0], [3, 2]],
            [[0, 0.5], [1, 1.5]],
            [[1, 0], [3, 2]],
        ),
        (None, [], np.zeros((0, 2)), np.zeros((0, 2))),
    ],
)
def test_overlapping_segments_share_the_mean_of_their_scores(
    times_s, scores, cells_s, expected
):
    clip = make_clip(
        segment_scores=scores, segment_times_s=times_s, duration_s=1.5
    )
    found_s, found = score_cells(clip)
    np.testing.assert_allclose(found_s, cells_s)
    np.testing.assert_allclose(found, expected)


def table_of(clip, truth_events, resolution_s=1.0):
    return audio_localization.time_table(
        [clip], {clip.clip_id: truth_events}, resolution_s
    )


@pytest.mark.parametrize(
    ("event", "resolution_s", "expected"),
    [
        # Onsets are rounded down and offsets up.
        ((0.9, 2.1), 1.0, [0, 1, 2]),
        # In binary numbers 0.3 / 0.1 is below 3 and (0.4 + 0.2) / 0.1 above 6.
        ((0.3, 0.4 + 0.2), 0.1, [3, 4, 5]),
    ],
)
def test_an_event_fills_the_bins_that_it_touches(event, resolution_s, expected):
    clip = make_clip(segment_scores=np.zeros((4, 2)))
    table = table_of(clip, [heard("dog", *event)], resolution_s)
    assert np.flatnonzero(table.labels[:, 1]).tolist() == expected
    assert not table.labels[:, 0].any()


def test_a_second_has_the_best_score_of_its_cells():
    clip = make_clip(
        segment_scores=[[1, 0], [3, 0], [2, 0]],
        segment_times_s=[[0, 0.7], [0.7, 1.4], [1.4, 2.1]],
        duration_s=3.0,
    )
    assert table_of(clip, []).scores[:, 0].tolist() == [3, 3, 2]


def test_events_beyond_the_scores_are_missed():
    clip = make_clip(segment_scores=[[1, 1]], duration_s=1.0)
    table = table_of(clip, [heard("bus", 0.0, 3.0)])
    pooled, _ = audio_localization.segment_scores(table, np.array([0, 2]))
    assert pooled == pytest.approx((0.5, 2 / 3))  # 1 of 3 seconds is found.


def test_segment_scores_by_hand():
    #            bus dog                bus dog
    labels = [[1, 0], [1, 1], [0, 0], [1, 0]]
    detected = [[0, 1], [1, 1], [1, 0], [0, 0]]
    table = audio_localization.TimeTable(
        np.zeros(4, int), np.array(labels), np.array(detected, float)
    )
    pooled, by_class = audio_localization.segment_scores(table, np.full(2, 0.5))
    # 2 hits, 2 misses, 2 false; a substitution, a deletion, an insertion.
    assert pooled == pytest.approx((0.5, 3 / 4))
    np.testing.assert_allclose(by_class, [[0.4, 2 / 3], [3 / 3, 1 / 1]])


def test_a_class_never_heard_has_no_error_rate():
    table = table_of(make_clip(segment_scores=np.ones((4, 2))), [])
    pooled, by_class = audio_localization.segment_scores(table, np.zeros(2))
    assert pooled == pytest.approx((0, np.nan), nan_ok=True)
    assert np.isnan(by_class[1]).all()


def test_average_precision_by_hand():
    table = audio_localization.TimeTable(
        np.zeros(4, int),
        np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]),
        np.array(
            [
                [4, -np.inf, 1, 2],
                [3, 1, 1, -np.inf],
                [2, 1, 1, 1],
                [1, 1, 1, 1],
            ]
        ),
    )
    # Ranks 1 and 3 are true; never found; nothing to find; one of two lost.
    np.testing.assert_allclose(
        audio_localization.average_precision(table),
        [(1 / 1 + 2 / 3) / 2, 0, np.nan, 1 / 2],
    )


def test_within_leaves_only_the_given_pairs():
    clips = [make_clip(name, np.ones((4, 2))) for name in "ab"]
    truth = {"a": [heard("bus", 0, 1), heard("dog", 0, 1)], "b": []}
    table = audio_localization.time_table(clips, truth, 1.0)
    inside = table.within(np.array([[True, False], [False, True]]))
    assert inside.labels.sum(axis=0).tolist() == [1, 0]
    assert np.isfinite(inside.scores).sum(axis=0).tolist() == [4, 4]
    assert np.isneginf(inside.scores[4:, 0]).all()


def test_events_are_runs_of_cells_that_exceed_their_threshold():
    clip = make_clip(segment_scores=[[1, 0], [2, 0], [0.5, 3], [2, 3]])
    thresholds = np.array([0.5, 1])
    assert detect_events(clip, thresholds) == [
        ("clip", "bus", 0, 2),
        ("clip", "bus", 3, 4),
        ("clip", "dog", 2, 4),
    ]
    # So do seconds.
    true = [heard("bus", 0, 2), heard("bus", 3, 4), heard("dog", 2, 4)]
    table = table_of(clip, true)
    pooled, _ = audio_localization.segment_scores(table, thresholds)
    assert pooled == (1, 0)


def random_clips(seed, max_events=3, num_clips=30):
    """Clips with true events, the official 20 segments and random scores."""
    generator = np.random.default_rng(seed)
    onsets_s = np.arange(20, dtype=np.float32) * np.float32(0.48)
    times_s = np.stack([onsets_s, onsets_s + np.float32(0.96)], axis=1)
    clips, truth = [], {}
    for index in range(num_clips):
        scores = generator.normal(size=(20, 2))
        duration_s = float(generator.choice([10.0, 9.3]))
        clips.append(
            make_clip(f"clip{index}", scores, times_s, duration_s=duration_s)
        )
        truth[f"clip{index}"] = found = []
        for _ in range(generator.integers(max_events + 1)):
            start_s = round(generator.uniform(0, 9), 3)
            length_s = generator.choice([0.4, 1.0, 3.0, 20.0])
            name = CLASS_NAMES[generator.integers(2)]
            found.append(heard(name, start_s, min(start_s + length_s, 10.0)))
    return clips, truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore")
def test_segment_scores_are_sed_eval_s(seed):
    sed_eval = pytest.importorskip("sed_eval")
    clips, truth = random_clips(seed)
    thresholds = np.array([0.4, 0.1])
    oracle = sed_eval.sound_event.SegmentBasedMetrics(
        list(CLASS_NAMES), time_resolution=1.0
    )
    keys = ("filename", "event_label", "onset", "offset")
    for clip in clips:
        true = [
            (clip.clip_id, event.class_name, *event.sound)
            for event in truth[clip.clip_id]
        ]
        found = detect_events(clip, thresholds)
        if true or found:  # sed_eval cannot take a clip with neither.
            oracle.evaluate(
                *(
                    [dict(zip(keys, row, strict=True)) for row in rows]
                    for rows in (true, found)
                )
            )
    table = audio_localization.time_table(clips, truth, 1.0)
    pooled, by_class = audio_localization.segment_scores(table, thresholds)

    def figures(results):
        f1, error_rate = results["f_measure"], results["error_rate"]
        return f1["f_measure"], error_rate["error_rate"]

    assert pooled == pytest.approx(figures(oracle.results_overall_metrics()))
    of_classes = oracle.results_class_wise_metrics()
    expected = [figures(of_classes[name]) for name in CLASS_NAMES]
    np.testing.assert_allclose(np.transpose(by_class), expected)


def test_pairs_heard_are_counted_once():
    clips = [
        make_clip(name, np.ones((4, 3)), class_names=("bus", "cat", "dog"))
        for name in ("a", "b")
    ]
    truth = {
        "a": [heard("bus", 0, 1), heard("bus", 2, 3), heard("dog", 0, 4)],
        "b": [heard("bus", 0, 4), seen("dog", 0, 1, (0, 0, 10, 10))],
    }
    groups = {
        "all": np.ones((2, 3), bool),
        "first": np.array([[True] * 3, [False] * 3]),
        "none": np.zeros((2, 3), bool),
    }
    measured = audio_localization.measure(clips, clips, truth, groups)
    assert measured.num_pairs == {"all": 3, "first": 2}
    assert measured.num_pairs.keys() == measured.scores.keys()
