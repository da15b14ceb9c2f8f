"""Waveforms in the form that all audio features start from: mono, 16 kHz."""

from __future__ import annotations

import math

import numpy as np

SAMPLE_RATE_HZ = 16_000


def to_mono_16k(waveform: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Averages the channels, then resamples to 16 kHz.

    Args:
        waveform: Float [N] or [N, channels] with full scale [-1, 1], or int16
            of the same shapes with full scale 32768.
        sample_rate_hz: Rate of `waveform` in Hz.

    Returns:
        float64 [floor(N * 16000 / sample_rate_hz)].

    Raises:
        ValueError: for a rate that is not positive, and for a waveform that is
            empty, not finite, or of another shape or type.
    """
    if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
        raise ValueError(
            f"Expected a sample rate above 0 Hz, received {sample_rate_hz}."
        )
    waveform = np.asarray(waveform)
    shape = waveform.shape
    transposed = len(shape) == 2 and shape[1] > shape[0]
    if len(shape) not in (1, 2) or 0 in shape or transposed:
        raise ValueError(
            "Expected a waveform of shape [N] or [N, channels] with N of 1 or "
            f"more and at least as many as channels, received shape {shape}."
        )
    is_int16 = np.issubdtype(waveform.dtype, np.int16)  # Of either byte order.
    if not (is_int16 or np.issubdtype(waveform.dtype, np.floating)):
        raise ValueError(
            "Expected a waveform of floats in [-1, 1] or of int16, received "
            f"{waveform.dtype}."
        )
    samples = waveform.astype(np.float64) / (32768.0 if is_int16 else 1.0)
    if not np.isfinite(samples).all():
        raise ValueError(
            "Expected a waveform of finite samples, received NaN or infinity."
        )
    if samples.ndim == 2:
        samples = samples.mean(axis=1)  # [N]
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return samples
    import resampy  # Here, as machines without it can do all the rest.

    # The filter that both VGGish's code and librosa used in 2017.
    return resampy.resample(
        samples, sample_rate_hz, SAMPLE_RATE_HZ, filter="kaiser_best"
    )
