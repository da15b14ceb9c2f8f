"""Log-mel patches: parity, counts, invariances and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from vggish.mel_features import log_mel_patches, segment_times_s

RATE_HZ = 16_000


def _noise(num_samples, scale=0.1):
    return np.random.default_rng(0).normal(scale=scale, size=num_samples)


def _tone(duration_s, frequency_hz=1000.0, rate_hz=RATE_HZ):
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * frequency_hz * times_s)


def _slow_mel_weight(k, band):
    """Height of a band's triangle at bin k, on HTK's mel scale."""
    low, high = (1127 * math.log(1 + f / 700) for f in (125, 7500))
    step = (high - low) / 65
    mel = 1127 * math.log(1 + k * 16_000 / 512 / 700)
    return max(0.0, 1 - abs(mel - (low + (band + 1) * step)) / step)


def _slow_log_mel(samples, log_offset):
    """Magnitude STFT, mel bands and logarithm by their definitions."""
    weights = [[_slow_mel_weight(k, b) for b in range(64)] for k in range(257)]
    weights[0] = [0.0] * 64
    n = np.arange(400)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 400)
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(257), n) / 512)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        magnitudes = np.abs(fourier @ (hann * samples[start : start + 400]))
        rows.append(np.log(magnitudes @ np.array(weights) + log_offset))
    return np.array(rows)


@pytest.mark.parametrize(
    ("signal", "log_offset"),
    [("noise", 0.01), ("noise", 0.001), ("faint", 0.01), ("silence", 0.001)],
)
def test_parity_with_the_official_arithmetic(signal, log_offset):
    scale = {"noise": 0.1, "faint": 1e-4, "silence": 0.0}[signal]
    # Three patches, nothing to pad.
    samples = _noise(15_600 + 2 * 7680, scale=scale)
    patches = log_mel_patches(samples, RATE_HZ, log_offset=log_offset)
    expected = _slow_log_mel(samples, log_offset)
    assert patches.shape == (3, 96, 64)
    assert patches.dtype == np.float32
    for index, patch in enumerate(patches):
        rows = expected[48 * index : 48 * index + 96]
        np.testing.assert_allclose(patch, rows, rtol=0, atol=1e-5)


def test_yamnets_own_patch(shared_data):
    """Its published model puts it out; rounds Fourier and mel to 8 bits."""
    samples = _noise(15_600, scale=0.01).astype(np.float32)
    model = tf.lite.Interpreter(str(shared_data / "weights" / "yamnet.tflite"))
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], samples[None])
    model.invoke()
    (output,) = (
        output
        for output in model.get_output_details()
        if tuple(output["shape"]) == (96, 64)
    )
    expected = model.get_tensor(output["index"])
    (patch,) = log_mel_patches(samples, RATE_HZ, log_offset=0.001)
    error = np.abs(patch - expected)
    assert error.mean() < 0.01
    assert error.max() < 0.4


@pytest.mark.parametrize(
    ("duration_s", "hop_s", "num_patches"),
    [
        (10.0, 0.48, 20),
        (10.0, 0.96, 11),
        (10.0, 0.24, 39),
        (9.12, 0.48, 18),
        (0.975, 0.48, 1),
        (0.976, 0.48, 2),
        (0.96, 0.48, 1),
        (0.5, 0.48, 1),
        (1 / RATE_HZ, 0.48, 1),
        (23_280 / RATE_HZ, 0.48, 2),
        (10.0, 2.0, 6),  # 1 + ceil((160000 - 15600) / 32000)
    ],
)
def test_number_of_patches(duration_s, hop_s, num_patches):
    samples = _noise(round(duration_s * RATE_HZ))
    patches = log_mel_patches(samples, RATE_HZ, hop_s=hop_s)
    assert patches.shape == (num_patches, 96, 64)
    assert np.isfinite(patches).all()


def test_the_first_19_patches_of_10_s_are_those_without_padding():
    """Also where blocks of frames, in which the spectrum is made, change."""
    samples = _noise(160_000)
    whole = log_mel_patches(samples, RATE_HZ)
    unpadded = samples[3 * 7680 : 15_600 + 18 * 7680]
    np.testing.assert_allclose(
        log_mel_patches(unpadded, RATE_HZ), whole[3:19], atol=1e-6
    )


def test_frames_beyond_the_clip_are_silent():
    """Frame 1000 of a 10 s clip, row 88 of patch 19, is the first of them."""
    last = log_mel_patches(_noise(160_000), RATE_HZ)[-1]
    np.testing.assert_allclose(last[88:], math.log(0.01), rtol=1e-6)
    assert (last[87] > math.log(0.01)).any()


def test_a_double_hop_takes_every_other_patch():
    samples = _noise(15_600 + 8 * 7680)
    np.testing.assert_array_equal(
        log_mel_patches(samples, RATE_HZ, hop_s=0.96),
        log_mel_patches(samples, RATE_HZ)[::2],
    )


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
def test_a_1_khz_tone_peaks_in_its_band(rate_hz):
    """Band 19 rises from 914 Hz over its center of 972 Hz down to 1033 Hz."""
    patches = log_mel_patches(_tone(2, rate_hz=rate_hz), rate_hz)
    assert patches.shape == (4, 96, 64)
    np.testing.assert_array_equal(patches[:2, 2:].argmax(axis=-1), 19)
    expected = log_mel_patches(_tone(2), RATE_HZ)
    np.testing.assert_allclose(patches[:2, 2:], expected[:2, 2:], atol=0.05)


def test_stereo_of_int16_is_the_mean_of_its_channels():
    pcm = (20_000 * _noise((20_000, 2))).astype(np.int16)
    np.testing.assert_allclose(
        log_mel_patches(pcm, RATE_HZ),
        log_mel_patches(pcm.mean(axis=1) / 32768, RATE_HZ),
        atol=1e-6,
    )


def test_segment_times():
    times_s = segment_times_s(20)
    assert times_s.dtype == np.float32
    np.testing.assert_allclose(times_s[[0, 1]], [[0.0, 0.96], [0.48, 1.44]])
    np.testing.assert_allclose(times_s[19:], [[9.12, 10.08]])
    np.testing.assert_allclose(
        segment_times_s(3, hop_s=0.96), [[0, 0.96], [0.96, 1.92], [1.92, 2.88]]
    )
    assert segment_times_s(0).shape == (0, 2)


@pytest.mark.parametrize(
    "hop_s", [0.0, -0.48, math.nan, math.inf, 0.485, 0.004, 1e-12]
)
def test_hops_that_are_no_whole_number_of_frames_are_refused(hop_s):
    with pytest.raises(ValueError, match="Expected hop_s to be a whole number"):
        log_mel_patches(_noise(16_000), RATE_HZ, hop_s=hop_s)


def test_a_waveform_without_samples_is_refused():
    with pytest.raises(ValueError, match=r"received shape \(0,\)"):
        log_mel_patches(np.zeros(0), RATE_HZ)
