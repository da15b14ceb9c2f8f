"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import pathlib

import pytest

# Before any TensorFlow import: keep the test output readable.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SHARED_DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Folder of real material beside the project; users do not have it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("the real material of ../shared/data is not there")
    return _SHARED_DATA
