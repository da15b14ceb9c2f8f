"""Writing videos again: frames, times and sound of the result."""

from __future__ import annotations

import av
import numpy as np
import pytest

from avmil.clips import media, media_writer
from avmil.clips.media_container import Section
from avmil.common.errors import MediaError
from tests.media_files import (
    noise,
    numbered,
    read_number,
    set_display_matrix,
    write_clip,
)

SIZE_PX = (64, 48)


def rewrite(source, target, start_s=0.0, end_s=2.0, **options):
    """Writes frames as they are; returns the times that were painted."""
    times_s = []

    def paint(image, time_s):
        times_s.append(time_s)
        return image

    count = media_writer.write_painted(
        source, target, Section(start_s, end_s), paint, SIZE_PX, **options
    )
    assert count == len(times_s)
    return times_s


def frames_of(path):
    """Number and time of each frame."""
    with av.open(str(path)) as container:
        frames = [
            (read_number(frame.to_ndarray(format="rgb24")), frame.time)
            for frame in container.decode(video=0)
        ]
    return zip(*frames, strict=True)


def test_every_frame_keeps_its_time(tmp_path):
    source = write_clip(tmp_path / "a.mp4", numbered(20), noise(2.0))
    times_s = rewrite(source, tmp_path / "b.mp4")
    assert times_s == pytest.approx(np.arange(20) / 10)
    numbers, shown_s = frames_of(tmp_path / "b.mp4")
    assert list(numbers) == list(range(20))
    assert shown_s == pytest.approx(times_s, abs=1e-4)
    with av.open(str(tmp_path / "b.mp4")) as container:
        video, audio = container.streams
        assert video.codec_context.name == "h264"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert audio.codec_context.name == "aac"
        assert float(video.duration * video.time_base) == pytest.approx(2.0)
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_stays_in_step(tmp_path, rate_hz, channels):
    waveform = noise(2.0, rate_hz, channels)
    source = write_clip(
        tmp_path / "a.mkv",
        numbered(20),
        waveform,
        sample_rate_hz=rate_hz,
        audio_codec="flac" if rate_hz == 96_000 else "aac",
        audio_start_s=0.3,
    )
    rewrite(source, tmp_path / "b.mp4")
    original = media.decode_clip(source, end_s=2.0).waveform
    copy = media.decode_clip(tmp_path / "b.mp4").waveform
    assert len(copy) == len(original) == 32_000
    assert not copy[:4000].any() or np.abs(copy[:4000]).max() < 1e-3
    # In step to the sample: the correlation peaks at a lag of 0.
    lags = np.arange(-40, 41)
    part = slice(8000, 30_000)
    correlation = [
        np.dot(original[part], np.roll(copy, -lag)[part]) for lag in lags
    ]
    assert lags[np.argmax(correlation)] == 0
    assert max(correlation) > 0.8 * np.dot(original[part], original[part])


def test_colors_come_back(tmp_path):
    red = np.full((48, 64, 3), (200, 40, 60), np.uint8)
    source = write_clip(tmp_path / "a.mp4", numbered(2))
    media_writer.write_painted(
        source, tmp_path / "b.mp4", Section(0, 0.2), lambda *_: red, SIZE_PX
    )
    (frame, *_) = media.decode_clip(tmp_path / "b.mp4").frames_rgb
    np.testing.assert_allclose(frame[24, 32], [200, 40, 60], atol=4)


def test_section_is_cut(tmp_path):
    source = write_clip(tmp_path / "a.mp4", numbered(100), noise(10.0))
    times_s = rewrite(source, tmp_path / "b.mp4", 7.0, 8.5)
    numbers, shown_s = frames_of(tmp_path / "b.mp4")
    assert list(numbers) == list(range(70, 85))
    assert times_s == pytest.approx(np.arange(15) / 10)
    assert shown_s == pytest.approx(times_s, abs=1e-4)
    copy = media.decode_clip(tmp_path / "b.mp4")
    assert copy.duration_s == pytest.approx(1.5, abs=0.01)
    original = media.decode_clip(source, 7.0, 8.5).waveform
    assert np.corrcoef(original, copy.waveform[: len(original)])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("frame_times_s", "section_s", "expected", "expected_s"),
    [
        pytest.param(
            np.arange(20) / 10,
            (0.55, 1.0),
            [5, 6, 7, 8, 9],
            [0, 0.05, 0.15, 0.25, 0.35],
            id="the frame before a section is shown at its start",
        ),
        pytest.param(
            [0, 0.1, 0.6],
            (0.0, 1.0),
            [0] + [1] * 5 + [2] * 4,
            np.arange(10) / 10,
            id="long frames are painted again",
        ),
        pytest.param(
            [0.2, 0.3],
            (0.1, 0.5),
            [0, 1],
            [0, 0.2],
            id="the first frame is shown from the start",
        ),
    ],
)
def test_times_of_frames(
    tmp_path, frame_times_s, section_s, expected, expected_s
):
    source = write_clip(
        tmp_path / "a.mp4",
        numbered(len(frame_times_s)),
        noise(1.0),
        frame_times_s=frame_times_s,
    )
    times_s = rewrite(source, tmp_path / "b.mp4", *section_s)
    numbers, shown_s = frames_of(tmp_path / "b.mp4")
    assert list(numbers) == expected
    assert times_s == pytest.approx(expected_s)
    assert shown_s == pytest.approx(times_s, abs=1e-4)


def test_rotated_frames_are_written_upright(tmp_path):
    source = write_clip(tmp_path / "a.mp4", numbered(5))
    set_display_matrix(source, [[0, 1, 0], [-1, 0, 0], [48, 0, 1]])
    sizes = []

    def paint(image, time_s):
        sizes.append(image.shape)
        return image

    target = tmp_path / "b.mp4"
    media_writer.write_painted(source, target, Section(0, 0.5), paint, (48, 64))
    assert sizes == [(64, 48, 3)] * 5
    copy = media.decode_clip(target, audio=False).frames_rgb[0]
    turned = media.decode_clip(source, audio=False).frames_rgb[0]
    assert np.abs(copy.astype(int) - turned).mean() < 4


def test_sound_can_be_left_out(tmp_path):
    source = write_clip(tmp_path / "a.mp4", numbered(10), noise(1.0))
    rewrite(source, tmp_path / "b.mp4", end_s=1.0, sound=False)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio


def test_same_bytes_on_every_run(tmp_path):
    source = write_clip(tmp_path / "a.mp4", numbered(20), noise(2.0))
    for name in ("b.mp4", "c.mp4"):
        rewrite(source, tmp_path / name)
    contents = [(tmp_path / n).read_bytes() for n in ("b.mp4", "c.mp4")]
    assert contents[0] == contents[1]


def test_files_without_pictures_are_refused(tmp_path):
    source = write_clip(tmp_path / "a.mp4", (), noise(1.0))
    with pytest.raises(MediaError, match="no video track"):
        rewrite(source, tmp_path / "b.mp4")
    (tmp_path / "c.mp4").write_bytes(b"no video at all")
    with pytest.raises(MediaError, match="cannot be opened"):
        rewrite(tmp_path / "c.mp4", tmp_path / "b.mp4")
