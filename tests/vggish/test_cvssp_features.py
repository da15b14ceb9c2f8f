"""Log-mel input of the CVSSP systems."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal

from vggish.cvssp_features import _mel_matrix, cvssp_log_mel

RATE_HZ = 16_000


def _noise(num_samples):
    return np.random.default_rng(0).normal(scale=0.1, size=num_samples)


def _slow_slaney_matrix():
    """64 bands from 0 to 8000 Hz, by the formulas of the Auditory Toolbox."""
    step = math.log(6.4) / 27
    highest_mel = 15 + math.log(8000 / 1000) / step
    edges_hz = []
    for index in range(66):
        mel = highest_mel * index / 65
        edges_hz.append(
            mel * 200 / 3 if mel < 15 else 1000 * math.exp(step * (mel - 15))
        )
    matrix = np.zeros((513, 64))
    for band in range(64):
        low, center, high = edges_hz[band : band + 3]
        for k in range(513):
            hz = k * 16_000 / 1024
            if low <= hz <= center:
                height = (hz - low) / (center - low)
            elif center < hz <= high:
                height = (high - hz) / (high - center)
            else:
                height = 0.0
            matrix[k, band] = height * 2 / (high - low)
    return matrix


def _slow_log_mel(samples, rate_hz):
    n = np.arange(1024)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * n / 1023)  # Symmetric.
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(513), n) / 1024)
    scale = 1 / math.sqrt(rate_hz * (hamming**2).sum())
    mel_matrix = _slow_slaney_matrix()
    rows = []
    for start in range(0, len(samples) - 1023, 664):
        magnitudes = np.abs(fourier @ (hamming * samples[start:][:1024]))
        rows.append(np.log(scale * magnitudes @ mel_matrix + 1e-8))
    return np.array(rows)


@pytest.mark.parametrize("scaling_rate_hz", [1, 16_000])
def test_parity_with_the_original_arithmetic(scaling_rate_hz):
    samples = _noise(16_000)
    features = cvssp_log_mel(samples, RATE_HZ, scaling_rate_hz)
    expected = _slow_log_mel(samples, scaling_rate_hz)  # [23, 64]
    assert features.shape == (240, 64)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[:23], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(features[23:], 0.0)


def test_parity_with_scipy_called_as_cvssp_calls_it():
    samples = _noise(16_000)
    _, _, magnitudes = scipy.signal.spectrogram(
        samples,  # No sampling rate.
        window=np.hamming(1024),
        nperseg=1024,
        noverlap=360,
        detrend=False,
        return_onesided=True,
        mode="magnitude",
    )  # [513, 23]
    expected = np.log(magnitudes.T @ _slow_slaney_matrix() + 1e-8)
    np.testing.assert_allclose(
        cvssp_log_mel(samples, RATE_HZ)[:23], expected, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("num_samples", "num_frames"),
    [
        (160_000, 240),  # 10 s: 1 + (160000 - 1024) // 664
        (159_719, 239),
        (80_000, 119),
        (1_687, 1),
        (1_688, 2),
        (1_024, 1),
        (1_023, 0),
        (1, 0),
    ],
)
def test_frames_after_the_clip_are_zero(num_samples, num_frames):
    features = cvssp_log_mel(_noise(num_samples), RATE_HZ)
    assert features.shape == (240, 64)
    assert features[:num_frames].all()
    np.testing.assert_array_equal(features[num_frames:], 0.0)


def test_the_mel_matrix_has_librosas_values():
    """Values of librosa.filters.mel(sr=16000, n_fft=1024, n_mels=64)."""
    band = np.zeros(513)
    band[60:63] = [0.004316353, 0.011503146, 0.01868994]
    band[63:66] = [0.016897594, 0.009845906, 0.002794219]
    np.testing.assert_allclose(_mel_matrix()[:, 20], band, atol=1e-9)


def test_longer_clips_are_cut():
    samples = _noise(200_000)
    np.testing.assert_array_equal(
        cvssp_log_mel(samples, RATE_HZ),
        cvssp_log_mel(samples[:160_000], RATE_HZ),
    )


def test_silence_is_far_below_the_padding():
    features = cvssp_log_mel(np.zeros(16_000), RATE_HZ)
    np.testing.assert_allclose(features[:23], math.log(1e-8), rtol=1e-6)


def test_a_1_khz_tone_of_any_rate_peaks_in_its_band():
    """1000 Hz is mel 15; band 21 rises from mel 14.6 and falls to 16.0.

    Neighboring edges are 45.2456 / 65 = 0.696 mel apart.
    """
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(88_200) / 44_100)
    stereo = np.stack([tone, tone], axis=1)
    features = cvssp_log_mel(stereo, 44_100)
    np.testing.assert_array_equal(features[1:40].argmax(axis=-1), 21)


def test_a_waveform_without_samples_is_refused():
    with pytest.raises(ValueError, match=r"received shape \(0,\)"):
        cvssp_log_mel(np.zeros(0), RATE_HZ)
