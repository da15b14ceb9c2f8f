"""Sample clips on disk against their truth, through another decoder."""

from __future__ import annotations

import csv
import dataclasses
import json

import av
import numpy as np
import pytest

from avmil.clips import sample_clips, sample_media
from avmil.clips.manifest import read_class_names, read_manifest
from avmil.clips.sample_events import ClipPlan, Event, Sight, Sound
from avmil.clips.sample_plans import CLASS_NAMES

CONFIG = sample_clips.SampleClipsConfig(num_train=4, num_val=1, num_test=1)
SHORT = dataclasses.replace(CONFIG, duration_s=4.0)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample_clips")
    manifest = sample_clips.write_sample_clips(path, CONFIG)
    assert manifest == path / "manifest.csv"
    return path


def decode_frames(path):
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24").astype(int)
            for frame in container.decode(video=0)
        ]


def decode_waveform(path):
    """Mono waveform and rate; the sample at index 0 is shown at 0 s."""
    with av.open(str(path)) as container:
        rate_hz = container.streams.audio[0].rate
        frames = list(container.decode(audio=0))
    assert float(frames[0].pts * frames[0].time_base) == 0.0
    blocks = [frame.to_ndarray() for frame in frames]
    return np.concatenate(blocks, axis=1).mean(axis=0), rate_hz


def one_event(event, num_channels=1, rate_hz=16000):
    events = (event,) if event else ()
    return ClipPlan("one", "train", events, (), rate_hz, num_channels, seed=4)


def test_clips_are_h264_and_aac_of_the_wanted_shape(directory):
    rates_hz, layouts = set(), set()
    for path in sorted((directory / "clips").iterdir()):
        with av.open(str(path)) as container:
            video, audio = (
                container.streams.video[0],
                container.streams.audio[0],
            )
            assert (video.codec.name, audio.codec.name) == ("h264", "aac")
            assert (video.width, video.height) == (320, 240)
            assert video.average_rate == 10
            assert video.frames == 100
            assert container.duration / av.time_base == pytest.approx(
                10, abs=0.1
            )
            rates_hz.add(audio.rate)
            layouts.add(audio.layout.name)
    assert len(rates_hz) > 1
    assert layouts <= {"mono", "stereo"}


def test_manifest_is_what_the_project_reads(directory):
    class_names = read_class_names(directory / "classes.txt")
    assert class_names == CLASS_NAMES
    rows = read_manifest(directory / "manifest.csv", class_names)
    splits = [row.split for row in rows]
    assert splits == ["train"] * 4 + ["val", "test"]
    with open(directory / "manifest.csv", encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["clip_id", "path", "labels", "split"]


def test_labels_are_the_classes_of_the_truth(directory):
    truth = json.loads((directory / "truth.json").read_text())
    rows = read_manifest(directory / "manifest.csv", CLASS_NAMES)
    assert [row.clip_id for row in rows] == list(truth)
    for row in rows:
        events = truth[row.clip_id]
        assert set(row.labels) == {event["class"] for event in events}
        assert all(event["sound"] or event["sight"] for event in events)


def test_truth_has_the_format_of_other_composed_clips(directory, shared_data):
    theirs = json.loads((shared_data / "av_dev" / "truth.json").read_text())
    ours = json.loads((directory / "truth.json").read_text())

    def shape(truth):
        sights = [e["sight"] for es in truth.values() for e in es if e["sight"]]
        events = [e for es in truth.values() for e in es]
        return (
            {key for e in events for key in e} - {"audio", "image"},
            {tuple(sight) for sight in sights},
            {len(box) for sight in sights for box in sight["boxes"]},
        )

    assert shape(ours) == shape(theirs)


def test_same_seed_gives_the_same_clips_and_another_seed_others(
    directory, tmp_path
):
    plan = sample_clips.plan_clips(CONFIG)[1]
    again = tmp_path / "again.mp4"
    sample_media.write_clip(plan, CONFIG, again)
    before = directory / "clips" / f"{plan.clip_id}.mp4"
    assert again.read_bytes() == before.read_bytes()
    np.testing.assert_array_equal(decode_frames(again), decode_frames(before))
    other_config = dataclasses.replace(CONFIG, seed=1)
    other = sample_clips.plan_clips(other_config)[1]
    assert [e.truth() for e in other.events] != [e.truth() for e in plan.events]


def test_complete_clips_are_left_alone(directory):
    paths = sorted(p for p in directory.rglob("*.*") if p.name != ".lock")
    before = [path.stat().st_mtime_ns for path in paths]
    sample_clips.write_sample_clips(directory, CONFIG)
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_interrupted_work_goes_on(directory):
    kept, lost = (directory / "clips" / f"train000{n}.mp4" for n in (0, 1))
    content, kept_ns = lost.read_bytes(), kept.stat().st_mtime_ns
    table = (directory / "manifest.csv").read_text()
    lost.unlink()
    (directory / "manifest.csv").unlink()
    updates = []

    class Recorder:
        def update(self, count=1):
            updates.append(count)

    sample_clips.write_sample_clips(directory, CONFIG, Recorder())
    assert updates == [5, 1]
    assert lost.read_bytes() == content
    assert kept.stat().st_mtime_ns == kept_ns
    assert (directory / "manifest.csv").read_text() == table


def test_lost_manifest_is_written_again(directory):
    table = (directory / "manifest.csv").read_text()
    (directory / "manifest.csv").unlink()
    sample_clips.write_sample_clips(directory, CONFIG)
    assert (directory / "manifest.csv").read_text() == table


def test_another_config_is_refused(directory):
    other = dataclasses.replace(CONFIG, seed=3)
    with pytest.raises(
        sample_clips.SampleClipsError,
        match=r"Expected sample clips with seed 3 .* received seed 0",
    ):
        sample_clips.write_sample_clips(directory, other)


def test_a_manifest_of_other_clips_is_not_overwritten(tmp_path):
    (tmp_path / "manifest.csv").write_text("mine")
    with pytest.raises(sample_clips.SampleClipsError, match=r"manifest\.csv"):
        sample_clips.write_sample_clips(tmp_path, CONFIG)
    assert (tmp_path / "manifest.csv").read_text() == "mine"


def test_failed_clip_leaves_no_clip_behind(tmp_path, monkeypatch):
    def fail(plan, config):
        raise OSError("no space")

    monkeypatch.setattr(sample_media, "render_frames", fail)
    with pytest.raises(OSError, match="no space"):
        sample_clips.write_sample_clips(tmp_path, CONFIG)
    assert not list((tmp_path / "clips").glob("*.mp4"))
    assert not (tmp_path / "manifest.csv").exists()


@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100])
@pytest.mark.parametrize("name", CLASS_NAMES)
def test_decoded_sound_begins_and_ends_with_the_truth(name, rate_hz, tmp_path):
    event = Event(name, None, Sound(1.2345, 3.1, 40.0, 0.3), seed=2)
    plan = one_event(event, 2, rate_hz)
    sample_media.write_clip(plan, SHORT, tmp_path / "clip.mp4")
    waveform, decoded_rate_hz = decode_waveform(tmp_path / "clip.mp4")
    assert decoded_rate_hz == rate_hz
    loud = np.abs(waveform) > 0.08 * np.abs(waveform).max()
    heard_s = np.flatnonzero(loud)[[0, -1]] / rate_hz
    assert heard_s[0] == pytest.approx(1.2345, abs=0.03)
    # The release takes 50 ms; a rotor or an engine may pause that long.
    assert heard_s[1] == pytest.approx(3.1, abs=0.15)
    assert heard_s[1] < 3.13


def test_sound_has_its_level_above_the_background():
    event = Event("ambulance", None, Sound(1.0, 3.0, 12.0, 0.5), seed=2)
    waveform = sample_media.render_waveform(one_event(event), SHORT)[0]
    background = waveform[: 16000 - 1]
    both = waveform[16000 : 3 * 16000]
    power, background_power = (
        np.square(both).mean(),
        np.square(background).mean(),
    )
    snr_db = 10 * np.log10(power / background_power - 1)
    assert snr_db == pytest.approx(12.0, abs=1.0)
    assert np.abs(waveform).max() <= 0.9


def seen_extent(difference, threshold):
    """(x1, y1, x2, y2) of the changed pixels, the end exclusive."""
    changed = np.abs(difference).max(axis=-1) > threshold
    rows = np.flatnonzero(changed.any(axis=1))
    columns = np.flatnonzero(changed.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def moving(name, start_box=(20.3, 90.6, 140.1, 190.2)):
    end_box = tuple(np.add(start_box, (150.0, 20.0, 165.0, 32.5)))
    return Event(name, Sight(1.0, 3.0, start_box, end_box), None, seed=3)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_drawn_object_fills_its_box_exactly(name):
    event = moving(name)
    seen = list(sample_media.render_frames(one_event(event), SHORT))
    empty = list(sample_media.render_frames(one_event(None), SHORT))
    extents = [
        seen_extent(seen[number].astype(int) - empty[number], 3)
        for number in range(13, 27)
    ]
    boxes = event.sight.boxes(np.arange(13, 27) / 10)
    # Nothing is outside; parts that turn reach the edges in some frames.
    gaps = np.array(extents) - boxes
    assert gaps[:, :2].min() > -1.01
    assert gaps[:, 2:].max() < 1.01
    assert np.all(np.abs(gaps).min(axis=0) < 2.5)


def test_decoded_object_is_inside_its_box(tmp_path):
    event = moving("truck")
    for plan, name in ((one_event(event), "seen"), (one_event(None), "empty")):
        sample_media.write_clip(plan, SHORT, tmp_path / f"{name}.mp4")
    seen = decode_frames(tmp_path / "seen.mp4")
    empty = decode_frames(tmp_path / "empty.mp4")
    assert len(seen) == 40
    for number in range(13, 27):
        extent = seen_extent(seen[number] - empty[number], 60)
        box = event.sight.boxes(number / 10)
        np.testing.assert_allclose(extent, box, atol=4)


def test_object_is_seen_from_t0_to_t1_with_fades():
    still = (100.0, 90.0, 220.0, 190.0)
    event = Event("truck", Sight(1.0, 3.0, still, still), None, seed=3)
    seen = sample_media.render_frames(one_event(event), SHORT)
    empty = sample_media.render_frames(one_event(None), SHORT)
    change = np.array(
        [
            np.abs(first.astype(int) - second).mean()
            for first, second in zip(seen, empty, strict=True)
        ]
    )
    assert np.all(change[:10] == 0)
    assert np.all(change[30:] == 0)
    # 0.2 s fades at 10 Hz, in the middle of frames: a quarter, three quarters.
    opacity = change[10:30] / change[20]
    expected = [0.25, 0.75, *[1.0] * 16, 0.75, 0.25]
    np.testing.assert_allclose(opacity, expected, atol=0.08)


def test_background_noise_is_there_without_events():
    waveform = sample_media.render_waveform(one_event(None), SHORT)
    assert waveform.shape == (1, 4 * 16000)
    level = np.sqrt(np.square(waveform).mean())
    assert 10**-2.2 < level < 10**-1.6
