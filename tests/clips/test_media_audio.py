"""The waveform: formats, channels, rates, gaps, sound files."""

import tracemalloc
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
import resampy
import soundfile

from avmil.clips import media, media_audio
from avmil.clips.media_container import Section
from avmil.common.errors import MediaError
from tests.media_files import noise, numbered_image, write_clip


def audio_frame(array, sample_format, layout="mono", rate_hz=16_000):
    frame = av.AudioFrame.from_ndarray(
        np.atleast_2d(array), format=sample_format, layout=layout
    )
    frame.sample_rate = rate_hz
    return frame


def build(section, *frames):
    """Builds a waveform from frames, given as such or as mono samples."""
    stream = SimpleNamespace(time_base=Fraction(1, 1000))
    builder = media_audio.WaveformBuilder(stream, section)
    for time_s, frame in frames:
        if not isinstance(frame, av.AudioFrame):
            frame = audio_frame(np.array(frame, np.float32), "fltp")
        builder.add(frame, time_s)
    return builder


def mono(*frames):
    """Waveform of frames that follow each other."""
    return build(Section(0.0, np.inf), *((0.0, f) for f in frames)).waveform()


@pytest.mark.parametrize(
    ("values", "sample_format"),
    [
        (np.array([0, 128, 192], np.uint8), "u8"),
        (np.array([-(2**15), 0, 2**14], np.int16), "s16"),
        (np.array([-(2**31), 0, 2**30], np.int32), "s32p"),
        (np.array([-1, 0, 0.5], np.float32), "fltp"),
        (np.array([-1, 0, 0.5], np.float64), "dbl"),
    ],
)
def test_sample_formats(values, sample_format):
    samples = mono(audio_frame(values, sample_format))
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, [-1, 0, 0.5])


def test_mean_of_channels():
    packed = np.array([[16384, 0, 0, -16384]], np.int16)  # L R L R
    planar = np.array([[0.5, 0.0], [0.0, -0.5]], np.float32)
    for frame in (
        audio_frame(packed, "s16", "stereo"),
        audio_frame(planar, "fltp", "stereo"),
    ):
        np.testing.assert_array_equal(mono(frame), [0.25, -0.25])
    # PyAV's own reading of eight planes ends the process.
    eight = audio_frame(np.arange(16, dtype=np.float32) / 16, "flt", "7.1")
    (planes,) = av.AudioResampler("fltp").resample(eight)
    np.testing.assert_array_equal(mono(planes), [3.5 / 16, 11.5 / 16])


def test_change_of_format_within_a_track():
    frames = [
        audio_frame(np.full(160, one, kind), sample_format)
        for kind, sample_format, one in (
            (np.float32, "flt", 1.0),
            (np.int16, "s16p", 2**15 - 1),
            (np.float32, "flt", 1.0),
        )
    ]
    builder = build(
        Section(0.0, np.inf), *zip((0, 0.01, 0.02), frames, strict=True)
    )
    np.testing.assert_allclose(builder.waveform(), np.ones(480), atol=1e-4)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_tone_keeps_its_pitch_and_length(tmp_path, rate_hz):
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    path = write_clip(
        tmp_path / "a.mkv",
        waveform=tone(rate_hz),
        sample_rate_hz=rate_hz,
        audio_codec="pcm_s16le",
    )
    waveform = media.decode_clip(path, video=False).waveform
    assert waveform.dtype == np.float32
    assert len(waveform) == 16_000
    np.testing.assert_allclose(
        waveform[100:-100], tone(16_000)[100:-100], atol=2e-3
    )


def test_no_trace_of_the_encoder_padding(tmp_path):
    """AAC adds 1024 samples before and fills up its last block."""
    sound = noise(1.3)
    path = write_clip(tmp_path / "a.mp4", waveform=sound)
    waveform = media.decode_clip(path, video=False).waveform
    assert len(waveform) == 20_800
    correlation = np.corrcoef(waveform, sound[0])[0, 1]
    assert correlation > 0.95


@pytest.mark.parametrize(
    ("end_s", "starts_s", "lengths", "expected"),
    [
        pytest.param(9, [0, 0.02], [160, 160], [160, -160, 160], id="gap"),
        # Time stamps rounded to milliseconds.
        pytest.param(9, [0, 0.011], [168, 168], [168, 168], id="no gap"),
        pytest.param(9, [0, 0.01], [320, 320], [320, 160], id="overlap"),
        pytest.param(0.015, [-0.005, 0.005], [160] * 2, [80, 160], id="cut"),
        pytest.param(0.03, [0, 1e10], [160] * 2, [160, -320], id="late"),
    ],
)
def test_frames_are_placed_by_their_times(end_s, starts_s, lengths, expected):
    """The k-th frame is of k; negative lengths that are expected, silence."""
    frames = [[k] * length for k, length in enumerate(lengths, 1)]
    # The section starts at 1 s.
    times_s = [1.0 + start_s for start_s in starts_s]
    builder = build(
        Section(1.0, 1.0 + end_s), *zip(times_s, frames, strict=True)
    )
    values = iter(range(1, 9))
    placed = [[next(values)] * n if n > 0 else [0] * -n for n in expected]
    np.testing.assert_array_equal(builder.waveform(), np.concatenate(placed))
    assert builder.done == (end_s < 9)
    heard_s = sum(map(abs, expected)) / 16_000
    assert builder.end_s == pytest.approx(1.0 + heard_s)


def test_change_of_sample_rate_is_refused():
    builder = build(Section(0.0, np.inf), (0.0, [1] * 160))
    frame = audio_frame(np.ones(160, np.float32), "fltp", rate_hz=8_000)
    with pytest.raises(MediaError, match="from 16000 to 8000 Hz"):
        builder.add(frame, 0.01)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "message"),
    [
        (np.array([0.0, np.nan]), 16_000, "undefined"),
        (np.empty(0), 16_000, "not before the end"),
        (np.zeros(2), 44_100, "shorter than one sample"),
    ],
)
def test_unusable_sound_files_are_refused(tmp_path, samples, rate_hz, message):
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    with pytest.raises(MediaError, match=message):
        media.decode_clip(path, video=False)
    with pytest.raises(MediaError, match="no video track"):
        media.decode_clip(path)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("seconds", [1.5, 2.5, 3.0, 7.3])
def test_sound_is_resampled_in_blocks_as_in_one(monkeypatch, rate_hz, seconds):
    monkeypatch.setattr(media_audio, "_BLOCK_S", 2)
    sound = noise(seconds, rate_hz, channels=2)
    resampler = media_audio.Resampler(rate_hz)
    for start in range(0, sound.shape[1], 1_000):
        resampler.add(sound[:, start : start + 1_000].T)
    # What the last frame of a track is filled up with does not count.
    length = sound.shape[1] - 700
    expected = resampy.resample(sound[:, :length].mean(0), rate_hz, 16_000)
    waveform = resampler.waveform(length)
    assert waveform.shape == expected.shape
    np.testing.assert_allclose(waveform, expected, atol=1e-7)


def test_sound_is_held_at_16_khz_alone(monkeypatch):
    monkeypatch.setattr(media_audio, "_BLOCK_S", 2)
    second = noise(1.0, 48_000, channels=2).T
    resampler = media_audio.Resampler(48_000)
    for number in range(30):
        if number == 3:  # The first block is done, the resampler compiled.
            tracemalloc.start()
        resampler.add(second)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    waveform = resampler.waveform(30 * 48_000)
    assert waveform.shape == (30 * 16_000,)
    assert held < 1.5 * waveform.nbytes  # All at 48 kHz would be three times.


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "A.WAV"])
def test_sound_files(tmp_path, name):
    sound = noise(2.0, 44_100, channels=2)
    soundfile.write(tmp_path / name, sound.T, 44_100)
    clip = media.decode_clip(tmp_path / name, video=False)
    assert clip.frames_rgb == []
    assert clip.duration_s == pytest.approx(2.0)
    assert clip.waveform.shape == (32_000,)
    assert clip.waveform.dtype == np.float32
    expected = resampy.resample(sound.mean(axis=0), 44_100, 16_000)
    assert np.corrcoef(clip.waveform, expected)[0, 1] > 0.95


def test_section_of_a_sound_file(tmp_path):
    sound = noise(3.0)
    soundfile.write(tmp_path / "a.wav", sound[0], 16_000)
    clip = media.decode_clip(tmp_path / "a.wav", 1.0, 1.5, video=False)
    np.testing.assert_allclose(
        clip.waveform, sound[0, 16_000:24_000], atol=1 / 32768
    )
    assert clip.duration_s == 0.5
    cut = media.decode_clip(tmp_path / "a.wav", 2.0, 99.0, video=False)
    assert len(cut.waveform) == 16_000
    with pytest.raises(MediaError, match=r"start_s=4 .* at 3 s"):
        media.decode_clip(tmp_path / "a.wav", 4.0, 5.0, video=False)


def test_container_and_sound_file_agree(tmp_path):
    sound = noise(2.0, 44_100, channels=2)
    soundfile.write(tmp_path / "a.wav", sound.T, 44_100)
    path = write_clip(
        tmp_path / "a.mov",
        waveform=soundfile.read(tmp_path / "a.wav", dtype="float32")[0].T,
        sample_rate_hz=44_100,
        audio_codec="pcm_s16le",
    )
    np.testing.assert_allclose(
        media.decode_clip(path, 0.5, 1.5, video=False).waveform,
        media.decode_clip(tmp_path / "a.wav", 0.5, 1.5, video=False).waveform,
        atol=2 / 32768,
    )


def test_lost_packets_leave_silence_and_keep_the_time(tmp_path):
    """Half a second of sound is missing from the file."""
    sound = noise(3.0)
    path = tmp_path / "a.mkv"
    write_clip(
        path,
        [numbered_image(k) for k in range(30)],
        sound,
        audio_codec="pcm_s16le",
    )
    with (
        av.open(str(path)) as source,
        av.open(str(tmp_path / "b.mkv"), "w") as target,
    ):
        streams = [
            target.add_stream_from_template(stream) for stream in source.streams
        ]
        for packet in source.demux():
            kind = packet.stream.type
            lost = kind == "audio" and 1000 <= (packet.pts or 0) < 1500
            if packet.size and not lost:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    waveform = media.decode_clip(tmp_path / "b.mkv").waveform
    silent = np.flatnonzero(waveform == 0)
    assert len(silent) == pytest.approx(8_000, abs=1_100)
    np.testing.assert_allclose(waveform[26_000:], sound[0, 26_000:], atol=1e-4)
