"""All that is shown and written of evaluated runs: tables and a page."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from avmil.common import files
from avmil.evaluation.aggregation import Row
from avmil.evaluation.localization import LocalizationResult
from avmil.report import (
    exports,
    latex,
    leads,
    localization_exports,
    report_page,
    table_3,
    tables,
)
from avmil.report.rendering import Table


class EvaluationReport:
    """The tables of runs on one test split.

    Args:
        rows: As `aggregation.rows` returns them.
        localized: What Table 3 shows; none without a truth.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        localized: Sequence[LocalizationResult] = (),
    ) -> None:
        self._rows, self._localized = rows, localized

    @functools.cached_property
    def tables(self) -> list[Table]:
        """Tables 1 and 2, the leads of several rows, Table 3."""
        found = [tables.table_1(self._rows), tables.table_2(self._rows)]
        if len(self._rows) > 1:
            found.append(leads.leads(self._rows))
        if self._localized:
            found += table_3.table_3(self._localized)
        return found

    def to_text(self, ansi: bool = False) -> str:
        """The tables for a terminal."""
        return "\n".join(table.to_text(ansi=ansi) for table in self.tables)

    def write(self, directory: str) -> None:
        """Writes the tables in all formats and the page."""
        results = [result for row in self._rows for result in row.results]
        contents = {
            "tables.md": "\n".join(t.to_markdown() for t in self.tables),
            "tables.tex": latex.to_latex(self.tables),
            "table1.csv": exports.table_1_csv(self._rows),
            "table2.csv": exports.table_2_csv(self._rows),
            "report.html": report_page.render(results, self.tables),
        }
        if self._localized:
            table = localization_exports.table_3_csv(self._localized)
            contents["table3.csv"] = table
        if len(self._rows) > 1:
            contents["leads.csv"] = exports.leads_csv(self._rows)
        for name, content in contents.items():
            files.write_text(files.join(directory, name), content)
