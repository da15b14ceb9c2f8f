"""The numbers of the tables as frames, CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import aggregation, metrics
from avmil.evaluation.identity import RunIdentity
from avmil.report import numbers
from tests.made_results import localized, result_of

CLASSES = CLASS_NAMES[::-1]
FIRST = result_of(run_name="run, 1", seed=7, num_missing=1)
SECOND = dataclasses.replace(
    FIRST,
    identity=RunIdentity("av_two_stream", "run 2", seed=8),
    micro=FIRST.micro._replace(f1=FIRST.micro.f1 + 0.1),
    by_class=FIRST.by_class._replace(f1=FIRST.by_class.f1 + 0.1),
)
OTHER = result_of(
    "visual_wsddn", run_name="run, 1", predictions=SECOND.test.labels
)
ROWS = aggregation.rows([OTHER, FIRST])
SEEDS = aggregation.rows([OTHER, FIRST, SECOND])


def read(frame):
    """The rows that a reader of the CSV file gets."""
    return list(csv.DictReader(io.StringIO(numbers.to_csv(frame))))


def through_json(content):
    """What a reader of the JSON file gets."""
    text = json.dumps(numbers.jsonable(content), allow_nan=False)
    return json.loads(text)


def test_table_1_csv():
    first, other, random, every = read(numbers.table_1(ROWS))
    limits = {
        f"{name}_{limit}_percent": f"{100 * value:.1f}"
        for name, interval in ROWS[0].intervals._asdict().items()
        for limit, value in interval._asdict().items()
    }
    stds = [f"{name}_std_percent" for name in metrics.Scores._fields]
    stds += ["mean_average_precision_std_percent", "roc_auc_std_percent"]
    assert first == {
        "system": "av_two_stream",
        "run_name": "run, 1",
        "is_at_chance": "False",
        "num_test_clips": "30",
        "num_test_missing": "1",
        "f1_percent": "61.2",
        "precision_percent": "50.0",
        "recall_percent": "70.0",
        "mean_average_precision_percent": "60.0",
        "roc_auc_percent": "80.0",
        "d_prime": "1.19",
        "paper_dcase2017_f1_percent": "64.2",
        "paper_dcase2017_precision_percent": "59.7",
        "paper_dcase2017_recall_percent": "69.4",
        "num_runs": "1",
        **dict.fromkeys([*stds, "d_prime_std"], ""),
        **limits,
        "resampled": "clips",
    }
    assert other["system"] == "visual_wsddn"
    assert random["system"] == "chance_random_scores"
    assert {name: value for name, value in every.items() if value} == {
        "system": "chance_every_class",
        "f1_percent": "13.1",
        "precision_percent": "7.0",
        "recall_percent": "100.0",
        "mean_average_precision_percent": "30.0",
        "roc_auc_percent": "50.0",
        "d_prime": "0.00",
    }


def test_table_2_csv_has_a_row_for_each_run_and_class():
    entries = read(numbers.table_2(ROWS))
    assert [entry["class_name"] for entry in entries] == [*CLASSES, *CLASSES]
    place = CLASSES.index("Air horn, truck horn")
    assert entries[place] == {
        "system": "av_two_stream",
        "run_name": "run, 1",
        "is_at_chance": "False",
        "class_name": "Air horn, truck horn",
        "f1_percent": f"{place}.0",
        "precision_percent": f"{place}.0",
        "recall_percent": f"{place}.0",
        "average_precision_percent": f"{place}.0",
        "roc_auc_percent": f"{100 - place}.0",
        "threshold": "0.25",
        "paper_dcase2017_f1_percent": "40.0",
        "num_runs": "1",
        "f1_std_percent": "",
        "precision_std_percent": "",
        "recall_std_percent": "",
        "average_precision_std_percent": "",
        "roc_auc_std_percent": "",
    }
    # Table 2 leaves row d out.
    assert entries[-1]["system"] == "visual_wsddn"
    assert entries[-1]["paper_dcase2017_f1_percent"] == ""


def test_thresholds_are_written_in_full():
    tuned = np.full(17, 0.1 + 0.2)
    (row,) = aggregation.rows([result_of(thresholds=tuned)])
    assert read(numbers.table_2([row]))[0]["threshold"] == str(0.1 + 0.2)


def test_seeds_are_one_row_of_each_csv():
    first, second, *_ = read(numbers.table_1(SEEDS))
    assert first["run_name"] == "run, 1, run 2"
    assert first["num_runs"] == "2"
    assert first["f1_percent"] == "66.2"
    # Two values 0.1 apart deviate by 0.05: the root of twice its square.
    assert first["f1_std_percent"] == "7.1"
    assert first["recall_std_percent"] == "0.0"
    assert second["f1_std_percent"] == ""
    entries = read(numbers.table_2(SEEDS))
    assert len(entries) == 34
    assert entries[0]["f1_std_percent"] == "7.1"
    assert entries[0]["threshold"] == ""
    assert entries[17]["threshold"] == "0.25"


def test_leads_csv_has_a_row_for_each_pair():
    (entry,) = read(numbers.leads(SEEDS))
    compared = aggregation.compare(*SEEDS)
    assert entry == {
        "first_system": "av_two_stream",
        "first_run_name": "run, 1, run 2",
        "second_system": "visual_wsddn",
        "second_run_name": "run, 1",
        "f1_difference_percent": f"{100 * compared.difference:.1f}",
        "f1_low_percent": f"{100 * compared.interval.low:.1f}",
        "f1_high_percent": f"{100 * compared.interval.high:.1f}",
        "resampled": "clips",
        "p_value": "",
        "first_is_at_chance": "False",
        "second_is_at_chance": "False",
    }


def test_table_3_csv_has_a_row_for_each_figure():
    other = localized("visual_two_stream", "c", audio=None)
    rows = aggregation.rows([other, localized()])
    entries = read(numbers.table_3(rows))
    assert len(entries) == 3 + 3 + 4 + 4
    assert entries[0] == {
        "system": "av_two_stream",
        "run_name": "a",
        "is_at_chance": "False",
        "field": "audio",
        "pairs": "all",
        "figure": "f1",
        "value": "0.5000",
        "chance": "0.1000",
    }
    assert entries[-1]["system"] == "visual_two_stream"
    assert entries[-1]["figure"] == "average_precision"


def test_json_of_a_run():
    values = through_json(numbers.run_dict(FIRST))
    assert values["seed"] == 7
    assert values["micro"]["f1"] == FIRST.micro.f1
    assert values["micro_intervals"]["f1"] == ROWS[0].intervals.f1._asdict()
    assert values["num_test_missing"] == 1
    assert values["counts"]["true_positives"] == 1
    assert values["chance"]["random_mean"]["f1"] == 0.125
    assert values["paper"]["dataset"] == "DCASE 2017 task 4"
    assert values["paper"]["micro"]["f1"] == 0.642
    assert values["paper"]["class_f1"]["Car"] == 0.75
    assert [entry["name"] for entry in values["classes"]] == list(CLASSES)
    assert values["classes"][3] == {
        "name": CLASSES[3],
        **dict.fromkeys(metrics.Scores._fields, 0.03),
        "average_precision": 0.03,
        "roc_auc": 0.97,
        "threshold": 0.25,
    }
    assert through_json(numbers.run_dict(result_of("mine")))["paper"] is None


def test_json_of_several_runs():
    values = through_json(numbers.comparison_dict(SEEDS))
    assert values["bootstrap"] == {"num_resamples": 2000, "level": 0.95}
    first, second = values["rows"]
    assert first["run_names"] == ["run, 1", "run 2"]
    assert first["seeds"] == [7, 8]
    assert first["micro_std"]["f1"] == pytest.approx(0.005**0.5)
    assert first["classes"][0]["f1_std"] == pytest.approx(0.005**0.5)
    assert second["micro_std"] == dict.fromkeys(metrics.Scores._fields)
    interval = SEEDS[0].intervals.precision
    assert first["micro_intervals"]["precision"] == interval._asdict()
    (pair,) = values["pairs"]
    assert (pair["first"], pair["second"]) == (["run, 1", "run 2"], ["run, 1"])
    assert pair["f1_difference"] == pytest.approx(
        first["micro"]["f1"] - second["micro"]["f1"]
    )
    verdict = ("resampled", "p_value", "is_more_than_chance")
    assert [pair[name] for name in verdict] == ["clips", None, None]


def test_infinite_d_prime_is_none_in_json_and_has_no_deviation():
    perfect = metrics.Ranking(1.0, 1.0, np.inf)
    first, second = (
        dataclasses.replace(result, ranking=perfect)
        for result in (FIRST, SECOND)
    )
    rows = aggregation.rows([first, second])
    (row,) = through_json(numbers.comparison_dict(rows))["rows"]
    assert row["ranking"] == {
        "mean_average_precision": 1,
        "roc_auc": 1,
        "d_prime": None,
    }
    assert row["ranking_std"]["d_prime"] is None
    entry, *_ = read(numbers.table_1(rows))
    assert (entry["d_prime"], entry["d_prime_std"]) == ("inf", "")


def test_json_of_localization():
    result = localized(num_test_clips=26)
    values = through_json(numbers.localization_dict(result))
    assert values["audio"]["all"]["f1"] == 0.5
    assert values["proposals"]["all"] == {"corloc": 0.95, "recall": 0.85}
    assert values["num_pairs"]["all"] == 6
    assert values["num_test_without_truth"] == 4
    assert values["audio_pairs"]["all"] == 5
    assert values["visual_pairs"] == {"all": 2}
    bus, dog = values["classes"]
    assert bus["event_threshold"] == 0.5
    assert bus["box_average_precision"] == 0.7
    assert dog["error_rate"] is None
