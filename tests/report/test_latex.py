"""Tables as LaTeX."""

from __future__ import annotations

import re

import pytest

from avmil.evaluation import aggregation, paper
from avmil.report import latex, tables
from avmil.report.rendering import ColumnGroup, Table
from tests.made_results import result_of

TABLE = Table(
    "Table 7. Fruit & more",
    ("Tree", "Age"),
    (ColumnGroup("Weight", ("kg", "lb")), ColumnGroup("Sum", ("n",))),
    (("apple", "old", "1.0 ± 0.2", "2.2", "7"), ("    fig", "", "-", "3", "8")),
    ("One note, 95 %.",),
    frozenset({(0, 2)}),
)


def test_table_by_hand():
    assert latex.to_latex([TABLE]) == (
        r"""% Include with \input; the preamble needs \usepackage{booktabs}.

\begin{table*}
\centering\footnotesize\setlength{\tabcolsep}{3pt}
\caption{Fruit \& more}
\begin{tabular}{llrrr}
\toprule
 &  & \multicolumn{2}{c}{Weight} & \multicolumn{1}{c}{Sum} \\
\cmidrule(lr){3-4} \cmidrule(lr){5-5}
Tree & Age & kg & lb & n \\
\midrule
apple & old & \textbf{1.0 $\pm$ 0.2} & 2.2 & 7 \\
\quad fig &  & - & 3 & 8 \\
\bottomrule
\end{tabular}
\par\smallskip One note, 95 \%.
\end{table*}
"""
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("car_horn", r"car\_horn"),
        ("R&B #1: 100% $5", r"R\&B \#1: 100\% \$5"),
        (r"a\b{c}", r"a\textbackslash{}b\{c\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        # An argument of the \\ before it.
        ("[60.1, 68.0]", "{[}60.1, 68.0{]}"),
        ("*", "{*}"),
        ("Fire engine, fire truck (siren)", "Fire engine, fire truck (siren)"),
    ],
)
def test_special_characters_are_escaped_everywhere(text, expected):
    assert latex.escaped(text) == expected
    table = Table(
        text, (text,), (ColumnGroup(text, (text,)),), ((text, text),), (text,)
    )
    written = latex.to_latex([table])
    # Caption, group, two heads, two cells and a note.
    assert written.count(expected) == 7
    assert rf"\caption{{{expected}}}" in written


@pytest.mark.parametrize("number", ["1", "3a"])
def test_latex_counts_the_tables_itself(number):
    table = Table(f"Table {number}. Name", ("a",), (), (("b",),))
    assert r"\caption{Name}" in latex.to_latex([table])


def tabulars(written):
    pattern = r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}"
    return re.findall(pattern, written, re.DOTALL)


def test_paper_s_tables_are_well_formed():
    rows = aggregation.rows([result_of(system) for system in paper.SYSTEMS])
    shown = [tables.table_1(rows), tables.table_2(rows)]
    written = latex.to_latex(shown)
    assert r"{[}" in written
    assert r"\caption{Class-wise F1 on the test set, in percent}" in written
    for name in ("table*", "tabular"):
        begins, ends = (
            written.count(rf"\{word}{{{name}}}") for word in ("begin", "end")
        )
        assert begins == ends > 0
    for columns, body in tabulars(written):
        for line in body.split(r"\\")[1:-1]:
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", body)]
        assert sum(spans) == columns.count("r")
        rules = re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", body)
        covered = [
            column
            for first, last in rules
            for column in range(int(first), int(last) + 1)
        ]
        first = columns.count("l") + 1
        assert covered == list(range(first, len(columns) + 1))
    depth = 0
    for character in re.sub(r"\\[{}]", "", written):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


def test_wide_table_is_cut_into_blocks_that_lose_no_column():
    names = tuple(f"class {index}" for index in range(30))
    cells = tuple(str(index) for index in range(30))
    table = Table("T", ("k",), (ColumnGroup("g", names),), (("a", *cells),))
    found = tabulars(latex.to_latex([table]))
    assert len(found) > 1
    rows = [body.split(r"\midrule")[1].splitlines()[1] for _, body in found]
    figures = [
        cell.strip()
        for row in rows
        for cell in row.removesuffix(r"\\").split("&")[1:]
    ]
    assert tuple(figures) == cells
