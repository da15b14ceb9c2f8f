"""Mel scales and matrices, against typed-out values and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vggish.mel_filters import (
    htk_mel_matrix,
    hz_to_htk_mel,
    hz_to_slaney_mel,
    slaney_mel_matrix,
    slaney_mel_to_hz,
)


def test_htk_scale_at_typed_out_points():
    # 700 (e - 1) Hz is where the logarithm is 1.
    hz = np.array([0.0, 700.0, 1000.0, 700.0 * (math.e - 1.0)])
    np.testing.assert_allclose(
        hz_to_htk_mel(hz), [0.0, 781.1768725, 999.9907007, 1127.0]
    )


def test_slaney_scale_at_typed_out_points():
    hz = np.array([0.0, 500.0, 1000.0, 4000.0, 6400.0, 8000.0])
    mel = np.array([0.0, 7.5, 15.0, 35.16376031, 42.0, 45.24564047])
    np.testing.assert_allclose(hz_to_slaney_mel(hz), mel, rtol=1e-9)
    np.testing.assert_allclose(slaney_mel_to_hz(mel), hz, rtol=1e-9)


def test_slaney_matrix_has_librosas_values():
    """Values of librosa.filters.mel(sr=16000, n_fft=1024, n_mels=64)."""
    matrix = slaney_mel_matrix(16_000, 1024, 64, 0.0, 8000.0)
    assert matrix.shape == (513, 64)
    lowest = np.zeros(513)
    lowest[1:6] = [
        0.007255641,
        0.014511282,
        0.021331152,
        0.014075511,
        0.006819871,
    ]
    np.testing.assert_allclose(matrix[:, 0], lowest, atol=1e-9)
    middle = np.zeros(513)
    middle[60:66] = [
        0.004316353,
        0.011503146,
        0.01868994,
        0.016897594,
        0.009845906,
        0.002794219,
    ]
    np.testing.assert_allclose(matrix[:, 20], middle, atol=1e-9)
    np.testing.assert_array_equal(
        np.flatnonzero(matrix[:, 63]), np.arange(466, 512)
    )


def test_slaney_triangles_have_the_area_of_one():
    """At a fine resolution each band sums to 1 over Hz."""
    fft_length = 2**17
    matrix = slaney_mel_matrix(16_000, fft_length, 64, 0.0, 8000.0)
    areas = matrix.sum(axis=0) * 16_000 / fft_length
    np.testing.assert_allclose(areas, 1.0, atol=1e-4)


def test_htk_matrix_against_plain_loops():
    matrix = htk_mel_matrix(16_000, 512, 64, 125.0, 7500.0)
    low_mel = 1127.0 * math.log(1.0 + 125.0 / 700.0)
    high_mel = 1127.0 * math.log(1.0 + 7500.0 / 700.0)
    step_mel = (high_mel - low_mel) / 65
    expected = np.zeros((257, 64))
    for k in range(1, 257):
        mel = 1127.0 * math.log(1.0 + k * 16_000 / 512 / 700.0)
        for band in range(64):
            center_mel = low_mel + (band + 1) * step_mel
            distance = abs(mel - center_mel) / step_mel
            expected[k, band] = max(0.0, 1.0 - distance)
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


def test_the_htk_matrix_ignores_0_hz_even_if_its_bands_start_there():
    matrix = htk_mel_matrix(16_000, 512, 4, 0.0, 8000.0)
    np.testing.assert_array_equal(matrix[0], np.zeros(4))
    assert matrix[1, 0] > 0


@pytest.mark.parametrize(
    ("build", "min_hz", "max_hz", "fft_length"),
    [
        (htk_mel_matrix, 125.0, 7500.0, 512),
        (slaney_mel_matrix, 0.0, 8000.0, 1024),
    ],
)
def test_no_band_is_empty_and_none_reaches_beyond_its_edges(
    build, min_hz, max_hz, fft_length
):
    matrix = build(16_000, fft_length, 64, min_hz, max_hz)
    bins_hz = np.arange(fft_length // 2 + 1) * 16_000 / fft_length
    assert (matrix.sum(axis=0) > 0).all()
    outside = (bins_hz <= min_hz) | (bins_hz >= max_hz)
    assert not matrix[outside].any()
