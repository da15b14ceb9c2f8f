"""Small media files with known pictures and sound, written by the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import numpy as np

_TICKS_PER_S = 90_000
_BARS = 8


def numbered_image(number: int, height: int = 48, width: int = 64):
    """Draws a number as 8 upright bars, one a bit; survives lossy codecs."""
    bits = number >> np.arange(_BARS) & 1
    columns = np.repeat(bits * 160 + 48, width // _BARS)  # [W]
    image = np.broadcast_to(columns[None, :, None], (height, width, 3))
    return image.astype(np.uint8)


def read_number(image: np.ndarray) -> int:
    """Reads the number that `numbered_image` drew."""
    bars = np.array_split(image.mean(axis=(0, 2)), _BARS)
    bits = np.array([bar.mean() > 128 for bar in bars])
    return int(bits @ (1 << np.arange(_BARS)))


def numbered(count: int, **size_px: int) -> list[np.ndarray]:
    """Draws the numbers from 0 on."""
    return [numbered_image(number, **size_px) for number in range(count)]


def numbers(clip) -> list[int]:
    """Reads the numbers of a decoded clip's frames."""
    return [read_number(frame) for frame in clip.frames_rgb]


def noise(duration_s: float, rate_hz: int = 16_000, channels: int = 1):
    """Draws low-passed noise, float32 [channels, N], no two parts alike."""
    rng = np.random.default_rng(5)
    white = rng.normal(size=(channels, round(duration_s * rate_hz) + 15))
    smooth = [np.convolve(x, np.hanning(16), "valid") for x in white]
    return (0.05 * np.array(smooth)).astype(np.float32)


def set_display_matrix(path, matrix) -> None:
    """Overwrites the matrix of the first track header (16.16, 2.30)."""
    content = path.read_bytes()
    # 'tkhd', version 0: type 4, flags 4, times and id 20, reserved 8, layer,
    # group, volume and reserved 2 each; then the matrix.
    start = content.index(b"tkhd") + 44
    scale = np.array([[1, 1, 2**14]] * 3) * 2**16
    values = (np.array(matrix) * scale).astype(">i4").tobytes()
    path.write_bytes(content[:start] + values + content[start + 36 :])


def write_clip(
    path,
    images: Iterable[np.ndarray] = (),
    waveform: np.ndarray | None = None,
    *,
    frame_rate_hz: float = 10,
    frame_times_s: Sequence[float] | None = None,
    sample_rate_hz: int = 16_000,
    audio_start_s: float = 0.0,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    keyframe_every: int = 10,
    container_options: dict[str, str] | None = None,
):
    """Writes a video, a sound file, or both; the suffix tells the format.

    Images are uint8 [H, W, 3] of one size, the waveform is float32 [channels,
    N] or [N]; frame_times_s is when each frame begins, instead of a fixed
    rate. Returns the path.
    """
    images = list(images)
    if frame_times_s is None:
        frame_times_s = np.arange(len(images)) / frame_rate_hz
    with av.open(str(path), "w", container_options=container_options) as output:
        packets = []
        video = audio = None
        if images:
            video = _add_video(output, video_codec, images, frame_rate_hz)
            video.codec_context.gop_size = keyframe_every
        if waveform is not None:
            audio = output.add_stream(audio_codec, rate=sample_rate_hz)
            audio.layout = _layout(np.atleast_2d(waveform))
            if audio_codec == "aac":
                # Decoders draw substituted noise anew on each start.
                audio.options = {"aac_pns": "0"}
        if video is not None:
            packets += _encode(video, _frames(images, frame_times_s))
        if audio is not None:
            packets += _encode(audio, _sound(audio, waveform, audio_start_s))
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    return path


def _add_video(output, codec, images, frame_rate_hz):
    stream = output.add_stream(codec, rate=Fraction(frame_rate_hz))
    stream.height, stream.width = images[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    if codec == "libx264":
        stream.options = {"preset": "ultrafast", "crf": "20", "bf": "2"}
    if codec != "mpeg4":  # It has at most 65535 ticks a second.
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
    return stream


def _layout(waveform):
    return {1: "mono", 2: "stereo", 6: "5.1"}[len(waveform)]


def _encode(stream, frames):
    for frame in frames:
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _frames(images, times_s):
    for image, time_s in zip(images, times_s, strict=True):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.time_base = Fraction(1, _TICKS_PER_S)
        frame.pts = round(time_s * _TICKS_PER_S)
        yield frame


def _sound(stream, waveform, start_s):
    samples = np.ascontiguousarray(np.atleast_2d(waveform), np.float32)
    frame = av.AudioFrame.from_ndarray(
        samples, format="fltp", layout=_layout(samples)
    )
    frame.sample_rate = stream.sample_rate
    frame.time_base = Fraction(1, stream.sample_rate)
    frame.pts = round(start_s * stream.sample_rate)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout=_layout(samples),
        rate=stream.sample_rate,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    return [*resampler.resample(frame), *resampler.resample(None)]
