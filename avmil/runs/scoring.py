"""Scores of all clips of a split, by a trained system."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from avmil.common.errors import FeaturesError
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.scores import ScoreSet
from avmil.features.batches import (
    CVSSP_FRAMES,
    CVSSP_HOP_S,
    Batch,
    BatchShape,
    in_order,
    pad,
    read_ahead,
)
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore


def open_split(features_dir: str, split: str) -> FeatureStore:
    """Opens the features of a split that must not be empty.

    Raises:
        FeaturesError: if it has no clip, or cannot be opened.
    """
    store = FeatureStore(features_dir, split)
    if not len(store):
        raise FeaturesError(
            f"Expected clips in the split {split!r} of {features_dir}, "
            "received none."
        )
    return store


def batch_shape(store: FeatureStore, batch_size: int) -> BatchShape:
    """The one size of all batches of a split."""
    return BatchShape(
        batch_size, max(1, store.max_regions), max(1, store.max_segments)
    )


def inputs(model: keras.Model, batch: Batch) -> Batch:
    """The part of a batch that a network takes."""
    return {name: batch[name] for name in model.input}


def score(
    model: keras.Model,
    store: FeatureStore,
    batch_size: int,
    on_clips: Callable[[int], None] = lambda count: None,
) -> ScoreSet:
    """Scores the clips of a split.

    Clips without features are part of the result and count as missed.

    Args:
        model: A system of `model.systems`.
        store: The split's features.
        batch_size: Clips at a time.
        on_clips: Called with the number of clips that were scored.
    """
    shape = batch_shape(store, batch_size)
    indices = in_order(len(store), batch_size)
    batches = read_ahead(store, indices, shape, model.input)
    scores = np.empty((len(store), len(store.class_names)), np.float32)
    start = 0
    for batch in batches:
        outputs = model.predict_on_batch(inputs(model, batch))
        rows = scores[start : start + batch_size]
        rows[:] = outputs["scores"][: len(rows)]
        start += len(rows)
        on_clips(len(rows))
    known = ScoreSet(store.clip_ids, store.class_names, store.labels, scores)
    missing = [clip.clip_id for clip in store.missing]
    return known.with_missing(missing, store.missing_labels())


def localize(
    model: keras.Model,
    clip: ClipFeatures,
    class_names: tuple[str, ...],
    duration_s: float | None = None,
) -> ClipLocalization:
    """Scores one clip with all its regions and segments.

    Args:
        model: A system of `model.systems`; of a CVSSP system the time steps
            stand for segments.
        clip: The clip's features.
        class_names: The classes the system was trained on, in order.
        duration_s: Length of the clip; by default the one that is stored.
    """
    if duration_s is None:
        duration_s = clip.duration_s
    shape = BatchShape(1, max(1, len(clip.regions)), max(1, len(clip.segments)))
    batch = pad([clip], shape, model.input)
    # Called instead of predict_on_batch, which compiles for each new shape.
    called = model(inputs(model, batch), training=False)
    outputs = {k: keras.ops.convert_to_numpy(v)[0] for k, v in called.items()}
    no_scores = np.zeros((0, len(class_names)), np.float32)
    regions = outputs.get("region_scores", no_scores)[: len(clip.regions)]
    segments = outputs.get("segment_scores", no_scores)[: len(clip.segments)]
    segment_times_s = clip.segment_times_s[: len(segments)]
    if "step_scores" in outputs:
        segments, segment_times_s = _steps(outputs["step_scores"], duration_s)
    # Systems that were saved without this output pool by the sum.
    pooled = outputs.get("audio_scores", segments.sum(axis=0))  # [C]
    return ClipLocalization(
        clip_id=clip.clip_id,
        class_names=class_names,
        scores=outputs["scores"],
        duration_s=duration_s,
        frame_size_px=tuple(clip.frame_size_px.tolist()),
        frame_times_s=clip.frame_times_s,
        boxes=clip.boxes[: len(regions)],
        region_times_s=clip.region_times_s[: len(regions)],
        region_scores=regions,
        segment_times_s=segment_times_s,
        segment_scores=segments,
        segment_norm=float(np.linalg.norm(pooled)),
    )


def _steps(
    step_scores: np.ndarray, duration_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N, C] and times [N, 2] of the steps within the clip."""
    step_s = CVSSP_FRAMES / len(step_scores) * CVSSP_HOP_S
    onsets_s = np.arange(len(step_scores)) * step_s
    times_s = np.stack([onsets_s, onsets_s + step_s], axis=1)
    within = onsets_s < duration_s
    return step_scores[within], times_s[within]
