"""Audio on the time line of a section, and its mono 16 kHz waveform."""

from __future__ import annotations

import math
import os
import sys
import tempfile

import av
import av.audio.stream
import numpy as np

from avmil.clips.media_container import Section
from avmil.common.errors import MediaError

SAMPLE_RATE_HZ = 16000

# Time stamps are rounded (to 1 ms in Matroska and FLV): smaller steps between
# audio frames are not gaps.
_GAP_TOLERANCE_S = 0.005

# Resampled at a time, and the sound around it that its ends need, which is
# far longer than the filter.
_BLOCK_S = 60
_MARGIN_S = 1
_MOST_HELD_BYTES = 32 << 20  # Of float32: eight minutes.


class AudioSink:
    """Places decoded audio on the time line of the wanted section.

    Sample 0 is the start of the section. Audio before it is cut, gaps between
    time stamps and a late start become silence, and of two overlapping frames
    the first one stays. FFmpeg converts the frames: PyAV misreads the planes
    of those with eight and more channels. `layout` is FFmpeg's name of the
    wanted channels, None for the file's own.
    """

    def __init__(self, section: Section, layout: str | None = None) -> None:
        self.done = False  # Whether the audio reaches the section's end.
        self.rate_hz: int | None = None  # None before the first frame.
        self._section = section
        self._layout = layout
        self._converters: dict[tuple[str, str], av.AudioResampler] = {}
        # In samples from the start of the section:
        self._length = 0  # Of what was written.
        self._next: int | None = None  # Where a gapless frame would begin.
        self._stop = sys.maxsize  # End of the section.

    def add(self, frame: av.AudioFrame, time_s: float) -> int:
        """Takes the next frame, which begins `time_s` after the file's zero.

        Returns where it begins, in samples from the start of the section, or
        raises a MediaError if the sample rate changes.
        """
        if self.rate_hz is None:
            self.rate_hz = frame.sample_rate
            if self._section.end_s < math.inf:
                length_s = self._section.end_s - self._section.start_s
                self._stop = round(length_s * self.rate_hz)
        elif frame.sample_rate != self.rate_hz:
            raise MediaError(
                f"audio changes from {self.rate_hz} to {frame.sample_rate} Hz"
            )
        converter = self._converters.setdefault(
            (frame.format.name, frame.layout.name),
            av.AudioResampler("flt", self._layout),
        )
        (converted,) = converter.resample(frame)
        channels = converted.layout.nb_channels
        samples = converted.to_ndarray().reshape(-1, channels)  # [N, channels]
        first = round((time_s - self._section.start_s) * self.rate_hz)
        tolerance = _GAP_TOLERANCE_S * self.rate_hz
        if self._next is not None and abs(first - self._next) <= tolerance:
            first = self._next
        self._next = first + len(samples)
        while (gap := min(first, self._stop) - self._length) > 0:
            # A second at a time: gaps may last an hour.
            self._place(np.zeros((min(gap, self.rate_hz), channels), "f4"))
        self._place(samples[max(self._length - first, 0) :])
        self.done = self._length == self._stop
        return first

    def _place(self, samples: np.ndarray) -> None:
        samples = samples[: self._stop - self._length]
        self._write(samples)
        self._length += len(samples)

    def _write(self, samples: np.ndarray) -> None:
        """Takes the samples from `_length` on, float32 [N, channels]."""
        raise NotImplementedError


class WaveformBuilder(AudioSink):
    """Assembles the mono 16 kHz waveform of a stream's section."""

    def __init__(self, stream: av.audio.stream.AudioStream, section: Section):
        super().__init__(section)
        self._time_base = stream.time_base
        self._resampler: Resampler | None = None
        self._end = -sys.maxsize  # Of what the frames declare to hold.

    @property
    def end_s(self) -> float:
        """End of the last frame, from the file's zero, cut to the section."""
        if self.rate_hz is None:
            return 0.0
        end_s = self._section.start_s + self._end / self.rate_hz
        return min(end_s, self._section.end_s)

    def add(self, frame: av.AudioFrame, time_s: float) -> int:
        """Takes the next frame, as `AudioSink.add`."""
        first = super().add(frame, time_s)
        # The last frame of a track is filled up to the encoder's block size;
        # its duration tells what is sound. Rounded durations tell nothing.
        tick = float(self._time_base * self.rate_hz)
        declared = round(frame.duration * tick)
        is_filled_up = 0 < declared < frame.samples - tick
        length = declared if is_filled_up else frame.samples
        self._end = max(self._end, first + length)
        return first

    def waveform(self) -> np.ndarray:
        """Returns float32 [N] at 16 kHz; MediaError if none, or not finite."""
        if self._end <= 0:
            raise MediaError(f"no audio {self._section}")
        return self._resampler.waveform(self._end)

    def _write(self, samples: np.ndarray) -> None:
        self._resampler = self._resampler or Resampler(self.rate_hz)
        self._resampler.add(samples)


class Resampler:
    """Resamples to mono 16 kHz while sound comes, as VGGish's own code does.

    Sound at its own rate is held for a block only, what is resampled of a
    long file in a temporary one: an hour has 0.23 GB.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._resampled = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            _MOST_HELD_BYTES
        )
        self._num_blocks = 0
        self._waiting: list[np.ndarray] = []
        self._first = 0  # Of the samples that wait: a margin before the block.
        self._length = 0  # Of what was added.

    def add(self, samples: np.ndarray) -> None:
        """Takes the next samples, float32 [N, channels]."""
        self._waiting.append(samples.mean(axis=1))  # [N]
        self._length += len(samples)
        block_end = (self._num_blocks + 1) * _BLOCK_S * self._rate_hz
        margin = _MARGIN_S * self._rate_hz
        if self._length >= block_end + margin:
            waiting = np.concatenate(self._waiting)
            block = self._resample(waiting[: block_end + margin - self._first])
            self._resampled.write(block[: _BLOCK_S * SAMPLE_RATE_HZ])
            self._num_blocks += 1
            kept = waiting[block_end - margin - self._first :].copy()
            self._waiting, self._first = [kept], block_end - margin

    def waveform(self, length: int) -> np.ndarray:
        """The first `length` samples, as float32 [N] at 16 kHz.

        N is floor(length * 16000 / rate_hz); MediaError if it is 0, or the
        samples are not finite.
        """
        if min(length, self._length) * SAMPLE_RATE_HZ < self._rate_hz:
            raise MediaError("audio is shorter than one sample at 16 kHz")
        if length > self._num_blocks * _BLOCK_S * self._rate_hz:
            waiting = np.concatenate(self._waiting)
            rest = self._resample(waiting[: length - self._first])
            self._resampled.write(rest)
        self._resampled.seek(0)
        waveform = np.frombuffer(self._resampled.read(), np.float32)
        self._resampled.close()
        if not np.isfinite(waveform.sum(dtype=np.float64)):
            raise MediaError("audio has infinite or undefined samples")
        return waveform[: length * SAMPLE_RATE_HZ // self._rate_hz]

    def _resample(self, samples: np.ndarray) -> np.ndarray:
        """Resamples from `_first` on, and cuts the sound before the block."""
        import resampy  # Here, as machines without it can do all the rest.

        start_s = _MARGIN_S if self._num_blocks else 0
        resampled = resampy.resample(samples, self._rate_hz, SAMPLE_RATE_HZ)
        return resampled[start_s * SAMPLE_RATE_HZ :]


def is_sound_file(path: str | os.PathLike[str]) -> bool:
    """Tells by the suffix whether `read_sound_file` is the reader."""
    return os.fspath(path).lower().endswith((".wav", ".flac", ".ogg"))


def read_sound_file(
    path: str | os.PathLike[str], section: Section
) -> tuple[np.ndarray, float]:
    """Reads a section of a WAV, FLAC or OGG file with soundfile.

    Returns the waveform, float32 [N] mono at 16 kHz, and the duration in
    seconds; MediaError if the file or the section cannot be read.
    """
    import soundfile  # Here, as machines without it can do all the rest.

    try:
        # As bytes, because soundfile cannot encode names that are not UTF-8.
        with soundfile.SoundFile(os.fsencode(path)) as sound:
            rate_hz = sound.samplerate
            file_end_s = sound.frames / rate_hz
            duration_s = section.duration_s(file_end_s)
            sound.seek(round(section.start_s * rate_hz))
            resampler = Resampler(rate_hz)
            for samples in sound.blocks(
                blocksize=rate_hz,
                frames=round(duration_s * rate_hz),
                dtype="float32",
                always_2d=True,
            ):
                resampler.add(samples)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"cannot be opened: {error.error_string}") from error
    return resampler.waveform(sys.maxsize), duration_s
