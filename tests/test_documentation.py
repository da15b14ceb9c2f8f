"""README and docs name only what exists: flags, scripts, files."""

from __future__ import annotations

import dataclasses
import re

import pytest

import flags
from tests.command_line import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# Flags of other programs, and absl's own.
OTHER_FLAGS = {"flagfile", "help", "logdir", "no", "row"}  # pip's --no-deps.
OTHER_FLAGS |= {"gpus", "nodes", "ntasks", "signal", "time"}  # SLURM's.
OTHER_FLAGS |= {"build", "gres", "nthreads", "nworkers", "resources", "tasks"}


CONFIGS = [c for c in vars(flags).values() if dataclasses.is_dataclass(c)]


def known_flags():
    fields = {f.name for config in CONFIGS for f in dataclasses.fields(config)}
    return fields | OTHER_FLAGS


@pytest.mark.parametrize("config", CONFIGS)
def test_each_flag_has_its_line_of_help_in_its_place(config):
    lines = re.findall(r"^        (\w+): ", config.__doc__, re.M)
    assert lines == [field.name for field in dataclasses.fields(config)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_exist(page):
    named = set(re.findall(r"(?<![\w-])--([a-z]\w*)", page.read_text("utf-8")))
    assert named - known_flags() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_flagfiles_and_linked_files_exist(page):
    text = page.read_text("utf-8")
    scripts = re.findall(r"python (\w+\.py)", text)
    flagfiles = re.findall(r"--flagfile=(configs/[\w.]+)", text)
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    for name in (*scripts, *flagfiles):
        assert (ROOT / name).is_file(), name
    for name in links:
        assert (page.parent / name).is_file(), name


def test_flagfiles_hold_known_flags():
    for path in (ROOT / "configs").glob("*.flags"):
        lines = path.read_text("utf-8").splitlines()
        values = [line for line in lines if line and not line.startswith("#")]
        named = {re.match(r"--(\w+)=", line).group(1) for line in values}
        assert named <= known_flags(), path
