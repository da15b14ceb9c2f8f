"""Lists to manifest to clips by the commands, killed and interrupted."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

from avmil.clips import manifest
from avmil.clips.media import decode_clip
from tests.command_line import flag_list, run, start
from tests.media_files import noise, numbered_image, write_clip
from tests.media_server import MediaServer, allow_only_this_machine

IDS = [f"-5QrBL6M_L{number}" for number in range(4)]
SECTION = (4.0, 14.0)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "whole.mp4"
    images = [numbered_image(number) for number in range(200)]
    return write_clip(path, images, noise(20))


@pytest.fixture
def server(video, monkeypatch):
    allow_only_this_machine(monkeypatch)
    media = MediaServer()
    names = [f"{video_id}.mp4" for video_id in IDS]
    media.contents = dict.fromkeys(names, video.read_bytes())
    media.always = dict.fromkeys(names, "slow")
    with media.running():
        yield media


@pytest.fixture
def download_flags(tmp_path, server):
    """Makes a manifest of AudioSet's lists; flags that fetch its clips."""
    (tmp_path / "class_labels_indices.csv").write_text(
        "index,mid,display_name\n0,/m/0k4j,Car\n1,/m/01bjv,Bus\n"
    )
    segments = "".join(f'{name}, 4.000, 14.000, "/m/0k4j"\n' for name in IDS)
    (tmp_path / "eval_segments.csv").write_text(segments)
    path = tmp_path / "lists" / "manifest.csv"
    made = flag_list(dataset="audioset", lists_dir=tmp_path, output=path)
    run("make_manifest.py", *made)
    return flag_list(
        manifest=path,
        clips_dir=tmp_path / "clips",
        source_url=server.url,
        rate_limit_s=0,
        workers=1,
    )


def start_and_wait_for_clips(download_flags, clips, number):
    process = start("download_clips.py", *download_flags)
    for _ in range(1200):
        if len(list(clips.glob("*.mp4"))) >= number:
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate()[0])


@pytest.mark.slow
def test_kill_and_resume(download_flags, server, video, tmp_path):
    clips = tmp_path / "clips"
    process = start_and_wait_for_clips(download_flags, clips, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(list(clips.glob("*.mp4")))
    assert 2 <= done < 4
    with open(clips / "downloads.jsonl", "a") as file:
        file.write('{"clip_id": "half a li')
    server.requests.clear()
    output = run("download_clips.py", *download_flags)
    assert "4 of 4 test clips" in output
    assert not (clips / ".unfinished").exists()
    # The clip of the moment of the kill may be fetched twice.
    again = {request[0] for request in server.requests}
    assert 4 - done <= len(again) <= 4 - done + 1
    class_names, entries = manifest.read(str(clips / "manifest.csv"))
    assert class_names == ("Car", "Bus")
    expected = decode_clip(video, *SECTION)
    for entry in entries:
        received = decode_clip(entry.path, entry.start_s, entry.end_s)
        np.testing.assert_array_equal(received.frames_rgb, expected.frames_rgb)
        np.testing.assert_array_equal(received.waveform, expected.waveform)


@pytest.mark.slow
def test_an_interrupt_ends_the_work_tidily(download_flags, tmp_path):
    clips = tmp_path / "clips"
    process = start_and_wait_for_clips(download_flags, clips, 1)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "goes on" in output
    assert len(manifest.read(str(clips / "manifest.csv"))[1]) == 4
    assert (clips / "missing_clips.csv").exists()
    assert not (clips / ".unfinished").exists()
