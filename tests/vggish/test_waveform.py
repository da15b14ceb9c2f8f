"""Mono waveforms at 16 kHz."""

from __future__ import annotations

import numpy as np
import pytest

from vggish.waveform import to_mono_16k


def test_channels_are_averaged():
    stereo = np.array([[1.0, 0.0], [-0.5, 0.5], [0.25, 0.75]], np.float32)
    mono = to_mono_16k(stereo, 16_000)
    np.testing.assert_array_equal(mono, [0.5, 0.0, 0.5])
    assert mono.dtype == np.float64


@pytest.mark.parametrize("dtype", ["<i2", ">i2"])
def test_int16_has_full_scale_32768(dtype):
    pcm = np.array([-32768, -1, 0, 16384], dtype)
    np.testing.assert_array_equal(
        to_mono_16k(pcm, 16_000), [-1.0, -1 / 32768, 0.0, 0.5]
    )


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_a_tone_stays_the_same_tone_at_any_rate(rate_hz):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    resampled = to_mono_16k(tone, rate_hz)
    assert resampled.shape == (16_000,)
    middle = slice(200, -200)  # The filter rings at both ends.
    np.testing.assert_allclose(resampled[middle], expected[middle], atol=5e-3)


def test_resampling_removes_what_16_khz_cannot_hold():
    tone = np.sin(2 * np.pi * 12_000 * np.arange(44_100) / 44_100)
    resampled = to_mono_16k(tone, 44_100)
    assert np.abs(resampled[200:-200]).max() < 1e-3


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(0), r"received shape \(0,\)"),
        (np.zeros((100, 0)), r"received shape \(100, 0\)"),
        (np.float64(0.5), r"received shape \(\)"),
        (np.zeros((4, 2, 1)), r"received shape \(4, 2, 1\)"),
        (np.zeros((2, 100)), r"as channels, received shape \(2, 100\)"),
        (np.array([0.0, np.nan]), "finite"),
        (np.zeros(8, np.int32), "received int32"),
        (np.zeros(8, np.complex64), "received complex64"),
    ],
)
def test_unusable_waveforms_are_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        to_mono_16k(waveform, 16_000)


@pytest.mark.parametrize("rate_hz", [0, -16_000, np.nan, np.inf])
def test_unusable_rates_are_refused(rate_hz):
    with pytest.raises(ValueError, match="sample rate above 0 Hz, received"):
        to_mono_16k(np.zeros(100), rate_hz)
