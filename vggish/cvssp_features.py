"""Log-mel input of the CVSSP systems, the audio baselines of the paper.

Source: `prepare_data.py` and `config.py` in yongxuUSTC/dcase2017_task4_cvssp.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.signal

from vggish.mel_features import triangles
from vggish.waveform import SAMPLE_RATE_HZ, to_mono_16k

NUM_FRAMES = 240
NUM_MEL_BINS = 64

_WINDOW_SAMPLES = 1024
_OVERLAP_SAMPLES = 360
_HOP_SAMPLES = _WINDOW_SAMPLES - _OVERLAP_SAMPLES
HOP_S = _HOP_SAMPLES / SAMPLE_RATE_HZ
_LOG_OFFSET = 1e-8
MAX_SAMPLES = _WINDOW_SAMPLES + (NUM_FRAMES - 1) * _HOP_SAMPLES


def cvssp_log_mel(
    waveform: np.ndarray, sample_rate_hz: float, scaling_rate_hz: float = 1.0
) -> np.ndarray:
    """Log-mel spectrogram of 240 frames, 41.5 ms apart: 10 s.

    As in the original, shorter clips are filled up with zeros after the
    logarithm, far above silence (-18.4). The original stops at a clip under
    one window (64 ms); here its frames are all padding.

    Args:
        waveform: Float [N] or [N, channels] in [-1, 1], or int16.
        sample_rate_hz: Rate of `waveform` in Hz.
        scaling_rate_hz: Rate whose root SciPy divides the magnitudes by: 1
            where none is passed, as in revision 78b1646 of the original; in
            4634b83 it is 16000.

    Returns:
        float32 [240, 64]: frames, mel bands.

    Raises:
        ValueError: as `to_mono_16k`.
    """
    samples = to_mono_16k(waveform, sample_rate_hz)[:MAX_SAMPLES]
    features = np.zeros((NUM_FRAMES, NUM_MEL_BINS), np.float32)
    if len(samples) >= _WINDOW_SAMPLES:
        # SciPy divides by the root of the rate times the window's energy, also
        # in this mode, which the offset and the padding make matter.
        _, _, magnitudes = scipy.signal.spectrogram(
            samples,
            fs=scaling_rate_hz,
            window=np.hamming(_WINDOW_SAMPLES),
            noverlap=_OVERLAP_SAMPLES,
            detrend=False,
            mode="magnitude",
        )  # [513, F]
        mel = magnitudes.T @ _mel_matrix()  # [F, 64]
        features[: len(mel)] = np.log(mel + _LOG_OFFSET)
    return features


@functools.lru_cache(maxsize=1)
def _mel_matrix() -> np.ndarray:
    """[513, 64], librosa's default: triangles of equal area, linear in Hz.

    Their edges lie on the mel scale of Slaney's Auditory Toolbox: linear up to
    1000 Hz, which is mel 15, and logarithmic above, with 27 mel to 6400 Hz.
    """
    log_step = np.log(6.4) / 27.0
    highest_mel = 15.0 + np.log(8000.0 / 1000.0) / log_step
    mel = np.linspace(0.0, highest_mel, NUM_MEL_BINS + 2)
    edges_hz = np.where(
        mel < 15.0,
        mel * (200.0 / 3.0),
        1000.0 * np.exp(log_step * (mel - 15.0)),
    )
    bins_hz = np.fft.rfftfreq(_WINDOW_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
    return triangles(bins_hz, edges_hz) * (2.0 / (edges_hz[2:] - edges_hz[:-2]))
