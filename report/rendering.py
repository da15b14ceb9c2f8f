"""A table of text cells, as plain text and as Markdown."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator, Sequence

_GROUP_GAP = 3
_MARKDOWN_SPECIAL = re.compile(r"([\\`*<\[|])")


@dataclasses.dataclass(frozen=True)
class ColumnGroup:
    """Neighbouring columns of figures under one title."""

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
    """

    title: str
    key_names: tuple[str, ...]
    groups: tuple[ColumnGroup, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_text(self, max_width: int = 100) -> str:
        """Aligned columns; too wide a table is cut between groups or in them.

        Args:
            max_width: In characters. Only a single column may exceed it.
        """
        keys = self._key_lines()
        limit = max_width - len(keys[0]) - _GROUP_GAP
        pieces = list(self._pieces(limit))
        widths = [len(piece[0]) for piece in pieces]
        parts = [self.title]
        for block in _packed(widths, _GROUP_GAP, limit):
            columns = [keys, *(pieces[index] for index in block)]
            lines = map((" " * _GROUP_GAP).join, zip(*columns, strict=True))
            parts.append("\n".join(line.rstrip() for line in lines))
        parts.append(
            "\n".join(textwrap.fill(note, max_width) for note in self.notes)
        )
        return "\n\n".join(parts).rstrip() + "\n"

    def to_markdown(self) -> str:
        """Markdown; the heads stand in the first row, below their groups."""
        num_keys = len(self.key_names)
        titles = [""] * num_keys
        for group in self.groups:
            titles += [group.title] + [""] * (len(group.names) - 1)
        rule = ["---"] * num_keys + ["---:"] * (len(titles) - num_keys)
        heads = [f"**{name}**" for name in map(_escaped, self._names)]
        body = [map(_escaped, row) for row in self.rows]
        lines = [map(_escaped, titles), rule, heads, *body]
        parts = [
            f"### {_escaped(self.title)}",
            "\n".join(f"| {' | '.join(line)} |" for line in lines),
            "\n".join(f"- {_escaped(note)}" for note in self.notes),
        ]
        return "\n\n".join(parts).rstrip() + "\n"

    @property
    def _names(self) -> tuple[str, ...]:
        figures = (name for group in self.groups for name in group.names)
        return (*self.key_names, *figures)

    def _cells(self, column: int) -> list[str]:
        return [self._names[column], *(row[column] for row in self.rows)]

    def _key_lines(self) -> list[str]:
        """The columns that name the rows, as lines of equal length."""
        columns = [
            [cell.ljust(_width(cells)) for cell in cells]
            for cells in map(self._cells, range(len(self.key_names)))
        ]
        lines = list(map("  ".join, zip(*columns, strict=True)))
        return [" " * len(lines[0]), *lines]

    def _pieces(self, limit: int) -> Iterator[list[str]]:
        """Yields each group, or a part of one, as lines of equal length."""
        first = len(self.key_names)
        for group in self.groups:
            columns = [self._cells(first + i) for i in range(len(group.names))]
            for part in _packed(list(map(_width, columns)), 1, limit):
                yield _piece(group.title, [columns[index] for index in part])
            first += len(columns)


def _piece(title: str, columns: Sequence[Sequence[str]]) -> list[str]:
    aligned = [
        [cell.rjust(_width(cells)) for cell in cells] for cells in columns
    ]
    lines = list(map(" ".join, zip(*aligned, strict=True)))
    width = max(len(title), len(lines[0]))
    return [title.center(width), *(line.rjust(width) for line in lines)]


def _packed(widths: Sequence[int], gap: int, limit: int) -> list[list[int]]:
    """Packs neighbours into lines of at most `limit`, one at least in each."""
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
