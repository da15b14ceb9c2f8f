"""Planning, extraction and resumption of shards, without networks."""

from __future__ import annotations

import dataclasses
import os

import pytest

from avmil.common.errors import ClipError, FeaturesError
from avmil.common.progress import Progress
from avmil.features import shards
from avmil.features.store import FeatureStore
from avmil.features.workers import run
from tests.feature_files import CLASS_NAMES, make_clip, make_rows


def extract_clip(row):
    """Fails, kills its process or gives features, by the clip's number."""
    if row.clip_id == "train001":
        raise ClipError("decode", "missing file")
    if row.clip_id == "train006":
        os._exit(9)
    return make_clip(row.clip_id, row.labels)


def make_extract_clip():
    return extract_clip


def test_plan_divides_each_split_in_order():
    rows = make_rows({"test": 1, "train": 5})
    tasks = shards.plan(rows, "features", shard_size=2)
    assert [
        (t.split, t.shard, t.num_shards, [row.clip_id[-1] for row in t.rows])
        for t in tasks
    ] == [
        ("train", 0, 3, ["0", "1"]),
        ("train", 1, 3, ["2", "3"]),
        ("train", 2, 3, ["4"]),
        ("test", 0, 1, ["0"]),
    ]


def test_interrupted_shard_goes_on_clip_by_clip(tmp_path):
    (task,) = shards.plan(make_rows({"val": 5}), str(tmp_path), 5)
    seen = []

    def interrupted(row):
        if row.clip_id == "val003" and seen.count("val003") == 0:
            seen.append(row.clip_id)
            raise KeyboardInterrupt
        seen.append(row.clip_id)
        return make_clip(row.clip_id)

    with pytest.raises(KeyboardInterrupt):
        shards.extract(task, interrupted)
    assert task.num_open() == 2
    shards.extract(task, interrupted)
    shards.extract(task, interrupted)  # Complete: nothing is left to do.
    assert seen == ["val000", "val001", "val002", "val003", "val003", "val004"]
    assert task.num_open() == 0


def test_unusable_features_are_a_failure_of_the_clip(tmp_path):
    (task,) = shards.plan(make_rows({"val": 2}), str(tmp_path), 5)
    failures = []

    def with_infinity(row):
        clip = make_clip(row.clip_id)
        if row.clip_id == "val000":
            clip.regions[0, 0] = float("inf")
        return clip

    shards.extract(task, with_infinity, failures.append)
    assert failures == [True, False]
    (missing,) = task.writer().index()["missing"]
    assert missing["stage"] == "features"
    assert "infinity" in missing["reason"]


def test_other_parameters_are_refused_by_name(tmp_path):
    directory = str(tmp_path)
    rows = make_rows({"train": 2, "val": 1})
    tasks = shards.plan(rows, directory, 4)
    recipe = {"max_boxes": 10, "edges": "gradient"}
    wrong = {**recipe, "max_boxes": 5}
    shards.open_features_dir(directory, wrong, CLASS_NAMES, tasks, 4)
    # Nothing was extracted yet: a first mistake can be mended.
    shards.open_features_dir(directory, recipe, CLASS_NAMES, tasks, 4)
    tasks[0].writer().begin("train000")
    shards.open_features_dir(directory, recipe, CLASS_NAMES, tasks, 4)
    with pytest.raises(FeaturesError, match="max_boxes: there 10, received 5"):
        shards.open_features_dir(directory, wrong, CLASS_NAMES, tasks, 4)
    with pytest.raises(FeaturesError, match="class_names"):
        shards.open_features_dir(directory, recipe, CLASS_NAMES[:2], tasks, 4)
    # As many shards as before, but of other clips.
    with pytest.raises(FeaturesError, match="shard_size: there 4, received 3"):
        shards.open_features_dir(directory, recipe, CLASS_NAMES, tasks, 3)
    relabeled = [dataclasses.replace(rows[0], labels=()), *rows[1:]]
    with pytest.raises(FeaturesError, match="manifest: other clips"):
        shards.open_features_dir(
            directory, recipe, CLASS_NAMES, shards.plan(relabeled, "", 4), 4
        )


@pytest.mark.slow
def die_at_the_start():
    os._exit(1)


@pytest.mark.slow
def test_processes_that_die_before_their_first_clip_end_the_job(tmp_path):
    tasks = shards.plan(make_rows({"train": 4}), str(tmp_path), 2)
    shards.open_features_dir(str(tmp_path), {}, CLASS_NAMES, tasks, 2)
    with (
        Progress(4, "clip") as progress,
        pytest.raises(RuntimeError, match="to reach its first clip"),
    ):
        run(tasks, die_at_the_start, 2, progress)


def test_a_clip_that_kills_its_process_does_not_stop_the_job(tmp_path):
    directory = str(tmp_path)
    tasks = shards.plan(make_rows({"train": 10, "val": 2}), directory, 5)
    shards.open_features_dir(directory, {}, CLASS_NAMES, tasks, 5)
    with Progress(12, "clip") as progress:
        run(tasks, make_extract_clip, 2, progress)
    assert progress.done == 12
    store = FeatureStore(directory)
    assert len(store) == 10
    assert [(c.clip_id, c.stage) for c in store.missing] == [
        ("train001", "decode"),
        ("train006", "process"),
    ]
    assert len(set(store.clip_ids)) == 10
