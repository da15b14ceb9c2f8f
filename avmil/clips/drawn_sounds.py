"""Sounds of the drawn clips: synthesized for every class, and distractors.

A synthesis function takes a generator and the times of the samples, [N] from
0 s on, and returns float [N] of any level that is loud from its start to its
end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft

Rng = np.random.Generator


def colored_noise(rng: Rng, num_samples: int, exponent: float) -> np.ndarray:
    """Noise whose power falls as 1 / frequency ** exponent, RMS 1."""
    spectrum = scipy.fft.rfft(rng.standard_normal(num_samples, np.float32))
    frequency = np.arange(1, len(spectrum) + 1, dtype=np.float32)
    spectrum *= frequency ** np.float32(-exponent / 2)
    return set_rms(scipy.fft.irfft(spectrum, num_samples), 1.0)


def set_rms(waveform: np.ndarray, rms: float) -> np.ndarray:
    """Scales a waveform to a root mean square, float32."""
    level = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
    return np.float32(waveform) * np.float32(rms / max(level, 1e-9))


def _tone(turns: np.ndarray, amplitudes: Sequence[float]) -> np.ndarray:
    """Tone with the amplitudes of harmonics 1, 2, ..., after so many turns."""
    # Shifted phases: harmonics in phase would make one tall peak.
    return sum(
        amplitude * np.sin(2 * np.pi * order * turns + 0.7 * order**2)
        for order, amplitude in enumerate(amplitudes, 1)
    )


def _turns(frequency_hz: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    return np.cumsum(frequency_hz) * (times_s[1] - times_s[0])


def _pulses(
    times_s: np.ndarray, on_s: float, off_s: float, ramp_s: float = 0.008
) -> np.ndarray:
    """Envelope that is on and off in turn; stretched to end as it begins."""
    num_gaps = max(round((times_s[-1] - on_s) / (on_s + off_s)), 0)
    length_s = on_s + num_gaps * (on_s + off_s)
    position_s = np.linspace(0, length_s, len(times_s)) % (on_s + off_s)
    slopes = position_s / ramp_s, (on_s - position_s) / ramp_s
    return np.clip(np.minimum(*slopes), 0.0, 1.0)


def _siren(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Ambulance: a tone that sweeps up and down."""
    low_hz, high_hz = rng.uniform(480, 620), rng.uniform(1150, 1450)
    sweep = 2 * np.pi * (times_s / rng.uniform(1.4, 3.0) + rng.random())
    pitch_hz = low_hz + (high_hz - low_hz) * (0.5 - 0.5 * np.cos(sweep))
    return _tone(_turns(pitch_hz, times_s), (1, 0.1, 0.35, 0.05, 0.1))


def _bell(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Church bell: strokes with inharmonic, decaying partials."""
    prime_hz, pause_s = rng.uniform(380, 620), rng.uniform(0.7, 1.2)
    ratios = np.array((0.5, 1.0, 1.2, 1.5, 2.0, 2.6, 3.0, 4.1, 5.4))
    since_s = times_s % pause_s
    waveform = np.zeros(len(times_s))
    for ratio in ratios * rng.normal(1, 0.004, len(ratios)):
        tone = np.sin(2 * np.pi * prime_hz * ratio * since_s)
        waveform += tone * np.exp(-since_s * ratio / 1.5) / (0.5 + ratio / 2)
    return waveform


def _rotor(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Helicopter: noise chopped by the blades, over a whine."""
    chop = np.exp(-5 * (times_s * rng.uniform(9, 14) % 1.0)) + 0.05
    whine = _tone(times_s * rng.uniform(2900, 3600), (1, 0.3))
    return colored_noise(rng, len(times_s), 0.7) * chop + 0.03 * whine


def _engine(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Motorcycle: rough pulses whose rate rises and falls."""
    rev = 2 * np.pi * (times_s / rng.uniform(1.5, 3.5) + rng.random())
    turns = _turns(rng.uniform(26, 38) * (1.6 - 0.6 * np.cos(rev)), times_s)
    orders = np.arange(48)
    resonance = 1 + 2 * np.exp(-(((orders - rng.uniform(6, 14)) / 4) ** 2))
    amplitudes = resonance * rng.uniform(0.3, 1.0, 48) / (1 + orders / 8)
    exhaust = colored_noise(rng, len(times_s), 0.8) * np.exp(-5 * (turns % 1))
    return set_rms(_tone(turns, amplitudes), 1.0) + 0.6 * exhaust


def _horn(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Train: blasts of five brassy tones at once."""
    tones_hz = np.array((311.1, 370.0, 415.3, 493.9, 622.3))
    tones_hz *= rng.uniform(0.92, 1.08) * rng.normal(1, 0.003, 5)
    harmonics = 0.82 ** np.arange(12)
    chord = sum(_tone(times_s * tone_hz, harmonics) for tone_hz in tones_hz)
    blast_s, gap_s = rng.uniform(1.0, 2.2), rng.uniform(0.15, 0.3)
    return chord * _pulses(times_s, blast_s, gap_s, 0.03)


def _beeps(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """Truck in reverse: a hard tone, on and off."""
    on_s = rng.uniform(0.3, 0.5)
    tone = _tone(times_s * rng.uniform(1900, 2500), (1, 0, 0.3))
    return tone * _pulses(times_s, on_s, on_s * rng.uniform(0.8, 1.1))


def _gust(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """A swell of noise."""
    swell = np.sin(np.pi * times_s / times_s[-1]) ** 2
    return swell * colored_noise(rng, len(times_s), rng.uniform(0.0, 1.5))


def _knocks(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """A few short clicks."""
    decay = np.exp(-(times_s % rng.uniform(0.15, 0.5)) / 0.01)
    return decay * rng.standard_normal(len(times_s))


def _whistle(rng: Rng, times_s: np.ndarray) -> np.ndarray:
    """A thin tone that glides once."""
    glide_hz = np.linspace(*rng.uniform(1400, 3600, 2), len(times_s))
    swell = np.sin(np.pi * times_s / times_s[-1]).clip(0) ** 0.5
    return _tone(_turns(glide_hz, times_s), (1.0,)) * swell


CLASS_SOUNDS = {
    "ambulance": _siren,
    "church_bell": _bell,
    "helicopter": _rotor,
    "motorcycle": _engine,
    "train": _horn,
    "truck": _beeps,
}

_DISTRACTOR_SOUNDS = {"gust": _gust, "knocks": _knocks, "whistle": _whistle}
DISTRACTORS = tuple(_DISTRACTOR_SOUNDS)
SOUNDS = CLASS_SOUNDS | _DISTRACTOR_SOUNDS
