"""Tables 4 to 6, made of results."""

from __future__ import annotations

from avmil.common.llp_classes import LLP_CLASSES
from avmil.evaluation.metrics import Benchmark
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
