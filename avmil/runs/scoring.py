"""Scores of all clips of a split, by a trained system."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from avmil.common.errors import FeaturesError
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.scores import ScoreSet
from avmil.features.batches import (
    CVSSP_FRAMES,
    CVSSP_HOP_S,
    in_order,
    pad,
)
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore
from avmil.runs.steps import SplitData, batch_of
from model.layers import MeanScores, ScoreNormalization

# Regions at a time: fc6 and fc7 of more need memory, and are no faster.
_REGIONS_AT_A_TIME = 500


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


class Scorer:
    """Scores the clips of a split, as often as wanted.

    Arguments behind the model, a system of `model.systems`, are those of
    `steps.SplitData`.
    """

    def __init__(
        self,
        model: keras.Model,
        store: FeatureStore,
        batch_size: int,
        cache: str = "none",
    ) -> None:
        self._store, self._batch_size = store, batch_size
        self._data = SplitData(store, batch_size, model.input, cache)
        outputs = {"scores": model.output["scores"]}
        for layer in model.layers:
            if isinstance(layer, ScoreNormalization):
                outputs[layer.name.removesuffix("_normalization")] = (
                    layer.output
                )
            elif isinstance(layer, MeanScores):
                for modality in ("visual", "audio"):
                    outputs[modality] = model.output[f"{modality}_scores"]
        self._network = keras.Model(model.input, outputs)
        self._network.jit_compile = model.jit_compile

    def score(
        self, on_clips: Callable[[int], None] = lambda count: None
    ) -> dict[str, ScoreSet]:
        """Scores all clips; those without features are missed, and come last.

        Returns:
            `scores`; and of each modality whose scores are normalized or
            averaged, `visual` or `audio`, these.
        """
        store, size = self._store, self._batch_size
        # The clips that fill up the last batch are left out again.
        chunks = (np.resize(i, (1, size)) for i in in_order(len(store), size))
        parts: list[dict[str, np.ndarray]] = []
        for clips, rows in self._data.calls(chunks):
            batch = batch_of(clips, None if rows is None else rows[0])
            inputs = {name: batch[name] for name in self._network.input}
            parts.append(self._network.predict_on_batch(inputs))
            on_clips(min(size, len(store) - size * (len(parts) - 1)))
        missing = [clip.clip_id for clip in store.missing]
        found: dict[str, ScoreSet] = {}
        for name in parts[0]:
            scores = np.concatenate([part[name] for part in parts])
            found[name] = ScoreSet(
                store.clip_ids,
                store.class_names,
                store.labels,
                scores[: len(store)],
            ).with_missing(missing, store.missing_labels())
        return found


def localize(
    model: keras.Model, clip: ClipFeatures, class_names: tuple[str, ...]
) -> ClipLocalization:
    """Scores one clip with all its regions and segments.

    Of a CVSSP system the time steps stand for segments.
    """
    if streams := region_streams(model):
        clip = dataclasses.replace(clip, regions=streams(clip.regions))
    return localize_streams(model, clip, class_names)


def region_streams(
    model: keras.Model,
) -> Callable[[np.ndarray], np.ndarray] | None:
    """The part of a system that looks at each region by itself.

    Returns:
        Takes regions [M, D] and gives their streams, float32
        [M, S, C]; None of a system without regions.
    """
    if "regions" not in model.input:
        return None
    scoring = model.get_layer("visual_scoring")
    represent = keras.Model(
        model.input["regions"], model.get_layer("drop_fc7").output
    )

    def streams(regions: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, max(1, len(regions)), _REGIONS_AT_A_TIME):
            part = regions[None, start : start + _REGIONS_AT_A_TIME]
            found = scoring.streams(represent(part, training=False))
            found = map(keras.ops.convert_to_numpy, found)  # [1, part, C]
            parts.append(np.concatenate(list(found)).swapaxes(0, 1))
        return np.concatenate(parts)

    return streams


def localize_streams(
    model: keras.Model, clip: ClipFeatures, class_names: tuple[str, ...]
) -> ClipLocalization:
    """Scores one clip, as `localize`, whose `regions` are their streams."""
    batch = pad(clip, model.input.keys() - {"regions", "region_mask"})
    visual = "regions" in model.input
    if visual:  # Two that are masked: they add 0 to the scores.
        regions = model.input["regions"]
        batch["regions"] = np.zeros((1, 2, regions.shape[-1]), regions.dtype)
        batch["region_mask"] = np.zeros((1, 2), bool)
    # Called instead of predict_on_batch, which compiles for each new shape.
    called = dict(model(batch, training=False))
    if visual and len(clip.regions):
        visual_scores, called["region_scores"] = model.get_layer(
            "visual_scoring"
        ).combine(tuple(clip.regions.swapaxes(0, 1)[:, None]))
        by_name = {layer.name: layer for layer in model.layers}
        if "visual_normalization" in by_name:
            visual_scores = by_name["visual_normalization"](visual_scores)
        called["scores"] += visual_scores
        if isinstance(by_name.get("scores"), MeanScores) and len(clip.segments):
            called["scores"] /= 2
    outputs = {k: keras.ops.convert_to_numpy(v)[0] for k, v in called.items()}
    no_scores = np.zeros((0, len(class_names)), np.float32)
    regions = outputs.get("region_scores", no_scores)[: len(clip.regions)]
    segments = outputs.get("segment_scores", no_scores)[: len(clip.segments)]
    segment_times_s = clip.segment_times_s[: len(segments)]
    if "step_scores" in outputs:
        segments, segment_times_s = _steps(
            outputs["step_scores"], clip.duration_s
        )
    return ClipLocalization(
        clip_id=clip.clip_id,
        class_names=class_names,
        scores=outputs["scores"],
        duration_s=clip.duration_s,
        frame_size_px=tuple(clip.frame_size_px.tolist()),
        frame_times_s=clip.frame_times_s,
        boxes=clip.boxes[: len(regions)],
        region_times_s=clip.region_times_s[: len(regions)],
        region_scores=regions,
        segment_times_s=segment_times_s,
        segment_scores=segments,
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
