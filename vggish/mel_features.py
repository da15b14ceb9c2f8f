"""Log-mel patches, the input of VGGish (paper, section 3.1).

The arithmetic is that of `mel_features.py` and `vggish_input.py` in
tensorflow/models; what is added is the padding of the end of the waveform.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view

from vggish.mel_filters import htk_mel_matrix
from vggish.params import VggishParams
from vggish.waveform import to_mono_16k

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

    The waveform is padded with zeros to the next whole hop, so that no sound
    is dropped: 10 s give the paper's 20 patches (19 without padding), and a
    clip of less than 975 ms gives one.

    Args:
        waveform: Float [N] or [N, channels] in [-1, 1], or int16.
        sample_rate_hz: Rate of `waveform` in Hz.
        hop_s: Step from one patch to the next, a multiple of 10 ms.
        log_offset: Added before the logarithm; 0.01 for VGGish, 0.001 for
            YAMNet, whose patches are otherwise the same.

    Returns:
        float32 [T, 96, 64]: patches, STFT frames, mel bands.

    Raises:
        ValueError: as `to_mono_16k`, and for a hop that is not a positive
            multiple of 10 ms or an offset that is not positive.
    """
    params = VggishParams(patch_hop_s=hop_s, log_offset=log_offset)
    samples = to_mono_16k(waveform, sample_rate_hz)
    padding = params.padded_samples(len(samples)) - len(samples)
    spectrogram = log_mel_spectrogram(np.pad(samples, (0, padding)), params)
    patches = sliding_window_view(
        spectrogram, params.patch_frames, axis=0
    )  # [F - 95, 64, 96]
    patches = patches[:: params.patch_hop_frames].swapaxes(1, 2)
    return np.ascontiguousarray(patches)  # [T, 96, 64]


def log_mel_spectrogram(
    samples: np.ndarray, params: VggishParams
) -> np.ndarray:
    """Log-mel spectrogram of whole STFT frames, without any padding.

    Args:
        samples: Float [N] at `params.sample_rate_hz`, at least one frame.
        params: Its patch durations are not used.

    Returns:
        float32 [F, num_mel_bins] with F = 1 + (N - window) // hop.
    """
    window, mel_matrix = _window_and_mel_matrix(params)
    frames = sliding_window_view(samples, params.stft_window_samples)
    frames = frames[:: params.stft_hop_samples]  # [F, 400]
    log_mel = np.empty((len(frames), params.num_mel_bins), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        spectrum = np.fft.rfft(frames[block] * window, params.fft_length)
        mel = np.abs(spectrum) @ mel_matrix  # [block, 64]
        log_mel[block] = np.log(mel + params.log_offset)
    return log_mel


def segment_times_s(num_segments: int, hop_s: float = 0.48) -> np.ndarray:
    """When each segment, the sound under one patch, starts and ends.

    The last segment may end after the clip, in the padding: the 20th of a 10 s
    clip lasts from 9.12 to 10.08 s.

    Args:
        num_segments: Number T of segments.
        hop_s: Step from one segment to the next, a multiple of 10 ms.

    Returns:
        float32 [T, 2]: onset and offset in seconds from the clip's start.

    Raises:
        ValueError: for a negative number or a hop that is not a positive
            multiple of 10 ms.
    """
    if num_segments < 0:
        raise ValueError(
            f"Expected num_segments of 0 or more, received {num_segments}."
        )
    params = VggishParams(patch_hop_s=hop_s)
    onsets_s = np.arange(num_segments) * params.patch_hop_s  # [T]
    times_s = np.stack([onsets_s, onsets_s + params.patch_window_s], axis=1)
    return times_s.astype(np.float32)  # [T, 2]


@functools.lru_cache(maxsize=8)
def _window_and_mel_matrix(
    params: VggishParams,
) -> tuple[np.ndarray, np.ndarray]:
    """Periodic Hann window [400] and mel matrix [257, 64]."""
    window = scipy.signal.get_window("hann", params.stft_window_samples)
    mel_matrix = htk_mel_matrix(
        params.sample_rate_hz,
        params.fft_length,
        params.num_mel_bins,
        params.mel_min_hz,
        params.mel_max_hz,
    )
    return window, mel_matrix
