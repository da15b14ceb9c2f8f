"""Parameters of VGGish's input, as published with the network."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class VggishParams:
    """What turns a mono waveform into log-mel patches.

    The defaults are those of `vggish_params.py` in tensorflow/models, except
    for the patch hop, which the paper sets to 480 ms (section 4).

    Attributes:
        sample_rate_hz: Rate of the waveform.
        stft_window_s: Length of the Hann window of one STFT frame.
        stft_hop_s: Step from one STFT frame to the next.
        num_mel_bins: Number of mel bands.
        mel_min_hz: Lower edge of the lowest band.
        mel_max_hz: Upper edge of the highest band.
        log_offset: Added to the mel magnitudes before the logarithm.
        patch_window_s: Length of a patch, one input of the network.
        patch_hop_s: Step from one patch to the next.

    Raises:
        ValueError: for values that are not positive, bands beyond the Nyquist
            frequency, and patches that are not whole numbers of STFT hops.
    """

    sample_rate_hz: float = 16_000
    stft_window_s: float = 0.025
    stft_hop_s: float = 0.010
    num_mel_bins: int = 64
    mel_min_hz: float = 125.0
    mel_max_hz: float = 7500.0
    log_offset: float = 0.01
    patch_window_s: float = 0.96
    patch_hop_s: float = 0.48

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"Expected {name} above 0, received {value}.")
        if not self.mel_min_hz < self.mel_max_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                "Expected mel_min_hz < mel_max_hz <= sample_rate_hz / 2, "
                f"received {self.mel_min_hz}, {self.mel_max_hz} and "
                f"{self.sample_rate_hz / 2}."
            )
        for name in ("patch_window_s", "patch_hop_s"):
            self._check_whole_stft_hops(name, getattr(self, name))

    def _check_whole_stft_hops(self, name: str, duration_s: float) -> None:
        num_hops = duration_s / self.stft_hop_s
        if round(num_hops) < 1 or abs(num_hops - round(num_hops)) > 1e-6:
            raise ValueError(
                f"Expected {name} to be a whole number of STFT hops of "
                f"{self.stft_hop_s} s, received {duration_s} s."
            )

    @property
    def stft_window_samples(self) -> int:
        """Samples in one STFT frame: 400."""
        return round(self.stft_window_s * self.sample_rate_hz)

    @property
    def stft_hop_samples(self) -> int:
        """Samples from one STFT frame to the next: 160."""
        return round(self.stft_hop_s * self.sample_rate_hz)

    @property
    def fft_length(self) -> int:
        """The power of two that holds an STFT frame: 512."""
        return 2 ** math.ceil(math.log2(self.stft_window_samples))

    @property
    def patch_frames(self) -> int:
        """STFT frames in a patch: 96."""
        return round(self.patch_window_s / self.stft_hop_s)

    @property
    def patch_hop_frames(self) -> int:
        """STFT frames from one patch to the next: 48."""
        return round(self.patch_hop_s / self.stft_hop_s)

    @property
    def patch_hop_samples(self) -> int:
        """Samples from one patch to the next: 7680."""
        return self.patch_hop_frames * self.stft_hop_samples

    @property
    def min_waveform_samples(self) -> int:
        """Samples that fill one patch: 15600, 15 ms more than its 960 ms.

        The last STFT frame of a patch reaches beyond its hop.
        """
        last_frame_start = (self.patch_frames - 1) * self.stft_hop_samples
        return last_frame_start + self.stft_window_samples

    def num_segments(self, num_samples: int) -> int:
        """Number of patches that cover a waveform to its last sample."""
        beyond_first = max(0, num_samples - self.min_waveform_samples)
        return 1 + math.ceil(beyond_first / self.patch_hop_samples)

    def padded_samples(self, num_samples: int) -> int:
        """Length of a waveform that is padded to fill its last patch."""
        num_hops = self.num_segments(num_samples) - 1
        return self.min_waveform_samples + num_hops * self.patch_hop_samples
