"""Scores of all clips of a split, by a trained system."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from dataset.batches import Batch, BatchShape, in_order, read_ahead
from dataset.records import FeaturesError, FeatureStore
from report.scores import ScoreSet


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


def inputs(system: keras.Model, batch: Batch) -> Batch:
    """The part of a batch that a system takes."""
    return {name: batch[name] for name in system.input}


def score(
    system: keras.Model,
    store: FeatureStore,
    batch_size: int,
    on_clips: Callable[[int], None] = lambda count: None,
) -> ScoreSet:
    """Scores the clips of a split.

    Clips without features are part of the result and count as missed.

    Args:
        system: A system of `model.systems`.
        store: The split's features.
        batch_size: Clips at a time.
        on_clips: Called with the number of clips that were scored.
    """
    shape = batch_shape(store, batch_size)
    batches = read_ahead(store, in_order(len(store), batch_size), shape)
    scores = np.empty((len(store), len(store.class_names)), np.float32)
    start = 0
    for batch in batches:
        outputs = system.predict_on_batch(inputs(system, batch))
        rows = scores[start : start + batch_size]
        rows[:] = outputs["scores"][: len(rows)]
        start += len(rows)
        on_clips(len(rows))
    known = ScoreSet(store.clip_ids, store.class_names, store.labels, scores)
    missing = [clip.clip_id for clip in store.missing]
    return known.with_missing(missing, store.missing_labels())
