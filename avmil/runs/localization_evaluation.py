"""Measures where and when a trained system localizes the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from avmil.common import files
from avmil.common.errors import ConfigError, TruthError
from avmil.common.progress import Progress
from avmil.evaluation import localization, truth
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.identity import RunIdentity
from avmil.features.store import FeatureStore
from avmil.runs import run_scores, scoring
from avmil.runs.run_directory import RunDirectory
from model.layers import ScoreNormalization

EVENT_THRESHOLDS_FILE = "event_thresholds.json"


def evaluate_run(
    path: str,
    truth_paths: Sequence[str],
    weights: Mapping[str, Any],
    features_dir: str,
    identity: RunIdentity,
) -> localization.LocalizationResult:
    """Measures how a run localizes and writes its event thresholds.

    Args:
        path: The run's directory.
        truth_paths: As for `read_truth`.
        weights: `checkpoint` and `step`, those of the run's scores.
        features_dir: Features to score; by default those of the training.
        identity: The run.

    Raises:
        ConfigError: as `read_truth` and `run_scores.load`.
    """
    run = run_scores.load(
        RunDirectory(path), weights["checkpoint"], features_dir, weights["step"]
    )
    events = read_truth(truth_paths, (run.val, run.test))
    print(f"Localizing with {path}.")
    with Progress(len(run.val) + len(run.test), "clip") as progress:
        result = evaluate_localization(
            run.system,
            run.val,
            run.test,
            events,
            identity=identity,
            on_clips=progress.update,
        )
    if not (result.audio or result.visual):
        print(
            f"{path} is not in Table 3: the truth names nothing in the test "
            "clips that its system could hear or see."
        )
    if result.event_thresholds is not None:
        named = zip(
            result.class_names, result.event_thresholds.tolist(), strict=True
        )
        content = {"weights": run.weights, "thresholds": dict(named)}
        files.write_json(files.join(path, EVENT_THRESHOLDS_FILE), content)
    return result


def normalizes_segments(system: keras.Model) -> bool:
    """Whether a system divides a clip's scores by their norm."""
    return any(isinstance(layer, ScoreNormalization) for layer in system.layers)


def read_truth(
    paths: Sequence[str], stores: Sequence[FeatureStore]
) -> truth.Truth:
    """Reads the events of the clips of some splits.

    Args:
        paths: Truth files, as `report.truth` reads them; each clip in one.
        stores: The features of the splits; they share their classes.

    Raises:
        ConfigError: if a file cannot be used, two of them name the same clip,
            or a split has no clip in any.
        FileNotFoundError: if a file is missing.
    """
    class_names = stores[0].class_names
    clip_ids = [_clip_ids(store) for store in stores]
    wanted = {clip_id for split in clip_ids for clip_id in split}
    events: dict[str, tuple[truth.TrueEvent, ...]] = {}
    for path in paths:
        content = files.read_bytes(path)
        try:
            found = truth.parse(content, path, class_names, wanted)
        except TruthError as error:
            raise ConfigError(f"--truth: {error}") from error
        if shared := sorted(events.keys() & found.keys()):
            raise ConfigError(
                f"--truth: Expected each clip in one file, received "
                f"{shared[0]} in {path} and in another one."
            )
        events |= found
    for split in clip_ids:
        if not events.keys() & set(split):
            raise ConfigError(
                "--truth: Expected events of the validation clips, on which "
                "thresholds are tuned, and of the test clips, received none "
                f"of {split[0]} and the other clips of its split in "
                f"{', '.join(paths)}. Name the files of both splits."
            )
    return events


def evaluate_localization(
    system: keras.Model,
    val: FeatureStore,
    test: FeatureStore,
    events: truth.Truth,
    *,
    identity: RunIdentity,
    on_clips: Callable[[int], None] = lambda count: None,
) -> localization.LocalizationResult:
    """Localizes the clips of the truth and measures how well.

    Args:
        system: A trained system of `model.systems`.
        val: Features of the validation split, to tune thresholds on.
        test: Features of the test split.
        events: Their truth, see `read_truth`.
        identity: The run.
        on_clips: Called with the number of clips that were passed, of all
            clips of both stores in the end.

    Raises:
        ConfigError: if no validation clip of the truth has features.
    """
    val_clips, test_clips = (
        _localized(system, store, events, on_clips) for store in (val, test)
    )
    try:
        return localization.evaluate(
            val_clips,
            test_clips,
            events,
            identity=identity,
            normalize_segments=normalizes_segments(system),
            num_test_missing=sum(c.clip_id in events for c in test.missing),
            num_test_without_truth=len(_clip_ids(test)) - len(test_clips),
        )
    except ValueError as error:
        raise ConfigError(f"{identity.run_name}: {error}") from error


def _clip_ids(store: FeatureStore) -> list[str]:
    return [*store.clip_ids, *(clip.clip_id for clip in store.missing)]


def _localized(
    system: keras.Model,
    store: FeatureStore,
    events: truth.Truth,
    on_clips: Callable[[int], None],
) -> list[ClipLocalization]:
    """All clips of the truth, those without features included."""
    clips = []
    for index, clip_id in enumerate(store.clip_ids):
        if clip_id in events:
            clips.append(
                scoring.localize(system, store[index], store.class_names)
            )
        on_clips(1)
    rate_hz = store.info["recipe"].get("frame_rate_hz", 1.0)
    clips += [
        localization.missing_clip(
            clip.clip_id, events[clip.clip_id], store.class_names, rate_hz
        )
        for clip in store.missing
        if clip.clip_id in events
    ]
    return clips
