"""Tables as text, Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from avmil.report.tables import Table

_ANSI_BOLD = "\x1b[1m{}\x1b[0m"
_MARKDOWN_SPECIAL = re.compile(r"([\\`*<\[|])")
_GAP = "   "  # Between groups of columns.
# Characters that fit a two-column page's width in small print.
_LATEX_WIDTH = 120
# A bracket or star at the start of a row would be an argument of \\.
_LATEX_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "{}$&#%_"}
    | {character: f"{{{character}}}" for character in "[]*"}
    | {
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
    }
)
_LATEX_NUMBER = re.compile(r"^Table \d+[a-z]?\. ")  # LaTeX counts by itself.


def to_text(table: Table, max_width: int = 100, ansi: bool = False) -> str:
    """Aligned columns; too wide a table is cut between groups or in them.

    Only a single column may exceed `max_width` characters. Bold cells are
    marked for terminals that know ANSI's bold only.
    """
    columns = _aligned_columns(table, ansi)
    parts = [table.title]
    for block in _blocks(table, max_width):
        pieces = []
        for title, places in [("", table.groups[""]), *block]:
            lines = zip(*(columns[place] for place in places), strict=True)
            lines = list(map((" " if title else "  ").join, lines))
            # The heads' line has the width of all, also where cells are bold.
            indent = " " * (len(title) - len(lines[0]))
            title = title.center(len(indent + lines[0]))
            pieces.append([title, *(indent + line for line in lines)])
        lines = map(_GAP.join, zip(*pieces, strict=True))
        parts.append("\n".join(line.rstrip() for line in lines))
    notes = (
        textwrap.fill(note, max_width, break_on_hyphens=False)
        for note in table.notes
    )
    parts.append("\n".join(notes))
    return "\n\n".join(parts).rstrip() + "\n"


def to_markdown(table: Table) -> str:
    """Markdown; the heads stand in the first row, below their groups."""
    num_keys = len(table.groups[""])
    cells = _marked(table, _escaped_markdown, "**", "**")
    titles, heads = zip(*cells.columns, strict=True)
    cells.loc[-1] = [f"**{head}**" for head in heads]
    titles = [
        "" if index and title == titles[index - 1] else title
        for index, title in enumerate(titles)
    ]
    text = cells.sort_index().to_markdown(
        index=False,
        headers=titles,
        disable_numparse=True,
        colalign=["left"] * num_keys + ["right"] * (len(heads) - num_keys),
    )
    notes = "\n".join(f"- {_escaped_markdown(note)}" for note in table.notes)
    parts = [f"### {_escaped_markdown(table.title)}", text, notes]
    return "\n\n".join(parts).rstrip() + "\n"


def to_latex(table: Table) -> str:
    r"""LaTeX to \input; the preamble needs the package booktabs.

    Too wide a table is cut into blocks below each other, as in text.
    """
    keys = table.groups[""]
    cells = _marked(table, _escaped_latex, r"\textbf{", "}")
    blocks = []
    for block in _blocks(table, _LATEX_WIDTH):
        columns, rules = list(keys), []
        for _, places in block:
            first = len(columns) + 1
            columns += places
            rules.append(rf"\cmidrule(lr){{{first}-{len(columns)}}}")
        tabular = cells.iloc[:, columns].to_latex(
            index=False,
            escape=False,
            multicolumn_format="c",
            column_format="l" * len(keys) + "r" * (len(columns) - len(keys)),
        )
        # Behind the groups' line, where pandas draws no rule.
        blocks.append(tabular.replace("\\\\\n", f"\\\\ {' '.join(rules)}\n", 1))
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_escaped_latex(_LATEX_NUMBER.sub('', table.title))}}}",
        "\\par\\medskip\n".join(blocks).rstrip(),
        *(rf"\par\smallskip {_escaped_latex(note)}" for note in table.notes),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def to_html(table: Table) -> str:
    """A `<table>` without its title and notes, all text escaped."""
    with pd.option_context("display.max_colwidth", None):  # Or it cuts texts.
        return _marked(table, html.escape, "<b>", "</b>").to_html(
            index=False, escape=False, border=0
        )


def _blocks(table: Table, max_width: int) -> list[list[tuple[str, list[int]]]]:
    """Distributes the groups of figures over blocks below each other.

    A block has the groups' titles and the places of their columns. A group
    that is wider than a block is cut.
    """
    widths = [len(head) for head, *_ in _aligned_columns(table)]
    keys = [widths[place] for place in table.groups[""]]
    limit = max_width - sum(keys) - 2 * (len(keys) - 1) - len(_GAP)
    parts, part_widths = [], []
    for title, columns in list(table.groups.items())[1:]:
        for part in _packed([widths[i] for i in columns], 1, limit):
            places = [columns[i] for i in part]
            parts.append((title, places))
            width = sum(widths[i] + 1 for i in places) - 1
            part_widths.append(max(len(title), width))
    packed = _packed(part_widths, len(_GAP), limit)
    return [[parts[i] for i in block] for block in packed]


def _packed(widths: Sequence[int], gap: int, limit: int) -> Iterator[list[int]]:
    """Packs neighbors into lines of at most `limit`, at least one in each."""
    line: list[int] = []
    used = 0
    for index, width in enumerate(widths):
        if line and used + gap + width > limit:
            yield line
            line, used = [], 0
        used += width + gap * bool(line)
        line.append(index)
    yield line


def _aligned_columns(table: Table, ansi: bool = False) -> list[list[str]]:
    """Head and cells of each column, padded to its width."""
    columns = []
    for place, (group, head) in enumerate(table.cells.columns):
        cells = table.cells.iloc[:, place]
        # Means end below each other, and so do the deviations behind them.
        parts = [cell.partition(" ± ") for cell in cells]
        tail = max(len(deviation) for *_, deviation in parts)
        cells = [
            f"{mean}{sign:{3 * bool(tail)}}{deviation:>{tail}}"
            for mean, sign, deviation in parts
        ]
        width = max(map(len, [head, *cells]))
        align = str.rjust if group else str.ljust
        head, *cells = (align(text, width) for text in [head, *cells])
        if ansi:
            marked = zip(cells, table.bold[:, place], strict=True)
            cells = [_ANSI_BOLD.format(c) if bold else c for c, bold in marked]
        columns.append([head, *cells])
    return columns


def _marked(
    table: Table, escape: Callable[[str], str], start: str, end: str
) -> pd.DataFrame:
    """The table's texts escaped, and its bold cells between two marks."""
    cells = table.cells.map(escape)
    cells = cells.mask(table.bold, start + cells + end)
    cells.columns = cells.columns.map(lambda pair: tuple(map(escape, pair)))
    return cells


def _escaped_markdown(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def _escaped_latex(text: str) -> str:
    escaped = text.translate(_LATEX_SPECIAL)
    return re.sub("^ +", r"\\quad ", escaped)
