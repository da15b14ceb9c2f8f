"""Lists to manifest to clips, from a server on this machine and no other."""

from __future__ import annotations

import collections
import csv
import dataclasses
import errno
import os
import signal
import time

import numpy as np
import pytest

import download_clips
import flags
import make_manifest
from avmil.clips import downloading
from avmil.clips.download_failures import DownloadError
from avmil.clips.manifest import read_class_names, read_manifest
from avmil.clips.media import decode_clip
from avmil.clips.video_site import check_is_video
from avmil.common.errors import ConfigError, ManifestError
from tests.command_line import flag_list, run, start
from tests.media_files import noise, numbered_image, write_clip
from tests.media_server import MediaServer, allow_only_this_machine

IDS = [f"-5QrBL6M_L{number}" for number in range(6)]
SECTION = (4.0, 14.0)
IMAGES = [numbered_image(number) for number in range(200)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_clip(
        folder / "whole.mp4", IMAGES, noise(20, 44_100), sample_rate_hz=44_100
    )
    write_clip(folder / "mute.mp4", IMAGES)
    write_clip(
        folder / "sound.mp4", (), noise(20, 44_100), sample_rate_hz=44_100
    )
    return folder


@pytest.fixture
def server(videos, monkeypatch):
    allow_only_this_machine(monkeypatch)
    media = MediaServer()
    for video_id in IDS:
        media.contents[f"{video_id}.mp4"] = (videos / "whole.mp4").read_bytes()
    with media.running():
        yield media


@pytest.fixture
def lists(tmp_path):
    return write_lists(tmp_path / "lists", IDS)


def write_lists(folder, ids):
    folder.mkdir()
    (folder / "classes.txt").write_text("Bus\nAir horn, truck horn\n")
    splits = ("train", "train", "train", "val", "val", "test")
    with open(folder / "manifest.csv", "w", newline="") as file:
        table = csv.writer(file)
        file.write("clip_id,path,labels,split,start_s,end_s\n")
        for video_id, split in zip(ids, splits, strict=True):
            labels = "Bus;Air horn, truck horn"
            clip_id = f"{video_id}_4.000_14.000"
            path = f"{video_id}.mp4"
            table.writerow([clip_id, path, labels, split, *SECTION])
    return folder


def config(lists, server, **changes):
    values = {
        "manifest": str(lists / "manifest.csv"),
        "clips_dir": str(lists.parent / "clips"),
        "source_url": server.url,
        "rate_limit_s": 0.0,
        "timeout_s": 1.0,
        "retries": 2,
        "workers": 2,
        **changes,
    }
    return flags.DownloadConfig(**values)


def download(lists, server, status=0, **changes):
    settings = config(lists, server, **changes)
    assert download_clips.download(settings) == status


def fetched_rows(lists):
    clips = lists.parent / "clips"
    class_names = read_class_names(str(clips / "classes.txt"))
    return read_manifest(str(clips / "manifest.csv"), class_names)


def missing(lists):
    with open(lists.parent / "clips" / "missing_clips.csv") as file:
        return {
            row["clip_id"][:11]: (row["split"], row["reason"])
            for row in csv.DictReader(file)
        }


def assert_is_section(row, whole_path):
    expected = decode_clip(whole_path, *SECTION)
    received = decode_clip(row.path, row.start_s, row.end_s)
    assert len(received.frames_rgb) == len(expected.frames_rgb) == 10
    np.testing.assert_array_equal(received.frames_rgb, expected.frames_rgb)
    np.testing.assert_array_equal(received.waveform, expected.waveform)


def test_clips_are_the_sections_of_their_videos(lists, server, videos, capsys):
    download(lists, server)
    rows = fetched_rows(lists)
    originals = read_manifest(
        str(lists / "manifest.csv"), ("Bus", "Air horn, truck horn")
    )
    for row, original in zip(rows, originals, strict=True):
        assert row.clip_id == original.clip_id
        assert (row.labels, row.split) == (original.labels, original.split)
        assert os.path.dirname(row.path) == str(lists.parent / "clips")
    assert_is_section(rows[0], videos / "whole.mp4")
    assert missing(lists) == {}
    assert (
        "3 of 3 training clips, 2 of 2 validation clips, 1 of 1 test clips"
        in capsys.readouterr().out
    )


def test_every_missing_clip_has_its_reason_and_stays_in_the_manifest(
    lists, server, videos, capsys
):
    mute = (videos / "mute.mp4").read_bytes()
    names = [f"{video_id}.mp4" for video_id in IDS]
    del server.contents[names[0]]
    server.always[names[1]] = 403
    server.always[names[2]] = 503
    server.contents[names[3]] = mute
    server.always[names[4]] = "silent"
    server.contents[names[5]] = (videos / "sound.mp4").read_bytes()
    download(lists, server, status=1, timeout_s=0.3, retries=1)
    assert missing(lists) == {
        IDS[0]: ("train", "removed"),
        IDS[1]: ("train", "refused"),
        IDS[2]: ("train", "network"),
        IDS[3]: ("val", "no audio"),
        IDS[4]: ("val", "network"),
        IDS[5]: ("test", "no video"),
    }
    output = capsys.readouterr().out
    assert "0 of 3 training clips" in output
    assert "6 missing" in output
    assert "      2  network" in output
    assert len(fetched_rows(lists)) == 6
    assert not list((lists.parent / "clips").glob("*.mp4"))
    # Twice for what may pass, once for what will not.
    assert [server.count(name) for name in names[:3]] == [1, 2, 2]


def test_failures_that_pass_are_tried_again_at_once(lists, server, videos):
    page, media = "ok", "ok"
    server.behaviors[f"{IDS[0]}.mp4"] = [429, 503, page, media]
    server.behaviors[f"{IDS[1]}.mp4"] = [page, "break", "break", media]
    server.behaviors[f"{IDS[2]}.mp4"] = [page, 403, page, "slow"]
    download(lists, server)
    assert missing(lists) == {}
    for row in fetched_rows(lists)[:3]:
        assert_is_section(row, videos / "whole.mp4")


def test_a_second_run_tries_only_what_may_pass(lists, server):
    names = [f"{video_id}.mp4" for video_id in IDS]
    removed = server.contents.pop(names[0])
    server.always[names[1]] = 503
    download(lists, server)
    server.requests.clear()
    server.contents[names[0]] = removed
    server.always.clear()
    download(lists, server)
    assert {request[0] for request in server.requests} == {names[1]}
    assert list(missing(lists)) == [IDS[0]]
    download(lists, server, retry_missing=True)
    assert missing(lists) == {}


def test_another_section_of_the_same_clip_is_fetched_anew(lists, server):
    download(lists, server)
    path = lists / "manifest.csv"
    path.write_text(path.read_text().replace(",4.0,14.0", ",2.0,12.0", 1))
    server.requests.clear()
    download(lists, server)
    assert {request[0] for request in server.requests} == {f"{IDS[0]}.mp4"}


def test_the_work_stops_where_a_server_keeps_refusing(
    lists, server, monkeypatch, capsys
):
    for video_id in IDS:
        server.always[f"{video_id}.mp4"] = 429
    monkeypatch.setattr(download_clips, "RateLimit", ShortTempered)
    download(lists, server, status=1, workers=1)
    output = capsys.readouterr().out
    assert "Stopped: 4 requests in a row failed" in output
    assert "HTTP Error 429" in output
    assert "5 not tried yet" in output
    assert len(server.requests) == 4


class ShortTempered(download_clips.RateLimit):
    def __init__(self, interval_s):
        super().__init__(interval_s, max_failures=4)


def test_a_full_disk_stops_the_work(lists, server, monkeypatch, capsys):
    def copy_section(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloading, "copy_section", copy_section)
    download(lists, server, status=1)
    assert "No space left on device" in capsys.readouterr().out
    assert missing(lists) == {}


def test_a_clip_that_raises_anything_does_not_stop_the_others(
    lists, server, monkeypatch
):
    copy_section = downloading.copy_section

    def copy_some(sources, section, path):
        if IDS[2] in path:
            raise RuntimeError("surprise")
        return copy_section(sources, section, path)

    monkeypatch.setattr(downloading, "copy_section", copy_some)
    download(lists, server)
    assert missing(lists) == {IDS[2]: ("train", "other")}


def test_requests_are_spaced_out(lists, server):
    download(lists, server, rate_limit_s=0.2, workers=3)
    times_s = [time_s for _, asked, time_s, _ in server.requests if not asked]
    assert len(times_s) == 6
    assert times_s[-1] - times_s[0] >= 0.95


def test_cookies_are_sent(lists, server, tmp_path):
    cookies = tmp_path / "cookies.txt"
    text = (
        "# Netscape HTTP Cookie File\n"
        "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n"
    )
    cookies.write_text(text)
    download(lists, server, cookies=str(cookies))
    sent = collections.Counter(
        headers.get("Cookie") for *_, headers in server.requests
    )
    assert set(sent) == {"session=abc"}
    assert cookies.read_text() == text


def test_picture_and_sound_behind_two_addresses(lists, server, videos):
    template = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT20S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="v" '
        'codecs="avc1.4d401e" width="{width}" height="48" bandwidth="9000">'
        "<BaseURL>{base}/picture.mp4</BaseURL></Representation>"
        "</AdaptationSet>"
        '<AdaptationSet mimeType="audio/mp4"><Representation id="a" '
        'codecs="mp4a.40.2" bandwidth="9000" audioSamplingRate="44100">'
        "<BaseURL>{base}/sound.mp4</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>"
    )
    playlist = template.format(base=server.base, width=64).encode()
    for video_id in IDS:
        server.contents[f"{video_id}.mpd"] = playlist
    server.contents["picture.mp4"] = (videos / "mute.mp4").read_bytes()
    server.contents["sound.mp4"] = (videos / "sound.mp4").read_bytes()
    download(lists, server, source_url=f"{server.base}/{{id}}.mpd")
    assert missing(lists) == {}
    assert server.count("picture.mp4") == server.count("sound.mp4") == 6
    assert_is_section(fetched_rows(lists)[0], videos / "whole.mp4")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"clips_dir": "s3://bucket/clips"}, "local --clips_dir"),
        ({"source_url": "https://example.org/video"}, "{id}"),
        ({"source_url": "file:///etc/{id}"}, "http://"),
        ({"cookies": "/none/cookies.txt"}, "there is none"),
    ],
)
def test_flags_that_cannot_be_are_refused(lists, server, changes, part):
    with pytest.raises(ConfigError, match=part):
        download_clips.download(config(lists, server, **changes))


def test_cookies_in_another_format_are_refused(lists, server, tmp_path):
    (tmp_path / "cookies.txt").write_text('{"session": "abc"}')
    with pytest.raises(ConfigError, match="--cookies"):
        download_clips.download(
            config(lists, server, cookies=str(tmp_path / "cookies.txt"))
        )


def test_the_manifests_own_folder_is_refused(lists, server):
    with pytest.raises(ConfigError, match="would be replaced"):
        download_clips.download(
            config(lists, server, clips_dir=f"{lists}/../lists")
        )


@pytest.mark.parametrize(
    "name", ["short.mp4", "-5QrBL6MzL;.mp4", "a&b=c#d?e/f.mp4", "abc%2e%2e%2fd"]
)
def test_ids_are_checked_before_anything_is_asked_for(lists, server, name):
    path = lists / "manifest.csv"
    path.write_text(path.read_text().replace(f"{IDS[2]}.mp4", name))
    with pytest.raises(ManifestError, match="11 characters"):
        download_clips.download(config(lists, server))
    assert server.requests == []
    assert not (lists.parent / "clips").exists()


@pytest.mark.slow
def test_kill_and_resume(lists, server, videos):
    for video_id in IDS:
        server.always[f"{video_id}.mp4"] = "slow"
    clips = lists.parent / "clips"
    settings = dataclasses.asdict(config(lists, server, workers=1))
    process = start("download_clips.py", *flag_list(**settings))
    for _ in range(600):
        if len(list(clips.glob("*.mp4"))) >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(list(clips.glob("*.mp4")))
    assert 2 <= done < 6
    for name in (f"{IDS[-1]}_4.000_14.000", "somebody's"):
        (clips / f"{name}.part").write_bytes(b"half a file")
    with open(clips / "downloads.jsonl", "a") as file:
        file.write('{"clip_id": "half a li')
    server.requests.clear()
    output = run("download_clips.py", *flag_list(**settings))
    assert "3 of 3 training clips, 2 of 2 validation clips" in output
    assert [path.stem for path in clips.glob("*.part")] == ["somebody's"]
    # The clip of the moment of the kill may be fetched twice.
    again = {request[0] for request in server.requests}
    assert 6 - done <= len(again) <= 6 - done + 1
    for row in fetched_rows(lists):
        assert_is_section(row, videos / "whole.mp4")


@pytest.mark.slow
def test_an_interrupt_ends_the_work_tidily(lists, server):
    for video_id in IDS[2:]:
        server.always[f"{video_id}.mp4"] = "slow"
    clips = lists.parent / "clips"
    settings = dataclasses.asdict(config(lists, server, workers=1))
    process = start("download_clips.py", *flag_list(**settings))
    for _ in range(600):
        if list(clips.glob("*.mp4")):
            break
        time.sleep(0.05)
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "goes on" in output
    assert len(fetched_rows(lists)) == 6
    assert not list(clips.glob("*.part"))


def test_make_manifest_writes_what_the_download_reads(server, tmp_path, capsys):
    lists_dir = tmp_path / "audioset"
    lists_dir.mkdir()
    (lists_dir / "class_labels_indices.csv").write_text(
        "index,mid,display_name\n0,/m/0k4j,Car\n1,/m/01bjv,Bus\n"
    )
    (lists_dir / "eval_segments.csv").write_text(
        f'# YTID\n{IDS[0]}, 4.000, 14.000, "/m/0k4j,/m/01bjv"\n'
        f'{IDS[1]}, 0.000, 10.000, "/m/01bjv"\n'
    )
    lists = tmp_path / "lists"
    make_manifest.make(
        flags.ManifestConfig(
            dataset="audioset",
            lists_dir=str(lists_dir),
            output=str(lists / "manifest.csv"),
            wanted_classes="/m/0k4j",
        )
    )
    output = capsys.readouterr().out.splitlines()
    assert output[0].split() == ["train", "val", "test"]
    assert output[1].split() == ["Car", "0", "0", "1"]
    assert (lists / "classes.txt").read_text() == "Car\n"
    download(lists, server)
    (row,) = fetched_rows(lists)
    assert row.clip_id == f"{IDS[0]}_4.000_14.000"
    assert row.labels == ("Car",)

    settings = flags.ManifestConfig(
        dataset="audioset",
        lists_dir=str(lists_dir),
        output=str(lists / "manifest.csv"),
    )
    before = (lists / "manifest.csv").read_text()
    with pytest.raises(ConfigError, match="--overwrite"):
        make_manifest.make(settings)
    with pytest.raises(ConfigError, match=r"\.csv file"):
        make_manifest.make(dataclasses.replace(settings, output=str(lists)))
    assert (lists / "manifest.csv").read_text() == before
    make_manifest.make(dataclasses.replace(settings, overwrite=True))
    assert (lists / "classes.txt").read_text() == "Car\nBus\n"
    warnings = capsys.readouterr().err
    assert "no clip is in the split 'val'. Thresholds need one" in warnings


def test_folders_of_others_are_refused(lists, server, tmp_path):
    (tmp_path / "manifest.csv").write_text("mine")
    with pytest.raises(ConfigError, match="not a download's"):
        download(lists, server, clips_dir=str(tmp_path))
    assert (tmp_path / "manifest.csv").read_text() == "mine"


def test_a_corrected_address_tries_removed_clips_again(lists, server):
    wrong = f"{server.base}/nowhere/{{id}}.mp4"
    download(lists, server, source_url=wrong, status=1)
    assert {reason for _, reason in missing(lists).values()} == {"removed"}
    download(lists, server)
    assert missing(lists) == {}


@pytest.mark.parametrize(
    ("info", "refused"),
    [
        ({"id": "a", "extractor_key": "Youtube"}, False),
        ({"id": "b", "extractor_key": "Youtube"}, True),
        ({"id": "a", "extractor_key": "Generic", "direct": True}, False),
        ({"id": "a", "extractor_key": "Generic"}, True),
        (
            {
                "id": "a",
                "extractor_key": "Generic",
                "webpage_url": "http://x/a.mpd",
                "formats": [{"manifest_url": "http://x/a.mpd"}],
            },
            False,
        ),
        (
            {
                "id": "a",
                "extractor_key": "Generic",
                "webpage_url": "http://x/a",
                "formats": [{"manifest_url": "http://y/b.mpd"}],
            },
            True,
        ),
    ],
)
def test_videos_that_a_page_embeds_are_refused(info, refused):
    if not refused:
        check_is_video(info, "a")
        return
    with pytest.raises(DownloadError, match="web page"):
        check_is_video(info, "a")


def test_bad_lists_leave_nothing_behind(tmp_path):
    (tmp_path / "groundtruth_release").mkdir()
    for name in (
        "groundtruth_weak_label_training_set.csv",
        "groundtruth_weak_label_testing_set.csv",
        "groundtruth_release/groundtruth_weak_label_evaluation_set.csv",
    ):
        (tmp_path / name).write_text("nothing of the kind\n")
    settings = flags.ManifestConfig(
        lists_dir=str(tmp_path), output=str(tmp_path / "lists/manifest.csv")
    )
    with pytest.raises(ManifestError, match=r"testing_set\.csv, line 1"):
        make_manifest.make(settings)
    assert not (tmp_path / "lists").exists()
    with pytest.raises(ConfigError, match="audioset only"):
        make_manifest.make(dataclasses.replace(settings, wanted_classes="Car"))
