"""Drawn clips: plans, truth, and what decoders find in the files."""

from __future__ import annotations

import collections
import dataclasses
import json

import av
import numpy as np
import pytest

from avmil.clips import drawn_clips
from avmil.clips.drawn_clips import (
    CLASS_NAMES,
    ClipPlan,
    DrawnClipsConfig,
    DrawnEvent,
    Sight,
    plan_clips,
    render_frames,
    render_waveform,
    write_clip,
    write_drawn_clips,
)
from avmil.clips.manifest import read
from avmil.common.errors import ConfigError
from avmil.common.progress import Progress

MANY = DrawnClipsConfig(num_train=240, num_val=30, num_test=60)
FEW = DrawnClipsConfig(num_train=3, num_val=1, num_test=1, duration_s=4.0)


@pytest.fixture(scope="module")
def plans():
    return plan_clips(MANY)


@pytest.fixture(scope="module")
def events(plans):
    return [event for plan in plans for event in plan.events]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn_clips")
    assert (
        write_drawn_clips(path, FEW, Progress(5, "clip"))
        == path / "manifest.csv"
    )
    return path


def one_event(*events):
    return ClipPlan("one", "train", events, (), 4.0, seed=(4,))


def test_splits_and_classes_have_equal_shares(plans):
    leads = collections.Counter((p.split, p.events[0].name) for p in plans)
    for name in CLASS_NAMES:
        assert leads["train", name] == 40
        assert leads["val", name] == 5
        assert leads["test", name] == 10
    assert len({plan.clip_id for plan in plans}) == 330
    counts = collections.Counter(len(plan.events) for plan in plans)
    assert set(counts) == {1, 2}
    assert 0.2 < counts[2] / 330 < 0.4
    distractors = {e.name for plan in plans for e in plan.distractors}
    assert distractors
    assert not distractors & set(CLASS_NAMES)


def test_some_classes_are_only_seen_and_some_only_heard(events):
    kinds = collections.Counter((bool(e.sight), bool(e.sound)) for e in events)
    assert kinds[False, False] == 0
    assert 0.08 < kinds[False, True] / len(events) < 0.22
    assert 0.08 < kinds[True, False] / len(events) < 0.22


def test_sights_and_sounds_lie_inside_the_clip_and_the_frame(plans):
    for event in (e for p in plans for e in p.events + p.distractors):
        if event.sound:
            onset_s, offset_s = event.sound
            assert 0 <= onset_s < offset_s <= 10
        if event.sight:
            start_s, end_s = event.sight.start_s, event.sight.end_s
            assert 0 <= start_s < end_s <= 10
            # They begin and end with a frame.
            assert start_s == round(start_s, 1)
            assert end_s == round(end_s, 1)
            boxes = event.sight.boxes([start_s, end_s])
            assert np.all(boxes >= 0)
            assert np.all(boxes <= [320, 240] * 2)
            assert np.all(boxes[:, 2:] - boxes[:, :2] >= 8)


def test_sight_and_sound_are_placed_independently(events):
    both = [e for e in events if e.sight and e.sound]
    seen_s = [e.sight.start_s + e.sight.end_s for e in both]
    heard_s = [sum(e.sound) for e in both]
    # 0.2 is more than three standard errors for 300 pairs.
    assert abs(np.corrcoef(seen_s, heard_s)[0, 1]) < 0.2


def test_a_clip_depends_on_seed_split_and_number_alone(plans):
    fewer = dataclasses.replace(MANY, num_train=5, num_test=2)
    by_id = {plan.clip_id: plan for plan in plans}
    assert all(plan == by_id[plan.clip_id] for plan in plan_clips(fewer))
    other_seed = plan_clips(dataclasses.replace(fewer, seed=1))
    assert all(plan != by_id[plan.clip_id] for plan in other_seed)
    assert by_id["train0000"].events != by_id["val0000"].events


def test_truth_of_an_event_by_hand():
    sight = Sight(0.6, 2.6, (10.0, 20.0, 50.0, 60.0), (30.0, 20.0, 80.0, 70.0))
    assert DrawnEvent("train", sight, (1.25, 4.5), 9.5).truth() == {
        "class": "train",
        "sound": [1.25, 4.5],
        "sight": {
            "t0": 0.6,
            "t1": 2.6,
            # A fifth and seven tenths of the way.
            "boxes": [
                [1.0, 14.0, 20.0, 56.0, 62.0],
                [2.0, 24.0, 20.0, 71.0, 67.0],
            ],
            # 0.5 s is before the sight.
            "boxes_half": [
                [1.5, 19.0, 20.0, 63.5, 64.5],
                [2.5, 29.0, 20.0, 78.5, 69.5],
            ],
            "track": [
                [0.6, 10.0, 20.0, 50.0, 60.0],
                [2.6, 30.0, 20.0, 80.0, 70.0],
            ],
        },
        "snr_db": 9.5,
    }
    box = (1.0, 1.0, 9.0, 9.0)
    seen = DrawnEvent("train", Sight(0.0, 2.0, box, box)).truth()
    assert seen["sound"] is None
    # The end of the sight belongs to it no more.
    assert seen["sight"]["boxes"] == [[0.0, *box], [1.0, *box]]
    assert DrawnEvent("train", None, (0.0, 2.0)).truth()["sight"] is None


def test_overlap_by_hand():
    still = Sight(0.0, 4.0, (0, 0, 10, 10), (0, 0, 10, 10))
    later = Sight(4.0, 6.0, (0, 0, 10, 10), (0, 0, 10, 10))
    half = Sight(0.0, 4.0, (5, 0, 25, 20), (5, 0, 25, 20))
    crossing = Sight(0.0, 4.0, (20, 0, 30, 10), (0, 0, 10, 10))
    assert still.overlap_px(later) == 0
    assert still.overlap_px(half) == 50
    assert still.overlap_px(crossing) == 100


def test_manifest_and_truth_name_the_same_classes(directory):
    class_names, rows = read(str(directory / "manifest.csv"))
    assert class_names == CLASS_NAMES
    assert [row.split for row in rows] == ["train"] * 3 + ["val", "test"]
    truth = json.loads((directory / "truth.json").read_text())
    assert [row.clip_id for row in rows] == list(truth)
    for row in rows:
        assert set(row.labels) == {e["class"] for e in truth[row.clip_id]}


def test_truth_has_the_format_of_other_composed_clips(directory, shared_data):
    theirs = json.loads((shared_data / "av_dev" / "truth.json").read_text())
    ours = json.loads((directory / "truth.json").read_text())

    def shape(truth):
        events = [e for es in truth.values() for e in es]
        sights = [e["sight"] for e in events if e["sight"]]
        return (
            {key for e in events for key in e} - {"audio", "image"},
            {tuple(sight) for sight in sights},
            {len(box) for sight in sights for box in sight["boxes"]},
        )

    assert shape(ours) == shape(theirs)


def test_clips_are_h264_and_aac_and_the_same_bytes_each_time(
    directory, tmp_path
):
    for plan in plan_clips(FEW)[:2]:
        path = directory / "clips" / f"{plan.clip_id}.mp4"
        write_clip(plan, tmp_path / "again.mp4")
        assert path.read_bytes() == (tmp_path / "again.mp4").read_bytes()
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, audio.codec.name) == ("h264", "aac")
        assert (video.width, video.height, video.frames) == (320, 240, 40)
        assert video.average_rate == 10
        assert (audio.rate, audio.layout.name) == (16_000, "mono")
        assert container.duration / av.time_base == pytest.approx(4, abs=0.1)


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

    write_drawn_clips(directory, FEW, Recorder())
    assert updates == [4, 1]
    assert lost.read_bytes() == content
    assert kept.stat().st_mtime_ns == kept_ns
    assert (directory / "manifest.csv").read_text() == table


def test_other_clips_are_not_overwritten(directory, tmp_path):
    with pytest.raises(
        ConfigError, match=r"Expected drawn clips of .*'seed': 3"
    ):
        write_drawn_clips(
            directory, dataclasses.replace(FEW, seed=3), Progress(5, "clip")
        )
    (tmp_path / "manifest.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"another manifest\.csv"):
        write_drawn_clips(tmp_path, FEW, Progress(5, "clip"))
    assert (tmp_path / "manifest.csv").read_text() == "mine"


def test_failed_clip_leaves_no_clip_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space")
        yield

    monkeypatch.setattr(drawn_clips, "render_frames", fail)
    with pytest.raises(OSError, match="no space"):
        write_drawn_clips(tmp_path, FEW, Progress(5, "clip"))
    assert not list((tmp_path / "clips").iterdir())
    assert not (tmp_path / "manifest.csv").exists()


def seen_extent(difference, threshold):
    """(x1, y1, x2, y2) of the changed pixels, the end exclusive."""
    changed = np.abs(difference).max(axis=-1) > threshold
    rows = np.flatnonzero(changed.any(axis=1))
    columns = np.flatnonzero(changed.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_drawn_object_fills_its_box_exactly(name):
    start_box = (20.3, 90.6, 140.1, 190.2)
    end_box = tuple(np.add(start_box, (150.0, 20.0, 165.0, 32.5)))
    event = DrawnEvent(name, Sight(1.0, 3.0, start_box, end_box))
    seen = np.int32(list(render_frames(one_event(event))))
    empty = np.int32(list(render_frames(one_event())))
    inside = range(13, 27)
    extents = [seen_extent(seen[n] - empty[n], 3) for n in inside]
    # Nothing is outside; parts that turn reach the edges in some frames.
    gaps = extents - event.sight.boxes(np.array(inside) / 10)
    assert gaps[:, :2].min() > -1.01
    assert gaps[:, 2:].max() < 1.01
    assert np.all(np.abs(gaps).min(axis=0) < 2.5)


def test_object_is_decoded_from_t0_to_t1_with_fades(tmp_path):
    still = (100.0, 90.0, 220.0, 190.0)
    event = DrawnEvent("truck", Sight(1.0, 3.0, still, still))
    frames = []
    for plan in (one_event(event), one_event()):
        write_clip(plan, tmp_path / "clip.mp4")
        with av.open(str(tmp_path / "clip.mp4")) as container:
            decoded = container.decode(video=0)
            frames.append([f.to_ndarray(format="rgb24") for f in decoded])
    difference = np.subtract(*np.int32(frames))
    for frame in difference[13:27]:
        np.testing.assert_allclose(seen_extent(frame, 60), still, atol=4)
    change = np.abs(difference).mean(axis=(1, 2, 3))
    opacity = change / change[20]
    assert np.all(opacity[[*range(10), *range(30, 40)]] < 0.15)
    # 0.2 s fades at 10 Hz, in the middle of frames: a quarter, three quarters.
    expected = [0.25, 0.75, *[1.0] * 16, 0.75, 0.25]
    np.testing.assert_allclose(opacity[10:30], expected, atol=0.1)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_decoded_sound_begins_and_ends_with_the_truth(name, tmp_path):
    event = DrawnEvent(name, None, (1.2345, 3.1), snr_db=40.0)
    write_clip(one_event(event), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frames = list(container.decode(audio=0))
    # The sample at index 0 is shown at 0 s.
    assert float(frames[0].pts * frames[0].time_base) == 0.0
    waveform = np.concatenate([f.to_ndarray()[0] for f in frames])
    loud = np.abs(waveform) > 0.08 * np.abs(waveform).max()
    heard_s = np.flatnonzero(loud)[[0, -1]] / 16_000
    assert heard_s[0] == pytest.approx(1.2345, abs=0.03)
    # The release takes 50 ms; a rotor or an engine may pause that long.
    assert 2.95 < heard_s[1] < 3.13


def test_sound_has_its_level_above_the_background():
    event = DrawnEvent("ambulance", None, (1.0, 3.0), snr_db=12.0)
    waveform = render_waveform(one_event(event))
    assert waveform.shape == (64_000,)
    assert np.abs(waveform).max() <= 0.9
    background = np.square(waveform[:16_000]).mean()
    both = np.square(waveform[16_000:48_000]).mean()
    snr_db = 10 * np.log10(both / background - 1)
    assert snr_db == pytest.approx(12.0, abs=1.0)
    assert 10**-2.2 < np.sqrt(background) < 10**-1.6
