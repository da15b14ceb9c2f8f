"""Log-mel patches, the input of VGGish (paper, section 3.1).

The arithmetic is that of `mel_features.py`, `vggish_input.py` and
`vggish_params.py` in tensorflow/models; what is added is the padding of the
end of the waveform.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view

from vggish.mel_filters import htk_mel_matrix
from vggish.waveform import SAMPLE_RATE_HZ, to_mono_16k

STFT_HOP_S = 0.010
STFT_HOP_SAMPLES = 160
STFT_WINDOW_SAMPLES = 400  # 25 ms
FFT_LENGTH = 512
NUM_MEL_BINS = 64
MEL_MIN_HZ = 125.0
MEL_MAX_HZ = 7500.0
PATCH_FRAMES = 96
PATCH_S = 0.96
# 15 ms more than 960 ms: the window of the last frame is longer than its hop.
PATCH_SAMPLES = (PATCH_FRAMES - 1) * STFT_HOP_SAMPLES + STFT_WINDOW_SAMPLES

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
        ValueError: as `to_mono_16k` and `hop_frames`, and for an offset that
            is not positive.
    """
    if not log_offset > 0:
        raise ValueError(f"Expected log_offset above 0, received {log_offset}.")
    hop = hop_frames(hop_s)
    hop_samples = hop * STFT_HOP_SAMPLES
    samples = to_mono_16k(waveform, sample_rate_hz)
    beyond_first = max(0, len(samples) - PATCH_SAMPLES)
    num_hops = math.ceil(beyond_first / hop_samples)
    padding = PATCH_SAMPLES + num_hops * hop_samples - len(samples)
    spectrogram = log_mel_spectrogram(np.pad(samples, (0, padding)), log_offset)
    patches = sliding_window_view(
        spectrogram, PATCH_FRAMES, axis=0
    )  # [F - 95, 64, 96]
    patches = patches[::hop].swapaxes(1, 2)
    return np.ascontiguousarray(patches)  # [T, 96, 64]


def log_mel_spectrogram(
    samples: np.ndarray, log_offset: float = 0.01
) -> np.ndarray:
    """Log-mel spectrogram of whole STFT frames, without any padding.

    Args:
        samples: Float [N] at 16 kHz, at least one frame of 400.
        log_offset: Added to the mel magnitudes before the logarithm.

    Returns:
        float32 [F, 64] with F = 1 + (N - 400) // 160.
    """
    window, mel_matrix = _window_and_mel_matrix()
    frames = sliding_window_view(samples, STFT_WINDOW_SAMPLES)
    frames = frames[::STFT_HOP_SAMPLES]  # [F, 400]
    log_mel = np.empty((len(frames), NUM_MEL_BINS), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        spectrum = np.fft.rfft(frames[block] * window, FFT_LENGTH)
        mel = np.abs(spectrum) @ mel_matrix  # [block, 64]
        log_mel[block] = np.log(mel + log_offset)
    return log_mel


def segment_times_s(num_segments: int, hop_s: float = 0.48) -> np.ndarray:
    """When each segment, the audio of one patch, starts and ends.

    The last segment may end after the clip, in the padding: the 20th of a 10 s
    clip lasts from 9.12 to 10.08 s.

    Args:
        num_segments: Number T of segments.
        hop_s: Step from one segment to the next, a multiple of 10 ms.

    Returns:
        float32 [T, 2]: onset and offset in seconds from the clip's start.

    Raises:
        ValueError: for a negative number, and as `hop_frames`.
    """
    if num_segments < 0:
        raise ValueError(
            f"Expected num_segments of 0 or more, received {num_segments}."
        )
    hop_frames(hop_s)
    onsets_s = np.arange(num_segments) * hop_s  # [T]
    times_s = np.stack([onsets_s, onsets_s + PATCH_S], axis=1)
    return times_s.astype(np.float32)  # [T, 2]


def hop_frames(hop_s: float) -> int:
    """STFT frames from one patch to the next.

    Raises:
        ValueError: if they are not a whole number of 1 or more.
    """
    frames = hop_s / STFT_HOP_S
    if not (math.isfinite(frames) and round(frames) >= 1) or (
        abs(frames - round(frames)) > 1e-6
    ):
        raise ValueError(
            "Expected hop_s to be a whole number of STFT hops of "
            f"{STFT_HOP_S} s, received {hop_s} s."
        )
    return round(frames)


@functools.lru_cache(maxsize=1)
def _window_and_mel_matrix() -> tuple[np.ndarray, np.ndarray]:
    """Periodic Hann window [400] and mel matrix [257, 64]."""
    window = scipy.signal.get_window("hann", STFT_WINDOW_SAMPLES)
    mel_matrix = htk_mel_matrix(
        SAMPLE_RATE_HZ, FFT_LENGTH, NUM_MEL_BINS, MEL_MIN_HZ, MEL_MAX_HZ
    )
    return window, mel_matrix
