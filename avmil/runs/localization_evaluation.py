"""Measures where and when a trained system localizes the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from avmil.common import files
from avmil.common.errors import ConfigError, config_errors
from avmil.common.progress import Progress
from avmil.evaluation import (
    av_events,
    localization,
    modalities,
    thresholds,
    truth,
    video_parsing,
)
from avmil.evaluation.clip_localization import ClipLocalization, score_cells
from avmil.features.store import FeatureStore
from avmil.runs import scoring
from avmil.runs.run import Run
from model.layers import TwoStreamScoring

EVENT_THRESHOLDS_FILE = "event_thresholds.json"
EventThresholds = TypedDict(
    "EventThresholds",
    {
        "weights": dict[str, Any],
        "from": str,
        "thresholds": dict[str, float] | None,
        "box_thresholds": dict[str, float] | None,
        "num_segments": float | None,
        "num_regions": float | None,
    },
    total=False,
)


def evaluate_run(
    run: Run, truth_paths: Sequence[str] = ()
) -> localization.LocalizationResult | None:
    """Tunes thresholds within clips and measures how well a run localizes.

    Thresholds of events and of boxes are tuned on the labels of validation,
    those of events on the truth where there is one, and written into the run.

    Returns:
        How well it localizes the clips of the truth; None without a truth.

    Raises:
        ConfigError: as `read_truth`, and if no validation or test clip of the
            truth has features.
    """
    model, stores = run.model, run.stores
    events: truth.Truth = {}
    untimed = False
    if truth_paths:
        events = read_truth(truth_paths, list(stores.values()))
        untimed = truth.is_untimed(events, _clip_ids(stores["test"]))
    else:
        stores = {"val": stores["val"]}
    print(f"Localizing with {run.path}.")
    clips: dict[str, list[ClipLocalization]] = {}
    with Progress(sum(map(len, stores.values())), "clip") as progress:
        for split, store in stores.items():
            clips[split] = []
            for index, clip_id in enumerate(store.clip_ids):
                if split == "val" or (clip_id in events and not untimed):
                    clips[split].append(
                        scoring.localize(model, store[index], store.class_names)
                    )
                progress.update()
    content = {
        "weights": dataclasses.asdict(run.weights),
        "from": "labels",
        **_tune_on_labels(run, clips["val"]),
    }
    result = None
    if truth_paths:
        by_labels = content["thresholds"]
        if by_labels is not None:
            by_labels = np.array([*by_labels.values()])
        if untimed:
            result = _without_times(run, clips, events)
        else:
            result = _measure(run, clips, events, by_labels)
        splits = map(run.modality_scores, ("val", "test"))
        with config_errors(run.name):
            measured = modalities.measure(*splits, events)
        result = dataclasses.replace(result, modalities=measured)
        if result.event_thresholds is not None:
            content["from"] = "truth"
            content["thresholds"] = _by_class(run, result.event_thresholds)
    path = run.file(EVENT_THRESHOLDS_FILE)
    files.write_json(path, content, digest=True)
    return result


def _tune_on_labels(
    run: Run, clips: Sequence[ClipLocalization]
) -> dict[str, Any]:
    """Thresholds of segments and of regions, and what they depend on.

    Where the scores of proposals are shares of the clip's score, they are the
    lower the more proposals there are: `num_segments` and `num_regions` are
    those of a usual clip, None of scores that are no shares.
    """
    labels = run.stores["val"].labels
    has_shares = any(
        isinstance(layer, TwoStreamScoring) for layer in run.model.layers
    )
    segments = [clip.segment_scores for clip in clips]
    regions = [clip.region_scores for clip in clips]
    cells = [score_cells(clip)[1] for clip in clips]
    tuned: dict[str, Any] = {}
    for name, size, proposals, compared in (
        ("thresholds", "num_segments", segments, cells),
        ("box_thresholds", "num_regions", regions, regions),
    ):
        tuned |= {name: None, size: None}
        if any(map(len, compared)):
            found = thresholds.exceed_absence(labels, compared)
            tuned[name] = _by_class(run, found)
            if has_shares:
                tuned[size] = float(np.median([*map(len, proposals)]))
    return tuned


def _by_class(run: Run, values: np.ndarray) -> dict[str, float]:
    return dict(zip(run.class_names, values.tolist(), strict=True))


def _measure(
    run: Run,
    clips: dict[str, list[ClipLocalization]],
    events: truth.Truth,
    label_thresholds: np.ndarray | None,
) -> localization.LocalizationResult:
    """Measures with the clips of the truth, those without features, too."""
    named = {}
    for split, store in run.stores.items():
        rate_hz = store.info["recipe"].get("frame_rate_hz", 1.0)
        named[split] = [c for c in clips[split] if c.clip_id in events]
        named[split] += [
            localization.missing_clip(
                clip.clip_id, events[clip.clip_id], store.class_names, rate_hz
            )
            for clip in store.missing
            if clip.clip_id in events
        ]
    test = run.stores["test"]
    with config_errors(run.name):
        result = localization.evaluate(
            named["val"],
            named["test"],
            events,
            label_thresholds=label_thresholds,
            num_test_missing=sum(c.clip_id in events for c in test.missing),
            num_test_without_truth=len(_clip_ids(test)) - len(named["test"]),
        )
    of_test = [e for clip in named["test"] for e in events[clip.clip_id]]
    if any(e.sound for e in of_test) and any(e.sight for e in of_test):
        seconds = [video_parsing.seconds(of, events) for of in named.values()]
        parsing = video_parsing.measure(*seconds, *_tags(run, named["test"]))
        result = dataclasses.replace(result, parsing=parsing)
        if any(e.sound and e.sight for e in of_test):
            measured = av_events.measure(*seconds, *named.values())
            result = dataclasses.replace(result, av_events=measured)
    if not (result.audio or result.visual or result.parsing):
        print(
            f"{run.path} is not in Table 3: the truth names nothing in the "
            "test clips that its system could hear or see."
        )
    return result


def _without_times(
    run: Run,
    clips: dict[str, list[ClipLocalization]],
    events: truth.Truth,
) -> localization.LocalizationResult:
    """The result of a truth that does not know when events happen."""
    test = run.stores["test"]
    named = events.keys() & set(_clip_ids(test))
    return localization.LocalizationResult(
        num_pairs={localization.ALL: sum(len(events[c]) for c in named)},
        num_val_clips=len(clips["val"]),
        num_test_clips=len(named),
        num_test_missing=sum(c.clip_id in events for c in test.missing),
        num_test_without_truth=len(_clip_ids(test)) - len(named),
    )


def _tags(
    run: Run, test: Sequence[ClipLocalization]
) -> tuple[np.ndarray, np.ndarray]:
    """Classes that the run finds in the test clips, and labels, [N, C]."""
    scores = run.scores("test")
    tuned_on = run.scores("val")
    tuned = thresholds.tune(tuned_on.labels, tuned_on.scores)
    predicted = thresholds.apply(scores.scores, tuned)
    rows = [scores.clip_ids.index(clip.clip_id) for clip in test]
    return predicted[rows], scores.labels[rows]


def read_truth(
    paths: Sequence[str], stores: Sequence[FeatureStore]
) -> truth.Truth:
    """Reads the events of the clips of splits, which share their classes.

    Raises:
        ConfigError: if a file cannot be used, two of them name the same clip,
            or a split has no clip in any.
        FileNotFoundError: if a file is missing.
    """
    clip_ids = [_clip_ids(store) for store in stores]
    wanted = {clip_id for split in clip_ids for clip_id in split}
    events: dict[str, tuple[truth.TrueEvent, ...]] = {}
    for path in paths:
        content = files.read_bytes(path)
        with config_errors("--truth"):
            found = truth.parse(content, path, stores[0].class_names, wanted)
        if shared := sorted(events.keys() & found.keys()):
            raise ConfigError(
                f"--truth: Expected each clip in one file, received "
                f"{shared[0]} in {path} and in another one."
            )
        events |= found
    # Without times nothing is tuned on the truth.
    untimed = truth.is_untimed(events, clip_ids[-1])
    for split in clip_ids[-1:] if untimed else clip_ids:
        if not events.keys() & set(split):
            raise ConfigError(
                "--truth: Expected events of the validation clips, on which "
                "thresholds are tuned, and of the test clips, received none "
                f"of {split[0]} and the other clips of its split in "
                f"{', '.join(paths)}. Name the files of both splits."
            )
    return events


def _clip_ids(store: FeatureStore) -> list[str]:
    return [*store.clip_ids, *(clip.clip_id for clip in store.missing)]
