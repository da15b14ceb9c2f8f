"""Tables 3 to 6, made of results."""

from __future__ import annotations

import functools

import numpy as np

from avmil.common.ave_classes import AVE_CLASSES
from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation import aggregation
from avmil.evaluation.audio_localization import AudioScores
from avmil.evaluation.av_events import Accuracies
from avmil.evaluation.metrics import Benchmark
from avmil.evaluation.modalities import TARGETS, TagScores
from avmil.evaluation.video_parsing import LevelScores
from avmil.evaluation.visual_localization import VisualScores
from avmil.report.localization_tables import localization_tables
from tests.made_results import AUDIO, VISUAL, bold_cells, cells_of, localized

video_only = functools.partial(localized, "visual_two_stream", "c", audio=None)
OTHER_BOUNDS = VISUAL._replace(
    references={
        **VISUAL.references,
        "proposals": {"all": VisualScores(0.5, 0.5, np.nan, 0.25)},
    }
)


def tables_of(results):
    return localization_tables(aggregation.rows(results))


def audio_of(*scores):
    """Sounds with other scores of all pairs."""
    return AUDIO._replace(scores=AUDIO.scores | {"all": AudioScores(*scores)})


def test_parts_and_their_rows():
    heard, seen, by_asynchrony = tables_of([video_only(), localized()])
    assert [t.title[:9] for t in (heard, seen, by_asynchrony)] == [
        "Table 3a.",
        "Table 3b.",
        "Table 3c.",
    ]
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
    # The heads say how many pairs are scored.
    assert list(heard.groups) == ["", "All (5)"]
    assert list(by_asynchrony.groups) == ["", "Only heard (3)"]
    assert tables_of([video_only(visual=None)]) == []


def test_pairs_of_other_frames_are_told_apart():
    groups = ("all", "in sync")
    fewer, more = (
        VISUAL._replace(
            scores=dict.fromkeys(groups, VISUAL.scores["all"]),
            references={
                name: dict.fromkeys(groups, of["all"])
                for name, of in VISUAL.references.items()
            },
            num_pairs={"all": count, "in sync": 1},
        )
        for count in (2, 3)
    )
    _, seen, _, by_asynchrony = tables_of(
        [video_only(visual=more), localized(visual=fewer)]
    )
    assert list(seen.groups) == ["", "All (2/3)"]
    assert "those of (a) / (c), whose sampled frames differ" in seen.notes[-1]
    assert list(by_asynchrony.groups) == ["", "In sync (1)"]
    assert "sampled frames differ" not in "".join(by_asynchrony.notes)


def test_only_groups_that_all_rows_have_are_shown():
    scores = {"all": AUDIO.scores["all"]}
    audio = AUDIO._replace(scores=scores)
    tables = tables_of([localized(), localized("mine", "b", audio=audio)])
    assert [table.title[:8] for table in tables] == ["Table 3a", "Table 3b"]


def test_seeds_share_a_row_and_other_settings_do_not():
    other = localized(run_name="a1", audio=audio_of(0.6, 0.65, 0.4))
    table, *_ = tables_of([localized(), other])
    assert cells_of(table)[0] == (
        "(a) Proposed AV Two Stream",
        "2 seeds",
        "55.0 ± 7.1",
        "0.70 ± 0.07",
        "40.0 ± 0.0",
    )
    assert "sample standard deviation of (a): a, a1." in table.notes[-1]
    table, *_ = tables_of([localized(), localized("av_two_stream", "a1", "x")])
    assert [row[1] for row in cells_of(table)] == ["a", "a1", ""]


def test_the_best_of_several_is_bold_and_the_least_error_rate():
    worse = localized("audio_two_stream", "b", audio=audio_of(0.4, 0.6, 0.4))
    table, *_ = tables_of([localized(), worse])
    assert set(bold_cells(table)) == {(0, 2), (1, 3), (0, 4), (1, 4)}
    alone, *_ = tables_of([localized()])
    assert not alone.bold.any()


def test_other_proposals_have_levels_of_their_own():
    chance = AUDIO.references["chance"] | {"all": AudioScores(0.2, 8.0, 0.03)}
    audio = AUDIO._replace(references={"chance": chance})
    other = localized("mine", "g", audio=audio)
    table, *_ = tables_of([other, localized()])
    assert [row[0] for row in cells_of(table)[2:]] == [
        "Chance: random scores, as (a)",
        "Chance: random scores, as mine",
    ]
    _, table, *_ = tables_of(
        [localized(), video_only(), video_only(visual=OTHER_BOUNDS)]
    )
    # Their settings are the same: two seeds of (c), whose features differ.
    assert cells_of(table)[-2:] == [
        ("Proposals, as (a)", "", "95.0", "95.0", "-", "85.0"),
        ("Proposals, as (c)", "", "72.5", "72.5", "-", "55.0"),
    ]


def test_rows_of_one_system_are_told_apart_by_their_runs():
    _, table, *_ = tables_of(
        [
            localized(run_name="a0"),
            localized(run_name="a1"),
            localized(run_name="x", settings="x", visual=OTHER_BOUNDS),
            video_only(),
        ]
    )
    assert [row[0] for row in cells_of(table)[-2:]] == [
        "Proposals, as (a) a0/a1, (c)",
        "Proposals, as (a) x",
    ]


def test_notes_count_the_clips_that_each_row_lacks():
    other = video_only(num_test_missing=3, num_test_clips=26)
    _, table, *_ = tables_of([localized(), other])
    assert [note for note in table.notes if "count as missed" in note] == [
        "(a): 30 test clips, of which 1 have no features and count as missed; "
        "5 validation clips.",
        "(c): 26 test clips, of which 3 have no features and count as missed; "
        "5 validation clips. 4 test clips are not in the truth and left out.",
    ]


def parsing(audio):
    levels = ("segment", "event")
    scores, predicted, true = (
        dict.fromkeys(levels, LevelScores(first, 0.2, 0.3, 0.4, 0.5))
        for first in (audio, audio / 2, 0.75)
    )
    return Benchmark(scores, {"predicted_tags": predicted, "true_tags": true})


def test_rows_references_and_the_best():
    results = [
        localized(parsing=parsing(0.6)),
        localized("audio_two_stream", "b", parsing=parsing(0.5)),
        localized("visual_two_stream", "c"),
    ]
    *_, table = tables_of(results)
    rest = ("20.0", "30.0", "40.0", "50.0")
    assert [(row[0], *row[2:7]) for row in cells_of(table)] == [
        ("(a) Proposed AV Two Stream", "60.0", *rest),
        ("(b) TS Audio-Only", "50.0", *rest),
        ("Predicted classes, as (a)", "30.0", *rest),
        ("Predicted classes, as (b)", "25.0", *rest),
        ("True labels", "75.0", *rest),
    ]
    assert bold_cells(table)[(0, 2)] == "60.0"
    assert (1, 2) not in bold_cells(table)
    titles = [table.title for table in tables_of(results[2:])]
    assert not any(title.startswith("Table 4") for title in titles)


def test_published_systems_stand_beside_those_of_llp():
    result = localized(class_names=LLP_CLASSES, parsing=parsing(0.6))
    *_, table = tables_of([result])
    assert cells_of(table)[3][:6] == ("HAN", "", "60.1", "52.9", "48.9", "54.0")
    assert cells_of(table)[3][6:] == ("-",) * 6
    assert "2505.09615" in table.notes[-1]


def test_accuracy_beside_published_systems_and_seeds():
    names = ("predicted_class", "true_class", "background", "random_label")
    accuracies = {"seconds": Accuracies(0.2, 0.1, 0.3)}
    references = {name: accuracies for name in names}  # noqa: C420
    results = [
        localized(
            run_name=f"a{seed}",
            class_names=AVE_CLASSES,
            av_events=Benchmark(
                {"seconds": Accuracies(share, 0.5, 0.5)}, references
            ),
        )
        for seed, share in enumerate((0.6, 0.8))
    ]
    *_, table = tables_of(results)
    assert cells_of(table)[0][1:3] == ("2 seeds", "70.0 ± 14.1")
    assert [row[0] for row in cells_of(table)[-3:]] == [
        "Chance: random label",
        "HAN",
        "UWAV",
    ]
    assert cells_of(table)[-1][2:] == ("80.6", "-", "-")


def test_targets_that_a_system_lacks_leave_the_best_bold():
    nothing = TagScores(np.nan, np.nan)
    every = dict.fromkeys(TARGETS, TagScores(0.1, 0.1))
    results = [
        localized(
            system,
            system,
            modalities=Benchmark(
                {"audible": TagScores(f1, f1), "visible": nothing, "both": of},
                {"every_class": every},
            ),
        )
        for system, f1, of in (
            ("av_two_stream", 0.5, TagScores(0.7, 0.7)),
            ("audio_two_stream", 0.6, nothing),
        )
    ]
    *_, table = tables_of(results)
    assert bold_cells(table) == {
        (0, 6): "70.0",
        (0, 7): "70.0",
        (1, 2): "60.0",
        (1, 3): "60.0",
    }
