"""Localisation of trained systems, from features and truth files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import flags
import localisation_evaluation
import scoring
from model import systems
from tests.feature_files import CLASS_NAMES, make_clip, write_features

BOX = {"t0": 0.0, "t1": 2.0, "track": [[0, 0, 0, 2, 2], [2, 0, 0, 2, 2]]}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Validation and test features; a clip of each is missing."""
    directory = str(tmp_path_factory.mktemp("features"))
    write_features(
        directory,
        {"train": 2, "val": 5, "test": 4},
        missing=("val004", "test001"),
    )
    return [scoring.open_split(directory, split) for split in ("val", "test")]


def truth_of(*clip_ids):
    return {
        clip_id: [{"class": CLASS_NAMES[i % 3], "sound": [0, 1], "sight": BOX}]
        for i, clip_id in enumerate(clip_ids)
    }


VAL_TRUTH = truth_of(*(f"val{i:03d}" for i in range(5)))
TEST_TRUTH = truth_of(*(f"test{i:03d}" for i in range(3)))


def write(path, content):
    path.write_text(
        content if isinstance(content, str) else json.dumps(content), "utf-8"
    )
    return str(path)


def build(name):
    config = systems.SystemConfig(fc_units=4, audio_units=4)
    return systems.build(name, len(CLASS_NAMES), config)


def evaluate(name, stores, events, **changes):
    return localisation_evaluation.evaluate_localisation(
        build(name),
        *stores,
        events,
        system_name=name,
        run_name="run",
        **changes,
    )


def test_all_clips_of_the_truth_are_measured(stores, tmp_path):
    path = write(tmp_path / "truth.json", VAL_TRUTH | TEST_TRUTH)
    events = localisation_evaluation.read_truth([path], stores)
    counted = []
    result = evaluate("av_two_stream", stores, events, on_clips=counted.append)
    assert sum(counted) == sum(map(len, stores)) == 7
    assert (result.num_val_clips, result.num_test_clips) == (5, 3)
    assert result.num_test_missing == 1
    assert result.num_test_without_truth == 1
    assert result.num_pairs["all"] == 3
    assert 0 <= result.audio["all"].f1 <= 1
    assert 0 <= result.visual["all"].corloc <= 2 / 3  # One clip is missing.
    assert {event.clip_id for event in result.events} <= {"test000", "test002"}


@pytest.mark.parametrize(
    ("name", "field"),
    [("audio_two_stream", "audio"), ("visual_wsddn", "visual")],
)
def test_a_system_has_its_own_part_only(name, field, stores, tmp_path):
    path = write(tmp_path / "truth.json", VAL_TRUTH | TEST_TRUTH)
    events = localisation_evaluation.read_truth([path], stores)
    result = evaluate(name, stores, events)
    other = {"audio": "visual", "visual": "audio"}[field]
    assert getattr(result, field)
    assert not getattr(result, other)


def test_strong_labels_in_a_file_for_each_split(stores, tmp_path):
    paths = [
        write(
            tmp_path / f"{split}.csv",
            "".join(f"{split}{i:03d}.wav\t0.2\t0.9\tbus\n" for i in range(3)),
        )
        for split in ("val", "test")
    ]
    events = localisation_evaluation.read_truth(paths, stores)
    result = evaluate("av_two_stream", stores, events)
    assert set(result.audio) == {"all"}
    assert not result.visual
    assert np.isfinite(result.event_thresholds).all()


def test_truth_without_a_split_is_refused(stores, tmp_path):
    path = write(tmp_path / "truth.json", TEST_TRUTH)
    with pytest.raises(flags.ConfigError, match="Name the files of both"):
        localisation_evaluation.read_truth([path], stores)


def test_a_clip_in_two_files_is_refused(stores, tmp_path):
    paths = [
        write(tmp_path / name, VAL_TRUTH | TEST_TRUTH)
        for name in ("a.json", "b.json")
    ]
    with pytest.raises(flags.ConfigError, match="each clip in one file"):
        localisation_evaluation.read_truth(paths, stores)


def test_a_damaged_file_is_named(stores, tmp_path):
    path = write(tmp_path / "truth.json", "{")
    with pytest.raises(flags.ConfigError, match=r"--truth: .*truth\.json: "):
        localisation_evaluation.read_truth([path], stores)
    with pytest.raises(FileNotFoundError, match="Expected a file"):
        localisation_evaluation.read_truth([f"{path}.gone"], stores)


def test_validation_without_features_is_refused(stores, tmp_path):
    path = write(tmp_path / "truth.json", truth_of("val004", "test000"))
    events = localisation_evaluation.read_truth([path], stores)
    with pytest.raises(flags.ConfigError, match=r"run: .*to tune on"):
        evaluate("audio_two_stream", stores, events)


def test_sound_without_frames_ends_before_the_padding_of_its_last_segment():
    # 2 segments: 0 to 0.96 s and, partly padding, 0.48 to 1.44 s.
    clip = make_clip("clip", num_regions=0, num_segments=2)
    duration_s = localisation_evaluation._duration_s(clip)
    assert duration_s == pytest.approx(0.96)
    both = make_clip("clip", num_regions=3, num_segments=2)
    assert localisation_evaluation._duration_s(both) == pytest.approx(3.0)
