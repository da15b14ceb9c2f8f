"""Whether the best system's lead over the others is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

from avmil.evaluation import aggregation
from avmil.evaluation.aggregation import Row
from avmil.report import tables
from avmil.report.rendering import ColumnGroup, Table


def leads(rows: Sequence[Row]) -> Table:
    """The best row's lead in F1 over each other row.

    Args:
        rows: Two or more, as `aggregation.rows` returns them.
    """
    best = aggregation.best(rows)
    names = tables.row_names(rows)
    cells = []
    for row, name in zip(rows, names, strict=True):
        if row is not best:
            lead = aggregation.compare(best, row)
            cells.append(
                (
                    name,
                    tables.percent(lead.difference),
                    tables.percent_interval(lead.interval),
                    f"{lead.p_value:.3f}",
                    "yes" if lead.is_more_than_chance else "no",
                )
            )
    columns = ("F1", tables.LEVEL, "p", "More than chance")
    return Table(
        f"Leads of {names[rows.index(best)]}, in percentage points",
        ("Over",),
        (ColumnGroup("Lead", columns),),
        tuple(cells),
        (
            "Paired bootstrap: both systems on the same resamples of the test "
            "clips, seeds averaged. p is two-sided and speaks of the sampling "
            "of test clips only; it is not corrected for several comparisons.",
        ),
    )
