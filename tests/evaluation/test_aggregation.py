"""Runs become rows: seeds averaged, test splits compared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import aggregation, bootstrap, metrics
from avmil.evaluation.identity import Training
from tests.made_results import result_of


def seeds_of(*f1, **changes):
    return [
        result_of(
            run_name=f"a{seed}",
            seed=seed,
            micro=metrics.Scores(value, 0.5, value / 2),
            by_class=metrics.Scores(*[np.full(17, value)] * 3),
            **changes,
        )
        for seed, value in enumerate(f1)
    ]


def test_seeds_are_one_row_with_mean_and_sample_standard_deviation():
    # Squares of -0.02, 0.01 and 0.01 sum to 0.0006, over 2: 0.0003.
    (row,) = aggregation.rows(seeds_of(0.60, 0.63, 0.63))
    assert row.has_seeds
    assert row.run_names == ("a0", "a1", "a2")
    assert row.micro == pytest.approx((0.62, 0.5, 0.31))
    assert row.micro_std == pytest.approx((0.0003**0.5, 0, 0.0003**0.5 / 2))
    assert row.by_class.f1 == pytest.approx(np.full(17, 0.62))
    assert row.by_class_std.f1 == pytest.approx(np.full(17, 0.0003**0.5))


def test_single_run_has_no_standard_deviation():
    (row,) = aggregation.rows(seeds_of(0.6))
    assert row.micro == (0.6, 0.5, 0.3)
    assert np.isnan(row.micro_std).all()
    assert np.isnan(row.by_class_std.f1).all()


def test_runs_of_other_settings_are_other_rows():
    results = seeds_of(0.6, 0.7) + seeds_of(0.2, 0.3, settings="other")
    rows = aggregation.rows(results)
    assert [row.micro.f1 for row in rows] == pytest.approx([0.65, 0.25])


def test_same_seed_twice_is_refused():
    twice = [*seeds_of(0.6, 0.7), result_of(run_name="copy", seed=1)]
    with pytest.raises(ValueError, match="received a1 and copy of av_two"):
        aggregation.rows(twice)
    # Fusions of several seeds have no single one.
    fusions = [result_of(run_name=name, seed=None) for name in "xy"]
    assert len(aggregation.rows(fusions)) == 1


def test_three_seeds_or_more_are_resampled_and_fewer_averaged():
    first, *others = seeds_of(0.6, 0.7, 0.8)
    inverted = dataclasses.replace(others[0], predictions=1 - first.predictions)
    (two,) = aggregation.rows([first, inverted])
    (three,) = aggregation.rows([first, inverted, others[1]])
    f1 = [
        bootstrap.resampled_scores(
            first.test.labels, result.predictions[np.newaxis]
        ).f1[0]
        for result in (first, inverted)
    ]
    assert (two.resamples_seeds, three.resamples_seeds) == (False, True)
    np.testing.assert_allclose(two.resampled.f1, np.mean(f1, axis=0))
    expected = (2 * f1[0] + f1[1]) / 3
    np.testing.assert_allclose(three.resampled_clips.f1, expected)
    assert three.resampled.f1.std() > 2 * expected.std()
    (backwards,) = aggregation.rows(three.results[::-1])
    assert backwards.intervals == three.intervals
    for row in (two, three):
        assert row.intervals.f1 == bootstrap.interval(row.resampled.f1)
        assert row.intervals.recall == bootstrap.interval(row.resampled.recall)


def test_seeds_are_resampled_only_where_both_rows_have_three():
    labels = result_of().test.labels
    right = {"predictions": labels, "settings": "right"}
    rows = aggregation.rows(
        [*seeds_of(0.5, 0.6, 0.7), *seeds_of(1.0, 1.0, 1.0, **right)]
    )
    compared = aggregation.compare(*rows)
    assert compared.is_more_than_chance
    turned = aggregation.compare(*rows[::-1])
    low, high = compared.interval
    assert turned.interval == pytest.approx((-high, -low))
    single = aggregation.rows(seeds_of(1.0, **right))[0]
    for pair in ((rows[0], single), (single, rows[0])):
        assert aggregation.compare(*pair).is_more_than_chance is None


def test_pairs_compare_the_same_resamples_of_all_rows():
    results = [result_of(name) for name in ("av_two_stream", "mine", "yours")]
    rows = aggregation.rows(results)
    pairs = aggregation.pairs(rows)
    assert [(a.system, b.system) for a, b, _ in pairs] == [
        ("av_two_stream", "mine"),
        ("av_two_stream", "yours"),
        ("mine", "yours"),
    ]
    # Equal predictions: only the same resamples make all differences 0.
    assert {comparison[:3] for *_, comparison in pairs} == {(0, (0, 0), False)}


def test_each_level_of_chance_is_told_once():
    other = result_of().chance._replace(num_draws=3)
    results = [result_of(), result_of("x"), result_of("y", chance=other)]
    rows = aggregation.rows(results)
    assert [level.num_draws for level in aggregation.chances(rows)] == [200, 3]


def notes_of(*trainings):
    """Notes on rows of one or of several runs, called a, b, ..."""
    results = [
        result_of(name, run_name=f"{name}{seed}", seed=seed, training=training)
        for name, of_row in zip("abc", trainings, strict=False)
        for seed, training in enumerate(of_row)
    ]
    notes = aggregation.training_notes(aggregation.rows(results))
    return [note.partition(": ")[2] for note in notes]


def test_training_notes_tell_what_rows_have_in_common_and_what_not():
    paper_s = Training((0.25,), 0.25, ("random",))
    audio = Training((0.25,), 0.25)
    short = Training((0.003,), 0.003)
    assert notes_of([paper_s] * 2, [audio]) == ["0.25.", "random."]
    assert notes_of([audio], [audio]) == ["0.25."]
    assert notes_of([paper_s], [audio], [short]) == [
        "they differ in weight travel.",
        "0.25 in a, b; 0.003 in c.",
        "random.",
    ]
    weights = paper_s._replace(fc_initializations=("w.npz",))
    assert notes_of([paper_s], [weights], [audio]) == [
        "they differ in the initialization of fc6 and fc7.",
        "0.25.",
        "random in a; w.npz in b.",
    ]
    assert notes_of([audio], [Training()]) == [
        "they differ in weight travel.",
        "0.25 in a; unknown in b.",
    ]


def test_cvssp_s_rows_are_compared_with_each_other_only():
    travels = {"a": 0.25, "b": 0.25, "cvssp_x": 3.0, "cvssp_y": 3.0}

    def notes():
        results = [
            result_of(name, run_name=name, training=Training((far,), far))
            for name, far in travels.items()
        ]
        return aggregation.training_notes(aggregation.rows(results))

    assert len(notes()) == 1
    travels["cvssp_y"] = 2.0
    assert "differ in weight travel" in notes()[0]


def test_travel_of_best_and_of_fused_checkpoints():
    best = [Training((step * 1e-5,), 0.25) for step in (10_000, 12_500)]
    last = Training((0.25,), 0.25)
    fused = Training.joined([Training((0.24,), 0.24), last])
    assert fused == Training((0.24, 0.25), 0.25)
    # All of them could have gone as far.
    assert notes_of(best, [last], [fused]) == [
        "0.1 to 0.125 (best on validation up to 0.25) in a; 0.25 in b; "
        "0.24 to 0.25 in c."
    ]
    assert Training.joined([last, Training()]) == Training()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"class_names": CLASS_NAMES},
            "other classes, 17 and 17",
        ),
        (
            {"clip_ids": result_of().test.clip_ids[::-1]},
            "other clips or another order, 30 and 30",
        ),
        (
            {"labels": 1 - result_of().test.labels},
            "other labels of the same clips",
        ),
    ],
)
def test_results_of_different_test_splits_are_refused(changes, message):
    first = result_of()
    other = result_of("mine", test=dataclasses.replace(first.test, **changes))
    with pytest.raises(ValueError, match="on one test split") as caught:
        aggregation.rows([first, other])
    assert message in str(caught.value)
    assert "run_of_mine" in str(caught.value)
