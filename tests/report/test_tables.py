"""The paper's tables, filled with results."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from report import chance, evaluation, metrics, paper, tables

CHANCE = chance.Chance(
    random_mean=metrics.Scores(0.125, 0.0704, 0.5),
    random_std=metrics.Scores(0.0042, 0.01, 0.02),
    num_draws=200,
    every_class=metrics.Scores(0.1311, 0.0702, 1.0),
)


def result_of(
    system="av_two_stream", class_names=paper.CLASS_NAMES[::-1], **changes
):
    """A result whose class F1 are 0.00, 0.01, 0.02, ... in its own order."""
    f1 = np.arange(len(class_names)) / 100
    fields = {
        "system": system,
        "run_name": f"run_of_{system}",
        "class_names": tuple(class_names),
        "thresholds": np.full(len(class_names), 0.25),
        "untuned_class_names": (),
        "fallback_argmax": False,
        "micro": metrics.Scores(0.6119, 0.5, 0.7),
        "by_class": metrics.Scores(f1, f1, f1),
        "counts": metrics.Counts(1, 2, 3),
        "chance": CHANCE,
        "num_val_clips": 488,
        "num_val_missing": 3,
        "num_test_clips": 1103,
        "num_test_missing": 12,
    }
    return evaluation.Result(**(fields | changes))


def test_table_1_puts_the_paper_beside_ours_and_chance_below():
    table = tables.table_1([result_of(run_name="seed 0")])
    name = "(a) Proposed AV Two Stream"
    assert table.rows == (
        (name, "seed 0", "61.2", "50.0", "70.0", "64.2", "59.7", "69.4"),
        ("Chance: random scores", "", "12.5", "7.0", "50.0", "-", "-", "-"),
        ("Chance: every class", "", "13.1", "7.0", "100.0", "-", "-", "-"),
    )
    assert [group.title for group in table.groups] == [
        "Ours",
        "Paper, DCASE 2017 task 4",
    ]


def test_table_1_says_what_counts_as_missed_and_how_thresholds_came_about():
    text = tables.table_1([result_of()]).to_text()
    assert "12 of 1103 test clips have no features and count as missed" in text
    assert "tuned on 488 validation clips (3 without features)" in text
    assert "without arg-max fallback" in text
    assert "mean of 200 draws" in text
    assert "standard deviation of F1 0.4." in text
    assert "No validation clip" not in text


def test_all_rows_come_in_the_paper_s_order_and_others_last():
    systems = ["mine", *reversed(paper.SYSTEMS)]
    results = list(map(result_of, systems))
    names = [row[0] for row in tables.table_1(results).rows]
    assert names == [
        "(a) Proposed AV Two Stream",
        "(b) TS Audio-Only",
        "(c) TS Video-Only",
        "(d) TS Video-Only WSDDN-Type",
        "(e) AV One Stream",
        "(f) CVSSP - Fusion system",
        "(g) CVSSP - Gated-CRNN-logMel",
        "mine",
        "Chance: random scores",
        "Chance: every class",
    ]
    names = [row[0].strip() for row in tables.table_2(results).rows]
    assert names == [
        "(a) Proposed AV TS",
        "paper",
        "(b) TS Audio-Only",
        "paper",
        "(c) TS Video-Only",
        "paper",
        "(d) TS Video-Only WSDDN-Type",
        "(e) AV OS",
        "paper",
        "(f) CVSSP - FS",
        "paper",
        "(g) CVSSP - Gated-CRNN-logMel",
        "mine",
    ]


def test_system_that_the_paper_lacks_has_no_figures_of_it():
    (row, *_) = tables.table_1([result_of("mine")]).rows
    assert row[-3:] == ("-", "-", "-")


def test_notes_name_the_run_only_where_runs_differ():
    same = result_of("audio_two_stream")
    notes = tables.table_1([result_of(), same]).notes
    assert notes[0].startswith("12 of 1103")
    other = dataclasses.replace(
        same, num_test_missing=0, untuned_class_names=("Bus", "Car")
    )
    notes = tables.table_1([result_of(), other]).notes
    assert "run_of_av_two_stream: 12 of 1103 test clips" in notes[0]
    assert "run_of_audio_two_stream: 0 of 1103 test clips" in notes[1]
    assert notes[2].startswith("Thresholds tuned on 488")
    assert notes[3] == (
        "run_of_audio_two_stream: No validation clip to tune on: Bus; Car."
    )


def test_chance_is_printed_once_for_each_level():
    other = CHANCE._replace(random_mean=metrics.Scores(0.2, 0.2, 0.2))
    results = [result_of(), result_of("mine"), result_of("x", chance=other)]
    rows = tables.table_1(results).rows
    chance_rows = [row[2] for row in rows if row[0].endswith("random scores")]
    assert chance_rows == ["12.5", "20.0"]


def test_table_2_has_the_paper_s_order_abbreviations_and_figures():
    table = tables.table_2([result_of()])
    assert [(group.title, len(group.names)) for group in table.groups] == [
        ("Vehicle sounds", 8),
        ("Warning sounds", 9),
    ]
    assert table.groups[0].names[:4] == ("bik", "bus", "car", "car-pby")
    ours, published = table.rows
    # The result's classes come in the opposite order: bik is its 17th.
    assert ours[1:] == tuple(f"{index}.0" for index in range(16, -1, -1))
    assert published[:4] == ("    paper", "75.7", "54.9", "75.0")
    assert published[-1] == "47.1"


def test_table_2_fits_a_terminal():
    results = list(map(result_of, paper.SYSTEMS))
    lines = tables.table_2(results).to_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("System") for line in lines) == 2


def test_table_2_tells_runs_of_one_system_apart():
    results = [result_of(run_name="seed0"), result_of(run_name="seed1")]
    names = [row[0] for row in tables.table_2(results).rows[::2]]
    assert names == ["(a) Proposed AV TS, seed0", "(a) Proposed AV TS, seed1"]


def test_other_classes_keep_their_names_and_order():
    result = result_of(class_names=("zebra", "cat|dog", "Car"))
    table = tables.table_2([result])
    assert table.groups[0].names == ("zebra", "cat|dog", "Car")
    assert table.rows == (("(a) Proposed AV TS", "0.0", "1.0", "2.0"),)
    assert r"**cat\|dog**" in table.to_markdown()
    first = tables.table_1([result])
    assert first.rows[0][-3:] == ("64.2", "59.7", "69.4")
    assert "Paper, DCASE 2017 task 4" in first.to_markdown()
    assert first.notes[-1].endswith("for orientation only.")
    assert "orientation" not in tables.table_1([result_of()]).to_text()


@pytest.mark.parametrize("table", [tables.table_1, tables.table_2])
def test_results_of_different_test_splits_are_refused(table):
    for other in (
        result_of(class_names=("Car",)),
        result_of(num_test_clips=7),
    ):
        with pytest.raises(ValueError, match="on one test split"):
            table([result_of(), other])
    with pytest.raises(ValueError, match="received none"):
        table([])
