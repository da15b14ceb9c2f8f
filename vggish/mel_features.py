"""Log-mel patches, the input of VGGish and YAMNet (paper, section 3.1).

The arithmetic is that of `mel_features.py`, `vggish_input.py` and
`vggish_params.py` in tensorflow/models.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view

from vggish.waveform import SAMPLE_RATE_HZ, to_mono_16k

PATCH_FRAMES = 96
PATCH_S = 0.96
NUM_MEL_BINS = 64

_FRAME_HOP_S = 0.010
FRAME_HOP_SAMPLES = 160
_WINDOW_SAMPLES = 400  # 25 ms
_FFT_LENGTH = 512
_MEL_RANGE_HZ = (125.0, 7500.0)
# 15 ms more than 960 ms: the window of the last frame is longer than its hop.
PATCH_SAMPLES = (PATCH_FRAMES - 1) * FRAME_HOP_SAMPLES + _WINDOW_SAMPLES
# A block of frames stays in the processor's cache: three times as fast as one
# transform of a whole clip, and long recordings need little memory.
_BLOCK_FRAMES = 256


def log_mel_patches(
    waveform: np.ndarray,
    sample_rate_hz: float,
    hop_s: float = 0.48,
    log_offset: float = 0.01,
) -> np.ndarray:
    """Cuts a waveform into overlapping log-mel patches of 960 ms.

    The waveform is padded with zeros to the next whole hop, so that no audio
    is dropped: 10 s give the paper's 20 patches (19 without padding), and a
    clip of less than 975 ms gives one.

    Args:
        waveform: Float [N] or [N, channels] in [-1, 1], or int16.
        sample_rate_hz: Rate of `waveform` in Hz.
        hop_s: Step from one patch to the next, a multiple of 10 ms; the paper
            has 480 ms (section 4), the published code 960 ms.
        log_offset: Added before the logarithm; 0.01 for VGGish, 0.001 for
            YAMNet, whose patches are otherwise the same.

    Returns:
        float32 [T, 96, 64]: patches, STFT frames, mel bands.

    Raises:
        ValueError: as `to_mono_16k` and `hop_frames`.
    """
    hop = hop_frames(hop_s)
    hop_samples = hop * FRAME_HOP_SAMPLES
    samples = to_mono_16k(waveform, sample_rate_hz)
    num_hops = math.ceil(max(0, len(samples) - PATCH_SAMPLES) / hop_samples)
    padding = PATCH_SAMPLES + num_hops * hop_samples - len(samples)
    spectrogram = _log_mel_spectrogram(
        np.pad(samples, (0, padding)), log_offset
    )  # [F, 64]
    patches = sliding_window_view(
        spectrogram, PATCH_FRAMES, axis=0
    )  # [F - 95, 64, 96]
    return np.ascontiguousarray(patches[::hop].swapaxes(1, 2))  # [T, 96, 64]


def hop_frames(hop_s: float) -> int:
    """STFT frames from one patch to the next; a ValueError if not whole."""
    frames = hop_s / _FRAME_HOP_S
    if not (math.isfinite(frames) and round(frames) >= 1) or (
        abs(frames - round(frames)) > 1e-6
    ):
        raise ValueError(
            "Expected hop_s to be a whole number of STFT hops of "
            f"{_FRAME_HOP_S} s, received {hop_s} s."
        )
    return round(frames)


def segment_times_s(
    num_segments: int, hop_s: float = 0.48, segment_s: float = PATCH_S
) -> np.ndarray:
    """Onset and offset of each segment in seconds, float32 [num_segments, 2].

    The last segment may end after the clip, in the padding: the 20th of a 10 s
    clip lasts from 9.12 to 10.08 s.
    """
    onsets_s = np.arange(num_segments) * hop_s
    times_s = np.stack([onsets_s, onsets_s + segment_s], axis=1)
    return times_s.astype(np.float32)


def _log_mel_spectrogram(samples: np.ndarray, log_offset: float) -> np.ndarray:
    """float64 [N] -> float32 [F, 64] with F = 1 + (N - 400) // 160."""
    window = scipy.signal.get_window("hann", _WINDOW_SAMPLES)  # Periodic.
    frames = sliding_window_view(samples, _WINDOW_SAMPLES)
    frames = frames[::FRAME_HOP_SAMPLES]  # [F, 400]
    log_mel = np.empty((len(frames), NUM_MEL_BINS), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        spectrum = np.fft.rfft(frames[block] * window, _FFT_LENGTH)
        mel = np.abs(spectrum) @ _mel_matrix()  # [block, 64]
        log_mel[block] = np.log(mel + log_offset)
    return log_mel


@functools.lru_cache(maxsize=1)
def _mel_matrix() -> np.ndarray:
    """[257, 64], on HTK's mel scale: triangles of height 1, linear in mel.

    The row of 0 Hz, which the original sets to zero, is zero by itself.
    """

    def to_mel(frequency_hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(frequency_hz / 700.0)

    bins_hz = np.fft.rfftfreq(_FFT_LENGTH, 1.0 / SAMPLE_RATE_HZ)
    edges = np.linspace(*to_mel(np.array(_MEL_RANGE_HZ)), NUM_MEL_BINS + 2)
    return triangles(to_mel(bins_hz), edges)


def triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Triangle b rises from edge b to edge b + 1 and falls to edge b + 2.

    Of bins [num_bins] and ascending edges [num_bands + 2] in one unit; at most
    1, [num_bins, num_bands].
    """
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - lower) / (center - lower)
    falling = (upper - bins[:, None]) / (upper - center)
    return np.maximum(0.0, np.minimum(rising, falling))
