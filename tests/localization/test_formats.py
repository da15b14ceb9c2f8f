"""What is found as text: each format is read back by a program of its kind."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import praatio.textgrid
import pytest
import webvtt
from pycocotools.coco import COCO

from avmil.localization import Box, Event, formats
from tests.localization.test_writers import EVENTS, LOUD, find

QUOTED = 'a\t"b"'


def found(**changes):
    """Events of more than an hour, one of a class with quotes."""
    events = {**EVENTS, QUOTED: [Event(59.9996, 3723.0457, 1.0)]}
    predicted = ("bus", QUOTED, LOUD)
    values = {"events": events, "predicted": predicted}
    return dataclasses.replace(find(), **values | changes)


def read_json(**changes):
    return json.loads(formats.to_json(find(**changes)))


def test_json_holds_every_score_box_and_time():
    assert read_json() == {
        "schema_version": 1,
        "clip_id": "clip",
        "video": "a b.mp4",
        "start_s": 0.5,
        "run": "a",
        "system": "av_two_stream",
        "checkpoint": "last",
        "step": 9,
        "duration_s": 3.0,
        "width_px": 64,
        "height_px": 48,
        "class_names": ["bus", LOUD],
        "scores": [0.1, -0.5],
        "thresholds": {"bus": 0.0, LOUD: 1.5},
        "event_thresholds": {"bus": 0.25, LOUD: 0.5},
        "box_thresholds": None,
        "predicted": ["bus"],
        "is_foreign": False,
        "confidences": {"bus": {"right": 9, "of": 10}},
        "frame_times_s": [0.5, 1.5, 2.5],
        "regions": {
            "boxes_px": [[0, 1, 20.5, 30]],
            "times_s": [0.5],
            "scores": [[0.25, 0]],
        },
        "segments": {
            "times_s": [[0, 1], [1, 2], [2, 3]],
            "scores": [[0, 0.5], [0, 2], [0, 7]],
        },
        "events": [
            {"class": "bus", "onset_s": 2.0, "offset_s": 3.0},
            {"class": LOUD, "onset_s": 0.0, "offset_s": 2.0},
        ],
        "boxes": [
            {
                **{"class": "bus", "time_s": 0.5, "score": 1.0},
                **{"x1_px": 0.0, "y1_px": 1.0, "x2_px": 20.5, "y2_px": 30.0},
            }
        ],
    }
    assert read_json(thresholds=None)["thresholds"] is None


def test_float32_comes_back_bit_for_bit_and_nan_is_refused():
    scores = np.random.default_rng(0).normal(size=2).astype(np.float32)
    back = np.array(read_json(scores=scores)["scores"], np.float32)
    assert back.tobytes() == scores.tobytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        read_json(scores=(np.nan, 0))


def test_csv_lists_events_by_class():
    text = formats.to_csv(find())
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["clip_id", "class", "onset_s", "offset_s", "score"],
        ["clip", "bus", "2.000", "3.000", "7"],
        ["clip", LOUD, "0.000", "2.000", "0.5"],
    ]


@pytest.mark.parametrize("kind", ["vtt", "srt"])
def test_subtitles_list_events_by_onset(tmp_path, kind):
    found().save(tmp_path, outputs=["labels"], formats=[kind])
    read = webvtt.read if kind == "vtt" else webvtt.from_srt
    captions = list(read(str(tmp_path / f"events.{kind}")))
    assert [(c.start, c.end) for c in captions] == [
        ("00:00:00.000", "00:00:02.000"),
        ("00:00:02.000", "00:00:03.000"),
        ("00:01:00.000", "01:02:03.046"),
    ]
    # WebVTT escapes what would be a tag; SubRip has no escapes.
    loud = "siren, &lt;loud&gt;" if kind == "vtt" else LOUD
    assert [c.raw_text for c in captions] == [loud, "bus", 'a "b"']


def test_audacity_gets_onset_offset_and_name_between_tabs():
    assert formats.to_audacity(found()).splitlines() == [
        f"0.000\t2.000\t{LOUD}",
        "2.000\t3.000\tbus",
        '60.000\t3723.046\ta "b"',
    ]


def test_textgrid_has_a_tier_of_each_predicted_class(tmp_path):
    found().save(tmp_path, outputs=["labels"], formats=["textgrid"])
    path = str(tmp_path / "events.TextGrid")
    # Praat refuses gaps and overlaps, and so does `error`.
    grid = praatio.textgrid.openTextgrid(path, True, reportingMode="error")
    assert grid.tierNames == ("bus", 'a "b"', LOUD)
    assert {tuple(grid.getTier(n).entries[0]) for n in grid.tierNames} == {
        (0, 2, ""),
        (0, 2, LOUD),
        (0, 59.9996, ""),
    }
    assert [tuple(e) for e in grid.getTier("bus").entries] == [
        (0, 2, ""),
        (2, 3, "bus"),
        (3, 3723.0457, ""),
    ]


def test_textgrid_without_events_has_one_empty_tier(tmp_path):
    nothing = found(predicted=(), events={"bus": [], LOUD: []})
    nothing.save(tmp_path, outputs=["labels"], formats=["textgrid"])
    path = str(tmp_path / "events.TextGrid")
    grid = praatio.textgrid.openTextgrid(path, True)
    assert [tuple(e) for e in grid.getTier("events").entries] == [(0, 3, "")]


def test_coco_reads_boxes_of_frames(tmp_path):
    boxes = {
        "bus": [Box(0.5, 0.0, 1.0, 20.5, 30.0, 1.0)],
        LOUD: [
            Box(0.5, 4.0, 5.0, 4.0, 5.0, 0.25),
            Box(2.5, 0.0, 0.0, 63.0, 47.0, 0.75),
        ],
    }
    result = dataclasses.replace(find(), boxes=boxes)
    result.save(tmp_path, outputs=["labels"], formats=["coco"])
    coco = COCO(tmp_path / "coco.json")
    assert [image["time_s"] for image in coco.loadImgs([1, 2, 3])] == [
        0.5,
        1.5,
        2.5,
    ]
    (loud,) = coco.getCatIds(catNms=[LOUD])
    read = coco.loadAnns(coco.getAnnIds(catIds=[loud]))
    assert [(a["image_id"], a["bbox"], a["area"]) for a in read] == [
        (1, [4, 5, 1, 1], 1),
        (3, [0, 0, 64, 48], 64 * 48),
    ]
    assert [a["score"] for a in read] == [0.25, 0.75]
    (bus,) = coco.loadAnns(coco.getAnnIds(imgIds=[1], catIds=[1]))
    assert bus["bbox"] == [0, 1, 21.5, 30]
    assert len(coco.loadRes([*read, bus]).anns) == 3
