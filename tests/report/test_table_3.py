"""Table 3, its CSV and its dictionaries."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from avmil.evaluation.audio_localization import Audio, AudioScores
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.localization import LocalizationResult
from avmil.evaluation.visual_localization import Bounds, Visual, VisualScores
from avmil.report import exports, table_3, writers
from tests.made_results import bold_cells, cells_of

# Of the 4 pairs that are seen one is visible in no sampled frame.
AUDIO_PAIRS = {"all": 5, "only heard": 3}
VISUAL_PAIRS = {"all": 2}
PAIRS = {
    "all": 6,
    "in sync": 2,
    "partly in sync": 0,
    "apart": 0,
    "only heard": 3,
    "only seen": 1,
}
AUDIO_CHANCE = AudioScores(0.1, 9.0, 0.03)
VISUAL_CHANCE = VisualScores(0.3, 0.1, 0.6, 0.01)


AUDIO = Audio(
    scores={
        "all": AudioScores(0.5, 0.75, 0.4),
        "only heard": AudioScores(0.6, 0.5, 0.7),
    },
    num_pairs=AUDIO_PAIRS,
    by_class=AudioScores(
        np.array([0.5, 0]), np.array([0.75, np.nan]), np.array([1, np.nan])
    ),
    thresholds=np.array([0.5, 2]),
    chance={"all": AUDIO_CHANCE, "only heard": AUDIO_CHANCE},
)
VISUAL = Visual(
    scores={"all": VisualScores(0.8, 0.7, 0.9, 0.35)},
    num_pairs=VISUAL_PAIRS,
    by_class=np.array([0.7, 0]),
    bounds={"all": Bounds(0.95, 0.85)},
    chance={"all": VISUAL_CHANCE},
)


def result_of(
    system="av_two_stream",
    run_name="a",
    settings="",
    audio=None,
    visual=None,
    **changes,
):
    """A result in which some fields of sound and sight are replaced."""
    fields = {
        "identity": RunIdentity(system, run_name, settings=settings),
        "class_names": ("bus", "dog"),
        "num_pairs": PAIRS,
        "num_val_clips": 5,
        "num_test_clips": 7,
        "num_test_missing": 1,
        "num_test_without_truth": 0,
        "audio": AUDIO._replace(**(audio or {})),
        "visual": VISUAL._replace(**(visual or {})),
        "event_thresholds": np.array([0.5, 2]),
    }
    return LocalizationResult(**(fields | changes))


def without_audio(**changes):
    result = result_of("visual_two_stream", "c", **changes)
    return dataclasses.replace(result, audio=None)


def test_parts_and_their_rows():
    heard, seen, by_asynchrony = table_3.table_3([without_audio(), result_of()])
    assert cells_of(heard) == [
        ("(a) Proposed AV Two Stream", "a", "50.0", "0.75", "40.0"),
        ("Chance: random scores", "", "10.0", "9.00", "3.0"),
    ]
    scores = ("80.0", "70.0", "90.0", "35.0")
    assert cells_of(seen) == [
        ("(a) Proposed AV Two Stream", "a", *scores),
        ("(c) TS Video-Only", "c", *scores),
        ("Chance: random scores", "", "30.0", "10.0", "60.0", "1.0"),
        ("Proposals", "", "95.0", "95.0", "-", "85.0"),
    ]
    assert cells_of(by_asynchrony)[0][2:] == ("60.0", "0.50", "70.0")


def test_the_heads_say_how_many_pairs_are_scored():
    tables = table_3.table_3([result_of()])
    titles = [[group for group, _ in table.groups[1:]] for table in tables]
    assert titles == [["All (5)"], ["All (2)"], ["Only heard (3)"]]


def test_pairs_of_other_frames_are_told_apart():
    both = {"all": VISUAL_CHANCE, "in sync": VISUAL_CHANCE}
    fewer, more = (
        {
            "scores": dict.fromkeys(both, VisualScores(0.8, 0.7, 0.9, 0.35)),
            "chance": both,
            "bounds": dict.fromkeys(both, Bounds(0.95, 0.85)),
            "num_pairs": {"all": count, "in sync": 1},
        }
        for count in (2, 3)
    )
    tables = table_3.table_3(
        [without_audio(visual=more), result_of(visual=fewer)]
    )
    _, seen, _, by_asynchrony = tables
    assert seen.groups[1][0] == "All (2/3)"
    assert "those of (a) / (c), whose sampled frames differ" in seen.notes[-1]
    assert [g for g, _ in by_asynchrony.groups] == ["", "In sync (1)"]
    assert "sampled frames differ" not in writers.to_text(by_asynchrony)


def test_only_groups_that_all_rows_have_are_shown():
    other = result_of(
        "audio_two_stream", "b", audio={"scores": {"all": AUDIO_CHANCE}}
    )
    titles = [table.title for table in table_3.table_3([result_of(), other])]
    assert [title[:8] for title in titles] == ["Table 3a", "Table 3b"]


def test_seeds_share_a_row():
    other = result_of(
        run_name="a1",
        audio={
            "scores": {
                "all": AudioScores(0.6, 0.65, 0.4),
                "only heard": AudioScores(0.6, 0.5, 0.7),
            }
        },
    )
    table, *_ = table_3.table_3([result_of(), other])
    assert cells_of(table)[0] == (
        "(a) Proposed AV Two Stream",
        "2 seeds",
        "55.0 ± 7.1",
        "0.70 ± 0.07",
        "40.0 ± 0.0",
    )
    assert "mean ± sample standard deviation of a, a1" in writers.to_text(table)


def test_other_settings_have_a_row_of_their_own():
    table, *_ = table_3.table_3(
        [result_of(), result_of(run_name="a1", settings="other")]
    )
    assert [row[1] for row in cells_of(table)] == ["a", "a1", ""]


def test_the_best_of_several_is_bold_and_the_least_error_rate():
    worse = result_of(
        "audio_two_stream",
        "b",
        audio={
            "scores": {
                "all": AudioScores(0.4, 0.6, 0.4),
                "only heard": AudioScores(0.6, 0.5, 0.7),
            }
        },
    )
    table, *_ = table_3.table_3([result_of(), worse])
    assert set(bold_cells(table)) == {(0, 2), (1, 3), (0, 4), (1, 4)}
    alone, *_ = table_3.table_3([result_of()])
    assert not alone.bold.any()


def test_chance_of_other_proposals_has_a_row_of_its_own():
    other = result_of(
        "cvssp_gated_crnn",
        "g",
        audio={
            "chance": {
                "all": AudioScores(0.2, 8.0, 0.03),
                "only heard": AUDIO_CHANCE,
            }
        },
    )
    table, *_ = table_3.table_3([other, result_of()])
    names = [row[0] for row in cells_of(table)[2:]]
    assert names == [
        "Chance: random scores, as (a)",
        "Chance: random scores, as (g)",
    ]


def test_other_proposals_have_bounds_of_their_own():
    other = {"visual": {"bounds": {"all": Bounds(0.5, 0.25)}}}
    _, table, *_ = table_3.table_3(
        [result_of(), without_audio(), without_audio(**other)]
    )
    # Their settings are the same: two seeds of (c), whose features differ.
    assert [row for row in cells_of(table) if row[0].startswith("Prop")] == [
        ("Proposals, as (a), (c)", "", "95.0", "95.0", "-", "85.0"),
        ("Proposals, as (c)", "", "50.0", "50.0", "-", "25.0"),
    ]


def test_rows_of_one_system_are_told_apart_by_their_runs():
    other = {
        "settings": "other",
        "visual": {"bounds": {"all": Bounds(0.5, 0.25)}},
    }
    results = [
        result_of(run_name="a0"),
        result_of(run_name="a1"),
        result_of(run_name="x", **other),
        without_audio(),
    ]
    _, table, *_ = table_3.table_3(results)
    assert [row[0] for row in cells_of(table)[-2:]] == [
        "Proposals, as (a) a0/a1, (c)",
        "Proposals, as (a) x",
    ]


def test_missing_clips_are_those_of_each_features():
    _, table, *_ = table_3.table_3(
        [result_of(), without_audio(num_test_missing=3)]
    )
    assert [note for note in table.notes if "count as missed" in note] == [
        f"({letter}): 7 test clips, of which {number} have no features and "
        "count as missed; 5 validation clips."
        for letter, number in (("a", 1), ("c", 3))
    ]


def test_results_of_other_splits_are_refused():
    other = result_of(run_name="b", num_test_clips=8)
    with pytest.raises(ValueError, match="one test split with one truth"):
        table_3.table_3([result_of(), other])
    with pytest.raises(ValueError, match="received none"):
        table_3.table_3([])


def test_no_line_is_wider_than_120_columns():
    for table in table_3.table_3([without_audio(), result_of()]):
        assert max(map(len, writers.to_text(table, 120).splitlines())) <= 120


def test_clips_left_out_are_told():
    table, *_ = table_3.table_3([result_of(num_test_without_truth=4)])
    (note,) = [note for note in table.notes if "validation clips" in note]
    assert note == (
        "7 test clips, of which 1 have no features and count as missed; 5 "
        "validation clips. 4 test clips are not in the truth and left out."
    )


def test_dictionary_is_json_without_nan():
    content = exports.localization_dict(result_of())
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["audio"]["all"]["f1"] == 0.5
    assert content["proposals"]["all"] == {"corloc": 0.95, "recall": 0.85}
    assert content["num_pairs"]["all"] == 6
    assert content["audio_pairs"]["all"] == 5
    assert content["visual_pairs"] == {"all": 2}
    bus, dog = content["classes"]
    assert bus["event_threshold"] == 0.5
    assert bus["box_average_precision"] == 0.7
    assert dog["error_rate"] is None


def test_csv_has_a_row_for_each_figure():
    frame = exports.table_3([without_audio(), result_of()])
    rows = frame.to_csv(index=False).splitlines()
    assert rows[0] == "system,run_name,field,pairs,figure,value,chance"
    assert rows[1] == "av_two_stream,a,audio,all,f1,0.5000,0.1000"
    assert len(rows) == 1 + 3 + 3 + 4 + 4
    assert rows[-1].startswith("visual_two_stream,c,visual,all")


def test_a_result_without_both_parts_has_no_table():
    empty = dataclasses.replace(without_audio(), visual=None)
    assert table_3.table_3([empty]) == ()
