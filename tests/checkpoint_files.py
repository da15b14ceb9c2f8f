"""Reads the weights of checkpoints that train.py saved."""

from __future__ import annotations

import io
import pathlib
import zipfile

import h5py
import numpy as np


def read_weights(checkpoint: pathlib.Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint's model, optimizer included, by name."""
    archive = zipfile.ZipFile(checkpoint / "model.keras")
    arrays = {}

    # h5py stops at the first answer that is not None.
    def keep(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.array(item)

    with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(keep)
    assert arrays, checkpoint
    return arrays


def assert_same_weights(first: pathlib.Path, second: pathlib.Path) -> None:
    """Compares two checkpoints bit for bit."""
    first_arrays, second_arrays = read_weights(first), read_weights(second)
    assert first_arrays.keys() == second_arrays.keys()
    for name, values in first_arrays.items():
        np.testing.assert_array_equal(second_arrays[name], values, name)
