"""The table of leads."""

from __future__ import annotations

from avmil.evaluation import aggregation, metrics
from avmil.report import leads
from tests.made_results import result_of


def test_leads_are_the_best_row_s_over_each_other():
    good = result_of(
        "visual_wsddn",
        micro=metrics.Scores(1.0, 1.0, 1.0),
        predictions=result_of().test.labels,
    )
    silent = result_of(
        "mine",
        micro=metrics.Scores(0.0, 0.0, 0.0),
        predictions=0 * result_of().test.labels,
    )
    twin = result_of(
        "yours",
        micro=metrics.Scores(1.0, 1.0, 1.0),
        predictions=result_of().test.labels,
    )
    table = leads.leads(aggregation.rows([silent, good, twin]))
    assert table.title == (
        "Leads of (d) TS Video-Only WSDDN-Type, in percentage points"
    )
    assert table.rows == (
        ("mine", "100.0", "[100.0, 100.0]", "0.001", "yes"),
        ("yours", "0.0", "[0.0, 0.0]", "1.000", "no"),
    )
    assert "sampling of test clips only" in table.notes[0]


def test_rows_of_one_system_are_told_apart_by_their_runs():
    results = [
        result_of(run_name="slow"),
        result_of(run_name="fast", settings="learning_rate"),
    ]
    table = leads.leads(aggregation.rows(results))
    assert "Proposed AV Two Stream, slow" in table.title
    assert table.rows[0][0] == "(a) Proposed AV Two Stream, fast"
