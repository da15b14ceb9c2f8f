"""Records and random access to them, also when they are damaged."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from avmil.common.errors import FeaturesError, UnusableFeaturesError
from avmil.features import clip_features, store
from avmil.features.batches import INPUTS, BatchLoader, in_order
from avmil.features.store import FeatureStore
from tests.feature_files import (
    CLASS_NAMES,
    make_clip,
    make_rows,
    plan_shards,
    write_features,
)

LAYOUT = clip_features.layout(9216, 128)


def expected_clip(row):
    return make_clip(row.clip_id, row.labels, 2 + len(row.clip_id) % 3)


def assert_same(first, second):
    for field in dataclasses.fields(first):
        one, two = getattr(first, field.name), getattr(second, field.name)
        np.testing.assert_array_equal(one, two)
        assert getattr(one, "dtype", None) == getattr(two, "dtype", None)
        assert np.shape(one) == np.shape(two)


@pytest.mark.parametrize(("regions", "segments"), [(3, 2), (0, 4), (5, 0)])
@pytest.mark.parametrize("size", [128, 1024])
def test_spans_are_the_bytes_of_the_arrays(regions, segments, size):
    labels = ("bus", "train")
    clip = make_clip("a-1_2", labels, regions, segments, segment_size=size)
    layout = clip_features.layout(9216, size)
    record, spans = clip_features.to_record(clip, layout)
    entries = tf.train.Example.FromString(record).features.feature
    assert set(spans) == set(layout)
    assert entries["clip_id"].bytes_list.value == [b"a-1_2"]
    assert entries["labels"].bytes_list.value == [b"bus", b"train"]
    for name, span in spans.items():
        payload = record[span.offset : span.offset + span.size]
        assert [payload] == entries[name].bytes_list.value
        assert payload == np.asarray(getattr(clip, name)).tobytes()


def test_store_gives_every_clip_by_index(tmp_path):
    rows = write_features(str(tmp_path), {"train": 9, "val": 2, "test": 1})
    opened = FeatureStore(str(tmp_path))
    assert len(opened) == 12
    assert opened.clip_ids == [row.clip_id for row in rows]
    for index in (11, 0, 5, 8, 9, 0):
        assert_same(opened[index], expected_clip(rows[index]))
    assert opened.labels.sum(axis=1).tolist() == [1] * 12
    assert opened.labels[1].tolist() == [0, 1, 0]
    assert opened.class_names == CLASS_NAMES
    assert (opened.max_regions, opened.max_segments) == (4, 2)
    assert (opened.region_size, opened.segment_size) == (9216, 128)
    with pytest.raises(IndexError):
        opened[12]


def test_store_of_one_split(tmp_path):
    write_features(str(tmp_path), {"train": 5, "test": 3})
    opened = FeatureStore(str(tmp_path), "test")
    assert opened.clip_ids == ["test000", "test001", "test002"]
    assert len(FeatureStore(str(tmp_path), "val")) == 0
    with pytest.raises(FeaturesError, match="'dev'"):
        FeatureStore(str(tmp_path), "dev")


def test_missing_clips_keep_labels_and_reason(tmp_path):
    write_features(str(tmp_path), {"train": 4, "test": 3}, missing=("test001",))
    opened = FeatureStore(str(tmp_path), "test")
    assert opened.clip_ids == ["test000", "test002"]
    (clip,) = opened.missing
    found = clip.clip_id, clip.stage, clip.reason
    assert found == ("test001", "decode", "made to fail")
    assert opened.missing_labels().tolist() == [[0, 1, 0]]


def test_fields_are_read_alone(tmp_path):
    """Of a shard that holds nothing but the bytes of one field."""
    write_features(str(tmp_path), {"val": 3})
    opened = FeatureStore(str(tmp_path), "val")
    segments = opened[1].segments.copy()
    shard = tmp_path / "val-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    start = content.index(segments.tobytes())
    kept = content[start : start + segments.nbytes]
    rest = len(content) - start - len(kept)
    shard.write_bytes(bytes(start) + kept + bytes(rest))
    opened = FeatureStore(str(tmp_path), "val")
    read = opened.read(1, fields=("segments",))
    assert list(read) == ["segments"]
    np.testing.assert_array_equal(read["segments"], segments)
    assert not read["segments"].flags.writeable
    with pytest.raises(FeaturesError, match="val001"):
        opened[1]
    with pytest.raises(FeaturesError, match=r"received \['sound'\]"):
        opened.read(1, ("sound",))


def test_batches_hold_the_wanted_inputs_and_read_only_those(tmp_path):
    write_features(str(tmp_path), {"val": 3}, segment_size=1024)
    opened = FeatureStore(str(tmp_path), "val")
    whole = BatchLoader(opened, 3).load(np.array([2, 0]))
    assert set(whole) == {*INPUTS, "labels"}
    assert whole["regions"].shape == (3, 2, 9216)
    assert whole["regions"].dtype == np.float16
    assert whole["segments"].shape == (3, 2, 1024)
    assert whole["cvssp_log_mel"].shape == (3, 240, 64)
    np.testing.assert_array_equal(whole["segments"][0], opened[2].segments)
    assert whole["region_mask"].sum(axis=1).tolist() == [2, 2, 0]
    assert whole["segment_mask"].sum(axis=1).tolist() == [2, 2, 0]
    np.testing.assert_array_equal(whole["labels"][:2], opened.labels[[2, 0]])

    seen = []
    read = opened.read
    opened.read = lambda i, fields: seen.append(fields) or read(i, fields)
    inputs = ("segments", "segment_mask")
    (part,) = BatchLoader(opened, 3, inputs).ahead([np.array([2, 0])])
    assert seen == [("segments",)] * 2
    assert set(part) == {*inputs, "labels"}
    for name, array in part.items():
        np.testing.assert_array_equal(array, whole[name])


@pytest.mark.parametrize("held", [False, True])
def test_arrays_that_are_used_again_hold_nothing_of_before(tmp_path, held):
    """Bags of other lengths, then a batch that is not full."""
    rows = make_rows({"val": 9})

    def extract_clip(row):
        number = int(row.clip_id[-3:])
        return make_clip(row.clip_id, row.labels, number % 4, number % 3)

    for shard in plan_shards(str(tmp_path), rows):
        shard.complete(extract_clip)
    opened = FeatureStore(str(tmp_path), "val")
    loader = BatchLoader(opened, 2)
    if held:
        loader.hold()
    wanted = [*in_order(9, 2), *in_order(9, 2)]
    for batch, indices in zip(loader.ahead(wanted), wanted, strict=True):
        fresh = BatchLoader(opened, 2).load(indices)
        counts = np.pad(indices % 4, (0, 2 - len(indices)))
        assert batch["region_mask"].sum(axis=1).tolist() == counts.tolist()
        for name, array in fresh.items():
            np.testing.assert_array_equal(batch[name], array, name)
            assert array.dtype == batch[name].dtype


def test_reading_ahead_keeps_the_order_and_names_a_damaged_clip(tmp_path):
    write_features(str(tmp_path), {"val": 7})
    opened = FeatureStore(str(tmp_path), "val")
    batches = BatchLoader(opened, 3, num_readers=3).ahead(in_order(7, 3))
    firsts = [batch["segments"][0].copy() for batch in batches]
    for first, index in zip(firsts, (0, 3, 6), strict=True):
        np.testing.assert_array_equal(first, opened[index].segments)
    shard = tmp_path / "val-00001-of-00002.tfrecord"
    shard.write_bytes(bytes(shard.stat().st_size))
    loader = BatchLoader(FeatureStore(str(tmp_path), "val"), 2)
    batches = loader.ahead(in_order(7, 2))
    next(batches), next(batches)
    with pytest.raises(FeaturesError, match="val004"):
        next(batches)
    with pytest.raises(FeaturesError, match=r"val00[456]"):
        loader.hold()


def parse(record):
    """The parse specification of docs/formats.md."""
    names = ("duration_s", "frame_size_px", "boxes", "regions", "segments")
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
    spec["clip_id"] = tf.io.FixedLenFeature([], tf.string)
    spec["labels"] = tf.io.VarLenFeature(tf.string)
    example = tf.io.parse_single_example(record, spec)
    types = {"duration_s": tf.float64, "frame_size_px": tf.int32}
    types |= {"regions": tf.float16}
    for name in names:
        dtype = types.get(name, tf.float32)
        example[name] = tf.io.decode_raw(example[name], dtype)
    example["regions"] = tf.reshape(example["regions"], [-1, 9216])
    return example


def test_any_reader_of_tfrecords_gives_the_same_arrays(tmp_path):
    """TensorFlow's checks the CRC of every record."""
    rows = write_features(str(tmp_path), {"train": 9})
    paths = sorted(map(str, tmp_path.glob("train-*-of-00003.tfrecord")))
    examples = list(tf.data.TFRecordDataset(paths).map(parse))
    assert len(examples) == len(rows) == 9
    for example, row in zip(examples, rows, strict=True):
        clip = expected_clip(row)
        assert example["clip_id"].numpy().decode() == row.clip_id
        assert example["labels"].values.numpy().tolist() == [
            label.encode() for label in row.labels
        ]
        for name in ("duration_s", "frame_size_px", "boxes", "segments"):
            array = np.ravel(getattr(clip, name))
            np.testing.assert_array_equal(example[name], array)
        np.testing.assert_array_equal(example["regions"], clip.regions)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    clip = make_clip("a")
    clip.segments[1, 5] = value
    with pytest.raises(UnusableFeaturesError, match=r"Clip a: .* segments"):
        clip_features.to_record(clip, LAYOUT)


def test_wrong_shapes_are_refused():
    clip = make_clip("a")
    with pytest.raises(UnusableFeaturesError, match="'boxes': 2"):
        dataclasses.replace(clip, boxes=clip.boxes[:2])
    flat = dataclasses.replace(clip, regions=clip.regions[:, :100])
    with pytest.raises(UnusableFeaturesError, match="regions of shape"):
        clip_features.to_record(flat, LAYOUT)


@pytest.mark.parametrize("value", [np.nan, 12345.0])
def test_a_changed_number_is_found_and_field_and_clip_are_named(
    tmp_path, value
):
    write_features(str(tmp_path), {"val": 3})
    opened = FeatureStore(str(tmp_path), "val")
    shard = tmp_path / "val-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    position = content.index(opened[1].segments.tobytes())
    changed = np.full(1, value, "<f4").tobytes()
    shard.write_bytes(
        content[:position] + changed + content[position + len(changed) :]
    )
    opened = FeatureStore(str(tmp_path), "val")
    with pytest.raises(FeaturesError, match=r"segments of clip val001 .* dama"):
        opened[1]
    assert opened[2].clip_id == "val002"
    assert opened.read(1, ("boxes",))["boxes"].shape == (2, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda index: index["clip_ids"].pop(),
        lambda index: index["labels"].pop(),
        lambda index: index["fields"].pop("segments"),
        lambda index: index["labels"][0].append("no class"),
    ],
    ids=["a clip less", "labels less", "a field less", "an unknown class"],
)
def test_an_index_that_contradicts_itself_or_the_recipe(tmp_path, spoil):
    write_features(str(tmp_path), {"val": 3})
    path = tmp_path / "val-00000-of-00001.tfrecord.index.json"
    index = json.loads(path.read_text())
    spoil(index)
    del index["content_sha256"]  # As of older versions.
    path.write_text(json.dumps(index))
    with pytest.raises(FeaturesError, match=path.name):
        FeatureStore(str(tmp_path), "val")


@pytest.mark.parametrize(
    ("written", "changed"),
    [("val001", "val009"), ("siren, loud", "bus"), ("made to", "glad to")],
)
def test_an_index_tells_when_its_ids_labels_or_reasons_were_changed(
    tmp_path, written, changed
):
    write_features(str(tmp_path), {"val": 3}, missing=("val002",))
    path = tmp_path / "val-00000-of-00001.tfrecord.index.json"
    text = path.read_text()
    assert written in text
    path.write_text(text.replace(written, changed))
    with pytest.raises(FeaturesError, match=rf"{path.name}.* its digest"):
        FeatureStore(str(tmp_path))


def test_features_of_a_version_without_digests_are_read(tmp_path):
    write_features(str(tmp_path), {"val": 3})
    for path in tmp_path.glob("*.json"):
        content = json.loads(path.read_text())
        del content["content_sha256"]
        path.write_text(json.dumps(content))
    assert len(FeatureStore(str(tmp_path), "val")) == 3


def test_damaged_and_lost_shards_and_indexes_are_named(tmp_path):
    write_features(str(tmp_path), {"val": 3})
    shard = tmp_path / "val-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1000])
    with pytest.raises(FeaturesError, match=r"clip val002 .* damaged"):
        FeatureStore(str(tmp_path), "val")[2]
    shard.write_bytes(b"")
    with pytest.raises(FeaturesError, match=shard.name):
        FeatureStore(str(tmp_path), "val")[0]
    shard.unlink()
    with pytest.raises(FeaturesError, match=shard.name):
        FeatureStore(str(tmp_path), "val")[0]
    index = tmp_path / f"{shard.name}.index.json"
    whole = json.loads(index.read_text())
    del whole["fields"]["boxes"]["xxh3"]
    for damaged in (index.read_text()[:100], json.dumps(whole)):
        index.write_text(damaged)
        with pytest.raises(FeaturesError, match=f"damaged file .*{index.name}"):
            FeatureStore(str(tmp_path), "val")


def test_directories_that_are_no_features_are_refused(tmp_path):
    with pytest.raises(FeaturesError, match=r"without dataset_info\.json"):
        FeatureStore(str(tmp_path))
    write_features(str(tmp_path), {"val": 5})
    (tmp_path / "val-00001-of-00002.tfrecord.index.json").unlink()
    with pytest.raises(FeaturesError, match="not complete"):
        FeatureStore(str(tmp_path))
    (tmp_path / store.INFO_NAME).write_text('{"schema_version": 1}')
    with pytest.raises(FeaturesError) as caught:
        FeatureStore(str(tmp_path))
    assert "schema version 2" in str(caught.value)
    assert "\n" not in str(caught.value)
