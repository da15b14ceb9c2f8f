"""When classes are heard: tables over time and their scores."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.evaluation import audio_localization, events
from tests.localized_clips import CLASS_NAMES, heard, make_clip, seen


def test_overlapping_segments_share_the_mean_of_their_scores():
    clip = make_clip(
        segment_scores=[[1, 0], [3, 2], [5, 0]],
        segment_times_s=[[0, 0.96], [0.48, 1.44], [0.96, 1.92]],
        duration_s=1.5,
    )
    cells_s, scores = events.score_cells(clip)
    np.testing.assert_allclose(
        cells_s, [[0, 0.48], [0.48, 0.96], [0.96, 1.44], [1.44, 1.5]]
    )
    np.testing.assert_allclose(scores, [[1, 0], [2, 1], [4, 1], [5, 0]])


def test_a_gap_between_segments_is_no_cell():
    clip = make_clip(
        segment_scores=[[1, 0], [3, 2]], segment_times_s=[[0, 1], [2, 3]]
    )
    cells_s, _ = events.score_cells(clip)
    np.testing.assert_allclose(cells_s, [[0, 1], [2, 3]])


def test_a_clip_without_segments_has_no_cell():
    cells_s, scores = events.score_cells(make_clip())
    assert cells_s.shape == (0, 2)
    assert scores.shape == (0, 2)


def test_normalized_scores_are_shares_of_the_sum_s_norm():
    clip = events.normalized(make_clip(segment_scores=[[1, 4], [2, 0]]))
    # The sums are 3 and 4, their norm is 5.
    np.testing.assert_allclose(clip.segment_scores, [[0.2, 0.8], [0.4, 0]])


def test_normalizing_silence_leaves_zeros():
    clip = make_clip(segment_scores=np.zeros((3, 2)))
    assert not events.normalized(clip).segment_scores.any()


def table_of(clip, truth_events, resolution_s=1.0):
    return audio_localization.time_table(
        [clip], {clip.clip_id: truth_events}, resolution_s
    )


def test_onsets_are_rounded_down_and_offsets_up():
    table = table_of(
        make_clip(segment_scores=np.zeros((4, 2))), [heard("dog", 0.9, 2.1)]
    )
    assert table.labels.tolist() == [[0, 1], [0, 1], [0, 1], [0, 0]]


def test_an_event_from_frame_to_frame_fills_no_other():
    # In binary numbers 0.3 / 0.1 is below 3 and (0.4 + 0.2) / 0.1 above 6.
    table = table_of(
        make_clip(segment_scores=np.zeros((4, 2))),
        [heard("bus", 0.3, 0.4 + 0.2)],
        0.1,
    )
    assert np.flatnonzero(table.labels[:, 0]).tolist() == [3, 4, 5]


def test_a_second_has_the_best_score_of_its_cells():
    clip = make_clip(
        segment_scores=[[1, 0], [3, 0], [2, 0]],
        segment_times_s=[[0, 0.7], [0.7, 1.4], [1.4, 2.1]],
        duration_s=3.0,
    )
    table = table_of(clip, [])
    assert table.scores[:, 0].tolist() == [3, 3, 2]


def test_events_beyond_the_scores_are_missed():
    clip = make_clip(segment_scores=[[1, 1]], duration_s=1.0)
    table = table_of(clip, [heard("bus", 0.0, 3.0)])
    pooled, _ = audio_localization.segment_scores(table, np.array([0, 2]))
    assert pooled.f1 == pytest.approx(0.5)  # 1 of 3 seconds is found.
    assert pooled.error_rate == pytest.approx(2 / 3)


def test_scores_by_hand():
    #            bus dog                bus dog
    labels = [[1, 0], [1, 1], [0, 0], [1, 0]]
    detected = [[0, 1], [1, 1], [1, 0], [0, 0]]
    table = audio_localization.TimeTable(
        np.zeros(4, int), np.array(labels), np.array(detected, float)
    )
    pooled, by_class = audio_localization.segment_scores(table, np.full(2, 0.5))
    # 2 hits, 2 misses, 2 false; a substitution, a deletion, an insertion.
    assert pooled.f1 == pytest.approx(0.5)
    assert pooled.error_rate == pytest.approx(3 / 4)
    np.testing.assert_allclose(by_class.f1, [0.4, 2 / 3])
    np.testing.assert_allclose(by_class.error_rate, [3 / 3, 1 / 1])


def test_a_class_never_heard_has_no_error_rate():
    table = table_of(make_clip(segment_scores=np.ones((4, 2))), [])
    pooled, by_class = audio_localization.segment_scores(table, np.zeros(2))
    assert pooled.f1 == 0
    assert np.isnan(pooled.error_rate)
    assert np.isnan(by_class.error_rate).all()


def test_average_precision_by_hand():
    table = audio_localization.TimeTable(
        np.zeros(4, int),
        np.array([[1, 1], [0, 0], [1, 0], [0, 0]]),
        np.array([[4, -np.inf], [3, 1], [2, 1], [1, 1]]),
    )
    # Ranks 1 and 3 are true: (1 / 1 + 2 / 3) / 2; dog is never found.
    np.testing.assert_allclose(
        audio_localization.average_precision(table), [5 / 6, 0]
    )


def test_average_precision_of_what_has_no_score_is_lost():
    table = audio_localization.TimeTable(
        np.zeros(3, int),
        np.array([[1, 0], [1, 0], [0, 0]]),
        np.array([[2, 0], [-np.inf, 0], [1, 0]]),
    )
    found = audio_localization.average_precision(table)
    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1])


def test_within_leaves_only_the_given_pairs():
    clips = [make_clip(name, np.ones((4, 2))) for name in "ab"]
    truth = {"a": [heard("bus", 0, 1), heard("dog", 0, 1)], "b": []}
    table = audio_localization.time_table(clips, truth, 1.0)
    inside = table.within(np.array([[True, False], [False, True]]))
    assert inside.labels.sum(axis=0).tolist() == [1, 0]
    assert np.isfinite(inside.scores).sum(axis=0).tolist() == [4, 4]
    assert np.isneginf(inside.scores[4:, 0]).all()


def test_events_are_runs_of_cells_that_pass():
    clip = make_clip(segment_scores=[[1, 0], [2, 0], [0, 3], [2, 3]])
    assert events.detect_events(clip, np.array([0.5, 1])) == [
        ("clip", "bus", 0, 2),
        ("clip", "bus", 3, 4),
        ("clip", "dog", 2, 4),
    ]


def test_a_score_that_equals_its_threshold_does_not_pass():
    clip = make_clip(segment_scores=[[1, 0], [2, 0]], duration_s=2.0)
    thresholds = np.array([1, 0])
    found = events.detect_events(clip, thresholds)
    assert found == [("clip", "bus", 1, 2)]
    table = table_of(clip, [heard("bus", 1, 2)])
    pooled, _ = audio_localization.segment_scores(table, thresholds)
    assert pooled == (1, 0)


def random_clips(seed, max_events=3, num_clips=30):
    """Clips with true events, the official 20 segments and random scores."""
    generator = np.random.default_rng(seed)
    onsets_s = np.arange(20, dtype=np.float32) * np.float32(0.48)
    clips, truth = [], {}
    for index in range(num_clips):
        clip_id = f"clip{index}"
        clips.append(
            make_clip(
                clip_id,
                generator.normal(size=(20, 2)),
                np.stack([onsets_s, onsets_s + np.float32(0.96)], axis=1),
                duration_s=float(generator.choice([10.0, 9.3])),
            )
        )
        truth[clip_id] = []
        for _ in range(generator.integers(max_events + 1)):
            start_s = round(generator.uniform(0, 9), 3)
            length_s = generator.choice([0.4, 1.0, 3.0, 20.0])
            name = CLASS_NAMES[generator.integers(2)]
            end_s = min(start_s + length_s, 10.0)
            truth[clip_id].append(heard(name, start_s, end_s))
    return clips, truth


def entries(clip_id, found):
    return [
        {"filename": clip_id, "event_label": name, "onset": on, "offset": off}
        for name, on, off in found
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore")
def test_segment_scores_are_sed_eval_s(seed):
    sed_eval = pytest.importorskip("sed_eval")
    clips, truth = random_clips(seed)
    thresholds = np.array([0.4, 0.1])
    oracle = sed_eval.sound_event.SegmentBasedMetrics(
        list(CLASS_NAMES), time_resolution=1.0
    )
    for clip in clips:
        true = [(e.class_name, *e.sound) for e in truth[clip.clip_id]]
        found = [e[1:] for e in events.detect_events(clip, thresholds)]
        if true or found:  # sed_eval cannot take a clip with neither.
            oracle.evaluate(
                entries(clip.clip_id, true), entries(clip.clip_id, found)
            )
    table = audio_localization.time_table(clips, truth, 1.0)
    pooled, by_class = audio_localization.segment_scores(table, thresholds)
    overall = oracle.results_overall_metrics()
    assert pooled.f1 == pytest.approx(overall["f_measure"]["f_measure"])
    assert pooled.error_rate == pytest.approx(
        overall["error_rate"]["error_rate"]
    )
    for index, name in enumerate(CLASS_NAMES):
        expected = oracle.results_class_wise_metrics()[name]
        assert by_class.f1[index] == pytest.approx(
            expected["f_measure"]["f_measure"]
        )
        assert by_class.error_rate[index] == pytest.approx(
            expected["error_rate"]["error_rate"]
        )


@pytest.mark.filterwarnings("ignore")
def test_segment_scores_are_sed_scores_eval_s():
    sed_scores_eval = pytest.importorskip("sed_scores_eval")
    scores_module = sed_scores_eval.base_modules.scores
    # It refuses events of a class that overlap.
    clips, truth = random_clips(seed=3, max_events=1)
    scores = {}
    for clip in clips:
        cells_s, cell_scores = events.score_cells(clip)
        edges_s = np.append(cells_s[:, 0], cells_s[-1, 1])
        scores[clip.clip_id] = scores_module.create_score_dataframe(
            cell_scores, edges_s, list(CLASS_NAMES)
        )
    thresholds = dict(zip(CLASS_NAMES, (0.4, 0.1), strict=True))
    f1, *_ = sed_scores_eval.segment_based.fscore(
        scores,
        {
            clip_id: [(*e.sound, e.class_name) for e in found]
            for clip_id, found in truth.items()
        },
        {clip.clip_id: 10.0 for clip in clips},
        thresholds,
        segment_length=1.0,
    )
    table = audio_localization.time_table(clips, truth, 1.0)
    _, by_class = audio_localization.segment_scores(table, np.array([0.4, 0.1]))
    assert by_class.f1 == pytest.approx([f1[name] for name in CLASS_NAMES])


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
