"""Log-mel input of the CVSSP systems, the audio baselines of the paper.

Source: `prepare_data.py` and `config.py` in yongxuUSTC/dcase2017_task4_cvssp.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.signal

from vggish.mel_filters import slaney_mel_matrix
from vggish.waveform import SAMPLE_RATE_HZ, to_mono_16k

NUM_FRAMES = 240
NUM_MEL_BINS = 64

_WINDOW_SAMPLES = 1024
_OVERLAP_SAMPLES = 360
_HOP_SAMPLES = _WINDOW_SAMPLES - _OVERLAP_SAMPLES
HOP_S = _HOP_SAMPLES / SAMPLE_RATE_HZ
_MEL_MAX_HZ = 8000.0
_LOG_OFFSET = 1e-8
_MAX_SAMPLES = _WINDOW_SAMPLES + (NUM_FRAMES - 1) * _HOP_SAMPLES


def cvssp_log_mel(waveform: np.ndarray, sample_rate_hz: float) -> np.ndarray:
    """Log-mel spectrogram of 240 frames, 41.5 ms apart: 10 s.

    As in the original, shorter clips are filled up with zeros after the
    logarithm, far above silence (-18.4), and before any standardization. The
    original stops at a clip under one window (64 ms); here its frames are all
    padding.

    Args:
        waveform: Float [N] or [N, channels] in [-1, 1], or int16.
        sample_rate_hz: Rate of `waveform` in Hz.

    Returns:
        float32 [240, 64]: frames, mel bands.

    Raises:
        ValueError: as `to_mono_16k`.
    """
    samples = to_mono_16k(waveform, sample_rate_hz)[:_MAX_SAMPLES]
    features = np.zeros((NUM_FRAMES, NUM_MEL_BINS), np.float32)
    if len(samples) >= _WINDOW_SAMPLES:
        mel = _magnitudes(samples) @ _mel_matrix()  # [F, 64]
        features[: len(mel)] = np.log(mel + _LOG_OFFSET)
    return features


def _magnitudes(samples: np.ndarray) -> np.ndarray:
    """Magnitude spectrogram [F, 513], scaled as scipy scales it.

    SciPy divides by the root of the sampling rate times the window's energy,
    also in this mode, which the logarithm's offset makes matter.
    """
    _, _, magnitudes = scipy.signal.spectrogram(
        samples,
        fs=SAMPLE_RATE_HZ,
        window=np.hamming(_WINDOW_SAMPLES),
        noverlap=_OVERLAP_SAMPLES,
        detrend=False,
        mode="magnitude",
    )  # [513, F]
    return magnitudes.T


@functools.lru_cache(maxsize=1)
def _mel_matrix() -> np.ndarray:
    return slaney_mel_matrix(
        SAMPLE_RATE_HZ, _WINDOW_SAMPLES, NUM_MEL_BINS, 0.0, _MEL_MAX_HZ
    )
