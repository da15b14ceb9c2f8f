"""decode_clip on whole files: which frames, which sound, how long."""

import av
import numpy as np
import pytest

from avmil.clips import media
from tests.media_files import (
    noise,
    numbered,
    numbers,
    set_display_matrix,
    write_clip,
)


def test_frames_are_those_shown_at_the_half_seconds(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(40))
    clip = media.decode_clip(path)
    assert numbers(clip) == [5, 15, 25, 35]
    assert clip.frame_times_s.dtype == np.float32
    np.testing.assert_array_equal(clip.frame_times_s, [0.5, 1.5, 2.5, 3.5])
    assert clip.duration_s == pytest.approx(4.0)
    assert clip.waveform is None
    frame = clip.frames_rgb[0]
    assert (frame.dtype, frame.shape) == (np.uint8, (48, 64, 3))
    assert frame.flags.c_contiguous


def test_frame_rate_sets_the_instants(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(20))
    clip = media.decode_clip(path, frame_rate_hz=2.5)
    # The instants fall on the first moment of a frame.
    np.testing.assert_allclose(clip.frame_times_s, [0.2, 0.6, 1.0, 1.4, 1.8])
    assert numbers(clip) == [2, 6, 10, 14, 18]


def test_variable_frame_rate_goes_by_time_stamps(tmp_path):
    times_s = [0.0, 0.1, 0.45, 0.55, 2.0, 2.3, 2.5, 2.6, 3.4]
    path = write_clip(tmp_path / "a.mkv", numbered(9), frame_times_s=times_s)
    # At 0.5 the frame of 0.45, at 1.5 that of 0.55, at 2.5 that of 2.5.
    assert numbers(media.decode_clip(path)) == [2, 3, 6]


def test_slow_video_repeats_frames_without_converting_them_again(
    tmp_path, monkeypatch
):
    converted = []
    upright_rgb = media.upright_rgb

    def count(frame):
        converted.append(frame)
        return upright_rgb(frame)

    monkeypatch.setattr(media, "upright_rgb", count)
    times_s = [0.0, 0.2, 4.1, 4.2, 4.3]
    path = write_clip(tmp_path / "a.mkv", numbered(5), frame_times_s=times_s)
    assert numbers(media.decode_clip(path)) == [1, 1, 1, 1]
    assert len(converted) == 1


def test_file_that_starts_at_five_seconds_gives_the_same_clip(tmp_path):
    times_s = np.arange(30) / 10
    sound = noise(3.0)
    clips = []
    for offset_s in (0.0, 5.0):
        path = write_clip(
            tmp_path / f"{offset_s}.mkv",
            numbered(30),
            sound,
            frame_times_s=times_s + offset_s,
            audio_start_s=offset_s,
            audio_codec="pcm_s16le",
        )
        clips.append(media.decode_clip(path))
    zero, five = clips
    assert numbers(zero) == numbers(five) == [5, 15, 25]
    np.testing.assert_array_equal(zero.waveform, five.waveform)
    assert zero.duration_s == pytest.approx(five.duration_s)


def test_late_sound_is_preceded_by_silence(tmp_path):
    sound = noise(1.0)
    path = write_clip(
        tmp_path / "a.mkv",
        numbered(30),
        sound,
        audio_start_s=1.25,
        audio_codec="pcm_s16le",
    )
    clip = media.decode_clip(path)
    assert len(clip.waveform) == 36_000  # 1.25 s + 1 s
    assert not clip.waveform[:20_000].any()
    np.testing.assert_allclose(clip.waveform[20_000:], sound[0], atol=1 / 32768)
    assert clip.duration_s == pytest.approx(3.0)


def test_before_the_first_frame_the_first_frame_is_shown(tmp_path):
    path = write_clip(
        tmp_path / "a.mkv",
        numbered(10),
        noise(3.0),
        frame_times_s=1.7 + np.arange(10) / 10,
        audio_codec="pcm_s16le",
    )
    assert numbers(media.decode_clip(path)) == [0, 0, 8]


@pytest.mark.parametrize(
    ("num_frames", "sound_s", "expected"),
    [
        # No frames after the video has ended.
        (30, 6.0, [5, 15, 25]),
        # It ends at 2.4 s, the sound at 3 s: 2.5 s still has a frame.
        (24, 3.0, [5, 15, 23]),
        # The hold of the last frame ends with the clip, at 2.4 s.
        (24, None, [5, 15]),
        # A clip that shows any frame gives at least one.
        (4, None, [3]),
        (1, None, [0]),
    ],
)
def test_frames_at_the_end_of_the_video(
    tmp_path, num_frames, sound_s, expected
):
    sound = sound_s and noise(sound_s)
    path = write_clip(tmp_path / "a.mp4", numbered(num_frames), sound)
    clip = media.decode_clip(path)
    assert numbers(clip) == expected
    np.testing.assert_array_equal(
        clip.frame_times_s, np.arange(len(expected)) + 0.5
    )
    longest_s = max(num_frames / 10, sound_s or 0)
    assert clip.duration_s == pytest.approx(longest_s, abs=0.01)


@pytest.mark.parametrize(
    "suffix", ["mp4", "mov", "mkv", "avi", "flv", "ts", "webm"]
)
def test_usual_containers(tmp_path, suffix):
    codecs = {
        "avi": {"video_codec": "mpeg4"},
        "webm": {"video_codec": "libvpx", "audio_codec": "libopus"},
    }
    rate_hz = 48_000 if suffix == "webm" else 44_100
    path = write_clip(
        tmp_path / f"a.{suffix}",
        numbered(40),
        noise(4.0, rate_hz),
        sample_rate_hz=rate_hz,
        **codecs.get(suffix, {}),
    )
    clip = media.decode_clip(path)
    # An AAC encoder puts 1024 samples before the sound; some formats keep
    # them as the start of the file.
    np.testing.assert_allclose(numbers(clip), [5, 15, 25, 35], atol=1)
    assert len(clip.waveform) == pytest.approx(64_000, abs=3_000)


def test_unwanted_tracks_are_left_out(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(20), noise(2.0))
    seen = media.decode_clip(path, audio=False)
    assert numbers(seen) == [5, 15]
    assert seen.waveform is None
    heard = media.decode_clip(path, video=False)
    assert heard.frames_rgb == []
    assert heard.frame_times_s.shape == (0,)
    assert len(heard.waveform) == 32_000
    silent = write_clip(tmp_path / "b.mp4", numbered(20))
    clip = media.decode_clip(silent, video=False)
    assert clip.waveform is None
    assert clip.frames_rgb == []
    assert clip.duration_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_s": 3.0, "end_s": 2.0}, "start_s=3.0 and end_s=2.0"),
        ({"start_s": 2.0, "end_s": 2.0}, "start_s < end_s"),
        ({"start_s": -1.0}, "start_s=-1.0"),
        ({"start_s": float("nan")}, "start_s=nan"),
        ({"frame_rate_hz": 0.0}, "frame_rate_hz"),
        ({"frame_rate_hz": float("inf")}, "frame_rate_hz"),
    ],
)
def test_arguments_are_checked(tmp_path, arguments, message):
    path = write_clip(tmp_path / "a.mp4", numbered(10))
    with pytest.raises(ValueError, match=message):
        media.decode_clip(path, **arguments)


def test_colors_of_high_definition_video(tmp_path):
    """RGB (200, 40, 60) as BT.709 in 8 bits is Y 81, Cb 121, Cr 197."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.codec_context.colorspace = 1  # BT.709
        frame = av.VideoFrame(64, 64, "yuv420p")
        for plane, value in zip(frame.planes, (81, 121, 197), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    decoded = media.decode_clip(path).frames_rgb[0]
    np.testing.assert_allclose(decoded[32, 32], [200, 40, 60], atol=4)


@pytest.mark.parametrize(
    ("corner", "shown"),
    [
        pytest.param([[1, 0], [0, 1]], lambda i: i, id="as it is"),
        pytest.param([[0, 1], [-1, 0]], lambda i: np.rot90(i, -1), id="right"),
        pytest.param([[-1, 0], [0, -1]], lambda i: np.rot90(i, 2), id="down"),
        pytest.param([[0, -1], [1, 0]], np.rot90, id="left"),
        pytest.param([[-1, 0], [0, 1]], np.fliplr, id="mirrored"),
        pytest.param([[1, 0], [0, -1]], np.flipud, id="mirrored, down"),
        pytest.param(
            [[0, 1], [1, 0]], lambda i: i.swapaxes(0, 1), id="transposed"
        ),
        pytest.param(
            [[0, -1], [-1, 0]],
            lambda i: np.rot90(i, 2).swapaxes(0, 1),
            id="transposed, down",
        ),
    ],
)
def test_frames_come_upright(tmp_path, corner, shown):
    matrix = np.eye(3, dtype=int)
    matrix[:2, :2] = corner
    matrix[2, :2] = 32, 48  # The shift that a phone writes is left out.
    image = np.full((32, 48, 3), 40, np.uint8)
    image[4:12, 4:28] = 220  # A mark at the top left, lying.
    path = write_clip(tmp_path / "a.mp4", [image] * 10)
    plain = media.decode_clip(path).frames_rgb[0]
    set_display_matrix(path, matrix)
    turned = media.decode_clip(path).frames_rgb[0]
    np.testing.assert_array_equal(turned, shown(plain))


def test_real_frames_match_another_decoder(shared_data):
    cv2 = pytest.importorskip("cv2")
    path = shared_data / "clips" / "vas_dog_video_02677.mp4"
    clip = media.decode_clip(path)
    assert len(clip.frames_rgb) == 6
    capture = cv2.VideoCapture(str(path))
    shown = []
    while capture.grab():
        time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        _, image = capture.retrieve()
        shown.append((time_s, image[..., ::-1]))
    for time_s, frame in zip(clip.frame_times_s, clip.frames_rgb, strict=True):
        _, expected = [s for s in shown if s[0] <= time_s][-1]
        difference = np.abs(frame.astype(int) - expected.astype(int))
        assert difference.mean() < 2
