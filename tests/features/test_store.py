"""Shards, index and random access, also when interrupted or damaged."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from avmil.common.errors import FeaturesError, UnusableFeaturesError
from avmil.features import clip_features
from avmil.features import store as records
from avmil.features.batches import BatchShape, load_batch
from avmil.features.store import FeatureStore, FeatureWriter
from tests.feature_files import CLASS_NAMES, make_clip, write_features


def assert_same(first, second):
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(
            getattr(first, field.name), getattr(second, field.name)
        )


@pytest.mark.parametrize("size", [128, 1024])
@pytest.mark.parametrize(("regions", "segments"), [(3, 2), (0, 4), (5, 0)])
def test_record_round_trip(regions, segments, size):
    clip = make_clip(
        "a-1_2.000", ("bus", "train"), regions, segments, segment_size=size
    )
    read = clip_features.from_record(clip_features.to_record(clip))
    assert_same(clip, read)
    assert read.regions.dtype == np.float16
    assert read.regions.shape == (regions, 9216)
    assert read.segments.shape == (segments, size)


def test_store_gives_every_clip_by_index(tmp_path):
    rows = write_features(str(tmp_path), {"train": 9, "val": 2, "test": 1})
    store = FeatureStore(str(tmp_path))
    assert len(store) == 12
    assert store.clip_ids == [row.clip_id for row in rows]
    for index in (11, 0, 5, 8, 9):
        row = rows[index]
        expected = make_clip(row.clip_id, row.labels, 2 + len(row.clip_id) % 3)
        assert_same(store[index], expected)
    assert store.labels.sum(axis=1).tolist() == [1] * 12
    assert store.labels[1].tolist() == [0, 1, 0]
    assert store.class_names == CLASS_NAMES
    with pytest.raises(IndexError):
        store[12]


@pytest.mark.parametrize("size", [128, 1024])
def test_segments_of_any_size_fill_a_batch(tmp_path, size):
    write_features(str(tmp_path), {"val": 3}, segment_size=size)
    store = FeatureStore(str(tmp_path), "val")
    assert store.segment_size == size
    batch = load_batch(store, np.array([2, 0]), BatchShape(3, 4, 5))
    assert batch["segments"].shape == (3, 5, size)
    np.testing.assert_array_equal(batch["segments"][0, :2], store[2].segments)
    assert not batch["segments"][0, 2:].any()
    assert batch["segment_mask"].sum(axis=1).tolist() == [2, 2, 0]


def test_schema_tells_of_the_segments_size(tmp_path):
    write_features(str(tmp_path), {"val": 1})
    record = FeatureStore(str(tmp_path)).info["record"]
    assert record["segments"] == {"dtype": "float32", "shape": [-1, -1]}
    assert record["segment_size"] == {"dtype": "int64", "shape": []}


def test_store_of_one_split(tmp_path):
    write_features(str(tmp_path), {"train": 5, "test": 3})
    store = FeatureStore(str(tmp_path), "test")
    assert store.clip_ids == ["test000", "test001", "test002"]
    assert len(FeatureStore(str(tmp_path), "val")) == 0
    with pytest.raises(FeaturesError, match="'dev'"):
        FeatureStore(str(tmp_path), "dev")


def test_shards_are_named_and_readable_by_tensorflow(tmp_path):
    write_features(str(tmp_path), {"train": 9})
    shards = sorted(path.name for path in tmp_path.glob("*.tfrecord"))
    assert shards == [f"train-{i:05d}-of-00003.tfrecord" for i in range(3)]
    paths = [str(tmp_path / name) for name in shards]
    read = [
        clip_features.from_record(record.numpy()).clip_id
        for record in tf.data.TFRecordDataset(paths)
    ]
    assert read == [f"train{i:03d}" for i in range(9)]
    assert not list(tmp_path.glob("*.parts"))


def test_missing_clips_keep_labels_and_reason(tmp_path):
    write_features(str(tmp_path), {"train": 4, "test": 3}, missing=("test001",))
    store = FeatureStore(str(tmp_path), "test")
    assert store.clip_ids == ["test000", "test002"]
    (clip,) = store.missing
    assert (clip.clip_id, clip.stage, clip.reason) == (
        "test001",
        "decode",
        "made to fail",
    )
    assert store.missing_labels().tolist() == [[0, 1, 0]]


def test_an_interrupted_shard_equals_an_uninterrupted_one(tmp_path):
    clips = [make_clip(f"clip{i}") for i in range(3)]
    names = [clip.clip_id for clip in clips]
    content = []
    for folder, order in (("whole", (0, 1, 2)), ("resumed", (2, 0, 1))):
        for index in order:  # A new writer for each clip, as after a kill.
            writer = FeatureWriter(str(tmp_path / folder), "val", 0, 1)
            assert names[index] not in writer.held()
            writer.add(clips[index])
            assert names[index] in writer.held()
            assert not writer.is_complete()
        writer.close(names)
        assert writer.is_complete()
        shard = tmp_path / folder / "val-00000-of-00001.tfrecord"
        index_path = pathlib.Path(records.index_path(str(shard)))
        content.append((shard.read_bytes(), index_path.read_text()))
    assert content[0] == content[1]


def test_reopened_shard_keeps_its_clips(tmp_path):
    writer = FeatureWriter(str(tmp_path), "val", 0, 1)
    writer.add(make_clip("a"))
    writer.fail(records.MissingClip("b", (), "decode", "missing file"))
    writer.close(["a", "b"])
    writer.reopen()
    assert not writer.is_complete()
    assert writer.held() == {"a"}
    writer.add(make_clip("b"))
    writer.close(["a", "b"])
    assert [c["clip_id"] for c in writer.index()["clips"]] == ["a", "b"]
    assert writer.index()["missing"] == []


def test_current_names_the_clip_that_a_process_died_on(tmp_path):
    writer = FeatureWriter(str(tmp_path), "val", 0, 1)
    assert writer.current() is None
    writer.begin("a")
    assert writer.current() == "a"
    writer.add(make_clip("a"))
    assert writer.current() is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, value):
    clip = make_clip("a")
    clip.segments[1, 5] = value
    writer = FeatureWriter(str(tmp_path), "val", 0, 1)
    with pytest.raises(UnusableFeaturesError, match=r"Clip a: .* segments"):
        writer.add(clip)
    assert writer.held() == set()


def test_wrong_shapes_are_refused():
    clip = make_clip("a")
    with pytest.raises(UnusableFeaturesError, match=r"boxes .*3.*received 2"):
        dataclasses.replace(clip, boxes=clip.boxes[:2])
    flat = dataclasses.replace(clip, regions=clip.regions[:, :100])
    with pytest.raises(UnusableFeaturesError, match="regions of shape"):
        clip_features.to_record(flat)


@pytest.mark.parametrize("value", [np.nan, 12345.0])
def test_a_changed_number_is_found_and_the_clip_is_named(tmp_path, value):
    write_features(str(tmp_path), {"val": 3})
    store = FeatureStore(str(tmp_path), "val")
    shard = tmp_path / "val-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    position = content.index(store[1].segments.tobytes())
    changed = np.full(1, value, "<f4").tobytes()
    shard.write_bytes(
        content[:position] + changed + content[position + len(changed) :]
    )
    with pytest.raises(FeaturesError, match=r"clip val001 .* damaged"):
        store[1]
    assert store[2].clip_id == "val002"


def test_damaged_and_lost_shards_are_named(tmp_path):
    write_features(str(tmp_path), {"val": 3})
    store = FeatureStore(str(tmp_path), "val")
    shard = tmp_path / "val-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1000])
    with pytest.raises(FeaturesError, match=r"clip val002 .* damaged"):
        store[2]
    size = len(content) // 3
    shard.write_bytes(content[:12] + b"\xff" * size + content[12 + size :])
    with pytest.raises(FeaturesError, match="clip val000"):
        store[0]
    shard.unlink()
    with pytest.raises(FeaturesError, match=shard.name):
        store[0]
    index = tmp_path / f"{shard.name}.index.json"
    index.write_text(index.read_text()[:100])
    with pytest.raises(FeaturesError, match=f"damaged file .*{index.name}"):
        FeatureStore(str(tmp_path), "val")


def test_directories_that_are_no_features_are_refused(tmp_path):
    with pytest.raises(FeaturesError, match=r"without dataset_info\.json"):
        FeatureStore(str(tmp_path))
    write_features(str(tmp_path), {"val": 5})
    index = tmp_path / "val-00001-of-00002.tfrecord.index.json"
    index.unlink()
    with pytest.raises(FeaturesError, match="not complete"):
        FeatureStore(str(tmp_path))
    info = tmp_path / "dataset_info.json"
    info.write_text(info.read_text().replace('version": 1', 'version": 0'))
    with pytest.raises(FeaturesError, match=r"schema version 1.*received 0"):
        FeatureStore(str(tmp_path))
