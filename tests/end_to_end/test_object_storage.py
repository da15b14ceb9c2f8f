"""Clips, features and runs on s3://: moto's server stands for the store."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import signal
import threading
import time

import fsspec
import numpy as np
import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

import flags
from avmil.clips import manifest
from avmil.common import files
from avmil.common.errors import DirectoryInUseError, StorageError
from avmil.features import extraction
from avmil.features.extractor import ClipExtractor, stage
from avmil.features.store import FeatureStore
from avmil.localization.batch import localize_videos
from avmil.runs import evaluation, training
from avmil.runs.run import Run
from tests.command_line import flag_list, run, start
from tests.end_to_end.test_extract import (
    LIGHT,
    drawn_frames,
    write_manifest,
)
from tests.feature_files import (
    make_clip,
    make_rows,
    plan_shards,
    write_features,
)
from tests.media_files import noise, write_clip

SMALL = {
    "steps": 10,
    "batch_size": 2,
    "fc_units": 4,
    "audio_units": 4,
    "learning_rate": 0.003,
}

pytestmark = pytest.mark.slow


class Throttling:
    """A store that refuses the next requests, as those of too high a rate."""

    def __init__(self, store):
        self.num_refused = 0
        self._store = store
        self._answers = itertools.cycle(["503 Slow Down", "429 Too Many"])

    def __call__(self, environ, start_response):
        if not self.num_refused:
            return self._store(environ, start_response)
        self.num_refused -= 1
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = b"<Error><Code>SlowDown</Code></Error>"
        start_response(next(self._answers), [("Content-Length", "36")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@pytest.fixture(scope="module")
def store():
    """The store: moto's server on loopback, which `num_refused` throttles."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    throttling = Throttling(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, throttling, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    throttling.port = server.server_port
    yield throttling
    server.shutdown()


@pytest.fixture(scope="module")
def bucket(store):
    """A bucket of the server; a job's death is soon believed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setattr(files, "_SIGN_EVERY_S", 0.2)
        patch.setattr(files, "_DEAD_AFTER_S", 2.0)
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"


@pytest.fixture(scope="module")
def manifest_path(bucket, tmp_path_factory):
    """A manifest and its six clips in the bucket."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for number in range(6):
        name = f"clip{number}.mp4"
        write_clip(folder / name, drawn_frames(number), noise(2.0))
        split = ("train", "train", "val", "test")[number % 4]
        rows.append([name[:5], name, ("bus", "train")[number % 2], split])
    write_manifest(folder, rows)
    for name in files.names(folder):
        files.copy(folder / name, f"{bucket}/clips/{name}")
    return f"{bucket}/clips/manifest.csv"


@pytest.fixture(scope="module")
def features_dir(bucket, manifest_path):
    """Features of an extraction to a fresh prefix that was killed once."""
    features_dir = f"{bucket}/new/features"
    parts = f"{features_dir}/*.parts/*.index.json"
    wanted = {"manifest": manifest_path, "features_dir": features_dir}
    wanted |= {"workers": 1, "shard_size": 3}
    process = start("extract_features.py", *flag_list(**wanted, **LIGHT))
    while not files.matching(parts) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    config = flags.ExtractionConfig(**wanted)
    assert extraction.extract(config, flags.RecipeConfig(**LIGHT)) == 0
    return features_dir


def test_killed_extraction_goes_on_to_its_end(features_dir, manifest_path):
    _, rows = manifest.read(manifest_path)
    store = FeatureStore(features_dir)
    extract = ClipExtractor(flags.RecipeConfig(**LIGHT))
    assert sorted(store.clip_ids) == [row.clip_id for row in rows]
    stored, expected = store[5], extract(rows[3])
    assert stored.clip_id == rows[3].clip_id
    np.testing.assert_array_equal(stored.boxes, expected.boxes)
    np.testing.assert_array_equal(stored.regions, expected.regions)
    left = [n for n in files.names(features_dir) if n.endswith("parts")]
    assert [*left, *files.matching(f"{features_dir}/.lock")] == []


def test_one_field_is_one_ranged_read(features_dir, monkeypatch):
    parts = []
    read_part = files.read_part
    monkeypatch.setattr(
        files, "read_part", lambda *part: parts.append(part) or read_part(*part)
    )
    store = FeatureStore(features_dir, "train")
    segments = store.read(1, ["segments"])["segments"]
    assert segments.shape == (4, 1024)
    ((path, begin, stop),) = parts
    assert stop - begin == segments.nbytes
    assert files.read_bytes(path)[begin:stop] == segments.tobytes()


def test_train_evaluate_and_localize(bucket, features_dir):
    config = flags.TrainConfig(
        system="av_two_stream",
        features_dir=features_dir,
        run_dir=f"{bucket}/runs/a",
        **SMALL,
    )
    training.train(dataclasses.replace(config, steps=5))
    training.train(config)  # Goes on.
    trained = Run(config.run_dir)
    assert trained.checkpoints.steps("last") == [10]
    assert files.names(f"{config.run_dir}/tensorboard")
    evaluation.evaluate(flags.EvaluationConfig(run_dir=config.run_dir))
    assert files.exists(trained.file("thresholds.json"))
    output_dir = f"{bucket}/found"
    clip = f"{bucket}/clips/clip0.mp4"
    wanted = flags.LocalizeConfig(run_dir=config.run_dir, output_dir=output_dir)
    assert localize_videos(wanted, [clip]) == 0
    assert json.loads(files.read_bytes(f"{output_dir}/results.json"))["videos"]
    assert not [n for n in files.names(config.run_dir) if n == ".lock"]


def test_a_directory_is_held_while_its_job_lives(bucket):
    directory = f"{bucket}/held"
    with files.exclusive(directory):
        with pytest.raises(DirectoryInUseError), files.exclusive(directory):
            pass
        assert files.names(directory) == [".lock"]
    files.write_text(f"{directory}/.lock", "of a process that died")
    with files.exclusive(directory):
        pass
    assert files.names(directory) == []


def _hold_until_taken(directory):
    with files.exclusive(directory):
        files.write_text(f"{directory}/.lock", "another")
        threading.Event().wait(60)


def test_who_lost_a_directory_ends(bucket):
    with pytest.raises(DirectoryInUseError):
        _hold_until_taken(f"{bucket}/lost")
    assert files.read_bytes(f"{bucket}/lost/.lock") == b"another"


def test_missing_credentials_are_one_line(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    flag = flag_list(manifest=f"{bucket}/clips/manifest.csv")
    output = run("extract_features.py", *flag, "--features_dir=x", status=2)
    assert output.count("\n") == 1
    assert f"read {bucket}/clips/manifest.csv" in output
    assert "credentials" in output


def test_a_bucket_that_goes_in_the_middle(bucket):
    """Nothing blames a clip, and the same command goes on."""
    store, directory = fsspec.filesystem("s3"), "s3://going/features"
    with pytest.raises(StorageError, match="s3://going/features"):
        write_features(directory, {"train": 3})
    store.mkdir("going")
    rows = make_rows({"train": 3})
    (shard,) = plan_shards(directory, rows)

    def extract_clip(row):
        if row == rows[1]:
            store.rm("going", recursive=True)
        return make_clip(row.clip_id, row.labels)

    with pytest.raises(StorageError, match="s3://going/features/train-00000"):
        shard.complete(extract_clip)
    store.mkdir("going")
    write_features(directory, {"train": 3})
    assert len(FeatureStore(directory)) == 3


def test_throttled_extraction_goes_on(bucket, store):
    directory = f"{bucket}/throttled"
    rows = make_rows({"train": 2})

    def extract_clip(row):
        store.num_refused = 3
        return make_clip(row.clip_id, row.labels)

    (shard,) = plan_shards(directory, rows)
    shard.complete(extract_clip)
    store.num_refused = 3
    store_of_clips = FeatureStore(directory)
    store.num_refused = 3
    np.testing.assert_array_equal(
        store_of_clips[1].regions, extract_clip(rows[1]).regions
    )
    store.num_refused = 0


def test_a_store_that_throttles_for_ever(
    bucket, store, features_dir, monkeypatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # Else it takes a minute.
    config = SMALL | {"features_dir": features_dir, "system": "av_two_stream"}
    config |= {"run_dir": f"{bucket}/runs/throttled"}
    store.num_refused = float("inf")
    output = run("train.py", *flag_list(**config), status=2)
    assert output.count("\n") == 1
    assert f"write {config['run_dir']}" in output
    store.num_refused = 0


def test_a_clip_in_a_bucket_that_is_none_is_not_to_blame(bucket):
    with pytest.raises(FileNotFoundError), files.local_copy(f"{bucket}/none"):
        pass
    with (
        pytest.raises(StorageError, match="s3://none/clip"),
        stage("decode"),
        files.local_copy("s3://none/clip.mp4"),
    ):
        pass
