"""Files for DCASE's scorers, and what the scorers make of them."""

from __future__ import annotations

import numpy as np
import pytest

from avmil.common.dcase2017_classes import CLASS_NAMES
from avmil.evaluation import metrics
from avmil.evaluation.clip_localization import Event
from avmil.report.dcase_submission import (
    detection_submission,
    tagging_submission,
)

CLIP_IDS = ("-JMT0mK0Dbg_30.000_40.000", "3ACjUf9QpAQ_30.000_40.000")
CLASSES = ("Car", "Air horn, truck horn")


def official_labels(text):
    """The labels of each file, as the scorer of subtask A reads them.

    A row of four fields that ends at 0 is skipped; a row without a label
    enters its file, without a label.
    """
    labels = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 4 and float(fields[2]) == 0:
            continue
        found = labels.setdefault(fields[0].split(".wav")[0], [])
        if len(fields) > 3 and fields[3].strip():
            found.append(fields[3].strip())
    return labels


def official_scores(truth_text, submission):
    """Micro F1, P and R: files of the submission that the truth knows."""
    truth, predicted = map(official_labels, (truth_text, submission))
    known = [name for name in predicted if name in truth]
    hits = sum(len({*truth[n]} & {*predicted[n]}) for n in known)
    num_predicted = sum(len(predicted[n]) for n in known)
    num_true = sum(len(truth[n]) for n in known)
    return (
        2 * hits / max(num_predicted + num_true, 1),
        hits / max(num_predicted, 1),
        hits / max(num_true, 1),
    )


@pytest.fixture
def truth_text(shared_data):
    name = "dcase2017/groundtruth_release"
    path = shared_data / name / "groundtruth_weak_label_evaluation_set.csv"
    return path.read_text()


def test_tagging_rows():
    predictions = np.array([[1, 1], [0, 0]])
    assert tagging_submission(CLIP_IDS, CLASSES, predictions) == (
        "-JMT0mK0Dbg_30.000_40.000.wav\t30.000\t40.000\tCar\n"
        "-JMT0mK0Dbg_30.000_40.000.wav\t30.000\t40.000\tAir horn, truck horn\n"
        "3ACjUf9QpAQ_30.000_40.000.wav\n"
    )


@pytest.mark.parametrize("rate", [None, 0.0, 0.02, 0.5])
def test_official_scorer_agrees_with_our_metrics(truth_text, rate):
    truth = official_labels(truth_text)
    labels = np.array([np.isin(CLASS_NAMES, names) for names in truth.values()])
    predictions = labels
    if rate is not None:
        predictions = np.random.default_rng(0).random(labels.shape) < rate
    text = tagging_submission(list(truth), CLASS_NAMES, predictions)
    assert official_scores(truth_text, text) == pytest.approx(
        metrics.micro_scores(labels, predictions), abs=1e-12
    )
    if rate is None:  # The published labels are the published rows.
        assert sorted(text.splitlines()) == sorted(truth_text.splitlines())


def test_clip_without_a_row_would_be_forgotten_by_the_scorer():
    truth = "".join(f"{clip}.wav\t30.000\t40.000\tCar\n" for clip in CLIP_IDS)
    text = tagging_submission(CLIP_IDS, CLASSES, [[1, 0], [0, 0]])
    assert official_scores(truth, text)[2] == 0.5
    first_row = text.splitlines()[0]
    assert official_scores(truth, first_row)[2] == 1
    assert official_scores(truth, "Y" + first_row)[2] == 0


def test_detection_rows():
    events = [
        Event(CLIP_IDS[0], "Car", 0, 4.8),
        Event(CLIP_IDS[1], "Air horn, truck horn", 0.1 * 3, 9.6004),
    ]
    assert detection_submission(events) == (
        "-JMT0mK0Dbg_30.000_40.000.wav\t0.000\t4.800\tCar\n"
        "3ACjUf9QpAQ_30.000_40.000.wav\t0.300\t9.600\tAir horn, truck horn\n"
    )
    assert detection_submission([]) == ""


@pytest.mark.filterwarnings("ignore:pkg_resources")
def test_sed_eval_reads_detections(tmp_path):
    sed_eval = pytest.importorskip("sed_eval")
    path = tmp_path / "detections.txt"
    events = [
        Event(CLIP_IDS[0], "Car", 0.5, 4.8),
        Event(CLIP_IDS[1], "Air horn, truck horn", 0.3, 9.6),
    ]
    path.write_text(detection_submission(events))
    found = [
        Event(
            event["filename"].removesuffix(".wav"),
            event["event_label"],
            event["onset"],
            event["offset"],
        )
        for event in sed_eval.io.load_event_list(str(path))
    ]
    assert found == events


@pytest.mark.parametrize(
    "clip_id",
    ["clip", "Y-JMT0mK0Dbg_30.000_40.000", "-JMT0mK0Dbg_30_40", "../x"],
)
def test_clips_of_other_data_are_refused(clip_id):
    with pytest.raises(ValueError, match="clips of DCASE 2017"):
        tagging_submission([clip_id], ["Car"], [[1]])
    with pytest.raises(ValueError, match="clips of DCASE 2017"):
        detection_submission([Event(clip_id, "Car", 0, 1)])
