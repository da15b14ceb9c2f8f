"""Matrices that sum the bins of a spectrum into mel bands.

The two audio front ends of the project disagree on what a mel is: VGGish uses
HTK's scale with triangles of height 1, linear in mel; the CVSSP systems use
librosa's default, Slaney's scale with triangles of equal area, linear in Hz.
"""

from __future__ import annotations

import numpy as np

# Slaney's scale is linear up to 1000 Hz, which is mel 15, and logarithmic
# above, with 27 mel from there to 6400 Hz.
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = 15.0
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_htk_mel(frequency_hz: np.ndarray) -> np.ndarray:
    """Frequency in Hz on HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(frequency_hz) / 700.0)


def hz_to_slaney_mel(frequency_hz: np.ndarray) -> np.ndarray:
    """Frequency in Hz on the mel scale of Slaney's Auditory Toolbox."""
    hz = np.asarray(frequency_hz, np.float64)
    octaves = np.log(np.maximum(hz, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ)
    return np.where(
        hz < _SLANEY_KNEE_HZ,
        hz / _SLANEY_HZ_PER_MEL,
        _SLANEY_KNEE_MEL + octaves / _SLANEY_LOG_STEP,
    )


def slaney_mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_slaney_mel`."""
    mel = np.asarray(mel, np.float64)
    beyond_knee = np.maximum(mel - _SLANEY_KNEE_MEL, 0.0)
    return np.where(
        mel < _SLANEY_KNEE_MEL,
        mel * _SLANEY_HZ_PER_MEL,
        _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * beyond_knee),
    )


def htk_mel_matrix(
    sample_rate_hz: float,
    fft_length: int,
    num_bands: int,
    min_hz: float,
    max_hz: float,
) -> np.ndarray:
    """VGGish's mel matrix (`mel_features.py` in tensorflow/models).

    Args:
        sample_rate_hz: Rate of the waveform under the spectrum.
        fft_length: Length K of the Fourier transform.
        num_bands: Number of mel bands.
        min_hz: Lower edge of the lowest band.
        max_hz: Upper edge of the highest band.

    Returns:
        float64 [K / 2 + 1, num_bands]. The row of 0 Hz, which the original
        sets to zero, is zero by itself: no band reaches below it.
    """
    edges = np.linspace(
        *hz_to_htk_mel(np.array([min_hz, max_hz])), num_bands + 2
    )
    bins = hz_to_htk_mel(_bin_frequencies_hz(sample_rate_hz, fft_length))
    return _triangles(bins, edges)


def slaney_mel_matrix(
    sample_rate_hz: float,
    fft_length: int,
    num_bands: int,
    min_hz: float,
    max_hz: float,
) -> np.ndarray:
    """The transpose of `librosa.filters.mel` with its default settings.

    Args:
        sample_rate_hz: Rate of the waveform under the spectrum.
        fft_length: Length K of the Fourier transform.
        num_bands: Number of mel bands.
        min_hz: Lower edge of the lowest band.
        max_hz: Upper edge of the highest band.

    Returns:
        float64 [K / 2 + 1, num_bands].
    """
    mel_edges = np.linspace(
        *hz_to_slaney_mel(np.array([min_hz, max_hz])), num_bands + 2
    )
    edges_hz = slaney_mel_to_hz(mel_edges)
    matrix = _triangles(
        _bin_frequencies_hz(sample_rate_hz, fft_length), edges_hz
    )
    widths_hz = edges_hz[2:] - edges_hz[:-2]
    return matrix * (2.0 / widths_hz)


def _bin_frequencies_hz(sample_rate_hz: float, fft_length: int) -> np.ndarray:
    return np.fft.rfftfreq(fft_length, 1.0 / sample_rate_hz)


def _triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Triangle b rises from edge b to edge b + 1 and falls to edge b + 2.

    Args:
        bins: Where the triangles are sampled, [num_bins].
        edges: Ascending, [num_bands + 2], in the unit of `bins`.

    Returns:
        [num_bins, num_bands], at most 1, zero outside a triangle.
    """
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - lower) / (center - lower)
    falling = (upper - bins[:, None]) / (upper - center)
    return np.maximum(0.0, np.minimum(rising, falling))
