"""The short form of `make fuzz`: some inputs of each file."""

import pytest

from tests.fuzz.targets import TARGETS, try_input


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_alike_or_refused(tmp_path, name):
    target = TARGETS[name](tmp_path)
    for seed in range(12):
        outcome, detail = try_input(target, seed)
        assert outcome in ("same", "refused", "other file"), (seed, detail)
