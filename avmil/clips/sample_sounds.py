"""Sounds of the sample clips: synthesized for every class, distractors.

A synthesis function takes a generator, the number of samples and the sampling
rate, and returns float32 [num_samples] of any level. It is heard from the
first sample on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft

_TABLE_SIZE = 4096


def colored_noise(
    rng: np.random.Generator, num_samples: int, exponent: float
) -> np.ndarray:
    """Noise whose power falls as 1 / frequency ** exponent, RMS 1."""
    spectrum = scipy.fft.rfft(rng.standard_normal(num_samples, np.float32))
    frequency = np.arange(1, len(spectrum) + 1, dtype=np.float32)
    spectrum *= frequency ** np.float32(-exponent / 2)
    return set_rms(scipy.fft.irfft(spectrum, num_samples), 1.0)


def set_rms(waveform: np.ndarray, rms: float) -> np.ndarray:
    """Scales a waveform to a root mean square."""
    return waveform * np.float32(rms / max(_rms(waveform), 1e-9))


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def _times(num_samples: int, rate_hz: int) -> np.ndarray:
    return np.arange(num_samples, dtype=np.float32) / rate_hz


def _harmonics(
    frequency_hz: np.ndarray, amplitudes: Sequence[float], rate_hz: int
) -> np.ndarray:
    """Tone of gliding pitch with the amplitudes of harmonics 1, 2, ...

    One period is tabulated, so that the cost does not grow with them.
    """
    turn = 2 * np.pi * np.arange(_TABLE_SIZE) / _TABLE_SIZE
    orders = np.arange(1, len(amplitudes) + 1)[:, None]
    # Shifted phases: harmonics in phase would make one tall peak.
    table = np.float32(amplitudes) @ np.sin(orders * turn + 0.7 * orders**2)
    position = np.cumsum(frequency_hz / rate_hz, dtype=np.float64) % 1.0
    return table.astype(np.float32)[(position * _TABLE_SIZE).astype(np.intp)]


def _gate(
    num_samples: int,
    rate_hz: int,
    on_s: float,
    off_s: float,
    ramp_s: float = 0.008,
) -> np.ndarray:
    """Envelope that is on and off in turn, with short ramps.

    Both durations are stretched alike, so that it ends as it begins: on.
    """
    num_gaps = round((num_samples / rate_hz - on_s) / (on_s + off_s))
    least_s = on_s + max(num_gaps, 0) * (on_s + off_s)
    times_s = np.linspace(0, least_s, num_samples, dtype=np.float32)
    position_s = times_s % np.float32(on_s + off_s)
    rising, falling = position_s / ramp_s, (on_s - position_s) / ramp_s
    return np.clip(np.minimum(rising, falling), 0.0, 1.0)


def _siren(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Wail: a tone that sweeps up and down."""
    low_hz, high_hz = rng.uniform(480, 620), rng.uniform(1150, 1450)
    period_s = rng.uniform(1.4, 3.0)
    turn = _times(num_samples, rate_hz) / period_s + rng.random()
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * turn)
    return _harmonics(
        low_hz + (high_hz - low_hz) * sweep, (1, 0.1, 0.35, 0.05, 0.1), rate_hz
    )


def _horn_chord(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Blasts of five brassy tones at once."""
    amplitudes = 0.82 ** np.arange(12)
    tuning = rng.uniform(0.92, 1.08)
    waveform = np.zeros(num_samples, np.float32)
    for tone_hz in (311.1, 370.0, 415.3, 493.9, 622.3):
        pitch = np.full(num_samples, tone_hz * tuning * rng.normal(1, 0.003))
        waveform += _harmonics(pitch, amplitudes, rate_hz)
    blast_s, gap_s = rng.uniform(1.0, 2.2), rng.uniform(0.15, 0.3)
    return waveform * _gate(num_samples, rate_hz, blast_s, gap_s, 0.03)


def _bell(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Strokes of a bell with inharmonic, decaying partials."""
    prime_hz, stroke_s = rng.uniform(380, 620), rng.uniform(0.7, 1.2)
    times_s = _times(num_samples, rate_hz)
    stroke = np.zeros(num_samples, np.float32)
    for ratio, amplitude, decay_s in (
        (0.5, 0.5, 2.4), (1.0, 0.9, 1.6), (1.2, 0.8, 1.1), (1.5, 0.4, 0.8),
        (2.0, 1.0, 0.7), (2.6, 0.5, 0.4), (3.0, 0.5, 0.3), (4.1, 0.4, 0.2),
        (5.4, 0.4, 0.12),
    ):  # fmt: skip
        partial_hz = prime_hz * ratio * rng.normal(1, 0.004)
        tone = np.sin(2 * np.pi * partial_hz * times_s)
        stroke += amplitude * tone * np.exp(-times_s / decay_s)
    waveform = np.zeros(num_samples, np.float32)
    step = int(stroke_s * rate_hz)
    for start in range(0, num_samples, step):
        waveform[start:] += rng.uniform(0.8, 1) * stroke[: num_samples - start]
    return waveform


def _engine(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Motorcycle: rough pulses whose rate rises and falls."""
    times_s = _times(num_samples, rate_hz)
    idle_hz, rev_s = rng.uniform(26, 38), rng.uniform(1.5, 3.5)
    turn = times_s / rev_s + rng.random()
    firing_hz = idle_hz * (1.6 - 0.6 * np.cos(2 * np.pi * turn))
    resonance = 1 + 2 * np.exp(
        -(((np.arange(48) - rng.uniform(6, 14)) / 4) ** 2)
    )
    amplitudes = resonance * rng.uniform(0.3, 1.0, 48) / (1 + np.arange(48) / 8)
    pulses = _harmonics(firing_hz, amplitudes, rate_hz)
    rasp = np.cumsum(firing_hz / rate_hz, dtype=np.float64) % 1.0
    exhaust = colored_noise(rng, num_samples, 0.8) * np.exp(-5 * rasp)
    return set_rms(pulses, 1.0) + 0.6 * exhaust.astype(np.float32)


def _beeps(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Reversing alarm: a hard tone, on and off."""
    tone_hz = np.full(num_samples, rng.uniform(1900, 2500))
    on_s = rng.uniform(0.3, 0.5)
    tone = _harmonics(tone_hz, (1, 0, 0.3), rate_hz)
    off_s = on_s * rng.uniform(0.8, 1.1)
    return tone * _gate(num_samples, rate_hz, on_s, off_s)


def _rotor(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """Helicopter: noise chopped by the blades, over a whine."""
    blades_hz = rng.uniform(9, 14)
    times_s = _times(num_samples, rate_hz)
    chop = np.exp(-5 * ((times_s * blades_hz) % 1.0)) + 0.05
    whine_hz = np.full(num_samples, rng.uniform(2900, 3600))
    whine = _harmonics(whine_hz, (1, 0.3), rate_hz)
    return colored_noise(rng, num_samples, 0.7) * chop + 0.03 * whine


def _knocks(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """A few short clicks."""
    waveform = np.zeros(num_samples, np.float32)
    decay = np.exp(-_times(num_samples, rate_hz) / rng.uniform(0.004, 0.02))
    starts = rng.uniform(0, 0.9 * num_samples, rng.integers(1, 5)).astype(int)
    for start in [0, *starts]:
        click = (
            rng.standard_normal(num_samples - start) * decay[: -start or None]
        )
        waveform[start:] += click.astype(np.float32)
    return waveform


def _gust(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """A swell of noise."""
    swell = np.sin(np.pi * np.arange(num_samples) / num_samples) ** 2
    noise = colored_noise(rng, num_samples, rng.uniform(0.0, 1.5))
    return noise * swell.astype(np.float32)


def _whistle(
    rng: np.random.Generator, num_samples: int, rate_hz: int
) -> np.ndarray:
    """A thin tone that glides once."""
    glide = np.linspace(*rng.uniform(1400, 3600, 2), num_samples)
    swell = np.sin(np.pi * np.arange(num_samples) / num_samples) ** 0.5
    return _harmonics(glide, (1.0,), rate_hz) * swell.astype(np.float32)


CLASS_SOUNDS = {
    "ambulance": _siren,
    "church_bell": _bell,
    "helicopter": _rotor,
    "motorcycle": _engine,
    "train": _horn_chord,
    "truck": _beeps,
}

DISTRACTOR_SOUNDS = {"gust": _gust, "knocks": _knocks, "whistle": _whistle}
