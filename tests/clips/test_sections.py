"""A copied section gives the frames and sound of the whole file's section."""

from __future__ import annotations

import io
import os

import av
import numpy as np
import pytest

from avmil.clips.media import decode_clip
from avmil.clips.media_container import Section
from avmil.clips.sections import SUFFIXES, copy_section
from avmil.common.errors import MediaError
from tests.media_files import noise, numbered_image, write_clip

DURATION_S = 20
IMAGES = [numbered_image(number) for number in range(10 * DURATION_S)]
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS = {
    "plain.mp4": {"sample_rate_hz": 44_100},
    "fragmented.mp4": {"container_options": FRAGMENTED},
    "rare_keyframes.mp4": {"keyframe_every": 75},
    "late_sound.mp4": {"audio_start_s": 1.3},
    "stream.ts": {},
    "h264_opus.mkv": {"audio_codec": "libopus", "sample_rate_hz": 48_000},
    "vp8_opus.webm": {
        "video_codec": "libvpx",
        "audio_codec": "libopus",
        "sample_rate_hz": 48_000,
    },
}


class SourceFile(io.FileIO):
    """A local file in place of one behind an address."""

    error = None

    def __init__(self, path):
        super().__init__(path)
        self.num_read = 0

    def read(self, amount):
        part = super().read(amount)
        self.num_read += len(part)
        return part


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for name, options in KINDS.items():
        sound = noise(DURATION_S, options.get("sample_rate_hz", 16_000))
        write_clip(folder / name, IMAGES, sound, **options)
    sound = noise(DURATION_S, 44_100)
    write_clip(folder / "picture.mp4", IMAGES)
    write_clip(folder / "sound.m4a", (), sound, sample_rate_hz=44_100)
    return folder


def copied(paths, start_s, end_s, output):
    file_format, section = copy_section(
        [SourceFile(path) for path in paths],
        Section(start_s, end_s),
        str(output),
    )
    named = output.with_suffix(SUFFIXES[file_format])
    os.replace(output, named)
    return decode_clip(named, section.start_s, section.end_s)


def assert_same_clip(received, expected):
    assert len(received.frames_rgb) == len(expected.frames_rgb)
    for one, other in zip(
        received.frames_rgb, expected.frames_rgb, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(received.waveform, expected.waveform)
    assert received.duration_s == pytest.approx(expected.duration_s, abs=1e-5)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(0.0, 3.0), (0.5, 2.5), (4.25, 7.75), (12.001, 22.001)],
)
def test_section_is_exact(folder, tmp_path, name, start_s, end_s):
    whole = decode_clip(folder / name, start_s, end_s)
    cut = copied([folder / name], start_s, end_s, tmp_path / "cut")
    assert_same_clip(cut, whole)


@pytest.mark.parametrize("start_s", [0.0, 4.25, 12.001])
def test_picture_and_sound_of_two_files_join_exactly(folder, tmp_path, start_s):
    whole = decode_clip(folder / "plain.mp4", start_s, start_s + 5)
    paths = [folder / "picture.mp4", folder / "sound.m4a"]
    cut = copied(paths, start_s, start_s + 5, tmp_path / "cut")
    assert_same_clip(cut, whole)


def test_files_whose_clocks_begin_elsewhere_join_exactly(folder, tmp_path):
    shifted = tmp_path / "picture.mkv"
    times_s = 7.5 + np.arange(len(IMAGES)) / 10
    write_clip(shifted, IMAGES, frame_times_s=times_s)
    cut = copied([shifted, folder / "sound.m4a"], 4.25, 9.25, tmp_path / "cut")
    expected = decode_clip(shifted, 4.25, 9.25, audio=False)
    for one, other in zip(cut.frames_rgb, expected.frames_rgb, strict=True):
        np.testing.assert_array_equal(one, other)
    # Matroska's milliseconds move the sound by 8 samples at most, and by parts
    # of one.
    whole = decode_clip(folder / "sound.m4a", 4.25, 9.25, video=False).waveform
    errors = [
        np.abs(cut.waveform[50:-50] - np.roll(whole, lag)[50:-50]).max()
        for lag in range(-8, 9)
    ]
    assert min(errors) < 0.1 * max(errors)


def test_real_clips_are_exact(shared_data, tmp_path):
    paths = sorted((shared_data / "clips").glob("*.mp4"))
    assert paths
    for number, path in enumerate(paths):
        whole = decode_clip(path, 2.3, 5.3)
        cut = copied([path], 2.3, 5.3, tmp_path / f"cut{number}")
        assert_same_clip(cut, whole)


def test_only_the_section_is_copied_and_read(tmp_path):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (200, 96, 128, 3), np.uint8)
    path = write_clip(tmp_path / "large.mp4", images, noise(DURATION_S))
    source = SourceFile(path)
    copy_section([source], Section(10, 12), str(tmp_path / "cut"))
    with av.open(str(tmp_path / "cut")) as container:
        assert 3 < container.duration / av.time_base < 5
    assert source.num_read < 0.3 * os.path.getsize(path)


@pytest.mark.parametrize(
    ("name", "start_s", "message"),
    [
        ("picture.mp4", 3.0, "no audio track"),
        ("sound.m4a", 3.0, "no video track"),
        ("plain.mp4", 25.0, "no video between 25 s and 26 s"),
    ],
)
def test_what_is_missing_is_named(folder, tmp_path, name, start_s, message):
    with pytest.raises(MediaError, match=message):
        copy_section(
            [SourceFile(folder / name)],
            Section(start_s, start_s + 1),
            str(tmp_path / "cut"),
        )


def test_playlists_and_rubbish_are_refused(tmp_path):
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"private")
    texts = (
        f"#EXTM3U\n#EXTINF:10,\nfile:{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
        "rubbish" * 1000,
    )
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.mp4"
        path.write_text(text)
        with pytest.raises(av.FFmpegError):
            copy_section(
                [SourceFile(path)], Section(0, 1), str(tmp_path / "cut")
            )


def test_an_error_that_the_demuxer_takes_for_the_end_is_raised(
    folder, tmp_path
):
    class Breaking(SourceFile):
        def read(self, amount):
            if self.tell() > 100_000:
                self.error = ConnectionError("broken off")
                return b""
            return super().read(amount)

    with pytest.raises(ConnectionError):
        copy_section(
            [Breaking(folder / "stream.ts")],
            Section(0, 15),
            str(tmp_path / "cut"),
        )
