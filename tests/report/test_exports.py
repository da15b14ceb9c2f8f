"""JSON and CSV of results."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from report import evaluation, exports
from report.paper import CLASS_NAMES
from report.scores import ScoreSet

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
        evaluation.evaluate(val, test, system=system, run_name="run, 1")
        for system in ("visual_wsddn", "av_two_stream")
    ]


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


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
    result = dataclasses.replace(results[0], system="mine")
    assert exports.to_dict(result)["paper"] is None


def test_table_1_csv(results):
    rows = read(exports.table_1_csv(results))
    assert [row["system"] for row in rows] == [
        "av_two_stream",
        "visual_wsddn",
        "chance_random_scores",
        "chance_every_class",
    ]
    first, _, _, last = rows
    assert first["run_name"] == "run, 1"
    assert first["f1_percent"] == f"{100 * results[1].micro.f1:.1f}"
    assert first["paper_dcase2017_recall_percent"] == "69.4"
    assert (first["num_test_clips"], first["num_test_missing"]) == ("41", "1")
    assert last["recall_percent"] == "100.0"
    assert last["paper_dcase2017_f1_percent"] == ""


def test_table_2_csv_has_a_row_for_each_run_and_class(results):
    rows = read(exports.table_2_csv(results))
    assert [row["class_name"] for row in rows] == list(CLASSES) * 2
    (row,) = (
        row
        for row in rows
        if row["system"] == "av_two_stream"
        and row["class_name"] == "Air horn, truck horn"
    )
    place = CLASSES.index("Air horn, truck horn")
    assert float(row["threshold"]) == results[1].thresholds[place]
    expected = f"{100 * results[1].by_class.precision[place]:.1f}"
    assert row["precision_percent"] == expected
    assert row["paper_dcase2017_f1_percent"] == "40.0"
    # Table 2 leaves row d out.
    assert rows[-1]["system"] == "visual_wsddn"
    assert rows[-1]["paper_dcase2017_f1_percent"] == ""
