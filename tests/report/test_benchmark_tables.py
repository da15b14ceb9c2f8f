"""Tables 4 to 6, made of results."""

from __future__ import annotations

import numpy as np

from avmil.common.ave_classes import AVE_CLASSES
from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation.av_events import Accuracies
from avmil.evaluation.metrics import Benchmark
from avmil.evaluation.modalities import TARGETS, TagScores
from avmil.evaluation.video_parsing import LevelScores
from avmil.report.benchmark_tables import benchmark_tables
from tests.made_results import bold_cells, cells_of, localized


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
    (table,) = benchmark_tables(results)
    rest = ("20.0", "30.0", "40.0", "50.0")
    assert [(row[0], *row[2:7]) for row in cells_of(table)] == [
        ("(a) Proposed AV Two Stream", "60.0", *rest),
        ("(b) TS Audio-Only", "50.0", *rest),
        ("Predicted classes, (a)", "30.0", *rest),
        ("Predicted classes, (b)", "25.0", *rest),
        ("True labels", "75.0", *rest),
    ]
    assert bold_cells(table)[(0, 2)] == "60.0"
    assert (1, 2) not in bold_cells(table)
    assert benchmark_tables(results[2:]) == []


def test_published_systems_stand_beside_those_of_llp():
    result = localized(class_names=LLP_CLASSES, parsing=parsing(0.6))
    (table,) = benchmark_tables([result])
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
    (table,) = benchmark_tables(results)
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
    (table,) = benchmark_tables(results)
    assert bold_cells(table) == {
        (0, 6): "70.0",
        (0, 7): "70.0",
        (1, 2): "60.0",
        (1, 3): "60.0",
    }
