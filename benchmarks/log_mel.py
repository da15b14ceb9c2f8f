"""Log-mel patches against the published arithmetic of VGGish in NumPy.

The reference does what VGGish's own code does: frames of 25 ms, a periodic
Hann window, the magnitude of 512 points, 64 bands of HTK's mel scale from 125
to 7500 Hz, log(mel + 0.01), in one piece and with the matrix made anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks import timing
from vggish.mel_features import log_mel_patches

_RATE_HZ, _HOP_FRAMES = 16_000, 48


def run() -> Iterator[str]:
    """Compares a clip and a long recording."""
    for what, duration_s in (("10 s", 10), ("10 minutes", 600)):
        num_samples = duration_s * _RATE_HZ
        waveform = np.random.default_rng(0).uniform(-1, 1, num_samples)
        reference = _published(waveform)
        ours = log_mel_patches(waveform, _RATE_HZ)[: len(reference)]
        np.testing.assert_allclose(ours, reference, atol=1e-4)
        yield from timing.compare(
            what,
            {
                timing.OURS: lambda w=waveform: log_mel_patches(w, _RATE_HZ),
                "NumPy": lambda w=waveform: _published(w),
            },
        )


def _published(waveform: np.ndarray) -> np.ndarray:
    """[N] -> [T, 96, 64], of the patches without padding."""
    starts = np.arange(0, len(waveform) - 399, 160)
    frames = waveform[starts[:, None] + np.arange(400)]  # [F, 400]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(frames * hann, 512))  # [F, 257]
    log_mel = np.log(magnitude @ _mel_matrix() + 0.01)  # [F, 64]
    starts = np.arange(0, len(log_mel) - 95, _HOP_FRAMES)
    return log_mel[starts[:, None] + np.arange(96)]


def _mel_matrix() -> np.ndarray:
    low, high = 1127 * np.log(1 + np.array([125.0, 7500.0]) / 700)
    edges = np.linspace(low, high, 66)
    bins = 1127 * np.log(1 + np.linspace(0, _RATE_HZ / 2, 257) / 700)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges[:-1])
    falling = (edges[2:] - bins[:, None]) / np.diff(edges[1:])
    matrix = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return matrix
