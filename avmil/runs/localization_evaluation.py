"""Measures where and when a trained system localizes the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
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
from avmil.evaluation.evaluation import Result
from avmil.evaluation.localization import LocalizationResult
from avmil.features.store import FeatureStore
from avmil.runs import scoring
from avmil.runs.run import SPLITS, Run
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
    run: Run, result: Result, truth_paths: Sequence[str] = ()
) -> LocalizationResult | None:
    """Tunes thresholds within clips and measures how well a run localizes.

    Thresholds of events and of boxes are tuned on the labels of validation,
    those of events on the truth where there is one, and written into the run.
    `result` is what the run gets as a classifier of whole clips.

    Returns:
        How well it localizes the clips of the truth; None without a truth.

    Raises:
        ConfigError: as `read_truth`, if no validation or test clip of the
            truth has features, or if scores and features are of other clips.
    """
    stores = run.stores if truth_paths else {"val": run.stores["val"]}
    for split, store in stores.items():
        if {*_clip_ids(store)} != {*getattr(result, split).clip_ids}:
            raise ConfigError(
                f"Expected features of the {split} clips that {run.path} has "
                "scores of, received those of other clips, as where clips were "
                "added. Evaluate without --use_saved_scores."
            )
    events = read_truth(truth_paths, run.stores) if truth_paths else {}
    is_untimed = truth.is_untimed(events, result.test.clip_ids)
    print(f"Localizing with {run.path}.")
    clips: dict[str, list[ClipLocalization]] = {}
    with Progress(sum(map(len, stores.values())), "clip") as progress:
        for split, store in stores.items():
            clips[split] = []
            for index, clip_id in enumerate(store.clip_ids):
                if split == "val" or (clip_id in events and not is_untimed):
                    clip = store[index]
                    clips[split].append(
                        scoring.localize(run.model, clip, store.class_names)
                    )
                progress.update()
    content = {
        "weights": dataclasses.asdict(run.weights),
        "from": "labels",
        **_tune_on_labels(run, clips["val"]),
    }
    found = None
    if truth_paths:
        if is_untimed:
            found = _without_times(result, len(clips["val"]), events)
        else:
            found = _measure(run, result, clips, events, content["thresholds"])
        splits = map(run.modality_scores, SPLITS)
        with config_errors(run.name):
            measured = modalities.measure(*splits, events)
        found = dataclasses.replace(found, modalities=measured)
        if found.event_thresholds is not None:
            content["from"] = "truth"
            content["thresholds"] = _by_class(run, found.event_thresholds)
    path = run.file(EVENT_THRESHOLDS_FILE)
    files.write_json(path, content, digest=True)
    return found


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
    result: Result,
    clips: Mapping[str, Sequence[ClipLocalization]],
    events: truth.Truth,
    label_thresholds: Mapping[str, float] | None,
) -> LocalizationResult:
    """Measures with the clips of the truth, those without features, too."""
    named: dict[str, list[ClipLocalization]] = {}
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
    if label_thresholds is not None:
        label_thresholds = np.array([*label_thresholds.values()])
    with config_errors(run.name):
        found = localization.evaluate(
            *named.values(), events, label_thresholds=label_thresholds
        )
    of_test = [e for clip in named["test"] for e in events[clip.clip_id]]
    if any(e.sound for e in of_test) and any(e.sight for e in of_test):
        seconds = [video_parsing.seconds(of, events) for of in named.values()]
        clip_ids = result.test.clip_ids
        rows = [clip_ids.index(clip.clip_id) for clip in named["test"]]
        tags = result.predictions[rows], result.test.labels[rows]
        parsing = video_parsing.measure(*seconds, *tags)
        found = dataclasses.replace(found, parsing=parsing)
        if any(e.sound and e.sight for e in of_test):
            measured = av_events.measure(*seconds, *named.values())
            found = dataclasses.replace(found, av_events=measured)
    if not (found.audio or found.visual or found.parsing):
        print(
            f"{run.path} is not in Table 3: the truth names nothing in the "
            "test clips that its system could hear or see."
        )
    return found


def _without_times(
    result: Result, num_val_clips: int, events: truth.Truth
) -> LocalizationResult:
    """The result of a truth that does not know when events happen."""
    named = [clip for clip in result.test.clip_ids if clip in events]
    return LocalizationResult(
        num_pairs={localization.ALL: sum(len(events[clip]) for clip in named)},
        num_val_clips=num_val_clips,
        num_test_clips=len(named),
        num_test_missing=len({*named} & {*result.test.missing_clip_ids}),
    )


def read_truth(
    paths: Sequence[str], stores: Mapping[str, FeatureStore]
) -> truth.Truth:
    """Reads the events of the clips of `val` and `test`.

    Raises:
        ConfigError: if a file cannot be used, two of them name the same clip,
            or a split has no clip in any.
        FileNotFoundError: if a file is missing.
    """
    clip_ids = list(map(_clip_ids, stores.values()))
    wanted = {clip_id for split in clip_ids for clip_id in split}
    class_names = stores["test"].class_names
    events: dict[str, tuple[truth.TrueEvent, ...]] = {}
    for path in paths:
        content = files.read_bytes(path)
        with config_errors("--truth"):
            found = truth.parse(content, path, class_names, wanted)
        if shared := sorted(events.keys() & found.keys()):
            raise ConfigError(
                f"--truth: Expected each clip in one file, received "
                f"{shared[0]} in {path} and in another one."
            )
        events |= found
    # Without times nothing is tuned on the truth.
    is_untimed = truth.is_untimed(events, clip_ids[-1])
    for split in clip_ids[-1:] if is_untimed else clip_ids:
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
