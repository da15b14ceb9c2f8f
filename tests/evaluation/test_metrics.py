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


def test_micro_scores_by_hand():
    assert metrics.counts(LABELS, PREDICTIONS) == (3, 3, 2)
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


@pytest.mark.parametrize("average", ["micro", None])
def test_scores_are_scikit_learn_s(average):
    generator = np.random.default_rng(0)
    labels = generator.random((60, 5)) < 0.3
    predictions = generator.random((60, 5)) < 0.4
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, average=average
    )
    function = metrics.micro_scores if average else metrics.class_scores
    found = function(labels, predictions)
    np.testing.assert_allclose(found, (f1, precision, recall))


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([[1, 0]], [[0.4, 0]], r"predictions to hold 0 and 1 only"),
        ([[1, 0]], [[1]], r"one shape \[N, C\]"),
        ([1, 0], [1, 0], r"labels of shape \[N, C\]"),
        ([[np.nan]], [[1]], r"labels to hold 0 and 1 only, received nan"),
    ],
)
def test_malformed_input_is_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        metrics.micro_scores(labels, predictions)
    with pytest.raises(ValueError, match=message):
        metrics.class_scores(labels, predictions)


@pytest.fixture(scope="module")
def cvssp(shared_data):
    """Labels and CVSSP's scores of DCASE's 488 "testing" clips."""
    table = shared_data / "fixtures" / "cvssp_at_prob_mat.csv.gz"
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    places = {row[0]: place for place, row in enumerate(rows)}
    lists = shared_data / "dcase2017"
    listed = lists / "sound_event_list_17_classes.txt"
    lines = listed.read_text(encoding="utf-8").splitlines()[1:]
    names = [line.split("\t")[-1].strip() for line in lines if line.strip()]
    labels = np.zeros((len(rows), len(names)), int)
    truth = lists / "groundtruth_weak_label_testing_set.csv"
    with open(truth, encoding="utf-8", newline="") as file:
        for clip, _, _, name in csv.reader(file, delimiter="\t"):
            labels[places[clip], names.index(name)] = 1
    assert labels.shape == (488, 17)
    assert labels.sum() == 606
    return labels, np.array([row[1:] for row in rows], float)


@pytest.mark.parametrize(
    ("fixed", "fallback_argmax", "counts", "percents"),
    [
        (0.3, False, (241, 228, 365), (44.84, 51.39, 39.77)),
        (0.3, True, (281, 319, 325), (46.60, 46.83, 46.37)),
        (None, False, (361, 425, 245), (51.87, 45.93, 59.57)),
    ],
    ids=["fixed", "CVSSP's rule", "tuned"],
)
def test_thresholds_on_cvssp_s_scores(
    cvssp, fixed, fallback_argmax, counts, percents
):
    labels, scores = cvssp
    limits = np.full(17, fixed) if fixed else thresholds.tune(labels, scores)
    predictions = thresholds.apply(scores, limits, fallback_argmax)
    assert metrics.counts(labels, predictions) == counts
    micro = metrics.micro_scores(labels, predictions)
    assert 100 * np.array(micro) == pytest.approx(percents, abs=0.005)


def test_curve_of_scored_clips_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.random(200) < 0.2
    scores = generator.normal(size=200).round(1)  # With ties.
    curve = metrics.precision_recall_curve(labels, scores)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(
        labels, scores
    )
    np.testing.assert_array_equal(curve, (recall, precision))


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


def test_curves_of_classes_without_hits():
    missing = np.full(2, -np.inf)
    curve = metrics.precision_recall_curve(np.array([1, 0]), missing)
    assert curve == ([0], [1])
    assert metrics.precision_recall_curve(np.zeros(2), missing) is None


# Ranked by score, the clips of the first class are 1, 0, 1 and 0; the second
# is tied throughout; nobody holds the third, and all the fourth.
RANKED_LABELS = [[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1]]
RANKED_SCORES = [[4, 7, 1, 4], [3, 7, 2, 3], [2, 7, 3, 2], [1, 7, 4, 1]]


def test_ranking_metrics_by_hand():
    precisions, areas = metrics.class_ranking(RANKED_LABELS, RANKED_SCORES)
    np.testing.assert_allclose(precisions, [5 / 6, 1 / 4, np.nan, 1])
    np.testing.assert_allclose(areas, [3 / 4, 1 / 2, np.nan, np.nan])
    found = metrics.ranking(RANKED_LABELS, RANKED_SCORES)
    mean = found.mean_average_precision
    assert mean == pytest.approx((5 / 6 + 1 / 4 + 1) / 3)
    assert isinstance(mean, float)
    assert found.roc_auc == pytest.approx(5 / 8)
    assert found.d_prime == metrics.d_prime(found.roc_auc)
    none = metrics.ranking([[0], [0]], [[1], [2]])
    assert np.isnan(none.mean_average_precision)
    assert np.isnan(metrics.ranking([[1], [1]], [[1], [2]]).roc_auc)


def test_clips_without_features_are_ranked_last_and_equal():
    labels = np.array([[1], [0], [1], [0]])
    scores = [[0.5], [-1e30], [-np.inf], [-np.inf]]
    precision, auc, _ = metrics.ranking(labels, scores)
    # Of four pairs two are in order and one is equal.
    assert auc == pytest.approx(2.5 / 4)
    # The second label is found among all four clips.
    assert precision == pytest.approx((1 + 2 / 4) / 2)


def test_d_prime_is_the_distance_of_two_gaussians():
    generator = np.random.default_rng(0)
    labels = np.arange(20_000)[:, np.newaxis] % 2
    scores = generator.normal(size=labels.shape) + 1.5 * labels
    assert metrics.ranking(labels, scores).d_prime == pytest.approx(
        1.5, abs=0.05
    )
    # The baseline of AudioSet's paper, whose d-prime is 2.452.
    assert metrics.d_prime(0.959) == pytest.approx(2.46, abs=0.01)
    assert metrics.d_prime(0.5) == 0
    assert metrics.d_prime(1) == np.inf


def test_ranking_metrics_are_scikit_learn_s_and_know_no_order():
    generator = np.random.default_rng(0)
    labels = generator.random((60, 5)) < 0.3
    scores = generator.normal(size=labels.shape).round(1)
    order = generator.permutation(60)
    expected = [
        metric(labels, scores, average="macro")
        for metric in (
            sklearn.metrics.average_precision_score,
            sklearn.metrics.roc_auc_score,
        )
    ]
    found = metrics.ranking(labels, scores)
    assert found[:2] == pytest.approx(expected)
    assert metrics.ranking(labels[order], np.exp(scores[order])) == found
    with pytest.raises(ValueError, match=r"NaN or \+inf in 1 clip"):
        metrics.ranking([[1], [0]], [[np.nan], [0]])
