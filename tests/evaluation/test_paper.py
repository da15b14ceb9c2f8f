"""The published figures, against themselves and against the paper's text."""

from __future__ import annotations

import re

import pytest

from avmil.common.dcase2017_classes import CLASS_GROUPS, CLASS_NAMES, is_dcase
from avmil.evaluation import paper

# As the paper's text writes the rows of Table 2.
SHORT_NAMES = {
    "Proposed AV TS": "av_two_stream",
    "TS Audio-Only": "audio_two_stream",
    "TS Video-Only": "visual_two_stream",
    "AV OS": "av_one_stream",
    "CVSSP - FS": "cvssp_fusion",
}


@pytest.fixture(scope="module")
def paper_lines(shared_data):
    """The lines of the paper's text, cells parted by tabs, without markup."""
    path = shared_data.parent / "reference" / "paper.txt"
    if not path.is_file():
        pytest.skip("the paper's text is not there")
    text = re.sub(r"</?b>", "", path.read_text(encoding="utf-8"))
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize("system", paper.SYSTEMS)
def test_precision_and_recall_give_f1(system):
    f1, precision, recall = paper.SYSTEMS[system].scores
    assert 2 * precision * recall / (precision + recall) == pytest.approx(
        f1, abs=0.001
    )


def test_table_1_is_the_paper_s(paper_lines):
    rows = [line for line in paper_lines if re.fullmatch(r"\([a-g]\)", line[0])]
    assert len(rows) == 7
    systems = paper.SYSTEMS.values()
    for (letter, name, *figures), system in zip(rows, systems, strict=True):
        assert letter == f"({system.letter})"
        assert re.sub(r" \[\d+\]", "", name) == system.name
        assert list(map(float, figures)) == pytest.approx(
            [100 * fraction for fraction in system.scores]
        )


def test_table_2_is_the_paper_s(paper_lines):
    (head,) = (line[1:] for line in paper_lines if line[1:2] == ["bik"])
    abbreviations = [
        abbreviation
        for group in CLASS_GROUPS.values()
        for abbreviation in group.values()
    ]
    assert abbreviations == head
    (groups,) = (line for line in paper_lines if "Vehicle Sounds" in line)
    for title in CLASS_GROUPS:
        first = groups.index(title.replace("sounds", "Sounds")) - 1
        assert next(iter(CLASS_GROUPS[title].values())) == head[first]
    rows = {line[0]: line[1:] for line in paper_lines if len(line) == 18}
    for short_name, name in SHORT_NAMES.items():
        system = paper.SYSTEMS[name]
        assert system.short_name == short_name
        assert list(system.class_f1) == list(CLASS_NAMES)
        assert [100 * f1 for f1 in system.class_f1.values()] == pytest.approx(
            list(map(float, rows[short_name]))
        )


def test_class_names_are_dcase_s(shared_data):
    path = shared_data / "dcase2017" / "sound_event_list_17_classes.txt"
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    names = [line.split("\t")[-1].strip() for line in lines if line.strip()]
    assert sorted(names) == sorted(CLASS_NAMES)
    assert is_dcase(names)
    assert not is_dcase(CLASS_NAMES[1:])
    assert not is_dcase((*CLASS_NAMES[1:], "Tram"))


def test_class_f1_is_for_the_paper_s_classes_and_systems_only():
    classes = CLASS_NAMES[::-1]
    assert paper.class_f1("av_two_stream", classes)["Screaming"] == 0.811
    assert paper.class_f1("av_two_stream", ["Screaming"]) == {}
    assert paper.class_f1("visual_wsddn", classes) == {}
    assert paper.class_f1("my_system", classes) == {}
