"""Localization of trained systems, from features and truth files."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import types

import keras
import numpy as np
import pytest

from avmil.common.errors import ConfigError
from avmil.evaluation import evaluation
from avmil.evaluation.identity import RunIdentity, WeightsIdentity
from avmil.features.batches import pad
from avmil.runs import localization_evaluation, scoring
from avmil.runs.run import SPLITS
from model import systems
from tests.feature_files import (
    CLASS_NAMES,
    make_clip,
    make_rows,
    plan_shards,
    write_features,
)

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


@functools.cache
def build(name):
    config = systems.SystemConfig(fc_units=4, audio_units=4)
    model = systems.build(name, len(CLASS_NAMES), config)
    model.jit_compile = False  # XLA takes longer to compile than to compute.
    return model


@functools.cache
def score(model, store):
    return scoring.Scorer(model, store, 2).score()["scores"]


def evaluate(model, stores, path, *truth_paths):
    """Evaluates a run of this model and these features in a directory."""
    val, test = (score(model, store) for store in stores)
    run = types.SimpleNamespace(
        path=str(path),
        name="run",
        model=model,
        class_names=CLASS_NAMES,
        stores=dict(zip(SPLITS, stores, strict=True)),
        modality_scores=lambda split: {"both": val if split == "val" else test},
        weights=WeightsIdentity("last", 1),
        file=lambda name: str(path / name),
    )
    result = evaluation.evaluate(
        val, test, identity=RunIdentity(model.name, "run")
    )
    return localization_evaluation.evaluate_run(run, result, truth_paths)


def test_all_clips_of_the_truth_are_measured(stores, tmp_path):
    path = write(tmp_path / "truth.json", VAL_TRUTH | TEST_TRUTH)
    result = evaluate(build("av_two_stream"), stores, tmp_path, path)
    assert (result.num_val_clips, result.num_test_clips) == (5, 3)
    assert result.num_test_missing == 1
    assert result.num_pairs["all"] == 3
    assert 0 <= result.audio.scores["all"].f1 <= 1
    # One clip is missing.
    assert 0 <= result.visual.scores["all"].corloc <= 2 / 3
    assert {event.clip_id for event in result.events} <= {"test000", "test002"}
    # Seconds that are heard and seen: the truth knows both.
    assert 0 <= result.parsing.scores["segment"].type_at_av <= 1
    assert 0 < result.parsing.references["true_tags"]["segment"].audio < 1
    # The missing clip is wrong in each of its seconds.
    assert 0 <= result.av_events.scores["seconds"].events <= 2 / 3
    assert 0 < result.modalities.scores["both"].f1 < 1


def test_a_truth_without_times_tells_what_is_heard_and_seen(stores, tmp_path):
    # As VGGSounder's, it names no validation clip.
    content = {
        "test000": [{"class": CLASS_NAMES[0], "sound": True, "sight": True}],
        "test001": [{"class": CLASS_NAMES[1], "sound": True}],
    }
    path = write(tmp_path / "truth.json", content)
    result = evaluate(build("av_two_stream"), stores, tmp_path, path)
    assert (result.num_test_clips, result.num_test_missing) == (2, 1)
    assert result.num_pairs["all"] == 2
    assert result.audio is result.parsing is result.av_events is None
    assert 0 <= result.modalities.scores["both"].f1 <= 1
    tuned = json.loads((tmp_path / "event_thresholds.json").read_text())
    assert tuned["from"] == "labels"


@pytest.mark.parametrize(
    ("name", "field", "other"),
    [
        ("audio_two_stream", "audio", "visual"),
        ("visual_wsddn", "visual", "audio"),
    ],
)
def test_a_system_has_its_own_part_only(name, field, other, stores, tmp_path):
    path = write(tmp_path / "truth.json", VAL_TRUTH | TEST_TRUTH)
    result = evaluate(build(name), stores, tmp_path, path)
    assert getattr(result, field)
    assert not getattr(result, other)


@pytest.mark.parametrize(
    ("name", "has_shares"),
    [
        ("av_two_stream", True),
        ("visual_wsddn", True),
        ("audio_two_stream", True),
        ("av_one_stream", False),
    ],
)
def test_labels_are_enough(name, has_shares, stores, tmp_path):
    model = build(name)
    assert evaluate(model, stores, tmp_path) is None
    content = json.loads((tmp_path / "event_thresholds.json").read_text())
    assert content["weights"] == {"checkpoint": "last", "step": 1}
    assert content["from"] == "labels"
    for kind in ("segments", "regions"):
        counts = [len(stores[0].read(i, (kind,))[kind]) for i in range(4)]
        is_scored = has_shares and kind in model.input
        expected = np.median(counts) if is_scored else None
        assert content[f"num_{kind}"] == expected
    has_audio, has_visual = systems.has_audio(name), systems.has_visual(name)
    assert bool(content["thresholds"]) == has_audio
    assert bool(content["box_thresholds"]) == has_visual
    path = write(tmp_path / "truth.json", VAL_TRUTH | TEST_TRUTH)
    result = evaluate(model, stores, tmp_path, path)
    refined = json.loads((tmp_path / "event_thresholds.json").read_text())
    assert refined["from"] == ("truth" if has_audio else "labels")
    assert refined["box_thresholds"] == content["box_thresholds"]
    assert bool(result.audio_by_labels) == has_audio


def test_strong_labels_in_a_file_for_each_split(stores, tmp_path):
    paths = [
        write(
            tmp_path / f"{split}.csv",
            "".join(f"{split}{i:03d}.wav\t0.2\t0.9\tbus\n" for i in range(3)),
        )
        for split in ("val", "test")
    ]
    result = evaluate(build("av_two_stream"), stores, tmp_path, *paths)
    assert set(result.audio.scores) == {"all"}
    assert not result.visual
    assert np.isfinite(result.event_thresholds).all()


@pytest.mark.parametrize(
    ("contents", "error", "message"),
    [
        ([TEST_TRUTH], ConfigError, "Name the files of both"),
        ([VAL_TRUTH, VAL_TRUTH], ConfigError, "each clip in one file"),
        (["{"], ConfigError, r"--truth: .*truth0\.json: "),
        ([None], FileNotFoundError, "Expected a file"),
        ([truth_of("val004", "test000")], ConfigError, r"run: .*to tune on"),
        (
            [truth_of("val000", "test001")],
            ConfigError,
            r"run: .*received none in 1",
        ),
        (
            ["val000.wav\t0.2\t0.9\tbus\ntest000.wav\t0\t0\tbus\n"],
            ConfigError,
            "run: Expected events with",
        ),
    ],
    ids=[
        "a split without truth",
        "a clip in two files",
        "damaged",
        "no file",
        "validation without features",
        "test without features",
        "nobody timed the events",
    ],
)
def test_truth_that_cannot_be_used_is_named(
    contents, error, message, stores, tmp_path
):
    paths = []
    for number, content in enumerate(contents):
        suffix = "csv" if content and "\t" in content else "json"
        path = tmp_path / f"truth{number}.{suffix}"
        paths.append(write(path, content) if content else str(path))
    with pytest.raises(error, match=message):
        evaluate(build("av_two_stream"), stores, tmp_path, *paths)


@pytest.mark.parametrize(
    ("name", "said"), [("audio_two_stream", False), ("visual_wsddn", True)]
)
def test_a_run_that_the_truth_leaves_out_is_told(
    name, said, stores, tmp_path, capsys
):
    labels = "val000.wav\t0.2\t0.9\tbus\ntest000.wav\t0\t1\tbus\n"
    path = write(tmp_path / "strong.csv", labels)
    evaluate(build(name), stores, tmp_path, path)
    told = f"{tmp_path} is not in Table 3: the truth names nothing"
    assert (told in capsys.readouterr().out) == said


def test_a_localized_clip_lasts_as_long_as_is_stored():
    clip = dataclasses.replace(make_clip("clip"), duration_s=12.5)
    localized = scoring.localize(build("av_two_stream"), clip, CLASS_NAMES)
    assert localized.duration_s == 12.5


@pytest.mark.parametrize(
    ("name", "num_regions"),
    [
        *itertools.product(
            filter(systems.has_visual, systems.names()), (0, 20)
        ),
        ("cvssp_gated_crnn", 20),
    ],
)
def test_regions_are_scored_in_parts_as_in_one(name, num_regions, monkeypatch):
    monkeypatch.setattr(scoring, "_REGIONS_AT_A_TIME", 7)
    model = build(name)
    clip = make_clip("clip", num_regions=num_regions)
    whole = model(pad(clip, model.input))
    parts = scoring.localize(model, clip, CLASS_NAMES)
    np.testing.assert_allclose(parts.scores, whole["scores"][0], atol=1e-6)
    if "region_scores" in whole:
        expected = whole["region_scores"][0, :num_regions]
        np.testing.assert_allclose(parts.region_scores, expected, atol=1e-6)


def segments_heard(times_s, events):
    """Scores of 1 where all of a segment but its end is in the event."""
    scores = np.zeros((len(times_s), len(CLASS_NAMES)), np.float32)
    for event in events:
        start_s, end_s = event["sound"]
        inside = (times_s >= start_s - 1e-3) & (times_s < end_s)
        scores[inside, CLASS_NAMES.index(event["class"])] = 1
    return scores


LONG_TRUTH = {
    f"{split}{index:03d}": [
        {
            "class": CLASS_NAMES[index % 3],
            "sound": [0.0, 10.0] if index < 3 else [4.8, 10.0],
        }
    ]
    for split in ("val", "test")
    for index in range(6)
}


@pytest.fixture(scope="module")
def sound_stores(tmp_path_factory):
    """Audio-only features of 10 s that are the truth itself."""
    directory = str(tmp_path_factory.mktemp("sound"))
    rows = make_rows({"val": 6, "test": 6})

    def extract_clip(row):
        clip = make_clip(row.clip_id, row.labels, 0, 20)
        segments, log_mel = np.zeros((20, 128)), np.zeros((240, 64))
        events = LONG_TRUTH[row.clip_id]
        onsets_s = clip.segment_times_s[:, 0]
        segments[:, :3] = segments_heard(onsets_s, events)
        log_mel[:, :3] = segments_heard(np.arange(240) * 0.0415, events)
        return dataclasses.replace(
            clip, duration_s=10.0, segments=segments, cvssp_log_mel=log_mel
        )

    for shard in plan_shards(directory, rows):
        shard.complete(extract_clip)
    return [scoring.open_split(directory, split) for split in ("val", "test")]


@pytest.mark.parametrize(
    ("name", "output"),
    [("segments", "segment_scores"), ("cvssp_log_mel", "step_scores")],
)
def test_a_perfect_system_is_perfect_on_sound_alone(
    name, output, sound_stores, tmp_path
):
    shape = {"segments": (None, 128), "cvssp_log_mel": (240, 64)}[name]
    taken = keras.Input(shape, name=name)
    heard = taken[:, :, :3]
    outputs = {"scores": keras.ops.max(heard, axis=1), output: heard}
    path = write(tmp_path / "truth.json", LONG_TRUTH)
    perfect = keras.Model({name: taken}, outputs)
    result = evaluate(perfect, sound_stores, tmp_path, path)
    assert result.audio.scores["all"] == pytest.approx((1, 0, 1))
    assert {event.offset_s for event in result.events} <= {9.96, 10.0}
