"""The paper's tables, filled with results."""

from __future__ import annotations

import dataclasses

import numpy as np

from avmil.evaluation import aggregation, metrics, paper
from avmil.evaluation.identity import Training
from avmil.report import tables, writers
from tests.made_results import CHANCE, bold_cells, cells_of, result_of


def table_1(*results):
    return tables.table_1(aggregation.rows(results))


def table_2(*results):
    return tables.table_2(aggregation.rows(results))


def seeds_of(system, *f1):
    """Runs named s0, s1, ... with the given F1, of all classes too."""
    return [
        result_of(
            system,
            run_name=f"s{seed}",
            seed=seed,
            micro=metrics.Scores(value, value / 2, 0.7),
            by_class=metrics.Scores(*[np.full(17, value)] * 3),
        )
        for seed, value in enumerate(f1)
    ]


def test_table_1_puts_the_paper_beside_ours_and_chance_below():
    other = CHANCE._replace(random_mean=metrics.Scores(0.2, 0.2, 0.2))
    table = table_1(
        result_of(run_name="seed 0"),
        result_of("mine", run_name="one"),
        result_of("mine", run_name="other", chance=other, settings="others"),
    )
    low, high = aggregation.rows([result_of()])[0].intervals.f1
    interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
    ours = ("61.2", interval, "50.0", "70.0", "60.0", "80.0", "1.19")
    none = ("-",) * 3
    constant = ("30.0", "50.0", "0.00", *none)
    assert cells_of(table) == [
        ("(a) Proposed AV Two Stream", "seed 0", *ours, "64.2", "59.7", "69.4"),
        ("mine, one", "one", *ours, *none),
        ("mine, other", "other", *ours, *none),
        ("Chance: random scores", "", "12.5", "-", "7.0", "50.0", *none * 2),
        ("Chance: every class", "", "13.1", "-", "7.0", "100.0", *constant),
        ("Chance: random scores", "", "20.0", "-", "20.0", "20.0", *none * 2),
        ("Chance: every class", "", "13.1", "-", "7.0", "100.0", *constant),
    ]
    assert list(table.groups.values()) == [
        [0, 1],
        [2, 3, 4, 5],  # Ours, over clips and classes,
        [6, 7, 8],  # and over classes,
        [9, 10, 11],  # and the paper's.
    ]


def test_notes_name_the_run_only_where_runs_differ():
    assert table_1(result_of(), result_of("mine")).notes == (
        "Weight travel (training steps times learning rate; the paper's is "
        "0.25): 0.25.",
        "fc6 and fc7 start: random.",
        "95 %: interval of F1 over 2000 bootstrap resamples of the test clips, "
        "with thresholds as they are.",
        "2 of 30 test clips have no features and count as missed.",
        "Thresholds tuned on 20 validation clips (1 without features), without "
        "arg-max fallback.",
        "mAP: mean of the classes' average precision; d': square root of 2 "
        "times the normal quantile of ROC AUC, no percentage. Clips without "
        "features are ranked last.",
        "Random scores: mean of 200 draws with thresholds tuned likewise; "
        "standard deviation of F1 0.4.",
    )
    other = result_of("mine", num_missing=0, untuned_class_names=("Bus", "Car"))
    notes = table_1(result_of(), other).notes[2:]
    assert notes[1].startswith("run_of_av_two_stream: 2 of 30 test clips")
    assert notes[2].startswith("run_of_mine: 0 of 30 test clips")
    assert notes[3].startswith("Thresholds tuned on 20")
    assert notes[4] == "run_of_mine: No validation clip to tune on: Bus; Car."


def test_rows_that_are_not_comparable_are_said_to_be_so():
    rows = aggregation.rows(
        [
            result_of(),
            result_of("mine", training=Training((0.003,), 0.003, ("x.npz",))),
        ]
    )
    expected = (
        "These rows are not comparable: they differ in weight travel and in "
        "the initialization of fc6 and fc7.",
        "Weight travel (training steps times learning rate; the paper's is "
        "0.25): 0.25 in (a); 0.003 in mine.",
        "fc6 and fc7 start: random in (a); x.npz in mine.",
    )
    assert tables.table_1(rows).notes[:3] == expected
    assert tables.table_2(rows).notes == expected
    for write in (writers.to_text, writers.to_markdown, writers.to_latex):
        words = " ".join(write(tables.table_2(rows)).split())
        assert "These rows are not comparable" in words


def test_classes_without_ranking_are_named():
    result = result_of()
    labels = result.test.labels.copy()
    labels[:, 3], labels[:, 5] = 0, 1
    test = dataclasses.replace(result.test, labels=labels)
    figures = {
        "test": test,
        "ranking": metrics.ranking(labels, test.scores),
        "class_ranking": metrics.class_ranking(labels, test.scores),
    }
    names = result.class_names
    notes = "\n".join(table_1(result_of(**figures)).notes)
    assert f"out of mAP, ROC AUC and d': {names[3]}.\n" in notes
    assert f"out of ROC AUC and d': {names[5]}.\n" in notes


def test_all_rows_come_in_the_paper_s_order_and_others_last():
    systems = ["mine", *reversed(paper.SYSTEMS)]
    results = list(map(result_of, systems))
    starts = [row[0][:4] for row in cells_of(table_1(*results))]
    assert starts == [*(f"({x}) " for x in "abcdefg"), "mine", "Chan", "Chan"]
    names = [row[0].strip() for row in cells_of(table_2(*results))]
    # Table 2 leaves two systems out.
    assert " ".join(name.split()[0] for name in names) == (
        "(a) paper (b) paper (c) paper (d) (e) paper (f) paper (g) mine"
    )
    assert names[0] == "(a) Proposed AV TS"


def test_table_2_has_the_paper_s_order_abbreviations_and_figures():
    table = table_2(result_of())
    assert table.groups == {
        "": [0],
        "Vehicle sounds": [*range(1, 9)],
        "Warning sounds": [*range(9, 18)],
    }
    heads = [head for _, head in table.cells.columns]
    assert heads[:5] == ["System", "bik", "bus", "car", "car-pby"]
    ours, published = cells_of(table)
    # The result's classes come in the opposite order: bik is its 17th.
    assert ours[1:] == tuple(f"{index}.0" for index in range(16, -1, -1))
    assert published[:4] == ("    paper", "75.7", "54.9", "75.0")
    assert published[-1] == "47.1"


def test_seeds_are_one_row_of_both_tables():
    # Mean 0.62; the deviations' squares sum to 0.0006, over 2, root: 0.01732.
    results = seeds_of("av_two_stream", 0.60, 0.63, 0.63)
    first = table_1(*results)
    assert cells_of(first)[0][1:3] == ("3 seeds", "62.0 ± 1.7")
    assert cells_of(first)[0][4:6] == ("31.0 ± 0.9", "70.0 ± 0.0")
    assert first.notes[2] == (
        "Mean ± sample standard deviation of (a): s0, s1, s2."
    )
    ours, published = cells_of(table_2(*results))
    assert ours == ("(a) Proposed AV TS", *["62.0 ± 1.7"] * 17)
    assert published[1] == "75.7"


def test_rows_of_one_system_are_told_apart_by_the_fewest_flags():
    flags = [
        {"steps": "50", "learning_rate": "0.1", "pooling": "sum"},
        {"steps": "50", "learning_rate": "0.2", "pooling": "mean"},
    ]

    def names(*flags):
        results = [
            result_of(run_name=f"run{index}", settings=f"{index}")
            for index, of_run in enumerate(flags)
        ]
        for result, of_run in zip(results, flags, strict=True):
            result.identity.flags.update(of_run)
        rows = aggregation.rows([*results, result_of("mine")])
        return aggregation.short_names(rows)

    assert names(*flags) == ["(a) pooling=sum", "(a) pooling=mean", "mine"]
    third = flags[0] | {"learning_rate": "0.3"}
    assert names(*flags, third)[2] == "(a) learning_rate=0.3"
    third = flags[1] | {"learning_rate": "0.1"}
    assert names(*flags, third)[2] == "(a) pooling=mean/learning_rate=0.1"
    assert names({}, {}, *flags)[1:3] == ["(a) run1", "(a) run2"]


def test_best_of_each_column_is_bold_and_the_paper_s_stay_so():
    table = table_1(
        *seeds_of("av_two_stream", 0.60, 0.62),
        *seeds_of("audio_two_stream", 0.63),
        *seeds_of("cvssp_fusion", 0.4),
        result_of("mine", micro=metrics.Scores(0.1, 0.9, 0.2)),
    )
    ranking = {place for place in bold_cells(table) if 6 <= place[1] < 9}
    assert len(ranking) == 4 * 3  # All print alike.
    assert bold_cells(table) == {p: bold_cells(table)[p] for p in ranking} | {
        (1, 2): "63.0",  # A mean of 61.0 is less.
        (3, 4): "90.0",
        # Recall: three print as 70.0; chance has 100.0 and does not count.
        (0, 5): "70.0 ± 0.0",
        (1, 5): "70.0",
        (2, 5): "70.0",
        # The paper's Table 1.
        (0, 9): "64.2",
        (2, 10): "61.4",
        (0, 11): "69.4",
    }


def test_what_prints_alike_is_equally_bold_and_a_single_row_not():
    table = table_1(*seeds_of("mine", 0.61234), *seeds_of("yours", 0.6119))
    assert bold_cells(table)[0, 2] == bold_cells(table)[1, 2] == "61.2"
    for results in ([result_of()], seeds_of("mine", 0.5, 0.6)):
        assert not table_1(*results).bold.any()
        assert not table_2(*results).bold.any()


def test_table_2_marks_the_best_of_each_class():
    f1 = np.zeros(17)
    f1[-1] = 0.9  # Bicycle, the first of Table 2.
    table = table_2(
        *seeds_of("av_two_stream", 0.2),
        result_of("cvssp_fusion", by_class=metrics.Scores(f1, f1, f1)),
    )
    ours = {p: c for p, c in bold_cells(table).items() if p[0] in (0, 2)}
    assert ours == {(2, 1): "90.0"} | {(0, c): "20.0" for c in range(2, 18)}
    # The paper's best Bicycle is row a's, its best Screaming row f's.
    published = bold_cells(table)
    assert (1, 1) in published
    assert (3, 1) not in published
    assert published[3, 16] == "91.2"


def test_other_classes_keep_their_names_and_order():
    result = result_of(class_names=("zebra", "cat|dog", "Car"))
    table = table_2(result)
    assert list(table.cells["Classes"]) == ["zebra", "cat|dog", "Car"]
    assert cells_of(table) == [("(a) Proposed AV TS", "0.0", "1.0", "2.0")]
    first = table_1(result)
    assert cells_of(first)[0][-3:] == ("64.2", "59.7", "69.4")
    assert first.notes[-1].endswith("for orientation only.")


def test_leads_are_the_best_row_s_over_each_other():
    labels = result_of().test.labels
    right = {"micro": metrics.Scores(1.0, 1.0, 1.0), "predictions": labels}
    silent = {"micro": metrics.Scores(0.0, 0.0, 0.0), "predictions": 0 * labels}
    results = [
        result_of(system, run_name=str(seed), seed=seed, **changes)
        for seed in range(3)
        for system, changes in (
            ("mine", silent),
            ("visual_wsddn", right),
            ("yours", right),
        )
    ]
    fast = result_of(
        "yours", run_name="fast", settings="learning_rate", **right
    )
    table = tables.leads(aggregation.rows([*results, fast]))
    assert table.title == (
        "Leads of (d) TS Video-Only WSDDN-Type, in percentage points"
    )
    # Rows of one system are told apart by their runs; one seed is too few.
    both, clips = "clips and seeds", "clips"
    assert cells_of(table) == [
        ("mine, at chance", "100.0", "[100.0, 100.0]", both, "0.001", "no"),
        ("yours, 0, 1, 2", "0.0", "[0.0, 0.0]", both, "1.000", "no"),
        ("yours, fast", "0.0", "[0.0, 0.0]", clips, "-", "-"),
    ]


def test_leads_of_and_over_rows_at_chance_are_not_called_so():
    labels = result_of().test.labels
    half = labels * (np.arange(len(labels)) % 2)[:, np.newaxis]
    level = CHANCE._replace(every_class=metrics.Scores(0.8, 0.8, 0.8))

    def leads(**changes):
        systems = {"mine": half, "yours": labels}
        results = [
            result_of(
                system,
                run_name=str(seed),
                seed=seed,
                predictions=found,
                micro=metrics.micro_scores(labels, found),
                **changes,
            )
            for seed in range(3)
            for system, found in systems.items()
        ]
        return aggregation.rows(results)

    table = tables.leads(leads())
    assert (table.title[:14], cells_of(table)[0][-1]) == (
        "Leads of yours",
        "yes",
    )
    rows = leads(chance=level)
    assert [row.is_at_chance for row in rows] == [True, False]
    (cells,) = cells_of(tables.leads(rows))
    assert (cells[0], cells[-1]) == ("mine, at chance", "no")
    for table in (tables.table_1(rows), tables.table_2(rows)):
        assert cells_of(table)[0][0] == "mine, at chance"
    level = level._replace(random_mean=metrics.Scores(1.0, 1.0, 1.0))
    table = tables.leads(leads(chance=level))
    assert table.title.startswith("Differences from yours, at chance,")


def test_intervals_are_named_by_what_is_resampled():
    def note(*results):
        return next(n for n in table_1(*results).notes if n.startswith("95 %"))

    three = seeds_of("mine", 0.5, 0.6, 0.7)
    assert "resamples of the test clips and seeds, with" in note(*three)
    assert "resamples of the test clips, with" in note(*three[:2])
    mixed = note(*three, result_of())
    assert "test clips, in rows of 3 seeds or more of the seeds too" in mixed
