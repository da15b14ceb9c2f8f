"""Tables as LaTeX, with the rules of the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from avmil.report.rendering import Table

# Characters that fit a two-column page's width in small print.
_MAX_WIDTH = 120
_PREAMBLE = r"% Include with \input; the preamble needs \usepackage{booktabs}."
# LaTeX counts the tables itself.
_NUMBER = re.compile(r"^Table \d+[a-z]?\. ")
# A bracket or star at the start of a row would be an argument of \\.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
}
_SPECIAL = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")
_INDENT = re.compile(r"^ +")


def to_latex(tables: Sequence[Table]) -> str:
    """Writes tables for a document to include.

    Bold figures are bold there too; too wide a table is cut into blocks below
    each other, as in text.
    """
    return "\n".join([_PREAMBLE + "\n", *map(_table, tables)])


def escaped(text: str) -> str:
    """Writes plain text so that LaTeX prints it as it is."""
    text = _SPECIAL.sub(lambda match: _ESCAPES[match.group()], text)
    return _INDENT.sub(r"\\quad ", text)


def _table(table: Table) -> str:
    rows = table.marked_rows(escaped, r"\textbf{{{}}}".format)
    blocks = [
        _tabular(table, block, rows) for block in table.blocks(_MAX_WIDTH)
    ]
    notes = [rf"\par\smallskip {escaped(note)}" for note in table.notes]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escaped(_NUMBER.sub('', table.title))}}}",
        "\n\\par\\medskip\n".join(blocks),
        *notes,
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _tabular(
    table: Table,
    block: Sequence[tuple[str, Sequence[int]]],
    rows: Sequence[Sequence[str]],
) -> str:
    keys = range(len(table.key_names))
    figures = [column for _, columns in block for column in columns]
    heads = [escaped(name) for name in table.names]
    titles, rules = [""] * len(keys), []
    first = len(keys) + 1
    for title, columns in block:
        last = first + len(columns) - 1
        titles.append(
            rf"\multicolumn{{{len(columns)}}}{{c}}{{{escaped(title)}}}"
        )
        rules.append(rf"\cmidrule(lr){{{first}-{last}}}")
        first = last + 1
    kept = [*keys, *figures]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{'l' * len(keys)}{'r' * len(figures)}}}",
            r"\toprule",
            _row(titles),
            " ".join(rules),
            _row([heads[column] for column in kept]),
            r"\midrule",
            *(_row([row[column] for column in kept]) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
