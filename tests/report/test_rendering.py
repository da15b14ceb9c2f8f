"""Tables as text and Markdown."""

from __future__ import annotations

import dataclasses

import pytest

from avmil.report.rendering import ColumnGroup, Table

TABLE = Table(
    "Table 0. Fruit",
    ("Tree", "Age"),
    (ColumnGroup("Weight", ("kg", "lb")), ColumnGroup("A long title", ("n",))),
    (("apple", "old", "1.0", "2.2", "7"), ("fig", "", "10.5", "23.1", "-")),
    ("One note.", "Another note, a long one."),
)


def test_text_is_aligned():
    assert TABLE.to_text() == (
        "Table 0. Fruit\n"
        "\n"
        "               Weight    A long title\n"
        "Tree   Age     kg   lb              n\n"
        "apple  old    1.0  2.2              7\n"
        "fig          10.5 23.1              -\n"
        "\n"
        "One note.\n"
        "Another note, a long one.\n"
    )


def test_wide_text_is_cut_between_groups():
    assert TABLE.to_text(max_width=30).splitlines()[2:11] == [
        "               Weight",
        "Tree   Age     kg   lb",
        "apple  old    1.0  2.2",
        "fig          10.5 23.1",
        "",
        "             A long title",
        "Tree   Age              n",
        "apple  old              7",
        "fig                     -",
    ]


def test_group_too_wide_is_cut_between_columns_and_loses_none():
    names = tuple(f"class {index}" for index in range(40))
    table = Table(
        "T",
        ("System",),
        (ColumnGroup("Classes", names),),
        (("a", *(str(index) for index in range(40))),),
    )
    lines = table.to_text(max_width=60).splitlines()
    assert max(map(len, lines)) <= 60
    heads = "".join(line for line in lines if line.startswith("System"))
    assert [name for name in names if name not in heads] == []
    cells = " ".join(line[1:] for line in lines if line.startswith("a "))
    assert cells.split() == [str(index) for index in range(40)]
    assert sum("Classes" in line for line in lines) > 1


def test_column_wider_than_the_limit_is_printed_all_the_same():
    table = Table("T", ("k",), (ColumnGroup("g", ("x" * 30,)),), (("a", "1"),))
    assert "x" * 30 in table.to_text(max_width=20)


def test_long_notes_are_wrapped():
    table = Table("T", ("k",), (), (("a",),), ("word " * 20,))
    assert max(map(len, table.to_text(max_width=30).splitlines())) <= 30


def test_markdown_has_a_row_for_groups_and_one_for_heads():
    assert TABLE.to_markdown() == (
        "### Table 0. Fruit\n"
        "\n"
        "|  |  | Weight |  | A long title |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| **Tree** | **Age** | **kg** | **lb** | **n** |\n"
        "| apple | old | 1.0 | 2.2 | 7 |\n"
        "| fig |  | 10.5 | 23.1 | - |\n"
        "\n"
        "- One note.\n"
        "- Another note, a long one.\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a|b", r"a\|b"),
        (r"a\|b", r"a\\\|b"),
        ("<b>*x*`[", r"\<b>\*x\*\`\["),
        ("car_horn", "car_horn"),
    ],
)
def test_markdown_escapes_names_everywhere(name, expected):
    table = Table(
        name, (name,), (ColumnGroup(name, (name,)),), ((name, name),), (name,)
    )
    assert table.to_markdown() == (
        f"### {expected}\n"
        "\n"
        f"|  | {expected} |\n"
        "| --- | ---: |\n"
        f"| **{expected}** | **{expected}** |\n"
        f"| {expected} | {expected} |\n"
        "\n"
        f"- {expected}\n"
    )


BOLD = dataclasses.replace(TABLE, bold=frozenset({(0, 2), (1, 4)}))


def test_bold_figures_are_marked_in_markdown():
    lines = BOLD.to_markdown().splitlines()
    assert lines[5] == "| apple | old | **1.0** | 2.2 | 7 |"
    assert lines[6] == "| fig |  | 10.5 | 23.1 | **-** |"


def test_bold_escaped_figures_are_marked_outside():
    table = Table("T", ("k",), (), (("a|b",),), bold=frozenset({(0, 0)}))
    assert r"| **a\|b** |" in table.to_markdown()


def test_terminals_show_bold_figures_and_the_same_columns():
    text = BOLD.to_text(ansi=True)
    assert "apple  old    \x1b[1m1.0\x1b[0m  2.2" in text
    assert "23.1              \x1b[1m-\x1b[0m\n" in text
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert plain == TABLE.to_text()


def test_text_without_a_terminal_is_free_of_marks():
    assert BOLD.to_text() == TABLE.to_text()


def test_figures_stand_below_each_other_whatever_follows_them():
    table = Table(
        "T",
        ("k",),
        (ColumnGroup("g", ("Precision",)),),
        (("a", "64.2 ± 0.8"), ("b", "7.3"), ("c", "100.0 ± 12.4"), ("d", "-")),
    )
    assert table.to_text().splitlines()[2:] == [
        "         g",
        "k      Precision",
        "a    64.2 ± 0.8",
        "b     7.3",
        "c   100.0 ± 12.4",
        "d       -",
    ]
