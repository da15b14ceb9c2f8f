"""Score sets: what they refuse, and that files bring them back."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from avmil.evaluation.scores import ScoreSet, fuse

CLIPS = ("clip_a", "clip_b", "clip_c")
CLASSES = ("Air horn, truck horn", "Zug", "警笛")
LABELS = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]])
SCORES = np.array([[0.5, -1.5, 0.25], [3, 4, 5], [-7, 8, -9]])


def build(**changes) -> ScoreSet:
    fields = {
        "clip_ids": CLIPS,
        "class_names": CLASSES,
        "labels": LABELS,
        "scores": SCORES,
    }
    return ScoreSet(**(fields | changes))


def test_bytes_bring_back_the_same_set():
    score_set = build().with_missing(["clip_d"], [[0, 1, 0]])
    again = ScoreSet.from_bytes(score_set.to_bytes())
    assert again.clip_ids == (*CLIPS, "clip_d")
    assert again.class_names == CLASSES
    assert again.missing_clip_ids == ("clip_d",)
    np.testing.assert_array_equal(again.labels, score_set.labels)
    np.testing.assert_array_equal(again.scores, score_set.scores)
    assert again.to_bytes() == score_set.to_bytes()


def test_file_holds_plain_arrays_whatever_came_in():
    score_set = build(clip_ids=np.array(CLIPS), labels=LABELS.astype(float))
    content = io.BytesIO(score_set.to_bytes())
    with np.load(content, allow_pickle=False) as arrays:
        kinds = {name: arrays[name].dtype.str for name in arrays}
    assert kinds == {
        "clip_ids": "<U6",
        "class_names": "<U20",
        "labels": "|i1",
        "scores": "<f4",
    }


def test_missing_clips_keep_their_labels_and_score_minus_infinity():
    score_set = build().with_missing(["x", "y"], [[1, 1, 0], [0, 0, 1]])
    assert score_set.clip_ids == (*CLIPS, "x", "y")
    assert score_set.missing_clip_ids == ("x", "y")
    assert score_set.labels[3:].tolist() == [[1, 1, 0], [0, 0, 1]]
    assert np.isneginf(score_set.scores[3:]).all()
    np.testing.assert_array_equal(score_set.scores[:3], SCORES)
    assert build().with_missing([], []).missing_clip_ids == ()
    with pytest.raises(ValueError, match=r"unique clip_ids.*clip_b"):
        build().with_missing(["clip_b"], [[0, 0, 1]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_ids": ("a", "b")}, r"clip_ids of length N = 3.*received 2"),
        ({"clip_ids": ("a", "b", "a")}, r"unique clip_ids, received a more"),
        ({"class_names": ("u", "v")}, r"class_names of length C = 3"),
        ({"class_names": ("u", "v", "v")}, r"unique class_names, received v"),
        ({"labels": LABELS * 2}, r"labels to hold 0 and 1 only, received 2"),
        ({"labels": LABELS[0]}, r"labels of shape \[N, C\]"),
        ({"scores": SCORES[:2]}, r"one shape.*\(3, 3\) and \(2, 3\)"),
        ({"labels": np.zeros((0, 3)), "clip_ids": ()}, r"at least one clip"),
    ],
)
def test_malformed_sets_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_score_that_is_no_number_is_refused_by_clip_id(value):
    scores = SCORES.copy()
    scores[1, 2] = value
    with pytest.raises(ValueError, match=r"received others for clip_b\."):
        build(scores=scores)


def test_many_bad_clips_are_named_in_short():
    clip_ids = [f"clip{i}" for i in range(9)]
    with pytest.raises(ValueError, match=r"clip4 and 4 more\.$"):
        ScoreSet(clip_ids, ["a"], np.ones((9, 1)), np.full((9, 1), np.nan))


def npz(**changes) -> bytes:
    arrays = {
        "clip_ids": np.array(CLIPS),
        "class_names": np.array(CLASSES),
        "labels": LABELS,
        "scores": SCORES,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **(arrays | changes))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, SCORES)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        build().to_bytes()[:200],
        npy(),
        npz(clip_ids=np.array(CLIPS, object)),
        npz(scores=SCORES * np.nan),
    ],
    ids=["empty", "text", "cut off", "single array", "pickled", "NaN"],
)
def test_bad_file_is_refused_by_name(content):
    with pytest.raises(ValueError, match=r"received run1/scores-val\.npz"):
        ScoreSet.from_bytes(content, "run1/scores-val.npz")


def test_damaged_bytes_raise_nothing_but_value_errors():
    content = build().to_bytes()
    generator = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] ^= generator.integers(1, 256)
        with contextlib.suppress(ValueError):
            ScoreSet.from_bytes(bytes(damaged))


MISSING = -np.inf


def member(scores, clip_ids=("x", "y", "z"), classes=("bus", "car"), label=1):
    return ScoreSet(clip_ids, classes, [[label, 0], [0, 1], [0, 0]], scores)


def test_mean_by_hand():
    fused = fuse(
        {
            "g0": member([[0.2, 1], [0.5, 0], [MISSING, MISSING]]),
            "g1": member([[0.6, 0], [0.5, 0.5], [MISSING, MISSING]]),
            "g2": member([[0.1, 0.5], [MISSING, MISSING], [MISSING, MISSING]]),
        }
    )
    np.testing.assert_allclose(
        fused.scores, [[0.3, 0.5], [0.5, 0.25], [MISSING, MISSING]], rtol=1e-6
    )
    assert fused.clip_ids == ("x", "y", "z")
    assert fused.class_names == ("bus", "car")
    assert fused.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert fused.missing_clip_ids == ("z",)


def test_one_member_or_several_alike_change_nothing():
    # Sums of shares may exceed 1 by rounding.
    above_1 = np.nextafter(np.float32(1), np.float32(2))
    alone = member([[0.2, above_1], [0.5, 0], [MISSING, MISSING]])
    for count in (1, 7):
        fused = fuse({str(i): alone for i in range(count)})
        np.testing.assert_array_equal(fused.scores, alone.scores)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"clip_ids": ("y", "x", "z")}, "other clips or another order"),
        ({"classes": ("bus", "cab")}, "other classes"),
        ({"label": 0}, "other labels"),
    ],
)
def test_members_of_other_clips_are_refused(other, message):
    scores = np.full((3, 2), 0.5)
    members = {"g0": member(scores), "g1": member(scores, **other)}
    with pytest.raises(ValueError, match=message) as caught:
        fuse(members)
    assert "received g0 and g1" in str(caught.value)


@pytest.mark.parametrize("wrong", [-0.1, 1.5])
def test_scores_that_are_no_probabilities_are_refused(wrong):
    scores = np.full((3, 2), 0.5)
    scores[1, 0] = wrong
    with pytest.raises(ValueError, match=r"in \[0, 1\].* of g1\."):
        fuse({"g0": member(scores * 0), "g1": member(scores)})
