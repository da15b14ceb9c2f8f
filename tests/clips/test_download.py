"""Clips of a manifest, fetched from a server on this machine and no other."""

from __future__ import annotations

import csv
import errno
import gzip
import os

import numpy as np
import pytest

from avmil.clips import download, manifest, video_site
from avmil.clips.manifest import ManifestEntry
from avmil.clips.media import decode_clip
from avmil.common.errors import ConfigError, ManifestError
from flags import DownloadConfig
from tests.media_files import noise, numbered_image, write_clip
from tests.media_server import MediaServer, allow_only_this_machine

IDS = [f"-5QrBL6M_L{number}" for number in range(6)]
NAMES = [f"{video_id}.mp4" for video_id in IDS]
SPLITS = ("train", "train", "train", "val", "val", "test")
LABELS = ("Bus", "Air horn, truck horn")
IMAGES = [numbered_image(number) for number in range(200)]  # 10 a second.
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
OPUS = {"audio_codec": "libopus", "sample_rate_hz": 48_000}
KINDS = {
    "plain.mp4": {},
    "fragmented.mp4": {"container_options": FRAGMENTED},
    "rare_keyframes.mp4": {"keyframe_every": 75},
    "late_sound.mp4": {"audio_start_s": 1.3, "sample_rate_hz": 44_100},
    "h264_opus.mkv": OPUS,
    "vp8_opus.webm": {"video_codec": "libvpx", **OPUS},
    "stream.ts": {},
}
SECTIONS = ((0.0, 2.0), (4.25, 6.75), (9.001, 14.001))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, options in KINDS.items():
        duration_s = 20 if name == "plain.mp4" else 11
        sound = noise(duration_s, options.get("sample_rate_hz", 16_000))
        images = IMAGES[: 10 * duration_s]
        write_clip(folder / name, images, sound, **options)
    write_clip(folder / "mute.mp4", IMAGES)
    write_clip(folder / "sound.mp4", (), noise(20))
    return folder


@pytest.fixture
def site(videos, tmp_path, monkeypatch):
    allow_only_this_machine(monkeypatch)
    server = MediaServer()
    whole = (videos / "plain.mp4").read_bytes()
    server.contents = dict.fromkeys(NAMES, whole)
    with server.running():
        yield Site(tmp_path, server)


class Site:
    """A manifest, the server of its videos and the clips fetched from it."""

    def __init__(self, folder, server):
        self.lists, self.clips = folder / "lists", folder / "100% of clips"
        self.lists.mkdir()
        self.server = server
        self.write(*((video_id, 4.0, 14.0) for video_id in IDS))

    def write(self, *sections):
        entries = []
        for video_id, *times_s in sections:
            clip_id = "_".join((video_id, *map(str, times_s)))
            path = str(self.lists / f"{video_id}.mp4")
            split = SPLITS[IDS.index(video_id)]
            entries.append(
                ManifestEntry(clip_id, path, LABELS, split, *times_s)
            )
        manifest.write(str(self.lists / "manifest.csv"), LABELS, entries)

    def download(self, status=0, clips=None, **changes):
        options = {
            "source_url": self.server.url,
            "rate_limit_s": 0.0,
            "timeout_s": 1.0,
            "retries": 2,
            "workers": 2,
            "clips_dir": str(clips or self.clips),
            **changes,
        }
        manifest_path = str(self.lists / "manifest.csv")
        assert status == download.download(
            DownloadConfig(manifest_path, **options)
        )

    def entries(self):
        return manifest.read(str(self.clips / "manifest.csv"))[1]

    def missing(self):
        with open(self.clips / "missing_clips.csv") as file:
            return {
                row["clip_id"][:11]: row["reason"]
                for row in csv.DictReader(file)
            }


def assert_is_section(entry, whole_path, start_s, end_s):
    expected = decode_clip(whole_path, start_s, end_s)
    received = decode_clip(entry.path, entry.start_s, entry.end_s)
    assert len(received.frames_rgb) == len(expected.frames_rgb)
    np.testing.assert_array_equal(received.frames_rgb, expected.frames_rgb)
    np.testing.assert_array_equal(received.waveform, expected.waveform)
    assert received.duration_s == pytest.approx(expected.duration_s, abs=1e-5)


def test_a_download_gives_a_manifest_of_clips(site, videos, capsys):
    site.download()
    originals = manifest.read(str(site.lists / "manifest.csv"))[1]
    for entry, original in zip(site.entries(), originals, strict=True):
        assert entry.clip_id == original.clip_id
        assert (entry.labels, entry.split) == (original.labels, original.split)
        assert os.path.dirname(entry.path) == str(site.clips)
    whole = videos / "plain.mp4"
    assert_is_section(entry, whole, 4.0, 14.0)
    assert os.path.getsize(entry.path) < 0.7 * os.path.getsize(whole)
    assert site.missing() == {}
    output = capsys.readouterr()
    assert (
        "3 of 3 training clips, 2 of 2 validation clips, 1 of 1 test clips"
        in output.out
    )
    assert "6/6 clips" in output.err


@pytest.mark.parametrize("name", [name for name in KINDS if name[-2:] != "ts"])
def test_a_clip_is_exactly_the_section_of_its_video(site, videos, name):
    url = f"{site.server.base}/{{id}}{os.path.splitext(name)[1]}"
    content = (videos / name).read_bytes()
    site.server.contents[os.path.basename(url).format(id=IDS[0])] = content
    sections = (*SECTIONS, (None, None))
    site.write(*((IDS[0], *section) for section in sections))
    site.download(source_url=url)
    assert site.missing() == {}
    for entry, section in zip(site.entries(), sections, strict=True):
        assert_is_section(entry, videos / name, *section)


def test_real_clips_are_exact(site, shared_data):
    paths = sorted((shared_data / "clips").glob("*.mp4"))[:3]
    for name, path in zip(NAMES, paths, strict=False):
        site.server.contents[name] = path.read_bytes()
    site.write(*((video_id, 2.3, 5.3) for video_id in IDS[: len(paths)]))
    site.download()
    for entry, path in zip(site.entries(), paths, strict=True):
        assert_is_section(entry, path, 2.3, 5.3)


def test_picture_and_sound_behind_two_addresses(site, videos):
    template = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT20S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="v" '
        'codecs="avc1.4d401e" width="64" height="48" bandwidth="9000">'
        "<BaseURL>{base}/mute.mp4</BaseURL></Representation>"
        "</AdaptationSet>"
        '<AdaptationSet mimeType="audio/mp4"><Representation id="a" '
        'codecs="mp4a.40.2" bandwidth="9000" audioSamplingRate="16000">'
        "<BaseURL>{base}/sound.mp4</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>"
    )
    playlist = template.format(base=site.server.base).encode()
    site.server.contents[f"{IDS[0]}.mpd"] = playlist
    for name in ("mute.mp4", "sound.mp4"):
        site.server.contents[name] = (videos / name).read_bytes()
    site.write(*((IDS[0], *section) for section in SECTIONS))
    site.download(source_url=f"{site.server.base}/{{id}}.mpd")
    assert site.missing() == {}
    for entry, section in zip(site.entries(), SECTIONS, strict=True):
        assert_is_section(entry, videos / "plain.mp4", *section)


def test_every_missing_clip_has_its_reason_and_stays_in_the_manifest(
    site, videos, capsys
):
    server = site.server
    del server.contents[NAMES[0]]
    server.always[NAMES[1]] = 403
    server.always[NAMES[2]] = 503
    server.contents[NAMES[3]] = (videos / "mute.mp4").read_bytes()
    server.always[NAMES[4]] = "silent"
    server.contents[NAMES[5]] = (videos / "sound.mp4").read_bytes()
    site.download(status=1, timeout_s=0.3, retries=1)
    reasons = ("removed", "refused", "network", "no audio", "network")
    assert site.missing() == dict(zip(IDS, (*reasons, "no video"), strict=True))
    output = capsys.readouterr().out
    assert "0 of 3 training clips" in output
    assert "6 missing" in output
    assert "      2  network" in output
    assert len(site.entries()) == 6
    assert not list(site.clips.glob("*.mp4"))
    # Twice for what may pass, once for what will not.
    assert [server.count(name) for name in NAMES[:3]] == [1, 2, 2]


@pytest.mark.parametrize(
    ("behavior", "reason"),
    [
        (403, "refused"),
        (410, "removed"),
        ("silent", "network"),
        ("no ranges", "other"),
    ],
)
def test_what_media_addresses_answer_is_explained(site, behavior, reason):
    site.write((IDS[0], 4.0, 14.0))
    site.server.behaviors[NAMES[0]] = ["ok"]  # What yt-dlp finds the video by.
    site.server.always[NAMES[0]] = behavior
    site.download(status=1, timeout_s=0.3, retries=0)
    assert site.missing() == {IDS[0]: reason}
    assert not list(site.clips.glob("*.mp4"))


@pytest.mark.parametrize(
    ("content", "start_s", "reason"),
    [
        ("plain.mp4", 25.0, "no video"),  # It ends before.
        ("stream.ts", 4.0, "other"),  # Written again its clock would move.
        (b"rubbish" * 1000, 4.0, "other"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 4.0, "other"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", 4.0, "other"),
    ],
    ids=["beyond", "ts", "rubbish", "concat", "playlist"],
)
def test_what_is_not_the_section_is_refused(
    site, videos, content, start_s, reason
):
    if isinstance(content, str):
        content = (videos / content).read_bytes()
    site.server.contents[NAMES[0]] = content
    site.write((IDS[0], start_s, start_s + 3))
    site.download(status=1, retries=0)
    assert site.missing() == {IDS[0]: reason}


def test_videos_that_a_page_embeds_are_refused(site):
    page = f'<html><video src="{site.server.base}/{NAMES[1]}"></video></html>'
    site.server.contents[f"{IDS[0]}.html"] = page.encode()
    site.write((IDS[0], 4.0, 14.0))
    url = f"{site.server.base}/{{id}}.html"
    site.download(status=1, source_url=url)
    assert site.missing() == {IDS[0]: "other"}
    assert site.server.count(NAMES[1]) == 0


@pytest.mark.parametrize(
    ("name", "behaviors", "reason"),
    [
        ("page.html", ["endless"], "network"),
        ("bomb.html", ["gzip"], "network"),
        ("page.html", ["trickle"], "network"),
        ("plain.mp4", ["ok", "trickle"], "network"),
        ("h264_opus.mkv", ["ok", "endless"], "other"),
        ("plain.mp4", ["to file:///etc/hostname"], "network"),
    ],
)
def test_sites_that_mean_harm(
    site, videos, monkeypatch, name, behaviors, reason
):
    (videos / "page.html").write_bytes(b"<html>" * 1000)
    (videos / "bomb.html").write_bytes(gzip.compress(b"<html>" * 15_000))
    monkeypatch.setattr(video_site, "_MAX_PAGE_BYTES", 50_000)
    monkeypatch.setattr(video_site, "_MAX_COPY_BYTES", 50_000)
    # On a busy machine what ends by its size is not to end by the time.
    limit_s = 1.5 if behaviors[-1] == "trickle" else 60.0
    monkeypatch.setattr(video_site, "_MAX_PAGE_S", limit_s)
    monkeypatch.setattr(video_site, "_MAX_STANDSTILL_S", limit_s)
    monkeypatch.setattr(video_site, "_WATCH_EVERY_S", 0.1)
    asked = f"{IDS[0]}{os.path.splitext(name)[1]}"
    site.server.contents[asked] = (videos / name).read_bytes()
    site.server.behaviors[asked] = behaviors[:-1]
    site.server.always[asked] = behaviors[-1]
    site.write((IDS[0], None, None))
    url = f"{site.server.base}/{asked}".replace(IDS[0], "{id}")
    site.download(status=1, retries=0, source_url=url)
    assert site.missing() == {IDS[0]: reason}
    assert not list(site.clips.glob("*.m[pk]*"))


def test_failures_that_pass_are_tried_again_at_once(site, videos):
    site.server.behaviors[NAMES[0]] = [429, 503]
    site.server.behaviors[NAMES[1]] = ["break", "ok", "break"]
    site.server.behaviors[NAMES[2]] = ["ok", 403, "ok", "ok", "slow"]
    site.download()
    assert site.missing() == {}
    for entry in site.entries()[:3]:
        assert_is_section(entry, videos / "plain.mp4", 4.0, 14.0)


def test_a_second_run_tries_only_what_may_pass(site):
    removed = site.server.contents.pop(NAMES[0])
    site.server.always[NAMES[1]] = 503
    site.download()
    site.server.requests.clear()
    site.server.contents[NAMES[0]] = removed
    site.server.always.clear()
    site.download()
    assert {request[0] for request in site.server.requests} == {NAMES[1]}
    assert list(site.missing()) == [IDS[0]]
    site.download(retry_missing=True)
    assert site.missing() == {}


def test_what_is_asked_otherwise_is_tried_again(site):
    wrong = f"{site.server.base}/nowhere/{{id}}.mp4"
    site.download(source_url=wrong, status=1)
    assert set(site.missing().values()) == {"removed"}
    site.download()
    assert site.missing() == {}
    path = site.lists / "manifest.csv"
    path.write_text(path.read_text().replace(",4.0,14.0", ",2.0,12.0", 1))
    os.remove(site.entries()[1].path)
    site.server.requests.clear()
    site.download()
    assert {request[0] for request in site.server.requests} == set(NAMES[:2])


def test_the_work_stops_where_a_server_keeps_refusing(
    site, monkeypatch, capsys
):
    for name in NAMES:
        site.server.always[name] = 429
    monkeypatch.setattr(download, "_MAX_FAILURES", 2)
    site.download(status=1, workers=1, retries=0)
    output = capsys.readouterr().out
    assert "Stopped: 2 clips in a row failed" in output
    assert "HTTP Error 429" in output
    assert "4 not tried yet" in output


def test_a_full_disk_stops_the_work_and_other_errors_do_not(
    site, monkeypatch, capsys
):
    errors = [OSError(errno.ENOSPC, "No space left on device")]
    section_in_copy = download._section_in_copy

    def section_or_error(path, entry):
        if errors and entry.clip_id.startswith(IDS[2]):
            raise errors.pop()
        return section_in_copy(path, entry)

    monkeypatch.setattr(download, "_section_in_copy", section_or_error)
    site.download(status=1)
    assert "No space left on device" in capsys.readouterr().out
    assert site.missing() == {}
    errors.append(RuntimeError("surprise"))
    site.download()
    assert site.missing() == {IDS[2]: "other"}


def test_videos_are_spaced_out(site):
    site.download(rate_limit_s=0.1, workers=2)
    media = [time_s for _, part, time_s, _ in site.server.requests if part]
    assert max(media) - min(media) >= 0.1 * (len(IDS) - 2)


def test_cookies_are_sent_and_their_file_stays(site, tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookie = "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n"
    text = f"# Netscape HTTP Cookie File\n{cookie}"
    cookies.write_text(text)
    site.download(cookies=str(cookies))
    # FFmpeg sends cookies too, but not where the address names a port.
    for _, part, _, headers in site.server.requests:
        assert part or headers["Cookie"] == "session=abc"
    assert cookies.read_text() == text
    cookies.write_text('{"session": "abc"}')
    with pytest.raises(ConfigError, match="--cookies"):
        site.download(cookies=str(cookies))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"source_url": "https://example.org/video"}, "{id}"),
        ({"source_url": "file:///etc/{id}"}, "http://"),
        ({"cookies": "/none/cookies.txt"}, "No such file"),
    ],
)
def test_options_that_cannot_be_are_refused(changes, part):
    with pytest.raises(ConfigError, match=part):
        video_site.check_flags(DownloadConfig(**changes))


def test_folders_of_others_are_refused(site, tmp_path):
    (tmp_path / "manifest.csv").write_text("mine")
    for folder in (tmp_path, f"{site.lists}/../lists", "s3://bucket/clips"):
        with pytest.raises(ConfigError, match="--clips_dir"):
            site.download(clips=folder)
    assert (tmp_path / "manifest.csv").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["short.mp4", "-5QrBL6MzL;.mp4", "a&b=c#d?e/f.mp4", "abc%2e%2e%2fd"]
)
def test_ids_are_checked_before_anything_is_asked_for(site, name):
    path = site.lists / "manifest.csv"
    path.write_text(path.read_text().replace(NAMES[2], name))
    with pytest.raises(ManifestError, match="11 characters"):
        site.download()
    assert site.server.requests == []
    assert not site.clips.exists()
