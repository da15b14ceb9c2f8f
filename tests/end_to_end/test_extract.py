"""Extraction from the command line: real files, bad files, kill and resume."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import time

import keras
import numpy as np
import psutil
import pytest
import soundfile

import avmil
import flags
from avmil.clips import manifest
from avmil.common.errors import AvmilError, ConfigError
from avmil.features import extraction
from avmil.features import extractor as extractor_module
from avmil.features import recipe as recipes
from avmil.features.extractor import ClipExtractor
from avmil.features.store import FeatureStore
from avmil.runs import scoring, training
from tests.command_line import flag_list, run, start
from tests.media_files import noise, write_clip

UNTRAINED = {
    "edges": "gradient",
    "region_weights": "random",
    "audio_weights": "random",
    "short_side_px": 96,
    "max_boxes": 3,
}
# YAMNet is built in a fifth of the time of VGGish.
LIGHT = UNTRAINED | {"audio_network": "yamnet"}
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
    for number in range(6):
        name = f"clip{number:02d}"
        write_clip(
            folder / f"{name}.mp4", drawn_frames(number), noise(DURATION_S)
        )
        split = ("train", "train", "val", "test")[number % 4]
        rows.append([name, f"{name}.mp4", ("bus", "train")[number % 2], split])
    return write_manifest(folder, rows)


def extract(manifest_path, features_dir):
    """Flags of a small extraction by one process."""
    return "extract_features.py", *flag_list(
        manifest=manifest_path,
        features_dir=features_dir,
        workers=1,
        shard_size=3,
        **UNTRAINED,
    )


@pytest.fixture(scope="module")
def whole(good_manifest, tmp_path_factory):
    """Features of an extraction that nothing interrupted."""
    features_dir = tmp_path_factory.mktemp("features") / "whole"
    assert "6 of 6 clips" in run(*extract(good_manifest, features_dir))
    return features_dir


@pytest.fixture(scope="module")
def extractor():
    """The extractor of the same recipe, in this process."""
    return ClipExtractor(flags.RecipeConfig(**UNTRAINED))


def test_features_and_recipe_are_as_promised(whole):
    store = FeatureStore(str(whole))
    assert len(store) == 6
    assert store.class_names == ("bus", "train")
    for index in range(6):
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
    info = json.loads((whole / "dataset_info.json").read_text())
    assert info["recipe"]["max_boxes"] == 3
    assert info["recipe"]["region_weights"] == "random"
    assert info["num_clips"] == {"train": 4, "val": 1, "test": 1}
    assert info["shards"]["train"] == [
        f"train-0000{number}-of-00002.tfrecord" for number in range(2)
    ]
    assert info["record"]["regions"]["dtype"] == "float16"


def test_another_process_extracts_the_same(good_manifest, whole, extractor):
    """But for the order of sums, which the number of threads decides."""
    store = FeatureStore(str(whole))
    _, rows = manifest.read(str(good_manifest))
    for row in rows[:2]:
        here, there = extractor(row), store[store.clip_ids.index(row.clip_id)]
        np.testing.assert_array_equal(here.boxes, there.boxes)
        np.testing.assert_allclose(
            here.regions, there.regions, rtol=1e-2, atol=1e-2
        )
        np.testing.assert_allclose(here.segments, there.segments, atol=1e-4)


def shard_bytes(features_dir):
    return {p.name: p.read_bytes() for p in features_dir.glob("*.tfrecord*")}


def num_kept(features_dir):
    indexes = "*.parts/*.index.json", "*.tfrecord"
    return len([p for pattern in indexes for p in features_dir.glob(pattern)])


def test_stopped_extraction_goes_on_to_the_same_bytes(
    good_manifest, whole, tmp_path
):
    """Killed after its first clip, then told to end after one more."""
    command = extract(good_manifest, tmp_path)
    for number, status in ((signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        before = num_kept(tmp_path)
        process = start(*command)
        while num_kept(tmp_path) == before:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        output, _ = process.communicate()
        assert process.returncode == status
        assert children
        assert not psutil.wait_procs(children, timeout=60)[1]
        assert ("The same command goes on" in output) == (status == 130)
        assert "Traceback" not in output
        assert not (tmp_path / "test-00000-of-00001.tfrecord").exists()
    config = flags.ExtractionConfig(
        str(good_manifest), features_dir=str(tmp_path), workers=1, shard_size=3
    )
    assert extraction.extract(config, flags.RecipeConfig(**UNTRAINED)) == 0
    assert shard_bytes(tmp_path) == shard_bytes(whole)
    assert not list(tmp_path.glob("*.parts"))


@pytest.fixture(scope="module")
def mute_manifest(tmp_path_factory):
    """The same clips without sound, one that is longer, one that is new."""
    folder = tmp_path_factory.mktemp("mute")
    rows = []
    for number, name in enumerate(("clip00", "clip01", "clip02", "clip09")):
        frames = drawn_frames(number) * (2 if name == "clip02" else 1)
        write_clip(folder / f"{name}.mp4", frames)
        rows.append([name, f"{name}.mp4", "bus", "train"])
    return write_manifest(folder, rows)


# Another network; the boxes' own flags do not count, sound needs no weights.
ANOTHER_NETWORK = {
    "region_network": "alexnet",
    "region_weights": "random",
    "short_side_px": 96,
}


def check_taken_over(features_dir, whole):
    store, given = FeatureStore(str(features_dir)), FeatureStore(str(whole))
    assert store.clip_ids == ["clip00", "clip01"]
    for index, clip_id in enumerate(store.clip_ids):
        received = store.read(index)
        expected = given.read(given.clip_ids.index(clip_id))
        regions = received.pop("regions")
        assert regions.shape == expected["regions"].shape
        assert regions.any()
        assert not np.array_equal(regions, expected["regions"])
        for name, value in received.items():
            np.testing.assert_array_equal(value, expected[name], name)
    different = {"region_network": ("caffenet", "alexnet")}
    recipes = given.info["recipe"], store.info["recipe"]
    assert different == {
        name: values
        for name in recipes[0]
        if len(set(values := tuple(r[name] for r in recipes))) > 1
    }
    failed = failures(features_dir)
    assert "frame_times_s [0.5, 1.5]" in failed["clip02"]["reason"]
    assert "not in" in failed["clip09"]["reason"]


def test_boxes_and_sound_are_taken_over(mute_manifest, whole, tmp_path):
    config = flags.ExtractionConfig(
        str(mute_manifest),
        features_dir=str(tmp_path),
        workers=1,
        boxes_from=str(whole),
    )
    recipe = flags.RecipeConfig(**ANOTHER_NETWORK)
    assert extraction.extract(config, recipe) == 0
    check_taken_over(tmp_path, whole)
    other_sound = dataclasses.replace(recipe, segment_hop_s=0.96)
    with pytest.raises(ConfigError, match="--audio_weights: none"):
        extraction.extract(config, other_sound)


def test_jax_needs_neither_tensorflow_nor_readers_of_sound(
    mute_manifest, whole, tmp_path, monkeypatch
):
    pytest.importorskip("jax")
    for name in ("tensorflow", "tensorflow_io", "resampy", "soundfile"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('blocked')")
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    options = flag_list(
        manifest=mute_manifest,
        features_dir=tmp_path / "features",
        backend="jax",
        boxes_from=whole,
        **ANOTHER_NETWORK,
    )
    assert "2 of 4 clips" in run("extract_features.py", *options)
    check_taken_over(tmp_path / "features", whole)


def failures(features_dir):
    with open(features_dir / "failed.csv", newline="") as file:
        return {row["clip_id"]: row for row in csv.DictReader(file)}


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
    names = [*sorted(path.name for path in folder.iterdir()), "missing.mp4"]
    return write_manifest(
        folder,
        [[name.replace(".", "_"), name, "bus", "test"] for name in names],
    )


def test_bad_clips_are_listed_and_nothing_is_lost(
    bad_manifest, tmp_path, capsys
):
    config = flags.ExtractionConfig(
        manifest=str(bad_manifest), features_dir=str(tmp_path), workers=1
    )
    recipe = flags.RecipeConfig(**LIGHT)
    assert extraction.extract(config, recipe) == 0
    output = capsys.readouterr().out
    failed = failures(tmp_path)
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
    store = FeatureStore(str(tmp_path), "test")
    assert store.clip_ids == ["good_mp4", "one_frame_mp4", "six_mp4"]
    assert {clip.clip_id for clip in store.missing} == set(failed)

    # The missing file arrives; only it is extracted, the others fail again.
    missing = bad_manifest.parent / "missing.mp4"
    os.link(bad_manifest.parent / "good.mp4", missing)
    again = dataclasses.replace(config, retry_failed=True)
    assert extraction.extract(again, recipe) == 0
    missing.unlink()
    assert set(failures(tmp_path)) == set(failed) - {"missing_mp4"}
    assert "missing_mp4" in FeatureStore(str(tmp_path), "test").clip_ids


def test_missing_sound_may_be_silence(bad_manifest):
    recipe = flags.RecipeConfig(**LIGHT, missing_audio="silence")
    _, rows = manifest.read(str(bad_manifest))
    (row,) = (row for row in rows if row.clip_id == "video_only_mp4")
    clip = ClipExtractor(recipe)(row)
    np.testing.assert_allclose(clip.log_mel, np.log(0.001), atol=1e-5)


def test_sound_alone_needs_no_picture(bad_manifest):
    sound = ClipExtractor(flags.RecipeConfig(**LIGHT, modalities="audio"))
    wanted = ("audio_only_wav", "slow_wav", "good_mp4")
    for row in manifest.read(str(bad_manifest))[1]:
        if row.clip_id in wanted:
            clip = sound(row)
            assert clip.segments.shape == (len(clip.log_mel), 1024)
            assert clip.segments.any()
            assert len(clip.regions) == 0


def test_other_networks_go_from_extraction_to_localization(
    good_manifest, tmp_path
):
    inputs = keras.Input((None,))
    loudness = keras.ops.mean(keras.ops.abs(inputs), axis=1, keepdims=True)
    outputs = keras.layers.Dense(3)(loudness)
    weights = tmp_path / "weights" / "sound.keras"
    weights.parent.mkdir()
    keras.Model(inputs, outputs).save(weights)
    values = {
        "region_network": "keras:MobileNetV2",
        "roi_bins": 1,
        "audio_network": "keras_file",
        "audio_weights": str(weights),
    }
    features_dir, run_dir = str(tmp_path / "features"), str(tmp_path / "run")
    config = flags.ExtractionConfig(
        str(good_manifest), features_dir=features_dir, workers=1
    )
    recipe = flags.RecipeConfig(**UNTRAINED | values)
    assert extraction.extract(config, recipe) == 0
    store = FeatureStore(features_dir)
    assert (store.region_size, store.segment_size) == (576, 3)
    assert store.info["recipe"]["audio_weights"].startswith("sha256:")
    training.train(
        flags.TrainConfig(
            features_dir=features_dir,
            run_dir=run_dir,
            steps=2,
            batch_size=2,
            fc_units=4,
        )
    )
    loaded = avmil.load_run(run_dir, weights_dir=str(weights.parent))
    clip = loaded.localize(good_manifest.parent / "clip00.mp4").clip
    stored = store[store.clip_ids.index("clip00")]
    np.testing.assert_array_equal(clip.boxes, stored.boxes)
    expected = scoring.localize(loaded.model, stored, store.class_names)
    np.testing.assert_allclose(
        clip.region_scores, expected.region_scores, atol=1e-3
    )
    np.testing.assert_allclose(clip.scores, expected.scores, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region_network": "vgg"}, "--region_network: .*'vgg'"),
        ({"audio_network": "keras_file"}, "--audio_weights: .*random"),
        ({"region_weights": ""}, "--region_weights: none"),
        ({"audio_weights": "none.ckpt"}, "--audio_weights: none.ckpt cannot"),
        (
            {"edges": "structured_forest"},
            "fetch_weights.py edge_forest ",
        ),
        ({"manifest": "none.csv"}, "none.csv"),
        ({"classes": "none.txt"}, "none.txt"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(
    good_manifest, tmp_path, changes, message
):
    features_dir = tmp_path / "features"
    values = {
        "manifest": str(good_manifest),
        "features_dir": str(features_dir),
        **UNTRAINED,
        **changes,
    }
    configs = [
        config(**{k: v for k, v in values.items() if hasattr(config, k)})
        for config in (flags.ExtractionConfig, flags.RecipeConfig)
    ]
    with pytest.raises((AvmilError, OSError), match=message):
        extraction.extract(*configs)
    assert not features_dir.exists()


@pytest.mark.parametrize(
    ("features", "seed", "backend", "message"),
    [
        ("whole", 0, "torch", "KERAS_BACKEND: there 'torch'"),
        ("elsewhere", 0, "tensorflow", "the same directory for all workers"),
        ("whole", 1, "tensorflow", "network_seed: there 1, received 0"),
    ],
)
def test_a_worker_unlike_its_job_is_refused(
    whole, monkeypatch, features, seed, backend, message
):
    # A worker sets its threads; this process has computed already.
    monkeypatch.setattr(extractor_module, "configure_backend", lambda _: None)
    config = flags.ExtractionConfig(features_dir=str(whole.parent / features))
    recipe_config = flags.RecipeConfig(**UNTRAINED)
    recipe = {
        **recipes.of_flags(recipe_config),
        "network_seed": seed,
        "KERAS_BACKEND": backend,
    }
    with pytest.raises(ConfigError, match=message):
        extraction._make_extractor(config, recipe_config, recipe, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"edges": "canny"}, "canny"), ({"manifest": "none.csv"}, "none.csv")],
)
def test_mistakes_are_answered_without_a_traceback(
    good_manifest, tmp_path, changes, message
):
    values = {"manifest": good_manifest, "features_dir": tmp_path / "features"}
    process = start("extract_features.py", *flag_list(**(values | changes)))
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert message in output
    assert "Traceback" not in output


def test_weights_of_another_network_are_refused(tmp_path):
    wrong = tmp_path / "weights.npz"
    np.savez(wrong, conv1_kernel=np.zeros((3, 3), np.float32))
    values = UNTRAINED | {"region_weights": str(wrong)}
    with pytest.raises(ConfigError, match="--region_weights"):
        ClipExtractor(flags.RecipeConfig(**values))
