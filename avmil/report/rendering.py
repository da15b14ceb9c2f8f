"""A table of text cells, as plain text and as Markdown."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence

_GROUP_GAP = 3
_ANSI_BOLD = "\x1b[1m"
_ANSI_RESET = "\x1b[0m"
_MARKDOWN_SPECIAL = re.compile(r"([\\`*<\[|])")


@dataclasses.dataclass(frozen=True)
class ColumnGroup:
    """Neighboring columns of figures under one title."""

    title: str
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns that name the rows, then groups of columns of figures.

    Attributes:
        title: One line.
        key_names: Heads of the columns that name the rows.
        groups: Titles and heads of the columns of figures.
        rows: A cell for each key, then one for each column of figures.
        notes: Lines below the table.
        bold: Places (row, column) of the cells `rows[row][column]` in bold.
    """

    title: str
    key_names: tuple[str, ...]
    groups: tuple[ColumnGroup, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()

    def to_text(self, max_width: int = 100, ansi: bool = False) -> str:
        """Aligned columns; too wide a table is cut between groups or in them.

        Args:
            max_width: In characters. Only a single column may exceed it.
            ansi: Whether a terminal shows it that knows ANSI's bold; without
                it no cell is marked.
        """
        keys = self._key_lines()
        parts = [self.title]
        for block in self.blocks(max_width):
            pieces = (self._piece(*part, ansi) for part in block)
            gap = " " * _GROUP_GAP
            lines = map(gap.join, zip(keys, *pieces, strict=True))
            parts.append("\n".join(line.rstrip() for line in lines))
        parts.append(
            "\n".join(
                textwrap.fill(note, max_width, break_on_hyphens=False)
                for note in self.notes
            )
        )
        return "\n\n".join(parts).rstrip() + "\n"

    def to_markdown(self) -> str:
        """Markdown; the heads stand in the first row, below their groups."""
        num_keys = len(self.key_names)
        titles = [""] * num_keys
        for group in self.groups:
            titles += [group.title] + [""] * (len(group.names) - 1)
        rule = ["---"] * num_keys + ["---:"] * (len(titles) - num_keys)
        heads = [f"**{name}**" for name in map(_escaped, self.names)]
        body = self.marked_rows(_escaped, "**{}**".format)
        lines = [map(_escaped, titles), rule, heads, *body]
        parts = [
            f"### {_escaped(self.title)}",
            "\n".join(f"| {' | '.join(line)} |" for line in lines),
            "\n".join(f"- {_escaped(note)}" for note in self.notes),
        ]
        return "\n\n".join(parts).rstrip() + "\n"

    @property
    def names(self) -> tuple[str, ...]:
        """Heads of all columns."""
        figures = (name for group in self.groups for name in group.names)
        return (*self.key_names, *figures)

    def marked_rows(
        self, escape: Callable[[str], str], mark: Callable[[str], str]
    ) -> list[list[str]]:
        """The rows for a markup language.

        Args:
            escape: Writes a cell's text in it.
            mark: Makes escaped text bold.
        """

        def written(row: int, column: int, cell: str) -> str:
            text = escape(cell)
            return mark(text) if (row, column) in self.bold else text

        return [
            [written(row, column, cell) for column, cell in enumerate(cells)]
            for row, cells in enumerate(self.rows)
        ]

    def blocks(self, max_width: int) -> list[list[tuple[str, list[int]]]]:
        """Distributes the columns of figures over blocks below each other.

        Args:
            max_width: Of a block in characters, with the columns of keys.

        Returns:
            The blocks; in each, the groups' titles and their columns.
        """
        limit = max_width - len(self._key_lines()[0]) - _GROUP_GAP
        parts = list(self._parts(limit))
        widths = [len(self._piece(*part)[0]) for part in parts]
        packed = _packed(widths, _GROUP_GAP, limit)
        return [[parts[index] for index in block] for block in packed]

    def _parts(self, limit: int) -> Iterator[tuple[str, list[int]]]:
        """Yields each group, or parts of one that is too wide."""
        first = len(self.key_names)
        for group in self.groups:
            columns = range(first, first + len(group.names))
            widths = [len(self._aligned(column)[0]) for column in columns]
            for part in _packed(widths, 1, limit):
                yield group.title, [columns[index] for index in part]
            first += len(columns)

    def _key_lines(self) -> list[str]:
        """The columns that name the rows, as lines of equal length."""
        columns = [
            [cell.ljust(_width(cells)) for cell in cells]
            for cells in map(self._cells, range(len(self.key_names)))
        ]
        lines = list(map("  ".join, zip(*columns, strict=True)))
        return [" " * len(lines[0]), *lines]

    def _piece(
        self, title: str, columns: Sequence[int], ansi: bool = False
    ) -> list[str]:
        """Columns below their title, as lines that look equally long."""
        cells = list(map(self._aligned, columns))
        natural_width = len(" ".join(column[0] for column in cells))
        width = max(len(title), natural_width)
        if ansi:
            cells = list(map(self._with_ansi_bold, columns, cells))
        indent = " " * (width - natural_width)
        lines = map(" ".join, zip(*cells, strict=True))
        return [title.center(width), *(indent + line for line in lines)]

    def _aligned(self, column: int) -> list[str]:
        """Head and cells of one width; figures end below each other.

        What follows a figure's " ± " stands to the right of all figures.
        """
        head, *cells = self._cells(column)
        tails = [len(cell) - len(cell.partition(" ± ")[0]) for cell in cells]
        longest = max(tails, default=0)
        padded = [
            cell + " " * (longest - tail)
            for cell, tail in zip(cells, tails, strict=True)
        ]
        width = _width([head, *padded])
        return [cell.rjust(width) for cell in (head, *padded)]

    def _with_ansi_bold(self, column: int, aligned: list[str]) -> list[str]:
        """Marks bold cells without their padding; terminals show no mark."""
        marked = list(aligned)
        for row, cells in enumerate(self.rows):
            if (row, column) in self.bold:
                cell = cells[column]
                bold = f"{_ANSI_BOLD}{cell}{_ANSI_RESET}"
                marked[row + 1] = aligned[row + 1].replace(cell, bold)
        return marked

    def _cells(self, column: int) -> list[str]:
        return [self.names[column], *(row[column] for row in self.rows)]


def _packed(widths: Sequence[int], gap: int, limit: int) -> list[list[int]]:
    """Packs neighbors into lines of at most `limit`, one at least in each."""
    lines: list[list[int]] = []
    used = 0
    for index, width in enumerate(widths):
        if lines and used + gap + width <= limit:
            lines[-1].append(index)
            used += gap + width
        else:
            lines.append([index])
            used = width
    return lines


def _width(cells: Sequence[str]) -> int:
    return max(map(len, cells))


def _escaped(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)
