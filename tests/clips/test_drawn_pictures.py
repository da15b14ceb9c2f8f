"""Pictures and sounds of the drawn clips."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.clips.drawn_pictures import (
    CLASS_PICTURES,
    NUM_PHASES,
    PICTURES,
    Scene,
    overlay,
)
from avmil.clips.drawn_sounds import (
    CLASS_SOUNDS,
    SOUNDS,
    colored_noise,
    set_rms,
)

RATE_HZ = 16_000


def sprites(name, seed=0, size_px=(90, 70)):
    return PICTURES[name].sprites(np.random.default_rng(seed), size_px)


def synthesize(name, seed=0, duration_s=3.0):
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return SOUNDS[name](np.random.default_rng(seed), times_s)


def peak_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return np.argmax(spectrum) * RATE_HZ / len(waveform)


@pytest.mark.parametrize("name", PICTURES)
def test_sprites_fill_their_size_and_are_premultiplied(name):
    drawn = sprites(name)
    assert drawn.shape == (NUM_PHASES, 70, 90, 4)
    alpha = drawn[..., 3].max(axis=0)
    for edge in (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:]):
        assert edge.max() > 16
    assert np.all(drawn[..., :3] <= drawn[..., 3:])
    np.testing.assert_array_equal(drawn, sprites(name))
    assert np.any(drawn != sprites(name, seed=1))
    if name in CLASS_PICTURES:  # Their parts move.
        assert np.any(drawn[0] != drawn[1])


def test_classes_differ_in_color_or_shape():
    drawn = [
        np.mean([sprites(name, seed, (16, 16))[0] for seed in range(4)], axis=0)
        for name in CLASS_PICTURES
    ]
    for index, first in enumerate(drawn):
        for second in drawn[:index]:
            assert np.abs(first - second).mean() > 20


def test_overlay_by_hand():
    frame = np.full((1, 3, 3), 100, np.uint8)
    picture = np.uint8([[[0, 0, 0, 0], [60, 0, 20, 51], [9, 8, 7, 255]]])
    overlay(frame, picture)
    # A fifth of the frame is hidden in the second pixel.
    assert frame.tolist() == [[[100] * 3, [140, 80, 100], [9, 8, 7]]]


@pytest.mark.parametrize("seed", range(4))
def test_scene_fills_frames_and_pans(seed):
    scene = Scene(np.random.default_rng(seed), (160, 96), 10.0)
    first, later = scene.frame(0.0), scene.frame(4.0)
    assert (first.shape, first.dtype) == ((96, 160, 3), np.uint8)
    assert first.std() > 20
    # Neither end of the pan lies outside of the strips.
    for frame in (first, scene.frame(9.9)):
        assert frame.max(axis=2).min() > 8
    # The ground moves by 32 px or more in 4 s.
    change = np.abs(first.astype(int) - later).mean(axis=(1, 2))
    assert change[-20:].mean() > 1
    np.testing.assert_array_equal(first, scene.frame(0.0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_last_as_long_as_wanted(name, seed):
    waveform = np.abs(synthesize(name, seed, 2.0 + 0.37 * seed))
    assert waveform.shape == (round((2.0 + 0.37 * seed) * RATE_HZ),)
    assert np.all(np.isfinite(waveform))
    np.testing.assert_array_equal(
        waveform, np.abs(synthesize(name, seed, 2.0 + 0.37 * seed))
    )
    if name in CLASS_SOUNDS:
        loud = np.flatnonzero(waveform > 0.05 * waveform.max()) / RATE_HZ
        assert loud[0] < 0.02
        assert loud[-1] > len(waveform) / RATE_HZ - 0.12


def test_siren_sweeps():
    pieces = synthesize("ambulance", duration_s=4.0).reshape(-1, RATE_HZ // 10)
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
    assert np.square(last).mean() < 0.6 * np.square(first).mean()


def test_rotor_is_chopped_noise():
    waveform = synthesize("helicopter", duration_s=4.0)
    envelope = np.square(waveform).reshape(-1, 160).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    assert 9 <= np.argmax(spectrum) / 4.0 <= 14


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.6])
def test_noise_has_its_slope(exponent):
    noise = colored_noise(np.random.default_rng(0), 1 << 16, exponent)
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(1.0, abs=1e-3)
    power = np.square(np.abs(np.fft.rfft(noise)))
    bands = [power[low : 2 * low].mean() for low in (64, 16384)]
    slope = -np.log2(bands[1] / bands[0]) / 8
    assert slope == pytest.approx(exponent, abs=0.06)


def test_root_mean_square_by_hand():
    # The root mean square is 2.5.
    scaled = set_rms(np.array([3.0, -4.0, 0.0, 0.0], np.float32), 5.0)
    np.testing.assert_allclose(scaled, [6.0, -8.0, 0.0, 0.0])
