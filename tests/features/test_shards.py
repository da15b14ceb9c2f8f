"""Planning, filling and joining shards, without networks."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest

import avmil
from avmil.common.errors import ClipError, FeaturesError, WorkerError
from avmil.common.progress import Progress
from avmil.features import shards
from avmil.features.store import FeatureStore, ShardIndex
from tests.feature_files import (
    CLASS_NAMES,
    RECIPE,
    make_clip,
    make_rows,
    plan_shards,
    write_features,
)


def extract_clip(row):
    return make_clip(row.clip_id, row.labels)


def contents(directory):
    return {p.name: p.read_bytes() for p in directory.glob("*.tfrecord*")}


def names(planned):
    return {
        os.path.basename(shard.path): [row.clip_id for row in shard.rows]
        for shard in planned
    }


def test_plan_divides_each_split_in_order(tmp_path):
    planned = plan_shards(tmp_path, make_rows({"test": 1, "train": 5}), 2)
    assert names(planned) == {
        "train-00000-of-00003.tfrecord": ["train000", "train001"],
        "train-00001-of-00003.tfrecord": ["train002", "train003"],
        "train-00002-of-00003.tfrecord": ["train004"],
        "test-00000-of-00001.tfrecord": ["test000"],
    }


def test_interrupted_shard_goes_on_clip_by_clip_to_the_same_bytes(tmp_path):
    rows = make_rows({"val": 5})
    (whole,) = plan_shards(tmp_path / "whole", rows, 5)
    whole.complete(extract_clip)
    seen = []

    def interrupted(row):
        seen.append(row.clip_id)
        if seen.count("val003") == 1 and row.clip_id == "val003":
            raise KeyboardInterrupt
        return extract_clip(row)

    (shard,) = plan_shards(tmp_path / "resumed", rows, 5)
    with pytest.raises(KeyboardInterrupt):
        shard.complete(interrupted)
    assert len(shard.open_rows()) == 2
    assert not shard.is_complete()
    (shard,) = plan_shards(tmp_path / "resumed", rows, 5)
    shard.complete(interrupted)
    shard.complete(interrupted)  # Complete: nothing is left to do.
    assert seen == ["val000", "val001", "val002", "val003", "val003", "val004"]
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    assert not list((tmp_path / "resumed").glob("*.parts"))


def test_missing_clips_are_retried_and_the_others_kept(tmp_path):
    rows = make_rows({"val": 4})

    def failing(row):
        if row.clip_id == "val001":
            raise ClipError("decode", "missing file")
        clip = extract_clip(row)
        if row.clip_id == "val002":
            clip.regions[0, 0] = float("inf")
        return clip

    (shard,) = plan_shards(tmp_path / "a", rows)
    shard.complete(failing)
    assert FeatureStore(str(tmp_path / "a")).clip_ids == ["val000", "val003"]
    missing = ShardIndex.read(shard.path).missing
    assert [clip.stage for clip in missing] == ["decode", "features"]
    assert "infinity" in missing[1].reason

    shard.reopen()
    assert [r.clip_id for r in shard.open_rows()] == ["val001", "val002"]
    shard.complete(extract_clip)
    (whole,) = plan_shards(tmp_path / "b", rows)
    whole.complete(extract_clip)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    shard.reopen()  # It lacks nothing.
    assert shard.is_complete()


@pytest.mark.parametrize("lost", ["half", "all", "nothing"])
def test_what_a_truncated_shard_lacks_is_extracted_again(tmp_path, lost):
    (shard,) = plan_shards(tmp_path, make_rows({"val": 3}))
    shard.complete(extract_clip)
    whole = contents(tmp_path)
    path = tmp_path / "val-00000-of-00001.tfrecord"
    assert not shard.is_truncated()
    if lost == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif lost == "all":
        path.unlink()
    assert shard.is_truncated() == (lost != "nothing")
    shard.reopen()
    left = {"half": ["val001", "val002"], "nothing": []}
    expected = left.get(lost, ["val000", "val001", "val002"])
    assert [row.clip_id for row in shard.open_rows()] == expected
    if expected:
        shard.complete(extract_clip)
    assert contents(tmp_path) == whole


def test_added_clips_go_into_new_shards(tmp_path):
    old = make_rows({"train": 5, "val": 2})
    for shard in plan_shards(tmp_path, old):
        shard.complete(extract_clip)
    before = contents(tmp_path)
    digest = FeatureStore(str(tmp_path)).info["clips_sha256"]
    more = [
        dataclasses.replace(row, clip_id=f"new-{row.clip_id}")
        for row in make_rows({"train": 6, "test": 1})
    ]
    rows = [more[0], *old, *more[1:]]
    planned = plan_shards(tmp_path, rows)
    assert list(names(planned)) == [
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        "train-00002-of-00004.tfrecord",
        "train-00003-of-00004.tfrecord",
        "val-00000-of-00001.tfrecord",
        "test-00000-of-00001.tfrecord",
    ]
    with pytest.raises(FeaturesError, match="not complete"):
        FeatureStore(str(tmp_path))
    planned[2].complete(extract_clip)
    # Started again in the middle, with the clips in another order.
    again = plan_shards(tmp_path, [*reversed(more), *old])
    assert names(again) == names(planned)
    for shard in again:
        shard.complete(extract_clip)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    store = FeatureStore(str(tmp_path), "train")
    assert store.clip_ids[:5] == [row.clip_id for row in old[:5]]
    assert store.clip_ids[5:] == [row.clip_id for row in more[:6]]
    assert store[7].clip_id == "new-train002"
    assert store.info["num_clips"] == {"train": 11, "val": 2, "test": 1}
    assert store.info["clips_sha256"] != digest


def test_directories_of_one_recipe_are_joined(tmp_path):
    """Written in two parts, they are as one; it can grow like any other."""
    counts = {"train": 5, "val": 2}
    rows = write_features(str(tmp_path / "a"), counts, missing=("train001",))
    more = [
        dataclasses.replace(row, clip_id=f"new-{row.clip_id}", start_s=0.5)
        for row in make_rows({"train": 2, "test": 1})
    ]
    for shard in plan_shards(tmp_path / "b", more):
        shard.complete(extract_clip)
    parts = [str(tmp_path / name) for name in "ab"]
    joined = str(tmp_path / "joined")
    for _ in range(2):  # Joined again, nothing changes.
        avmil.join_features(parts, joined)
    stores = [FeatureStore(part, "train") for part in parts]
    store = FeatureStore(joined, "train")
    assert store.clip_ids == [c for s in stores for c in s.clip_ids]
    np.testing.assert_array_equal(
        store.read(5, ["regions"])["regions"],
        stores[1].read(1, ["regions"])["regions"],
    )
    assert store.info["num_clips"] == {"train": 7, "val": 2, "test": 1}
    of_part, of_joined = (
        json.loads((tmp_path / name / "dataset_info.json").read_text())
        for name in ("a", "joined")
    )
    assert of_joined["record"] == of_part["record"]
    assert [clip.clip_id for clip in store.missing] == ["train001"]
    assert "train001" in (tmp_path / "joined" / "failed.csv").read_text()
    latest = make_rows({"val": 3})[2:]
    grown = plan_shards(joined, [*rows, *more, *latest])
    open_rows = [row for shard in grown for row in shard.open_rows()]
    assert open_rows == latest


def test_what_does_not_belong_together_is_not_joined(tmp_path):
    write_features(str(tmp_path / "a"), {"train": 2})
    write_features(str(tmp_path / "b"), {"train": 1})
    write_features(str(tmp_path / "c"), {"test": 1}, segment_size=64)
    plan_shards(tmp_path / "d", make_rows({"val": 1}))
    for other, message in (
        ("b", "each clip once, received train000"),
        ("c", "segments: there"),
        ("d", "not complete"),
    ):
        with pytest.raises(FeaturesError, match=message):
            avmil.join_features(
                [str(tmp_path / "a"), str(tmp_path / other)],
                str(tmp_path / "joined"),
            )
        assert not (tmp_path / "joined").exists()


def test_joined_directory_is_joined_again_by_the_same_call_only(tmp_path):
    wrong = {**RECIPE, "made": "down"}
    for name, split, recipe in (
        ("a", "train", RECIPE),
        ("b", "train", RECIPE),
        ("c", "val", RECIPE),
        ("a-of-others", "train", wrong),
    ):
        rows = [
            dataclasses.replace(row, clip_id=f"{name[0]}-{row.clip_id}")
            for row in make_rows({split: 2})
        ]
        for shard in plan_shards(tmp_path / name, rows, recipe=recipe):
            shard.complete(extract_clip)
    a, b, c, joined = (str(tmp_path / name) for name in ("a", "b", "c", "all"))
    avmil.join_features([a, b], joined)
    before = {p.name: p.read_bytes() for p in (tmp_path / "all").iterdir()}
    avmil.join_features([a, b], joined)
    for sources in ([b, a], [a, b, c], [c]):
        with pytest.raises(FeaturesError, match=r"other clips|another order"):
            avmil.join_features(sources, joined)
    with pytest.raises(FeaturesError, match="made: there 'down'"):
        avmil.join_features([str(tmp_path / "a-of-others")], joined)
    with pytest.raises(FeaturesError, match="received none"):
        avmil.join_features([], joined)
    after = {p.name: p.read_bytes() for p in (tmp_path / "all").iterdir()}
    assert after == before


@pytest.mark.parametrize("num_lines", [0, 2, 4])
def test_list_of_clips_that_is_cut_off_is_refused(tmp_path, num_lines):
    source = tmp_path / "a"
    write_features(str(source), {"train": 2, "val": 2}, shard_size=2)
    path = source / "clips.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:num_lines]))
    with pytest.raises(FeaturesError, match=r"clips\.csv.*as of a damaged"):
        avmil.join_features([str(source)], str(tmp_path / "joined"))
    with pytest.raises(FeaturesError, match=r"clips\.csv.*as of a damaged"):
        plan_shards(source, make_rows({"train": 2, "val": 2}))


def test_known_clips_must_stay_the_same(tmp_path):
    rows = make_rows({"train": 3})
    (shard,) = plan_shards(tmp_path, rows)
    # Nothing was extracted yet: anything may change.
    (shard,) = plan_shards(tmp_path, rows[:2])
    shard.complete(extract_clip)
    moved = [dataclasses.replace(rows[0], path="elsewhere.mp4"), rows[1]]
    plan_shards(tmp_path, moved)
    for change in ({"labels": ()}, {"split": "val"}, {"end_s": 1.5}):
        changed = [dataclasses.replace(rows[0], **change), *rows[1:]]
        with pytest.raises(FeaturesError, match="train000: other labels"):
            plan_shards(tmp_path, changed)
    with pytest.raises(FeaturesError, match="train000: not in the manifest"):
        plan_shards(tmp_path, rows[1:])


def test_other_parameters_are_refused_by_name(tmp_path):
    rows = make_rows({"train": 2})
    wrong = {**RECIPE, "made": "down"}
    plan_shards(tmp_path, rows, recipe=wrong)
    # Nothing was extracted yet: a first mistake can be mended.
    (shard,) = plan_shards(tmp_path, rows)
    shard.extract(rows[0], extract_clip)
    with pytest.raises(FeaturesError, match="made: there 'up'"):
        plan_shards(tmp_path, rows, recipe=wrong)
    with pytest.raises(FeaturesError, match="class_names"):
        plan_shards(tmp_path, rows, class_names=CLASS_NAMES[:2])
    (tmp_path / "dataset_info.json").write_text('{"schema_version": 1}')
    with pytest.raises(FeaturesError, match=r"schema version 2.*received 1"):
        plan_shards(tmp_path, rows)


def extract_or_die(row):
    """Fails, kills its process or gives features, by the clip's number."""
    if row.clip_id == "train001":
        raise ClipError("decode", "missing file")
    if row.clip_id == "train006":
        os._exit(9)
    return make_clip(row.clip_id, row.labels)


def make_extract_or_die():
    return extract_or_die


@pytest.mark.slow
def test_a_clip_that_kills_its_process_does_not_stop_the_job(tmp_path):
    planned = plan_shards(tmp_path, make_rows({"train": 10, "val": 2}), 5)
    with Progress(12, "clip") as progress:
        shards.complete(planned, make_extract_or_die, 2, progress)
    assert progress.done == 12
    store = FeatureStore(str(tmp_path))
    assert len(store) == len(set(store.clip_ids)) == 10
    assert [(c.clip_id, c.stage) for c in store.missing] == [
        ("train001", "decode"),
        ("train006", "process"),
    ]


def die_at_the_start():
    os._exit(1)


def fail_at_the_start():
    raise FeaturesError("these weights do not fit")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (die_at_the_start, WorkerError, "reach their first clip"),
        (fail_at_the_start, FeaturesError, "these weights do not fit"),
    ],
)
def test_processes_without_an_extractor_end_the_job(
    make, error, message, tmp_path
):
    planned = plan_shards(tmp_path, make_rows({"train": 4}), 2)
    with (
        Progress(4, "clip") as progress,
        pytest.raises(error, match=message),
    ):
        shards.complete(planned, make, 1, progress)
