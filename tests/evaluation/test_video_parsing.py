"""Video parsing: LLP's official scorer, by its figures and by definition."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from avmil.clips.timed_lists import read_llp
from avmil.evaluation import video_parsing
from avmil.evaluation.localization import missing_clip
from avmil.evaluation.video_parsing import parsing_scores
from tests.localized_clips import CLASS_NAMES, heard, make_clip, seen

NO_SEGMENTS = {
    "segment_times_s": np.zeros((0, 2)),
    "segment_scores": np.zeros((0, 2)),
}


def seconds(*rows):
    """Rows of a video's classes, written as "0110"."""
    return np.array([[[c == "1" for c in row] for row in rows]])


def test_a_video_by_hand():
    # Class 0: one true event of 4 s, of which 2 are found: IoU 2 / 4.
    # Class 1: nothing true, one false event. Class 2 never occurs.
    heard = seconds("01100000", "00000011", "00000000")
    true_heard = seconds("11110000", "00000000", "00000000")
    seen = seconds("00000000", "00000000", "00000000")
    scores = parsing_scores(heard, seen, true_heard, seen)
    assert scores["segment"].audio == pytest.approx((2 * 2 / 6 + 0) / 2)
    assert scores["event"].audio == pytest.approx((1 + 0) / 2)
    assert scores["segment"].visual == scores["segment"].audio_visual == 1
    assert scores["segment"].type_at_av == pytest.approx((1 / 3 + 2) / 3)
    assert scores["segment"].event_at_av == scores["segment"].audio


def test_an_event_needs_half_of_the_union():
    seen = seconds("00000000")
    true = seconds("11110000")
    for found, expected in (
        ("11000000", 1),  # 2 of 4.
        ("10000000", 0),  # 1 of 4.
        ("11111111", 1),  # 4 of 8.
        ("00011111", 0),
        ("10110000", 2 / 3),  # Two events: one hits, one is false.
    ):
        scores = parsing_scores(seconds(found), seen, true, seen)
        assert scores["event"].audio == pytest.approx(expected), found


def by_definition(predicted, true):
    """F-scores of segments and events of one video, with plain loops."""

    def runs(row):
        text = "".join("01"[bool(x)] for x in row) + "0"
        found, begin = [], None
        for index, char in enumerate(text):
            if char == "1" and begin is None:
                begin = index
            if char == "0" and begin is not None:
                found.append(set(range(begin, index)))
                begin = None
        return found

    def meets(one, others):
        return any(len(one & o) >= 0.5 * len(one | o) for o in others)

    segment, event = [], []
    for p, t in zip(predicted, true, strict=True):
        if not (p.any() or t.any()):
            continue
        segment.append(2 * (p & t).sum() / (p.sum() + t.sum()))
        mine, theirs = runs(p), runs(t)
        hits = sum(meets(one, theirs) for one in mine)
        errors = len(mine) - hits + sum(not meets(one, mine) for one in theirs)
        event.append(2 * hits / (2 * hits + errors))
    return [np.mean(f) if f else 1.0 for f in (segment, event)]


def test_equals_the_definition_on_random_seconds():
    generator = np.random.default_rng(0)
    arrays = generator.random((4, 40, 5, 10)) < generator.random((1, 40, 5, 1))
    audio, visual, true_audio, true_visual = arrays
    scores = parsing_scores(*arrays)
    for name, predicted, true in (
        ("audio", audio, true_audio),
        ("visual", visual, true_visual),
        ("audio_visual", audio & visual, true_audio & true_visual),
    ):
        by_video = [
            by_definition(*pair) for pair in zip(predicted, true, strict=True)
        ]
        segment, event = np.mean(by_video, axis=0)
        assert getattr(scores["segment"], name) == pytest.approx(segment)
        assert getattr(scores["event"], name) == pytest.approx(event)


def test_order_of_videos_and_classes_changes_nothing():
    generator = np.random.default_rng(1)
    arrays = generator.random((4, 12, 4, 10)) < 0.4
    shuffled = arrays[:, generator.permutation(12)][:, :, [2, 0, 3, 1]]
    first, second = parsing_scores(*arrays), parsing_scores(*shuffled)
    np.testing.assert_allclose(first["segment"], second["segment"])
    np.testing.assert_allclose(first["event"], second["event"])


@pytest.mark.slow
@pytest.mark.parametrize("split", ["test", "val"])
def test_equals_the_official_scorer(shared_data, split):
    folder = shared_data / "llp"
    with open(folder / "official_scorer_results.json", encoding="utf-8") as f:
        official = json.load(f)
    class_names, entries, truth = read_llp(str(folder))
    labels = {e.clip_id: e.labels for e in entries if e.split == split}
    clip_ids = [*labels]  # In the order of the list.
    shape = len(clip_ids), len(class_names), 10
    tags = np.zeros((*shape[:2], 1), bool)
    true = np.zeros((2, *shape), bool)
    for row, clip_id in enumerate(clip_ids):
        for label in labels[clip_id]:
            tags[row, class_names.index(label)] = True
        for event in truth[clip_id]:
            column = class_names.index(event["class"])
            sound, sight = event.get("sound"), event.get("sight")
            begin_s, end_s = sound or (sight["t0"], sight["t1"])
            modality = 0 if sound else 1
            true[modality, row, column, int(begin_s) : int(end_s)] = True
    # One generator runs through all videos, audio before visual.
    drawn = (len(clip_ids), 2, *shape[1:])
    some = np.random.default_rng(1).random(drawn).swapaxes(0, 1) < 0.6
    noise = np.random.default_rng(2).random(drawn).swapaxes(0, 1) < 0.05
    predictions = {
        "true_tags_in_every_second": np.broadcast_to(tags, (2, *shape)),
        "nothing": np.zeros((2, *shape)),
        "perfect": true,
        "random_seconds_of_true_tags_seed_1_p_0.6": some * tags,
        "noise_seed_2_p_0.05": noise,
    }
    for name, predicted in predictions.items():
        scores = parsing_scores(*predicted, *true)
        for level in ("segment", "event"):
            expected = official[f"{split}:{name}"][level]
            found = 100 * np.array(scores[level])
            assert found.tolist() == pytest.approx(
                [*expected.values()], abs=1e-4
            ), name


def measure(val, test, truth, *tags):
    seconds = [video_parsing.seconds(clips, truth) for clips in (val, test)]
    return video_parsing.measure(*seconds, *tags)


def test_seconds_are_parsed_with_thresholds_from_validation():
    # Regions of four frames, two a frame, of which the better one counts;
    # segments of a second. What is true scores 1, or on test 0.8.
    def clip(clip_id, score):
        segments, regions = np.zeros((4, 2)), np.zeros((8, 2))
        segments[1:3, 0] = score
        regions[[1, 7], 1] = score
        return make_clip(
            clip_id,
            segments,
            boxes=((0, 0, 9, 9),) * 8,
            region_times_s=np.repeat(np.arange(4) + 0.5, 2),
            region_scores=regions,
        )

    box = (0, 0, 10, 10)
    sights = [seen(CLASS_NAMES[1], s, s + 1, box) for s in (0, 3)]
    events = (heard(CLASS_NAMES[0], 1, 3), *sights)
    val, test = [clip("val", 1.0)], [clip("test", 0.8)]
    truth = {"val": events, "test": events}
    found = measure(val, test, truth, [[1, 0]], [[1, 1]])
    assert found.scores["segment"] == (1, 1, 1, 1, 1)
    assert found.scores["event"] == (1, 1, 1, 1, 1)
    # Class 0 in all four seconds: heard in 2, seen in none.
    assert found.references["predicted_tags"]["segment"].audio == pytest.approx(
        2 * 2 / 6
    )
    assert found.references["predicted_tags"]["segment"].visual == 0
    # With class 1 too, heard in none and seen in 2.
    assert found.references["true_tags"]["segment"].audio == pytest.approx(
        (2 * 2 / 6 + 0) / 2
    )
    assert found.references["true_tags"]["segment"].visual == pytest.approx(
        (0 + 2 * 2 / 6) / 2
    )
    # A system without audio hears nothing, a clip without features neither.
    silent = [dataclasses.replace(c, **NO_SEGMENTS) for c in (*val, *test)]
    found = measure(silent[:1], silent[1:], truth, [[1, 0]], [[1, 1]])
    assert found.scores["segment"].audio == 0
    assert found.scores["segment"].visual == 1
    missing = missing_clip("test", events, CLASS_NAMES, 1.0)
    found = measure(val, [missing], truth, [[0, 0]], [[1, 1]])
    assert found.scores["segment"].audio == found.scores["segment"].visual == 0
