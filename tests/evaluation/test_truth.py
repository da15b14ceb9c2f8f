"""Truth files: what they say, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avmil.common.errors import TruthError
from avmil.evaluation import truth
from tests.localized_clips import heard, seen

CLASS_NAMES = ("bus", "Air horn, truck horn")
SIGHT = {
    "t0": 0.25,
    "t1": 2.0,
    "boxes": [[1.0, 10, 20, 30, 60]],
    "boxes_half": [[0.5, 5, 20, 25, 60], [1.5, 20, 30, 40, 70]],
    "track": [],
}


def parse(content, wanted=("clip",), path="truth.json"):
    return truth.parse(json.dumps(content).encode(), path, CLASS_NAMES, wanted)


def event(**changes):
    return {"class": "bus", "sound": [1, 2.5], "sight": SIGHT} | changes


def test_an_event_with_sound_and_sight():
    (found,) = parse({"clip": [event(snr_db=3)]})["clip"]
    assert found.class_name == "bus"
    assert found.sound == (1.0, 2.5)
    assert found.sight.interval == (0.25, 2.0)
    # It is visible from its start until before its end.
    visible = found.sight.is_visible([0.2, 0.25, 1.5, 1.99, 2.0])
    assert visible.tolist() == [False, True, True, True, False]
    # Boxes between the listed instants are interpolated.
    np.testing.assert_allclose(
        found.sight.boxes([0.5, 1.0, 1.25]),
        [[5, 20, 25, 60], [10, 20, 30, 60], [15, 25, 35, 65]],
    )


def test_a_track_of_two_boxes_is_enough():
    track = [[0.0, 0, 0, 10, 10], [4.0, 40, 0, 50, 10]]
    sight = {"t0": 0, "t1": 4, "track": track}
    (found,) = parse({"clip": [event(sight=sight, sound=None)]})["clip"]
    assert found.sound is None
    np.testing.assert_allclose(found.sight.boxes([0.5]), [[5, 0, 15, 10]])


def test_clips_of_other_splits_are_not_looked_at():
    found = parse({"other": "damaged", "clip": []})
    assert found == {"clip": ()}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (event(**{"class": "tram"}), "Expected classes of the features"),
        (event(**{"class": 3}), r"\$\[0\]\.class"),
        ("bus", r"\$\[0\]"),
        (event(sound=[2, 1]), "start < end, got 2.0, 1.0"),
        (event(sound=[1, 1]), "start < end"),
        (event(sound=[-1, 1]), "start < end"),
        (event(sound=[1, float("nan")]), r"\.sound\[1\]"),
        (event(sound=[1, 10**400]), r"\.sound\[1\]"),
        (event(sound=[True, 2]), r"\.sound\[0\]"),
        (event(sound=5), r"\.sound"),
        (event(sight=[1]), r"\.sight"),
        (event(sight={"t0": 1}), "`t1`"),
        (event(sight=SIGHT | {"t1": None}), r"\.sight\.t1"),
        (event(sight=SIGHT | {"t1": 0}), "start < end"),
        (event(sight=SIGHT | {"boxes": 3}), r"\.sight\.boxes"),
        (event(sight=SIGHT | {"boxes": [[1, 2]]}), r"\.boxes\[0\]"),
        (event(sight=SIGHT | {"boxes": [[1, 9, 2, 3, 4]]}), "x1 < x2"),
    ],
)
def test_a_bad_event_is_refused_with_file_and_clip(entry, message):
    with pytest.raises(TruthError, match=message) as raised:
        parse({"clip": [entry]})
    assert str(raised.value).startswith("truth.json: clip clip: Expected")


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"clip": 3}']
)
def test_what_is_no_truth_file_is_refused(content):
    with pytest.raises(TruthError, match=r"^some/truth\.json: "):
        truth.parse(content, "some/truth.json", CLASS_NAMES, ["clip"])


def strong(text, wanted=("a_0.000_10.000", "b_0.000_10.000")):
    return truth.parse(text.encode(), "strong.csv", CLASS_NAMES, wanted)


def test_strong_labels():
    found = strong(
        "a_0.000_10.000.wav\t0.5\t2\tbus\r\n"
        "a_0.000_10.000.wav\t3\t4\tAir horn, truck horn\r\n"
        "c_0.000_10.000.wav\t3\t4\ttram\r\n"
        "b_0.000_10.000.wav\t0\t0\tbus\r\n"
    )
    first, second = found["a_0.000_10.000"]
    assert (first.class_name, first.sound) == ("bus", (0.5, 2))
    assert second.class_name == "Air horn, truck horn"
    (untimed,) = found["b_0.000_10.000"]
    assert (untimed.sound, untimed.sight) == (None, None)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a_0.000_10.000.wav,1,2,bus", "received 1 field"),
        ("a_0.000_10.000.wav\tone\t2\tbus", "line 2: "),
        ("a_0.000_10.000.wav\t2\t1\tbus", "line 2: Expected 0 <= start"),
        ("a_0.000_10.000.wav\t1\tinf\tbus", "line 2: Expected `float`"),
        ("a_0.000_10.000.wav\t1\t2\ttram", "received tram"),
    ],
)
def test_bad_strong_labels_are_refused(row, message):
    with pytest.raises(TruthError, match=message):
        strong(f"b_0.000_10.000.wav\t0\t1\tbus\n{row}\n")


def test_dcase_s_own_files(shared_data):
    directory = shared_data / "dcase2017"
    path = directory / "groundtruth_release"
    content = (
        path / "groundtruth_strong_label_evaluation_set.csv"
    ).read_bytes()
    rows = [line.split("\t") for line in content.decode().splitlines()]
    found = truth.parse(
        content,
        "strong.csv",
        sorted({row[3] for row in rows}),
        {row[0].removesuffix(".wav") for row in rows},
    )
    events = [event for events in found.values() for event in events]
    assert len(found) == 1103
    assert len(events) == 1706
    assert sum(event.sound is None for event in events) == 150


SEEN_PX = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([(0, 2)], [(0, 2)], 1),
        ([(0, 2)], [(1, 3)], 1 / 3),
        ([(0, 2)], [(2, 4)], 0),
        ([(0, 1), (3, 4)], [(0, 4)], 0.5),
        ([(0, 3), (2, 4)], [(0, 4)], 1),  # Overlapping ones count once.
    ],
)
def test_temporal_iou(first, second, expected):
    assert truth.temporal_iou(first, second) == pytest.approx(expected)
    assert truth.temporal_iou(second, first) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([heard("dog", 0, 2), seen("dog", 1, 2, SEEN_PX)], "in sync"),
        ([heard("dog", 0, 2), seen("dog", 1, 3, SEEN_PX)], "partly in sync"),
        ([heard("dog", 0, 2), seen("dog", 2, 3, SEEN_PX)], "apart"),
        ([heard("dog", 0, 2), seen("bus", 0, 2, SEEN_PX)], "only heard"),
        ([seen("dog", 0, 2, SEEN_PX)], "only seen"),
        (
            [
                heard("dog", 0, 1),
                heard("dog", 1, 2),
                seen("dog", 0, 2, SEEN_PX),
            ],
            "in sync",
        ),
        ([truth.TrueEvent("dog")], None),
        ([], None),
    ],
)
def test_group_of_a_pair(events, expected):
    content = {"other": [], "clip": events}
    groups = truth.pair_groups([*content], content, ("bus", "dog"))
    assert tuple(groups) == truth.GROUPS
    assert not any(pairs[0].any() for pairs in groups.values())
    holding = [name for name, pairs in groups.items() if pairs[1, 1]]
    assert holding == ([expected] if expected else [])
