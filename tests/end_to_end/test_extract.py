"""Extraction from the command line: real files, bad files, kill and resume."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time

import numpy as np
import psutil
import pytest
import soundfile

from avmil.features.store import FeatureStore
from tests.command_line import flag_list, run, start
from tests.media_files import noise, write_clip

UNTRAINED = {
    "edges": "gradient",
    "region_weights": "random",
    "audio_weights": "random",
    "short_side_px": 96,
    "max_boxes": 3,
    "shard_size": 4,
}
DURATION_S = 2.0

pytestmark = pytest.mark.slow


def drawn_frames(seed):
    """Boxes of random places and colors on gray: EdgeBoxes finds them."""
    generator = np.random.default_rng(seed)
    image = np.full((96, 128, 3), 90, np.uint8)
    for _ in range(4):
        y, x = generator.integers(5, 50), generator.integers(5, 70)
        image[y : y + 35, x : x + 45] = generator.integers(0, 255, 3)
    return [image] * round(10 * DURATION_S)


def write_manifest(folder, rows):
    (folder / "classes.txt").write_text("bus\ntrain\n")
    with open(folder / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "labels", "split"])
        writer.writerows(rows)
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def good_manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    rows = []
    for number in range(12):
        name = f"clip{number:02d}"
        write_clip(
            folder / f"{name}.mp4", drawn_frames(number), noise(DURATION_S)
        )
        split = ("train", "train", "val", "test")[number % 4]
        rows.append([name, f"{name}.mp4", ("bus", "train")[number % 2], split])
    return write_manifest(folder, rows)


@pytest.fixture(scope="module")
def whole(good_manifest, tmp_path_factory):
    """Features of an extraction that nothing interrupted."""
    features_dir = tmp_path_factory.mktemp("features") / "whole"
    run("extract_features.py", *extract_flags(good_manifest, features_dir))
    return features_dir


def extract_flags(manifest, features_dir, **changes):
    values = {**UNTRAINED, **changes}
    return flag_list(manifest=manifest, features_dir=features_dir, **values)


def shard_bytes(features_dir):
    return {
        path.name: path.read_bytes()
        for path in sorted(features_dir.glob("*.tfrecord*"))
    }


def failures(features_dir):
    with open(features_dir / "failed.csv", newline="") as file:
        return {row["clip_id"]: row for row in csv.DictReader(file)}


def test_features_have_the_contracts_shapes(whole):
    store = FeatureStore(str(whole))
    assert len(store) == 12
    assert store.class_names == ("bus", "train")
    for index in range(12):
        clip = store[index]
        count = len(clip.regions)
        assert 1 <= count <= 2 * 3
        assert clip.regions.shape == (count, 9216)
        assert clip.boxes.shape == (count, 4)
        assert (clip.boxes[:, 2:] <= [127, 95]).all()
        assert clip.frame_times_s.tolist() == [0.5, 1.5]
        assert set(clip.region_times_s.tolist()) <= {0.5, 1.5}
        assert clip.frame_size_px.tolist() == [128, 96]
        # 2 s: 1 + ceil((32000 - 15600) / 7680) segments.
        assert clip.log_mel.shape == (4, 96, 64)
        assert clip.segments.shape == (4, 128)
        assert clip.segment_times_s[1].tolist() == pytest.approx([0.48, 1.44])
        assert clip.cvssp_log_mel.shape == (240, 64)
        assert clip.duration_s == pytest.approx(DURATION_S, abs=0.1)
        assert (clip.segments >= 0).all()
        assert clip.segments.any()


def test_recipe_is_kept(whole):
    info = json.loads((whole / "dataset_info.json").read_text())
    assert info["recipe"]["max_boxes"] == 3
    assert info["recipe"]["region_weights"] == "random"
    assert info["num_clips"] == {"train": 6, "val": 3, "test": 3}
    assert info["shards"]["train"] == [
        f"train-0000{number}-of-00002.tfrecord" for number in range(2)
    ]
    assert info["record"]["regions"]["dtype"] == "float16"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)],
)
def test_stopped_extraction_goes_on_to_the_same_bytes(
    good_manifest, whole, tmp_path, number, status
):
    features_dir = tmp_path / "features"
    flags = extract_flags(good_manifest, features_dir)
    process = start("extract_features.py", *flags)
    workers = set()
    while not kept_clips(features_dir):
        assert process.poll() is None, process.stdout.read()
        workers = set(psutil.Process(process.pid).children(recursive=True))
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode == status
    assert workers
    _, left = psutil.wait_procs(workers, timeout=60)
    assert not left
    assert ("The same command goes on" in output) == (status == 130)
    assert "Traceback" not in output
    assert 0 < len(kept_clips(features_dir)) < 12
    assert "12 of 12 clips" in run("extract_features.py", *flags)
    assert shard_bytes(features_dir) == shard_bytes(whole)
    assert not list(features_dir.glob("*.parts"))


def test_added_clips_are_extracted_alone(good_manifest, whole, tmp_path):
    features_dir = tmp_path / "features"
    shutil.copytree(whole, features_dir)
    with open(good_manifest) as file:
        rows = list(csv.reader(file))[1:]
    manifest = write_manifest(
        tmp_path,
        [["new", *rows[0][1:]], *rows],
    )
    flags = extract_flags(manifest, features_dir)
    for row in rows:
        os.link(good_manifest.parent / row[1], tmp_path / row[1])
    assert "13 of 13 clips" in run("extract_features.py", *flags)
    before, after = shard_bytes(whole), shard_bytes(features_dir)
    assert {name: after[name] for name in before} == before
    store = FeatureStore(str(features_dir), "train")
    assert store.clip_ids[-1] == "new"
    np.testing.assert_array_equal(store[6].segments, store[0].segments)


def kept_clips(features_dir):
    parts = features_dir.glob("*.parts/*.index.json")
    return {part.name for part in parts} | {
        part.name for part in features_dir.glob("*.index.json")
    }


def test_one_worker_extracts_the_same(good_manifest, whole, tmp_path):
    flags = extract_flags(good_manifest, tmp_path / "one", workers=1)
    run("extract_features.py", *flags)
    one, two = FeatureStore(str(tmp_path / "one")), FeatureStore(str(whole))
    for index in range(12):
        np.testing.assert_array_equal(one[index].boxes, two[index].boxes)
        np.testing.assert_allclose(
            one[index].regions, two[index].regions, rtol=1e-2, atol=1e-2
        )


def test_other_parameters_are_refused_by_name(good_manifest, whole):
    before = shard_bytes(whole)
    output = run(
        "extract_features.py",
        *extract_flags(good_manifest, whole, max_boxes=5, network_seed=1),
        status=2,
    )
    assert "max_boxes: there 3, received 5" in output
    assert "network_seed: there 0, received 1" in output
    assert "Traceback" not in output
    assert shard_bytes(whole) == before


def write_wav(path, rate_hz):
    soundfile.write(path, noise(DURATION_S, rate_hz)[0], rate_hz)


@pytest.fixture(scope="module")
def bad_manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    frames, sound = drawn_frames(0), noise(DURATION_S)
    write_clip(folder / "good.mp4", frames, sound)
    whole = (folder / "good.mp4").read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    (folder / "folder.mp4").mkdir()
    write_clip(folder / "video_only.mp4", frames)
    write_wav(folder / "audio_only.wav", 16_000)
    write_clip(folder / "one_frame.mp4", frames[:1], noise(0.1))
    write_clip(
        folder / "six.mp4",
        frames,
        noise(DURATION_S, 44_100, 6),
        sample_rate_hz=44_100,
    )
    write_wav(folder / "slow.wav", 8_000)
    names = [
        "good.mp4",
        "missing.mp4",
        "empty.mp4",
        "truncated.mp4",
        "text.mp4",
        "folder.mp4",
        "video_only.mp4",
        "audio_only.wav",
        "one_frame.mp4",
        "six.mp4",
        "slow.wav",
    ]
    return write_manifest(
        folder,
        [[name.replace(".", "_"), name, "bus", "test"] for name in names],
    )


def test_bad_clips_are_listed_and_nothing_is_lost(bad_manifest, tmp_path):
    features_dir = tmp_path / "features"
    flags = extract_flags(bad_manifest, features_dir)
    output = run("extract_features.py", *flags)
    failed = failures(features_dir)
    assert set(failed) == {
        "missing_mp4",
        "empty_mp4",
        "truncated_mp4",
        "text_mp4",
        "folder_mp4",
        "video_only_mp4",
        "audio_only_wav",
        "slow_wav",
    }
    assert "3 of 11 clips extracted" in output
    assert "8 failed" in output
    assert all(row["stage"] and row["reason"] for row in failed.values())
    assert failed["missing_mp4"]["stage"] == "decode"
    assert "no sound track" in failed["video_only_mp4"]["reason"]
    store = FeatureStore(str(features_dir), "test")
    assert store.clip_ids == ["good_mp4", "one_frame_mp4", "six_mp4"]
    assert {clip.clip_id for clip in store.missing} == set(failed)
    assert "Traceback" not in output

    # The missing file arrives; only it is extracted, the others fail again.
    folder = bad_manifest.parent
    os.link(folder / "good.mp4", folder / "missing.mp4")
    run("extract_features.py", *flags, "--retry_failed")
    os.unlink(folder / "missing.mp4")
    assert set(failures(features_dir)) == set(failed) - {"missing_mp4"}
    assert FeatureStore(str(features_dir), "test").clip_ids[:2] == [
        "good_mp4",
        "missing_mp4",
    ]


def test_silence_and_sound_only(bad_manifest, tmp_path):
    silent = tmp_path / "silent"
    run(
        "extract_features.py",
        *extract_flags(bad_manifest, silent, missing_audio="silence"),
    )
    store = FeatureStore(str(silent))
    assert "video_only_mp4" in store.clip_ids
    clip = store[store.clip_ids.index("video_only_mp4")]
    np.testing.assert_allclose(clip.log_mel, np.log(0.01), atol=1e-5)

    sound = tmp_path / "sound"
    run(
        "extract_features.py",
        *extract_flags(
            bad_manifest, sound, modalities="audio", audio_network="yamnet"
        ),
    )
    store = FeatureStore(str(sound))
    assert store.info["recipe"]["audio_network"] == "yamnet"
    assert store.segment_size == 1024
    assert store[0].segments.shape == (len(store[0].log_mel), 1024)
    assert store[0].segments.any()
    assert {"audio_only_wav", "slow_wav", "good_mp4"} <= set(store.clip_ids)
    assert all(len(store[i].regions) == 0 for i in range(len(store)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region_weights": ""}, "Expected a file in --region_weights"),
        ({"audio_weights": "none.ckpt"}, "--audio_weights, received none.ckpt"),
        ({"edges": "structured_forest"}, "Expected a file in --edge_forest"),
        ({"edges": "canny"}, "canny"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"manifest": "none.csv"}, "none.csv"),
        ({"classes": "none.txt"}, "none.txt"),
    ],
)
def test_mistakes_are_answered_without_a_traceback(
    good_manifest, tmp_path, changes, message
):
    values = {"manifest": good_manifest, **UNTRAINED, **changes}
    features_dir = tmp_path / "features"
    process = start(
        "extract_features.py", *flag_list(features_dir=features_dir, **values)
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output
    assert not features_dir.exists()


def test_weights_of_another_network_are_refused(good_manifest, tmp_path):
    wrong = tmp_path / "weights.npz"
    np.savez(wrong, conv1_kernel=np.zeros((3, 3), np.float32))
    output = run(
        "extract_features.py",
        *extract_flags(good_manifest, tmp_path / "f", region_weights=wrong),
        status=2,
    )
    assert "--region_weights" in output
    assert "Traceback" not in output
