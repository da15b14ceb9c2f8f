"""All that is reported of evaluated runs, as text and as files."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Sequence

from avmil.common import files
from avmil.common.dcase2017_classes import is_dcase
from avmil.evaluation.aggregation import Row, differing_flags
from avmil.report import (
    evaluation_figures,
    images,
    numbers,
    offline_page,
    tables,
    writers,
)
from avmil.report.evaluation_figures import StyledRow, styled_rows
from avmil.report.localization_tables import localization_tables
from avmil.report.numbers import percent
from avmil.report.tables import Table

_LATEX_PREAMBLE = (
    r"% Include with \input; the preamble needs \usepackage{booktabs}." "\n"
)
_WIDTH = 100  # Of tables, in characters; a wider terminal is made use of.
_DPI = 160  # A panel is about 300 px wide on a page, and 3 inches.


class EvaluationReport:
    """Tables 1 to 6, leads, figures and numbers of one run or of several."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Makes the tables of `aggregation.rows`."""
        self._rows = rows
        self.tables = [
            tables.table_1(rows),
            tables.table_2(rows),
            *localization_tables(rows),
        ]
        self._num_printed = len(self.tables)
        if len(rows) > 1:
            self.tables.append(tables.leads(rows))

    def to_text(self, directory: str = "", ansi: bool = False) -> str:
        """The tables as text, for a terminal that knows ANSI's bold or not.

        Of a report that is written to a directory these are Tables 1 to 6 and
        the name of the page that has the rest. A note is told once.
        """
        terminal = shutil.get_terminal_size() if ansi else (0, 0)
        width = max(_WIDTH, terminal[0])
        texts, told = [], set()
        for table in self.tables[: self._num_printed if directory else None]:
            shown = copy.copy(table)
            shown.notes = [note for note in table.notes if note not in told]
            told.update(shown.notes)
            texts.append(writers.to_text(shown, width, ansi))
        if directory:
            rest = "figures, thresholds and numbers of each class"
            if len(self.tables) > self._num_printed:
                rest = f"leads, {rest}, and how the runs differ"
            texts.append(
                f"Open {files.join(directory, 'report.html')} for {rest}.\n"
                "Beside it: tables.md, tables.tex, CSV and JSON.\n"
            )
        return "\n".join(texts)

    def write(self, directory: str) -> None:
        """Writes tables, `report.html` and numbers into an existing folder."""
        rows = self._rows
        results = [result for row in rows for result in row.results]
        latex = map(writers.to_latex, self.tables)
        texts = {
            "tables.md": "\n".join(map(writers.to_markdown, self.tables)),
            "tables.tex": "\n".join([_LATEX_PREAMBLE, *latex]),
            "report.html": self.to_html(),
            "table1.csv": numbers.to_csv(numbers.table_1(rows)),
            "table2.csv": numbers.to_csv(numbers.table_2(rows)),
        }
        if len(rows) > 1:
            texts["leads.csv"] = numbers.to_csv(numbers.leads(rows))
        localized = [result for result in results if result.localization]
        if localized:
            texts["table3.csv"] = numbers.to_csv(numbers.table_3(rows))
        runs = list(map(numbers.run_dict, results))
        contents = {"metrics.json": runs[0] if len(runs) == 1 else runs}
        if len(runs) > 1:
            contents["comparison.json"] = numbers.comparison_dict(rows)
        elif localized:
            contents["table3.json"] = numbers.localization_dict(localized[0])
        for name, text in texts.items():
            files.write_text(files.join(directory, name), text)
        for name, content in contents.items():
            path = files.join(directory, name)
            files.write_json(path, numbers.jsonable(content))

    def to_html(self) -> str:
        """The page: one HTML file that works without a network."""
        styled = styled_rows(self._rows)
        first = self._rows[0].results[0]
        return offline_page.render(
            "report",
            num_runs=sum(len(row.results) for row in self._rows),
            first=first,
            num_held=first.test.labels.sum(axis=0).tolist(),
            is_dcase=is_dcase(first.class_names),
            styled=styled,
            figures=evaluation_figures,
            to_html=writers.to_html,
            to_png=functools.partial(images.to_png, dpi=_DPI),
            tables=[*self.tables, _runs_table(styled)],
            class_tables=list(map(_class_table, styled)),
        )


def _class_table(styled: StyledRow) -> Table:
    """All numbers of each class, a row for each run."""
    cells = []
    for index, class_name in enumerate(styled.row.class_names):
        for result in styled.row.results:
            cells.append(
                (
                    class_name,
                    result.identity.run_name,
                    result.test.labels[:, index].sum(),
                    f"{result.thresholds[index]:.4g}",
                    *(
                        percent(figures[index])
                        for figures in result.by_class + result.class_ranking
                    ),
                )
            )
    groups = {
        "": ("Class", "Run"),
        "Test clips": ("with it",),
        "Figures": ("Threshold", "F1", "Precision", "Recall", "AP", "ROC AUC"),
    }
    return Table(f"Classes of {styled.name}", groups, cells)


def _runs_table(styled: Sequence[StyledRow]) -> Table:
    """What was evaluated, where it differs, and how thresholds came about."""
    flags = differing_flags([style.row for style in styled])
    cells = [
        (
            style.name,
            result.identity.run_name,
            "-" if result.identity.seed is None else result.identity.seed,
            result.identity.training.weight_travel,
            ", ".join(result.identity.training.fc_initializations) or "-",
            *(style.row.flags.get(name) or "-" for name in flags),
            result.val.num_clips,
            result.val.num_missing,
            result.test.num_clips,
            result.test.num_missing,
            "with" if result.fallback_argmax else "without",
            "; ".join(result.untuned_class_names) or "-",
        )
        for style in styled
        for result in style.row.results
    ]
    groups = {
        "": ("System", "Run"),
        "Training": ("seed", "weight travel", "fc6 and fc7"),
        "Flags and parameters that differ": flags,
        "Validation": ("clips", "without features"),
        "Test": ("clips", "without features"),
        "Thresholds": ("arg-max fallback", "no clip to tune"),
    }
    return Table("Runs", groups, cells)
