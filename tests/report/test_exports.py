"""JSON and CSV of results."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import aggregation, evaluation
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.scores import ScoreSet
from avmil.report import exports

CLASSES = CLASS_NAMES[::-1]


@pytest.fixture(scope="module")
def results():
    """Row a and row d on DCASE's classes, one test clip missing."""
    generator = np.random.default_rng(0)

    def score_set(prefix, num_clips):
        labels = generator.random((num_clips, 17)) < 0.2
        scores = labels + generator.normal(size=labels.shape)
        names = [f"{prefix}{index}" for index in range(num_clips)]
        return ScoreSet(names, CLASSES, labels, scores)

    val = score_set("v", 30)
    test = score_set("t", 40).with_missing(["t40"], np.ones((1, 17)))
    return [
        evaluation.evaluate(
            val, test, identity=RunIdentity(system, "run, 1", seed=7)
        )
        for system in ("visual_wsddn", "av_two_stream")
    ]


@pytest.fixture(scope="module")
def rows(results):
    return aggregation.rows(results)


@pytest.fixture(scope="module")
def seeds(results):
    """Row a with two seeds, 0.1 apart in each F1."""
    first = results[1]
    second = dataclasses.replace(
        first,
        identity=RunIdentity("av_two_stream", "run 2", seed=8),
        micro=first.micro._replace(f1=first.micro.f1 + 0.1),
        by_class=first.by_class._replace(f1=first.by_class.f1 + 0.1),
    )
    return aggregation.rows([results[0], first, second])


def read(frame):
    """The rows that a reader of the CSV file gets."""
    return list(csv.DictReader(io.StringIO(frame.to_csv(index=False))))


def test_dictionary_survives_json_and_holds_fractions_in_full(results):
    values = exports.to_dict(results[1])
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["micro"]["f1"] == results[1].micro.f1
    assert values["num_test_clips"] == 41
    assert values["num_test_missing"] == 1
    assert values["counts"]["true_positives"] == results[1].counts[0]
    assert values["chance"]["random_mean"]["f1"] > 0
    assert values["paper"]["dataset"] == "DCASE 2017 task 4"
    assert values["paper"]["micro"]["f1"] == 0.642
    assert values["paper"]["class_f1"]["Car"] == 0.75
    assert [entry["name"] for entry in values["classes"]] == list(CLASSES)
    assert [entry["threshold"] for entry in values["classes"]] == (
        results[1].thresholds.tolist()
    )


def test_dictionary_of_a_system_that_the_paper_lacks(results):
    result = dataclasses.replace(
        results[0], identity=RunIdentity("mine", "run")
    )
    assert exports.to_dict(result)["paper"] is None


def test_table_1_csv(results, rows):
    entries = read(exports.table_1(rows))
    assert [entry["system"] for entry in entries] == [
        "av_two_stream",
        "visual_wsddn",
        "chance_random_scores",
        "chance_every_class",
    ]
    first, _, _, last = entries
    assert first["run_name"] == "run, 1"
    assert first["f1_percent"] == f"{100 * results[1].micro.f1:.1f}"
    assert first["paper_dcase2017_recall_percent"] == "69.4"
    assert (first["num_test_clips"], first["num_test_missing"]) == ("41", "1")
    assert last["recall_percent"] == "100.0"
    assert last["paper_dcase2017_f1_percent"] == ""
    assert (first["num_runs"], first["f1_std_percent"]) == ("1", "")
    low, high = rows[0].intervals.recall
    assert first["recall_low_percent"] == f"{100 * low:.1f}"
    assert first["recall_high_percent"] == f"{100 * high:.1f}"
    assert last["f1_low_percent"] == ""


def test_table_2_csv_has_a_row_for_each_run_and_class(results, rows):
    entries = read(exports.table_2(rows))
    assert [entry["class_name"] for entry in entries] == list(CLASSES) * 2
    (row,) = (
        entry
        for entry in entries
        if entry["system"] == "av_two_stream"
        and entry["class_name"] == "Air horn, truck horn"
    )
    place = CLASSES.index("Air horn, truck horn")
    assert float(row["threshold"]) == results[1].thresholds[place]
    expected = f"{100 * results[1].by_class.precision[place]:.1f}"
    assert row["precision_percent"] == expected
    assert row["paper_dcase2017_f1_percent"] == "40.0"
    # Table 2 leaves row d out.
    assert entries[-1]["system"] == "visual_wsddn"
    assert entries[-1]["paper_dcase2017_f1_percent"] == ""


def test_seeds_are_one_row_of_each_file(results, seeds):
    first, second, *_ = read(exports.table_1(seeds))
    assert first["run_name"] == "run, 1, run 2"
    assert first["num_runs"] == "2"
    assert first["f1_percent"] == f"{100 * results[1].micro.f1 + 5:.1f}"
    # Two values 0.1 apart deviate by 0.05: the root of twice its square.
    assert first["f1_std_percent"] == "7.1"
    assert first["recall_std_percent"] == "0.0"
    assert second["f1_std_percent"] == ""
    entries = read(exports.table_2(seeds))
    assert len(entries) == 34
    assert entries[0]["f1_std_percent"] == "7.1"
    assert entries[0]["threshold"] == ""
    assert entries[17]["threshold"] != ""


def test_comparison_survives_json(seeds):
    values = exports.comparison_dict(seeds)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["bootstrap"] == {"num_resamples": 2000, "level": 0.95}
    first, second = values["rows"]
    assert first["run_names"] == ["run, 1", "run 2"]
    assert first["seeds"] == [7, 8]
    assert first["micro_std"]["f1"] == pytest.approx(0.005**0.5)
    assert first["classes"][0]["f1_std"] == pytest.approx(0.005**0.5)
    assert second["micro_std"] == dict.fromkeys(("f1", "precision", "recall"))
    assert first["micro_intervals"]["precision"] == {
        "low": seeds[0].intervals.precision.low,
        "high": seeds[0].intervals.precision.high,
    }
    (pair,) = values["pairs"]
    assert (pair["first"], pair["second"]) == (["run, 1", "run 2"], ["run, 1"])
    assert pair["f1_difference"] == pytest.approx(
        first["micro"]["f1"] - second["micro"]["f1"]
    )
    assert pair["is_more_than_chance"] == (pair["p_value"] < 0.05)


def test_dictionary_of_a_run_holds_its_intervals(results, rows):
    values = exports.to_dict(results[1])
    assert values["seed"] == 7
    assert values["micro_intervals"]["f1"] == rows[0].intervals.f1._asdict()


def test_leads_csv_has_a_row_for_each_pair(seeds):
    (entry,) = read(exports.leads(seeds))
    compared = aggregation.compare(*seeds)
    assert entry == {
        "first_system": "av_two_stream",
        "first_run_name": "run, 1, run 2",
        "second_system": "visual_wsddn",
        "second_run_name": "run, 1",
        "f1_difference_percent": f"{100 * compared.difference:.1f}",
        "f1_low_percent": f"{100 * compared.interval.low:.1f}",
        "f1_high_percent": f"{100 * compared.interval.high:.1f}",
        "p_value": f"{compared.p_value:.4f}",
    }
