"""Tables in every format."""

from __future__ import annotations

import html.parser
import re

import pytest

from avmil.evaluation import aggregation, paper
from avmil.report import tables, writers
from avmil.report.tables import Table
from tests.made_results import result_of

FRUIT = Table(
    "Table 7. Fruit & more",
    {"": ("Tree", "Age"), "Weight": ("kg", "lb"), "A long title": ("n",)},
    [
        ("apple", "old", "1.0 ± 0.2", "2.2", "7"),
        ("fig", "", "10.5", "23.1", "-"),
    ],
    ("One note, 95 %.", "Another note."),
)
FRUIT.bold[0, 2] = FRUIT.bold[1, 4] = True


EVERY_FORMAT = pytest.mark.parametrize(
    "write",
    [writers.to_text, writers.to_markdown, writers.to_latex, writers.to_html],
)


@EVERY_FORMAT
def test_every_format_shows_every_text(write):
    rows = aggregation.rows([result_of(system) for system in paper.SYSTEMS])
    for table in (tables.table_1(rows), tables.table_2(rows), FRUIT):
        text = write(table)
        for head in table.cells.columns.get_level_values(1):
            assert re.search(r"\w+", head)[0] in text
        for cell in table.cells.to_numpy().ravel():
            assert all(
                word in text for word in re.findall(r"[A-Za-z\d.]+", cell)
            )


@EVERY_FORMAT
@pytest.mark.parametrize(
    "name", ["a|b", "<b>*x*`[", r"100% \$5_{R&B} #1~^", "*", "$x$"]
)
def test_every_format_keeps_foreign_text_text(write, name):
    groups = {"": (name,), name: (name,)}
    table = Table(name, groups, [(name, name)], (name,))
    text = write(table)
    if write is writers.to_html:
        assert Elements(text).texts == [name] * 5
    elif write is writers.to_latex:
        plain = re.sub(r"\\[{}$&#%_]|\\text\w+\{\}|\{[][*]\}", "", text)
        body = plain.split(r"\midrule")[1].split(r"\bottomrule")[0]
        assert not set(body.replace(r"\\", "").replace("&", "", 1)) & set(
            "{}$&#%_^~<>|[]*\\"
        )
    elif write is writers.to_markdown:
        cells = re.split(r"(?<!\\)\|", text.splitlines()[-3])[1:-1]
        assert [re.sub(r"\\([\\`*<\[|])", r"\1", c.strip()) for c in cells] == [
            name
        ] * 2


class Elements(html.parser.HTMLParser):
    """Texts of the cells."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.tag = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tag = tag

    def handle_data(self, data):
        if data.strip() and self.tag in ("th", "td"):
            self.texts.append(data.strip())


def test_text_is_aligned_and_cut_between_groups():
    assert writers.to_text(FRUIT) == (
        "Table 7. Fruit & more\n"
        "\n"
        "                  Weight       A long title\n"
        "Tree   Age           kg   lb              n\n"
        "apple  old    1.0 ± 0.2  2.2              7\n"
        "fig          10.5       23.1              -\n"
        "\n"
        "One note, 95 %.\n"
        "Another note.\n"
    )
    narrow = writers.to_text(FRUIT, max_width=32).splitlines()
    assert sum(line.startswith("Tree") for line in narrow) == 2
    assert max(map(len, narrow)) <= 32


def test_a_wide_group_is_cut_between_columns_and_loses_none():
    names = [f"class {index}" for index in range(40)]
    cells = [str(index) for index in range(40)]
    table = Table("T", {"": ("k",), "Classes": names}, [("a", *cells)])
    lines = writers.to_text(table, max_width=60).splitlines()
    assert max(map(len, lines)) <= 60
    found = " ".join(line[1:] for line in lines if line.startswith("a "))
    assert found.split() == cells
    bodies = re.findall(
        r"\\midrule\n(.*?) \\\\\n\\bottomrule", writers.to_latex(table)
    )
    assert len(bodies) > 1
    assert [c for body in bodies for c in body.split(" & ")[1:]] == cells


def test_bold_cells():
    plain = writers.to_text(FRUIT)
    shown = writers.to_text(FRUIT, ansi=True)
    assert re.findall(r"\x1b\[1m *(.*?)\x1b\[0m", shown) == ["1.0 ± 0.2", "-"]
    unmarked = re.sub(r"\x1b\[\dm", "", shown)
    assert unmarked == plain
    assert re.findall(r"\*\*(\S.*?)\*\*", writers.to_markdown(FRUIT))[5:] == [
        "1.0 ± 0.2",
        "-",
    ]
    bold = re.findall(r"\\textbf\{(.*?)\}", writers.to_latex(FRUIT))
    assert bold == [r"1.0 $\pm$ 0.2", "-"]
    bold = re.findall("<b>(.*?)</b>", writers.to_html(FRUIT))
    assert bold == ["1.0 ± 0.2", "-"]


def test_latex_by_hand():
    assert writers.to_latex(FRUIT) == (
        r"""\begin{table*}
\centering\footnotesize\setlength{\tabcolsep}{3pt}
\caption{Fruit \& more}
\begin{tabular}{llrrr}
\toprule
\multicolumn{2}{c}{} & \multicolumn{2}{c}{Weight} & A long title \\ """
        r"""\cmidrule(lr){3-4} \cmidrule(lr){5-5}
Tree & Age & kg & lb & n \\
\midrule
apple & old & \textbf{1.0 $\pm$ 0.2} & 2.2 & 7 \\
fig &  & 10.5 & 23.1 & \textbf{-} \\
\bottomrule
\end{tabular}
\par\smallskip One note, 95 \%.
\par\smallskip Another note.
\end{table*}
"""
    )
