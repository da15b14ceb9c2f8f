"""All that Table 3 shows of a run, from localized clips and truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from avmil.evaluation import asynchrony, localization
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.truth import TrueEvent
from tests.localized_clips import CLASS_NAMES, heard, make_clip, seen

BOXES = ((0, 0, 9, 9), (50, 50, 59, 59))
EDGES = ((0, 0, 10, 10), (50, 50, 60, 60))


def perfect_split(name, num_clips=6):
    """Clips of 4 s whose scores are the truth itself."""
    clips, truth = [], {}
    for index in range(num_clips):
        class_index = index % 2
        class_name = CLASS_NAMES[class_index]
        start_s = index % 3
        sight = seen(class_name, start_s, start_s + 1, EDGES[class_index])
        segment_scores, region_scores = np.zeros((4, 2)), np.zeros((8, 2))
        segment_scores[1:3, class_index] = 1
        region_scores[2 * start_s + class_index, class_index] = 1
        clip = make_clip(
            f"{name}{index}",
            segment_scores,
            boxes=BOXES * 4,
            region_times_s=np.repeat(np.arange(4) + 0.5, 2),
            region_scores=region_scores,
        )
        clips.append(clip)
        truth[clip.clip_id] = (heard(class_name, 1, 3), sight)
    return clips, truth


VAL, VAL_TRUTH = perfect_split("val")
TEST, TEST_TRUTH = perfect_split("test")
TRUTH = VAL_TRUTH | TEST_TRUTH


def evaluate(val=VAL, test=TEST, truth=TRUTH, **changes):
    about = {
        "identity": RunIdentity("av_two_stream", "a"),
        "normalize_segments": True,
    }
    return localization.evaluate(val, test, truth, **(about | changes))


def test_a_perfect_localizer_gets_all():
    result = evaluate()
    assert result.num_pairs == {
        "all": 6,
        "in sync": 4,
        "partly in sync": 0,
        "apart": 2,
        "only heard": 0,
        "only seen": 0,
    }
    for group in ("all", "in sync", "apart"):
        assert result.audio.scores[group] == pytest.approx((1, 0, 1))
        assert result.visual.scores[group] == pytest.approx((1, 1, 1, 1))
        assert result.visual.bounds[group] == pytest.approx((1, 1))
    scored = {"all": 6, "in sync": 4, "apart": 2}
    assert result.audio.scores.keys() == scored.keys()
    assert result.visual.scores.keys() == scored.keys()
    assert result.audio.num_pairs == result.visual.num_pairs == scored
    np.testing.assert_allclose(result.audio.by_class, [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_allclose(result.visual.by_class, [1, 1])


def test_its_events_are_the_true_ones():
    events = evaluate().events
    assert events[0] == ("test0", "bus", 1, 3)
    assert len(events) == 6


def test_chance_is_worse_and_can_be_repeated():
    result = evaluate()
    chance = result.audio.chance["all"]
    assert chance.f1 < 0.7
    assert chance.error_rate > 0.5
    assert result.visual.chance["all"].corloc == pytest.approx(0.5, abs=0.2)
    assert result.visual.chance["all"].clip_corloc < 0.4
    assert result.audio.chance == evaluate().audio.chance
    assert result.visual.chance != evaluate(seed=1).visual.chance


def test_the_order_of_the_clips_does_not_matter():
    order = [3, 5, 0, 2, 4, 1]
    shuffled = evaluate(
        [VAL[i] for i in order], [TEST[i] for i in reversed(order)]
    )
    expected = evaluate()
    assert shuffled.audio.scores == expected.audio.scores
    assert shuffled.visual.scores == expected.visual.scores


def test_the_order_of_regions_and_segments_does_not_matter():
    def permuted(clip):
        generator = np.random.default_rng(len(clip.clip_id))
        regions, segments = map(generator.permutation, (8, 4))
        return dataclasses.replace(
            clip,
            boxes=clip.boxes[regions],
            region_times_s=clip.region_times_s[regions],
            region_scores=clip.region_scores[regions],
            segment_times_s=clip.segment_times_s[segments],
            segment_scores=clip.segment_scores[segments],
        )

    result = evaluate(test=list(map(permuted, TEST)))
    assert result.audio.scores["all"] == pytest.approx((1, 0, 1))
    assert result.visual.scores["all"] == pytest.approx((1, 1, 1, 1))


def test_thresholds_come_from_validation_only():
    doubled = [
        dataclasses.replace(clip, segment_scores=2 * clip.segment_scores)
        for clip in TEST
    ]
    other = evaluate(test=doubled, normalize_segments=False)
    expected = evaluate(normalize_segments=False)
    assert np.array_equal(other.event_thresholds, expected.event_thresholds)


def test_normalized_scores_do_not_depend_on_a_clip_s_scale():
    scales = (0.01, 0.1, 0.3, 1, 3, 100)  # Below and above the threshold.
    scaled = [
        dataclasses.replace(clip, segment_scores=scale * clip.segment_scores)
        for scale, clip in zip(scales, TEST, strict=True)
    ]
    result = evaluate(test=scaled)
    assert result.audio.scores["all"] == pytest.approx((1, 0, 1))
    assert len(result.events) == 6
    raw = evaluate(test=scaled, normalize_segments=False)
    assert raw.audio.scores["all"].f1 == pytest.approx(2 * 3 / (6 + 3))


def test_a_clip_without_features_is_missed():
    missing = localization.missing_clip(
        "gone", TRUTH["test0"], CLASS_NAMES, frame_rate_hz=1.0
    )
    result = evaluate(
        test=[*TEST, missing],
        truth=TRUTH | {"gone": TRUTH["test0"]},
        num_test_missing=1,
    )
    assert result.num_pairs["all"] == 7
    assert result.visual.scores["all"].corloc == pytest.approx(6 / 7)
    assert result.audio.scores["all"].error_rate == pytest.approx(2 / 14)
    # Of 4 clips with a bus 3 are found; every dog is.
    assert result.audio.scores["all"].average_precision == pytest.approx(7 / 8)
    assert result.visual.scores["all"].average_precision == pytest.approx(7 / 8)
    assert result.visual.bounds["all"].corloc == pytest.approx(6 / 7)


def test_without_regions_there_is_nothing_visual():
    def without_regions(clip):
        return dataclasses.replace(
            clip,
            boxes=np.zeros((0, 4)),
            region_times_s=np.zeros(0),
            region_scores=np.zeros((0, 2)),
        )

    result = evaluate(
        list(map(without_regions, VAL)), list(map(without_regions, TEST))
    )
    assert not result.visual
    assert result.audio.scores["all"].f1 == 1


def test_truth_without_sight_has_no_groups_by_asynchrony():
    truth = {
        clip_id: tuple(event for event in events if event.sound)
        for clip_id, events in TRUTH.items()
    }
    result = evaluate(truth=truth)
    assert set(result.audio.scores) == set(result.num_pairs) == {"all"}
    assert not result.visual


def test_groups_are_in_one_order():
    assert tuple(evaluate().num_pairs) == (
        localization.ALL,
        *asynchrony.GROUPS,
    )


def test_validation_without_scores_is_refused():
    empty = [
        localization.missing_clip(c.clip_id, TRUTH[c.clip_id], CLASS_NAMES, 1.0)
        for c in VAL
    ]
    with pytest.raises(ValueError, match="at least one clip to tune on"):
        evaluate(val=empty)


def test_test_clips_without_features_are_refused():
    empty = [
        localization.missing_clip(c.clip_id, TRUTH[c.clip_id], CLASS_NAMES, 1.0)
        for c in TEST
    ]
    with pytest.raises(ValueError, match="received none in 6"):
        evaluate(test=empty)


def test_events_that_nobody_timed_are_refused():
    untimed = {clip_id: (TrueEvent("bus"),) for clip_id in TEST_TRUTH}
    with pytest.raises(ValueError, match="Expected events with times"):
        evaluate(truth=TRUTH | untimed)


def test_a_system_whose_part_the_truth_lacks_has_no_scores():
    seen_only = {
        clip_id: tuple(event for event in events if event.sight)
        for clip_id, events in TRUTH.items()
    }
    result = evaluate(truth=seen_only)
    assert not result.audio
    assert result.visual.scores["all"].corloc == 1
