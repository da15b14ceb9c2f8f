"""decode_clip on broken, misleading and hostile files."""

import os

import av
import numpy as np
import pytest
import soundfile

from avmil.clips import media, media_container
from avmil.common.errors import MediaError
from tests.media_files import (
    noise,
    numbered,
    numbered_image,
    numbers,
    write_clip,
)


def refused(path, **arguments):
    with pytest.raises(MediaError) as error:
        media.decode_clip(path, **arguments)
    return str(error.value)


def test_what_is_no_file_with_something_in_it(tmp_path):
    assert refused(tmp_path / "a.mp4") == "missing file"
    assert refused(tmp_path / "a.wav", video=False) == "missing file"
    assert refused("a\0b.mp4") == "missing file"
    assert refused(tmp_path) == "not a regular file"
    os.mkfifo(tmp_path / "pipe.mp4")
    assert refused(tmp_path / "pipe.mp4") == "not a regular file"
    (tmp_path / "empty.mp4").touch()
    assert refused(tmp_path / "empty.mp4") == "empty file"


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.wav", "a.flac"])
def test_text_and_random_bytes(tmp_path, name):
    (tmp_path / name).write_text("Sight and sound are not in step.\n" * 50)
    assert "cannot be opened" in refused(tmp_path / name, video=False)
    content = np.random.default_rng(0).bytes(100_000)
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, video=False)


def test_truncated_before_the_index(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(20), noise(2.0))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cannot be opened" in refused(path)


def test_cut_in_the_middle_gives_what_is_there(tmp_path):
    path = write_clip(
        tmp_path / "a.mp4",
        numbered(100),
        noise(10.0),
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    whole = media.decode_clip(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    clip = media.decode_clip(path)
    assert 3 < clip.duration_s < 7
    count = len(clip.frames_rgb)
    assert 3 <= count <= 7
    assert numbers(clip)[: count - 1] == numbers(whole)[: count - 1]


def test_no_frames_at_all(tmp_path):
    path = write_clip(
        tmp_path / "a.mp4",
        numbered(10),
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moof") - 4])
    assert refused(path) == "no video frame can be decoded"


def test_sound_without_picture(tmp_path):
    path = write_clip(tmp_path / "a.m4a", waveform=noise(1.0))
    assert refused(path) == "no video track"
    assert len(media.decode_clip(path, video=False).waveform) == 16_000


def test_cover_art_is_no_video(tmp_path):
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("libmp3lame", rate=16_000)
        sound.layout = "mono"
        cover = output.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(numbered_image(1), format="rgb24")
        output.mux([*cover.encode(image), *cover.encode(None)])
        frame = av.AudioFrame.from_ndarray(
            noise(0.064), format="fltp", layout="mono"
        )
        frame.sample_rate = 16_000
        output.mux([*sound.encode(frame), *sound.encode(None)])
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert refused(path) == "no video track"


def break_packets(path, kind, indices):
    """Overwrites the content of some packets of a track."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(**{kind: 0}) if p.size]
    content = bytearray(path.read_bytes())
    for index in indices:
        packet = packets[index]
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)


def test_some_broken_packets_are_skipped(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(60), noise(6.0))
    break_packets(path, "video", [33, 37])
    clip = media.decode_clip(path)
    assert len(clip.frames_rgb) == 6
    assert numbers(clip)[:3] == [5, 15, 25]
    assert numbers(clip)[4:] == [45, 55]  # After the next keyframe.
    assert clip.duration_s == pytest.approx(6.0)


def test_broken_sound_becomes_silence(tmp_path):
    path = write_clip(
        tmp_path / "a.mkv", numbered(30), noise(3.0), audio_codec="flac"
    )
    whole = media.decode_clip(path).waveform
    break_packets(path, "audio", [1])
    waveform = media.decode_clip(path).waveform
    assert len(waveform) == len(whole)
    same = waveform == whole
    assert same[:1024].all()
    assert same[-16_000:].all()
    assert not same.all()


def test_mostly_broken_track_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(60))
    break_packets(path, "video", range(10, 60, 2))
    assert refused(path).endswith("video packets are broken")


@pytest.mark.parametrize("error", [IndexError, av.InvalidDataError(1, "bad")])
def test_reading_that_ends_in_an_error(tmp_path, monkeypatch, error):
    path = write_clip(tmp_path / "a.mp4", numbered(20), noise(2.0))

    class Failing:
        """A container that fails where the file should end."""

        def __init__(self, container):
            self.start_time = container.start_time
            self._container = container

        def demux(self, streams):
            yield from (p for p in self._container.demux(streams) if p.size)
            raise error

    decode = media_container.decode_streams
    monkeypatch.setattr(
        media,
        "decode_streams",
        lambda container, *others: decode(Failing(container), *others),
    )
    clip = media.decode_clip(path)
    assert numbers(clip) == [5, 15]
    assert len(clip.waveform) == 32_000


def test_fuzzed_files_are_decoded_or_refused(tmp_path):
    rng = np.random.default_rng(1)
    for suffix in ("mp4", "mkv", "ts"):
        path = write_clip(tmp_path / f"a.{suffix}", numbered(20), noise(2.0))
        content = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(15):
            damaged = content.copy()
            places = rng.integers(0, len(content), 20)
            damaged[places] = rng.integers(0, 256, 20)
            path.write_bytes(damaged.tobytes())
            try:
                clip = media.decode_clip(path, 0.25, 1.75, frame_rate_hz=4)
            except MediaError:
                continue
            assert 1 <= len(clip.frames_rgb) <= 6
            assert clip.waveform is None or len(clip.waveform) <= 24_000


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_not_followed(tmp_path, kind):
    write_clip(tmp_path / "secret.ts", numbered(20))
    for suffix in ("mp4", "m3u8", "ffconcat", "sdp"):
        path = tmp_path / f"a.{suffix}"
        path.write_text(PLAYLISTS[kind].format("secret.ts"))
        assert "cannot be opened" in refused(path)
    if kind != "sdp":
        # Without the restriction FFmpeg would open the other file.
        with av.open(str(path), format=kind) as container:
            assert len(container.streams.video) == 1


@pytest.mark.parametrize(
    "name",
    [
        "http:clip.mp4",
        "rtp:clip.mp4",
        "concat:a|b.mp4",
        "-i.mp4",
        "%d 100%.mp4",
        "späte Züge, 'laut'.mp4",
        os.fsdecode(b"not utf-8 \xff.mp4"),
    ],
)
def test_names_are_only_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_clip("a.mp4", numbered(10))
    os.rename("a.mp4", name)
    for path in (tmp_path / name, name):
        assert numbers(media.decode_clip(path)) == [5]
    soundfile.write("a.wav", noise(1.0)[0], 16_000)
    os.rename("a.wav", f"{name}.wav")
    clip = media.decode_clip(f"{name}.wav", video=False)
    assert len(clip.waveform) == 16_000


def test_title_in_another_encoding(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        output.metadata["title"] = "TITLE"
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        frame = av.VideoFrame.from_ndarray(numbered_image(3), format="rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    path.write_bytes(
        path.read_bytes().replace(b"TITLE", b"\xc4\xd6\xdc\xe4\xf6")
    )
    assert numbers(media.decode_clip(path)) == [3]


def test_a_last_frame_that_lasts_for_years(tmp_path):
    """In a few bytes: more frames than there is time to decode."""
    path = write_clip(tmp_path / "a.mp4", numbered(1))
    content = path.read_bytes()
    place = content.index(b"stts") + 16  # Duration of the first frames.
    ticks = (0x7FFFFFFF).to_bytes(4, "big")
    path.write_bytes(content[:place] + ticks + content[place + 4 :])
    assert refused(path).startswith("longer than 3600 s")
    # A section of it is bounded, whatever the frame declares.
    assert len(media.decode_clip(path, 0, 5).frames_rgb) == 5


def test_a_section_that_starts_beyond_all_files(tmp_path):
    path = write_clip(tmp_path / "a.mp4", numbered(10))
    assert "not before the end" in refused(path, start_s=1e308)


def test_nothing_is_printed(tmp_path, capfd):
    path = write_clip(tmp_path / "a.mp4", numbered(30), noise(3.0))
    break_packets(path, "video", [13, 14])
    capfd.readouterr()
    media.decode_clip(path)
    path.write_bytes(b"no film" * 100)
    refused(path)
    assert capfd.readouterr() == ("", "")
