"""JSON and CSV of one video."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.events import Event
from avmil.report import localization_files


def localized(scores=(0.1, -0.5)):
    return ClipLocalization(
        clip_id="clip",
        class_names=("bus", "siren, loud"),
        scores=np.array(scores, np.float32),
        duration_s=3.0,
        frame_size_px=(64, 48),
        frame_times_s=np.array([0.5], np.float32),
        boxes=np.array([[0, 1, 20.5, 30]], np.float32),
        region_times_s=np.array([0.5], np.float32),
        region_scores=np.array([[0.25, 0]], np.float32),
        segment_times_s=np.array([[0, 1], [1, 2], [2, 3]], np.float32),
        segment_scores=np.array([[0, 0.5], [0, 2], [0, 7]], np.float32),
    )


def read(**changes):
    values = {
        "localization": localized(),
        "thresholds": {"bus": 0.0, "siren, loud": 1.5},
        "event_thresholds": {"bus": 0.25, "siren, loud": 0.5},
        "predicted": ["bus"],
        "events": [Event("clip", "siren, loud", 0.0, 2.0)],
        "facts": {"video": "a b.mp4", "start_s": 1.5},
    }
    return json.loads(localization_files.to_json(**{**values, **changes}))


def test_json_holds_every_score_box_and_time():
    assert read() == {
        "schema_version": 1,
        "clip_id": "clip",
        "video": "a b.mp4",
        "start_s": 1.5,
        "duration_s": 3.0,
        "width_px": 64,
        "height_px": 48,
        "class_names": ["bus", "siren, loud"],
        "scores": [0.1, -0.5],
        "thresholds": {"bus": 0.0, "siren, loud": 1.5},
        "event_thresholds": {"bus": 0.25, "siren, loud": 0.5},
        "predicted": ["bus"],
        "frame_times_s": [0.5],
        "regions": {
            "boxes_px": [[0, 1, 20.5, 30]],
            "times_s": [0.5],
            "scores": [[0.25, 0]],
        },
        "segments": {
            "times_s": [[0, 1], [1, 2], [2, 3]],
            "scores": [[0, 0.5], [0, 2], [0, 7]],
        },
        "events": [{"class": "siren, loud", "onset_s": 0.0, "offset_s": 2.0}],
    }


def test_float32_comes_back_bit_for_bit():
    scores = np.random.default_rng(0).normal(size=2).astype(np.float32)
    content = read(localization=localized(scores))
    back = np.array(content["scores"], np.float32)
    assert back.tobytes() == scores.tobytes()


def test_without_thresholds_there_are_none():
    assert read(thresholds=None)["thresholds"] is None
    assert read(event_thresholds=None)["event_thresholds"] is None


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        read(localization=localized((np.nan, 0)))


def test_csv_lists_events_with_their_best_score():
    text = localization_files.segments_csv(
        localized(),
        [
            Event("clip", "siren, loud", 0.0, 2.0),
            Event("clip", "siren, loud", 2.0, 3.0),
        ],
    )
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["clip_id", "class", "onset_s", "offset_s", "score"],
        ["clip", "siren, loud", "0.000", "2.000", "2"],
        ["clip", "siren, loud", "2.000", "3.000", "7"],
    ]


def test_neighbors_of_an_event_are_no_part_of_it():
    clip = localized()
    clip.segment_scores[:, 1] = [9, 2, 7]
    event = Event("clip", "siren, loud", 1.0, 2.0)
    text = localization_files.segments_csv(clip, [event])
    assert text.splitlines()[1] == 'clip,"siren, loud",1.000,2.000,2'
