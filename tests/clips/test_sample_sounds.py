"""Synthesized sounds of the sample clips."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.clips.sample_pictures import CLASS_PICTURES
from avmil.clips.sample_sounds import (
    CLASS_SOUNDS,
    DISTRACTOR_SOUNDS,
    colored_noise,
    set_rms,
)

SOUNDS = CLASS_SOUNDS | DISTRACTOR_SOUNDS
RATE_HZ = 16000


def synthesize(name, seed=0, duration_s=3.0):
    rng = np.random.default_rng(seed)
    return SOUNDS[name](rng, round(duration_s * RATE_HZ), RATE_HZ)


def peak_hz(waveform):
    window = np.hanning(len(waveform))
    spectrum = np.abs(np.fft.rfft(waveform * window))
    return np.argmax(spectrum) * RATE_HZ / len(waveform)


def test_every_class_has_a_picture_and_a_sound():
    assert set(CLASS_SOUNDS) == set(CLASS_PICTURES)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_have_the_wanted_length_and_are_finite(name, rate_hz):
    waveform = SOUNDS[name](np.random.default_rng(0), rate_hz // 3, rate_hz)
    assert waveform.shape == (rate_hz // 3,)
    assert np.all(np.isfinite(waveform))
    assert np.abs(waveform).max() > 0


@pytest.mark.parametrize("name", SOUNDS)
def test_seeds_settle_sounds(name):
    np.testing.assert_array_equal(synthesize(name), synthesize(name))
    assert np.any(synthesize(name) != synthesize(name, seed=1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", CLASS_SOUNDS)
def test_classes_are_heard_from_the_first_to_the_last_moment(name, seed):
    waveform = np.abs(synthesize(name, seed, duration_s=2.0 + 0.37 * seed))
    audible = np.flatnonzero(waveform > 0.05 * waveform.max()) / RATE_HZ
    assert audible[0] < 0.02
    assert audible[-1] > len(waveform) / RATE_HZ - 0.12


def test_siren_sweeps():
    waveform = synthesize("ambulance", duration_s=4.0)
    pieces = waveform.reshape(-1, RATE_HZ // 10)
    tones_hz = np.array([peak_hz(piece) for piece in pieces])
    assert 450 <= tones_hz.min() < 700
    assert 1000 < tones_hz.max() <= 1470


def test_reversing_beeps_are_one_tone_on_and_off():
    waveform = synthesize("truck", duration_s=4.0)
    assert 1900 <= peak_hz(waveform) <= 2500
    loud = np.abs(waveform).reshape(-1, 80).max(axis=1) > 0.1
    beeps = np.count_nonzero(np.diff(loud.astype(int)) == 1) + loud[0]
    assert 4 <= beeps <= 8
    assert 0.4 < loud.mean() < 0.7


def test_bell_strokes_decay():
    waveform = synthesize("church_bell", duration_s=0.65)
    first, last = waveform[:2000], waveform[-2000:]
    assert np.square(last).mean() < 0.4 * np.square(first).mean()


def test_rotor_is_chopped_noise():
    waveform = synthesize("helicopter", duration_s=4.0)
    envelope = np.square(waveform).reshape(-1, 160).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    chops_hz = np.argmax(spectrum) / 4.0
    assert 9 <= chops_hz <= 14


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.6])
def test_noise_has_its_slope(exponent):
    noise = colored_noise(np.random.default_rng(0), 1 << 16, exponent)
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(1.0, abs=1e-3)
    power = np.square(np.abs(np.fft.rfft(noise)))
    bands = [power[low : 2 * low].mean() for low in (64, 16384)]
    slope = -np.log2(bands[1] / bands[0]) / 8
    assert slope == pytest.approx(exponent, abs=0.06)


def test_root_mean_square_by_hand():
    waveform = np.array([3.0, -4.0, 0.0, 0.0], np.float32)
    # The root mean square is 2.5.
    scaled = set_rms(waveform, 5.0)
    np.testing.assert_allclose(scaled, [6.0, -8.0, 0.0, 0.0])
