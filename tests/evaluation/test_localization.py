"""All that Table 3 shows of a run, from localized clips and truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from avmil.evaluation import localization
from avmil.evaluation.truth import GROUPS, TrueEvent
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


def evaluate(val=VAL, test=TEST, truth=TRUTH):
    return localization.evaluate(val, test, truth)


def changed(clips, change):
    """Clips whose fields are replaced by those that a function returns."""
    return [dataclasses.replace(clip, **change(clip)) for clip in clips]


def missing(clips):
    """The same clips without features."""
    return [
        localization.missing_clip(c.clip_id, TRUTH[c.clip_id], CLASS_NAMES, 1.0)
        for c in clips
    ]


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
    assert tuple(result.num_pairs) == (localization.ALL, *GROUPS)
    scored = {"all": 6, "in sync": 4, "apart": 2}
    for group in scored:
        assert result.audio.scores[group] == pytest.approx((1, 0, 1))
        assert result.visual.scores[group] == pytest.approx((1, 1, 1, 1))
        best = result.visual.references["proposals"][group]
        assert (best.corloc, best.average_precision) == pytest.approx((1, 1))
    assert result.audio.scores.keys() == scored.keys()
    assert result.visual.scores.keys() == scored.keys()
    assert result.audio.num_pairs == result.visual.num_pairs == scored
    by_class = result.audio.by_class | result.visual.by_class
    del by_class["event_threshold"]
    expected = [[1, 1], [0, 0], [1, 1], [1, 1]]
    np.testing.assert_allclose([*by_class.values()], expected)
    assert result.events[0] == ("test0", "bus", 1, 3)
    assert len(result.events) == 6


def test_chance_is_worse_and_can_be_repeated():
    result = evaluate()
    chance = result.audio.references["chance"]
    seen_by_chance = result.visual.references["chance"]["all"]
    assert chance["all"].f1 < 0.7
    assert chance["all"].error_rate > 0.5
    assert seen_by_chance.corloc == pytest.approx(0.5, abs=0.2)
    assert seen_by_chance.clip_corloc < 0.4
    assert chance == evaluate().audio.references["chance"]


def test_the_order_of_clips_regions_and_segments_does_not_matter():
    def permuted(clip):
        generator = np.random.default_rng(int(clip.clip_id[-1]))
        regions, segments = map(generator.permutation, (8, 4))
        return {
            "boxes": clip.boxes[regions],
            "region_times_s": clip.region_times_s[regions],
            "region_scores": clip.region_scores[regions],
            "segment_times_s": clip.segment_times_s[segments],
            "segment_scores": clip.segment_scores[segments],
        }

    result = evaluate(VAL[::-1], changed(TEST, permuted)[::-1])
    expected = evaluate()
    assert result.audio.scores == expected.audio.scores
    assert result.visual.scores == expected.visual.scores


def test_thresholds_come_from_validation_only():
    doubled = changed(TEST, lambda c: {"segment_scores": 2 * c.segment_scores})
    other = evaluate(test=doubled)
    expected = evaluate()
    assert np.array_equal(other.event_thresholds, expected.event_thresholds)


def test_thresholds_from_labels_are_measured_beside():
    def by(*thresholds):
        return localization.evaluate(
            VAL,
            TEST,
            TRUTH,
            label_thresholds=np.array(thresholds),
        )

    assert by(0.5, 0.5).audio_by_labels == pytest.approx((1, 0, 1))
    # Dogs are missed: 6 of 12 seconds.
    assert by(0.5, 1.5).audio_by_labels == pytest.approx((2 / 3, 0.5, 1))
    assert by(0.5, 1.5).audio.scores["all"].f1 == pytest.approx(1)
    assert evaluate().audio_by_labels is None


def test_segments_of_all_clips_are_compared_by_their_own_scores():
    scales = iter((0.01, 0.1, 0.3, 1, 3, 100))  # Three below the threshold.
    scaled = changed(
        TEST, lambda c: {"segment_scores": next(scales) * c.segment_scores}
    )
    result = evaluate(test=scaled)
    assert result.audio.scores["all"].f1 == pytest.approx(2 * 3 / (6 + 3))


def test_a_clip_without_features_is_missed():
    # Of 3 clips with a bus 2 are left; every dog is found.
    result = evaluate(test=missing(TEST[:1]) + TEST[1:])
    assert result.num_pairs["all"] == 6
    f1, error_rate, audio_precision = result.audio.scores["all"]
    assert f1 == pytest.approx(2 * 10 / (10 + 12))
    assert error_rate == pytest.approx(2 / 12)
    corloc, *_, visual_precision = result.visual.scores["all"]
    assert corloc == pytest.approx(5 / 6)
    assert audio_precision == pytest.approx((2 / 3 + 1) / 2)
    assert visual_precision == pytest.approx((2 / 3 + 1) / 2)
    assert result.visual.references["proposals"]["all"].corloc == pytest.approx(
        5 / 6
    )


def test_without_regions_there_is_nothing_visual():
    def no_regions(clip):
        fields = ("boxes", "region_times_s", "region_scores")
        return {name: getattr(clip, name)[:0] for name in fields}

    result = evaluate(changed(VAL, no_regions), changed(TEST, no_regions))
    assert not result.visual
    assert result.audio.scores["all"].f1 == 1


@pytest.mark.parametrize("part", ["sound", "sight"])
def test_a_part_that_the_truth_lacks_has_no_scores(part):
    truth = {
        clip_id: tuple(event for event in events if getattr(event, part))
        for clip_id, events in TRUTH.items()
    }
    result = evaluate(truth=truth)
    if part == "sound":  # Nor has it groups by asynchrony.
        assert set(result.audio.scores) == set(result.num_pairs) == {"all"}
        assert not result.visual
    else:
        assert not result.audio
        assert result.visual.scores["all"].corloc == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": missing(VAL)}, "at least one clip to tune on"),
        ({"test": missing(TEST)}, "received none in 6"),
        (
            {"truth": TRUTH | dict.fromkeys(TEST_TRUTH, (TrueEvent("bus"),))},
            "Expected events with times",
        ),
    ],
)
def test_clips_that_say_nothing_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**changes)
