"""decode_clip with start_s and end_s: the same as cutting a full decode."""

import av
import numpy as np
import pytest

from avmil.clips import media, media_audio, media_container
from avmil.common.errors import MediaError
from tests.media_files import noise, numbered, numbers, write_clip


@pytest.fixture
def packets_fed(monkeypatch):
    """Counts the packets that are decoded."""
    fed = []
    feed = media_container._Track.feed

    def count(track, packet):
        fed.append(packet)
        feed(track, packet)

    monkeypatch.setattr(media_container._Track, "feed", count)
    return fed


@pytest.mark.parametrize(
    ("suffix", "video_codec", "audio_codec", "rate_hz"),
    [
        ("mp4", "libx264", "aac", 16_000),
        ("mov", "libx264", "pcm_s16le", 44_100),
        ("mkv", "libx264", "flac", 16_000),
        ("avi", "mpeg4", "pcm_s16le", 8_000),
        ("ts", "libx264", "aac", 48_000),
        ("mp4", "mpeg4", "libmp3lame", 44_100),
    ],
)
def test_section_equals_that_part_of_the_whole(
    tmp_path, packets_fed, suffix, video_codec, audio_codec, rate_hz
):
    path = write_clip(
        tmp_path / f"a.{suffix}",
        numbered(200),
        noise(20.0, rate_hz),
        sample_rate_hz=rate_hz,
        video_codec=video_codec,
        audio_codec=audio_codec,
    )
    whole = media.decode_clip(path, frame_rate_hz=2)
    of_whole = len(packets_fed)
    packets_fed.clear()
    part = media.decode_clip(path, 8.0, 11.0, frame_rate_hz=2)
    assert numbers(part) == numbers(whole)[16:22]
    for frame, expected in zip(
        part.frames_rgb, whole.frames_rgb[16:22], strict=True
    ):
        np.testing.assert_array_equal(frame, expected)
    np.testing.assert_allclose(part.frame_times_s, np.arange(6) / 2 + 0.25)
    assert part.duration_s == pytest.approx(3.0)
    assert len(part.waveform) == 48_000
    # resampy's filter reaches over the cuts.
    inner = slice(200, -200)
    np.testing.assert_allclose(
        part.waveform[inner],
        whole.waveform[128_000:176_000][inner],
        atol=1e-4,
    )
    assert len(packets_fed) < of_whole / 2


def test_start_between_two_samples(tmp_path, monkeypatch):
    """A start of 3.00003 s is sample 132301.3 of 44.1 kHz."""
    sound = noise(5.0, 44_100)
    path = write_clip(
        tmp_path / "a.mov",
        waveform=sound,
        sample_rate_hz=44_100,
        audio_codec="pcm_s16le",
    )
    monkeypatch.setattr(media_audio, "SAMPLE_RATE_HZ", 44_100)
    clip = media.decode_clip(path, 3.00003, 4.0, video=False)
    np.testing.assert_allclose(
        clip.waveform, sound[0, 132_301:176_400], atol=1 / 32768
    )


def test_section_counts_from_a_late_zero(tmp_path, packets_fed):
    path = write_clip(
        tmp_path / "a.mkv",
        numbered(100),
        noise(10.0),
        frame_times_s=7.0 + np.arange(100) / 10,
        audio_start_s=7.0,
        audio_codec="pcm_s16le",
    )
    media.decode_clip(path)
    of_whole = len(packets_fed)
    packets_fed.clear()
    clip = media.decode_clip(path, 4.0, 6.0)
    assert len(packets_fed) < of_whole / 2
    assert numbers(clip) == [45, 55]
    np.testing.assert_allclose(
        clip.waveform, noise(10.0)[0, 64_000:96_000], atol=1 / 32768
    )


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv"])
@pytest.mark.parametrize("keyframe_every", [210, 250])
def test_keyframes_far_apart(tmp_path, suffix, keyframe_every):
    """Seeking in a transport stream lands where nothing can be decoded.

    The next keyframe is one second into the section, or there is none.
    """
    path = write_clip(
        tmp_path / f"a.{suffix}",
        numbered(250),
        noise(25.0),
        keyframe_every=keyframe_every,
    )
    whole = media.decode_clip(path)
    part = media.decode_clip(path, 20.0, 23.0)
    assert numbers(part) == numbers(whole)[20:23]
    np.testing.assert_allclose(
        part.waveform[200:-200],
        whole.waveform[320_000:368_000][200:-200],
        atol=1e-4,
    )


def test_sound_is_decoded_from_some_time_before_the_section(
    tmp_path, monkeypatch
):
    """The packet that holds the start is too near: AAC needs the one before."""
    path = write_clip(tmp_path / "a.m4a", waveform=noise(12.0))
    whole = media.decode_clip(path, video=False).waveform
    monkeypatch.setattr(media_container, "_PREROLLS_S", (0.001,))
    part = media.decode_clip(path, 8.02, 10.0, video=False).waveform
    np.testing.assert_allclose(part, whole[128_320:160_000], atol=1e-4)


def test_frame_from_before_the_section_is_still_shown(tmp_path):
    path = write_clip(
        tmp_path / "a.mkv", numbered(3), frame_times_s=[0.0, 2.0, 9.0]
    )
    assert numbers(media.decode_clip(path, 5.0, 7.0)) == [1, 1]


def test_section_at_and_beyond_the_end(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(50), noise(5.0))
    cut = media.decode_clip(path, 3.0, 13.0)
    assert cut.duration_s == pytest.approx(2.0)
    assert numbers(cut) == [35, 45]
    assert len(cut.waveform) == 32_000
    short = media.decode_clip(path, 3.0, 3.25)  # Than a sampling interval.
    assert numbers(short) == [32]  # The last one shown.
    np.testing.assert_array_equal(short.frame_times_s, [0.5])
    assert len(short.waveform) == 4_000
    for start_s in (5.0, 7.5, 500.0):
        with pytest.raises(MediaError, match=rf"start_s={start_s:g} .* at 5 s"):
            media.decode_clip(path, start_s, start_s + 10)


@pytest.mark.parametrize(
    ("images", "sound_s", "missing"),
    [(30, 9.0, "no video frame between 6 s and 8 s"), (90, 3.0, "no audio")],
)
def test_track_that_ended_before_the_section(
    tmp_path, images, sound_s, missing
):
    path = write_clip(tmp_path / "a.mp4", numbered(images), noise(sound_s))
    with pytest.raises(MediaError, match=missing):
        media.decode_clip(path, 6.0, 8.0)


def test_section_of_a_long_file(tmp_path):
    """Two frames two hours apart: as a whole too long, but not in parts."""
    path = write_clip(
        tmp_path / "a.mkv", numbered(2), frame_times_s=[0.0, 7200.0]
    )
    with pytest.raises(MediaError, match="set start_s and end_s"):
        media.decode_clip(path)
    assert numbers(media.decode_clip(path, 4000.0, 4002.0)) == [0, 0]


def test_container_that_cannot_seek(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mkv", numbered(40))
    opened = media_container.open_container

    class Unseekable:
        """A container that only reads on."""

        def __init__(self, path):
            self._container = opened(path)

        def __getattr__(self, name):
            return getattr(self._container, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._container.close()

        def seek(self, offset):
            raise av.InvalidDataError(1, "no")

    monkeypatch.setattr(media, "open_container", Unseekable)
    assert numbers(media.decode_clip(path, 2.0, 4.0)) == [25, 35]


def test_real_section(shared_data):
    path = shared_data / "clips" / "vggsound_-1pRmoJIGQc_10000_20000.mp4"
    whole = media.decode_clip(path)
    part = media.decode_clip(path, 4.0, 7.0)
    for frame, expected in zip(
        part.frames_rgb, whole.frames_rgb[4:7], strict=True
    ):
        np.testing.assert_array_equal(frame, expected)
    np.testing.assert_allclose(
        part.waveform[200:-200],
        whole.waveform[64_000:112_000][200:-200],
        atol=1e-4,
    )
