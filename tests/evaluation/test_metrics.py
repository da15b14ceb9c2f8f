"""F1, precision and recall: by hand, and on CVSSP's published scores."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import sklearn.metrics

from avmil.evaluation import metrics, thresholds

# Six clips, three classes. Class 0: 2 hits, 1 miss. Class 1: 1 hit, 2 false
# alarms, 1 miss. Class 2: nothing but a false alarm.
LABELS = [[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
PREDICTIONS = [
    [1, 0, 0],
    [1, 1, 0],
    [0, 1, 0],
    [0, 0, 0],
    [0, 1, 1],
    [0, 0, 0],
]

# The columns of CVSSP's file.
CVSSP_CLASSES = (
    "Train horn",
    "Air horn, truck horn",
    "Car alarm",
    "Reversing beeps",
    "Bicycle",
    "Skateboard",
    "Ambulance (siren)",
    "Fire engine, fire truck (siren)",
    "Civil defense siren",
    "Police car (siren)",
    "Screaming",
    "Car",
    "Car passing by",
    "Bus",
    "Truck",
    "Motorcycle",
    "Train",
)


def test_counts_by_hand():
    assert metrics.counts(LABELS, PREDICTIONS) == (3, 3, 2)


def test_micro_scores_by_hand():
    f1, precision, recall = metrics.micro_scores(LABELS, PREDICTIONS)
    assert precision == pytest.approx(3 / 6)
    assert recall == pytest.approx(3 / 5)
    assert f1 == pytest.approx(6 / 11)
    assert isinstance(f1, float)


def test_class_scores_by_hand():
    scores = metrics.class_scores(LABELS, PREDICTIONS)
    np.testing.assert_allclose(scores.precision, [1, 1 / 3, 0])
    np.testing.assert_allclose(scores.recall, [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(scores.f1, [4 / 5, 2 / 5, 0])


def test_class_that_nobody_holds_or_predicts_scores_zero():
    scores = metrics.class_scores([[0, 1], [0, 1]], [[0, 1], [0, 1]])
    assert scores.f1.tolist() == [0, 1]
    assert metrics.micro_scores([[0]], [[0]]) == (0, 0, 0)


def test_one_class_is_not_taken_for_two():
    # Pooled over "held" and "not held", all four would be 3/4.
    labels, predictions = [[1], [0], [0], [0]], [[1], [1], [0], [0]]
    expected = (2 / 3, 1 / 2, 1)
    assert metrics.micro_scores(labels, predictions) == pytest.approx(expected)
    by_class = metrics.class_scores(labels, predictions)
    assert [array.shape for array in by_class] == [(1,)] * 3
    assert [array[0] for array in by_class] == pytest.approx(expected)


def test_agrees_with_counts_and_with_scores_of_columns():
    generator = np.random.default_rng(0)
    labels = generator.random((60, 5)) < 0.3
    predictions = generator.random((60, 5)) < 0.4
    hits, false_alarms, misses = metrics.counts(labels, predictions)
    micro = metrics.micro_scores(labels, predictions)
    assert micro.f1 == pytest.approx(
        2 * hits / (2 * hits + false_alarms + misses)
    )
    by_class = metrics.class_scores(labels, predictions)
    for column in range(5):
        alone = metrics.micro_scores(
            labels[:, [column]], predictions[:, [column]]
        )
        assert [array[column] for array in by_class] == pytest.approx(alone)


@pytest.mark.parametrize(
    "function",
    [metrics.micro_scores, metrics.class_scores, metrics.counts],
)
@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([[1, 0]], [[0.4, 0]], r"predictions to hold 0 and 1 only"),
        ([[1, 0]], [[1]], r"one shape \[N, C\]"),
        ([1, 0], [1, 0], r"labels of shape \[N, C\]"),
        ([[np.nan]], [[1]], r"labels to hold 0 and 1 only, received nan"),
    ],
)
def test_malformed_input_is_refused(function, labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        function(labels, predictions)


@pytest.fixture(scope="module")
def cvssp(shared_data):
    """Labels and CVSSP's scores of DCASE's 488 "testing" clips."""
    table = shared_data / "fixtures" / "cvssp_at_prob_mat.csv.gz"
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    places = {row[0]: place for place, row in enumerate(rows)}
    labels = np.zeros((len(rows), len(CVSSP_CLASSES)), int)
    truth = shared_data / "dcase2017" / "groundtruth_weak_label_testing_set.csv"
    with open(truth, encoding="utf-8", newline="") as file:
        for clip, _, _, name in csv.reader(file, delimiter="\t"):
            labels[places[clip], CVSSP_CLASSES.index(name)] = 1
    assert labels.shape == (488, 17)
    assert labels.sum() == 606
    return labels, np.array([row[1:] for row in rows], float)


@pytest.mark.parametrize(
    ("fallback_argmax", "counts", "percents"),
    [
        (False, (241, 228, 365), (44.84, 51.39, 39.77)),
        (True, (281, 319, 325), (46.60, 46.83, 46.37)),
    ],
)
def test_fixed_threshold_on_cvssp_scores(
    cvssp, fallback_argmax, counts, percents
):
    labels, scores = cvssp
    predictions = thresholds.apply(scores, np.full(17, 0.3), fallback_argmax)
    assert metrics.counts(labels, predictions) == counts
    micro = metrics.micro_scores(labels, predictions)
    assert 100 * np.array(micro) == pytest.approx(percents, abs=0.005)


def test_tuned_thresholds_on_cvssp_scores(cvssp):
    labels, scores = cvssp
    predictions = thresholds.apply(scores, thresholds.tune(labels, scores))
    assert metrics.counts(labels, predictions) == (361, 425, 245)
    micro = metrics.micro_scores(labels, predictions)
    assert 100 * np.array(micro) == pytest.approx(
        (51.87, 45.93, 59.57), abs=0.005
    )


def test_cvssp_grid_of_thresholds_on_cvssp_scores(cvssp):
    """The same with CVSSP's candidates, 0 to 1 in steps of 0.01."""
    labels, scores = cvssp
    grid = np.arange(0, 1.001, 0.01)
    f1 = [
        metrics.class_scores(labels, (scores > threshold).astype(int)).f1
        for threshold in grid
    ]  # [101][17]
    best = np.argmax(f1, axis=0)
    predictions = thresholds.apply(scores, grid[best])
    micro = metrics.micro_scores(labels, predictions)
    assert 100 * np.array(micro) == pytest.approx(
        (51.04, 42.95, 62.87), abs=0.005
    )
    finer = metrics.class_scores(
        labels, thresholds.apply(scores, thresholds.tune(labels, scores))
    )
    assert (finer.f1 >= metrics.class_scores(labels, predictions).f1).all()


def test_curve_of_scored_clips_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.random(200) < 0.2
    scores = generator.normal(size=200).round(1)  # With ties.
    curve = metrics.precision_recall_curve(labels, scores)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(
        labels, scores
    )
    np.testing.assert_array_equal(curve.precision, precision)
    np.testing.assert_array_equal(curve.recall, recall)
    assert curve.average_precision == pytest.approx(
        sklearn.metrics.average_precision_score(labels, scores)
    )


def test_clips_without_features_are_never_retrieved():
    curve = metrics.precision_recall_curve([1, 0, 1, 1], [3, 2, 1, -np.inf])
    assert curve.recall == pytest.approx([2 / 3, 1 / 3, 1 / 3, 0])
    assert curve.precision == pytest.approx([2 / 3, 1 / 2, 1, 1])
    assert curve.average_precision == pytest.approx(1 / 3 + 2 / 9)


def test_points_are_those_of_every_threshold_by_counting():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 30)
    scores = generator.integers(-4, 4, 30).astype(float)
    scores[::5] = -np.inf
    curve = metrics.precision_recall_curve(labels, scores)
    expected = []
    for level in np.unique(scores[np.isfinite(scores)]):
        retrieved = scores >= level
        hits = labels[retrieved].sum()
        expected.append((hits / labels.sum(), hits / retrieved.sum()))
    np.testing.assert_allclose(np.transpose(curve), [*expected, (0, 1)])


def test_nothing_is_retrieved_where_no_clip_has_features():
    curve = metrics.precision_recall_curve([1, 0], [-np.inf, -np.inf])
    assert (curve.recall.tolist(), curve.precision.tolist()) == ([0], [1])
    assert curve.average_precision == 0


def test_class_that_no_clip_holds_has_no_curve():
    assert metrics.precision_recall_curve([0, 0], [1, 2]) is None
