"""Groups of pairs by how sight and sound coincide."""

from __future__ import annotations

import pytest

from avmil.evaluation import asynchrony
from avmil.evaluation.truth import TrueEvent
from tests.localized_clips import CLASS_NAMES, heard, seen

BOX = (0, 0, 10, 10)


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
    assert asynchrony.temporal_iou(first, second) == pytest.approx(expected)
    assert asynchrony.temporal_iou(second, first) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([heard("dog", 0, 2), seen("dog", 1, 2, BOX)], "in sync"),
        ([heard("dog", 0, 2), seen("dog", 1, 3, BOX)], "partly in sync"),
        ([heard("dog", 0, 2), seen("dog", 2, 3, BOX)], "apart"),
        ([heard("dog", 0, 2), seen("bus", 0, 2, BOX)], "only heard"),
        ([seen("dog", 0, 2, BOX)], "only seen"),
        (
            [heard("dog", 0, 1), heard("dog", 1, 2), seen("dog", 0, 2, BOX)],
            "in sync",
        ),
        ([TrueEvent("dog")], None),
        ([], None),
    ],
)
def test_group_of_a_pair(events, expected):
    truth = {"other": [], "clip": events}
    groups = asynchrony.pair_groups(list(truth), truth, CLASS_NAMES)
    assert tuple(groups) == asynchrony.GROUPS
    assert not any(pairs[0].any() for pairs in groups.values())
    holding = [name for name, pairs in groups.items() if pairs[1, 1]]
    assert holding == ([expected] if expected else [])
