"""Standardization of the CVSSP systems' input, against NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from avmil.common.errors import FeaturesError
from avmil.features.standardization import fit_bins


@dataclasses.dataclass
class Store:
    """The part of a FeatureStore that fitting reads."""

    log_mels: list
    max_segments: int = 2

    def __len__(self):
        return len(self.log_mels)

    def read(self, index, fields):
        assert fields == ("cvssp_log_mel",)
        return {"cvssp_log_mel": self.log_mels[index]}


def test_mean_and_deviation_of_all_frames():
    generator = np.random.default_rng(0)
    log_mels = list(generator.normal(-7, 3, (3, 240, 64)).astype(np.float32))
    log_mels[1][100:] = 0  # The padding of a short clip counts.
    log_mels.append(np.zeros((240, 64), np.float32))  # One of padding alone.
    counted = []
    means, stds = fit_bins(Store(log_mels), counted.append)
    frames = np.concatenate(log_mels).astype(np.float64)
    np.testing.assert_allclose(means, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stds, frames.std(axis=0), rtol=1e-6)
    assert counted == [1, 1, 1, 1]


def test_a_band_that_never_changes_is_divided_by_one():
    log_mel = np.random.default_rng(0).normal(size=(240, 64))
    log_mel[:, 5] = -18.4
    _, stds = fit_bins(Store([log_mel.astype(np.float32)]))
    assert stds[5] == 1
    assert stds[4] != 1


def test_clips_without_sound_do_not_count():
    log_mel = np.random.default_rng(0).normal(size=(240, 64))
    silent = np.empty((0, 64), np.float32)
    assert fit_bins(Store([silent, log_mel])) == fit_bins(Store([log_mel]))
    with pytest.raises(FeaturesError, match="with sound to standardize"):
        fit_bins(Store([silent], max_segments=0))
