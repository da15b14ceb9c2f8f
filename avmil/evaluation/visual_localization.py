"""Where the classes of a clip are seen: how well regions meet true boxes.

Sources: Bilen and Vedaldi, Weakly supervised deep detection networks, CVPR
2016 (CorLoc; average precision after suppression at an IoU of 0.4); PASCAL VOC
(IoU of 0.5, all-point average precision); Zhang et al., Top-down neural
attention by excitation backprop, ECCV 2016 (pointing game).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import Sight, TrueEvent

MIN_IOU = 0.5
NMS_IOU = 0.4


class VisualScores(NamedTuple):
    """Where a class is seen, as fractions.

    Attributes:
        corloc: Share of pairs of clip and class whose best region, of the
            frames in which the class is visible, has an IoU of 0.5 or more
            with a true box.
        clip_corloc: The same of the best region of all frames: it must also
            lie in a frame in which the class is visible.
        pointing: Share of pairs in which the center of the region of `corloc`
            lies in a true box.
        average_precision: Of detections at an IoU of 0.5, mean over classes.
    """

    corloc: float
    clip_corloc: float
    pointing: float
    average_precision: float


class Bounds(NamedTuple):
    """What the proposals leave possible, as fractions.

    Attributes:
        corloc: Share of pairs in which any region meets a true box; bounds
            both kinds of CorLoc.
        recall: Share of true boxes that any region meets, mean over classes;
            bounds average precision.
    """

    corloc: float
    recall: float


class Visual(NamedTuple):
    """How well a run determines where classes are, on the test split.

    Attributes:
        scores: Group in which something is seen -> floats.
        num_pairs: The same groups -> their pairs that are seen in a sampled
            frame.
        by_class: Average precision over all pairs, [C]; NaN for a class never
            seen.
        bounds: The same groups -> what is possible.
        chance: The same groups -> mean scores of random region scores.
    """

    scores: dict[str, VisualScores]
    num_pairs: dict[str, int]
    by_class: np.ndarray
    bounds: dict[str, Bounds]
    chance: Mapping[str, VisualScores] = MappingProxyType({})


class Sighting(NamedTuple):
    """How the M regions of a clip meet the O true objects of a class.

    Attributes:
        class_index: Position of the class.
        num_boxes: True boxes in the sampled frames.
        visible: Whether an object is visible in a region's frame, [O, M].
        ious: Its IoU with the region, 0 where it is not visible, [O, M].
        pointed: Whether a region's center lies in an object, [M].
    """

    class_index: int
    num_boxes: int
    visible: np.ndarray
    ious: np.ndarray
    pointed: np.ndarray


class Pairs(NamedTuple):
    """Outcome of each pair of a clip and a class that is seen in it.

    Attributes:
        clips: Positions of the clips, [P].
        class_indices: Positions of the classes, [P].
        corloc: Whether the best region of the frames in which the class is
            visible meets a true box, [P].
        clip_corloc: The same of the best region of the whole clip, [P].
        pointing: Whether the center of that of `corloc` lies in a true box.
        reachable: Whether any region meets a true box, [P].
    """

    clips: np.ndarray
    class_indices: np.ndarray
    corloc: np.ndarray
    clip_corloc: np.ndarray
    pointing: np.ndarray
    reachable: np.ndarray

    def within(self, pairs: np.ndarray) -> Pairs:
        """Those that are among the given pairs, bool [N, C]."""
        inside = pairs[self.clips, self.class_indices]
        return Pairs(*(column[inside] for column in self))


class Detections(NamedTuple):
    """All regions of all clips, as detections of each class.

    Attributes:
        clips: Position of each region's clip, [D].
        scores: [D, C].
        kept: Whether a region is left by suppression, [D, C].
        hits: Whether it is the first to meet its true box, [D, C].
        num_boxes: True boxes of each clip and class, [N, C].
        num_reached: Those that some region meets, [N, C].
    """

    clips: np.ndarray
    scores: np.ndarray
    kept: np.ndarray
    hits: np.ndarray
    num_boxes: np.ndarray
    num_reached: np.ndarray

    def within(self, pairs: np.ndarray) -> Detections:
        """Leaves detections and true boxes of the given pairs, bool [N, C]."""
        return self._replace(
            kept=self.kept & pairs[self.clips],
            num_boxes=self.num_boxes * pairs,
            num_reached=self.num_reached * pairs,
        )


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, [..., 4] x 2 -> [...].

    The boxes are x1, y1, x2, y2 and x2 - x1 is the width.
    """
    # Side by side instead of [..., 4]: several times faster.
    x1, y1, x2, y2 = np.moveaxis(first, -1, 0)
    u1, v1, u2, v2 = np.moveaxis(second, -1, 0)
    widths = np.maximum(np.minimum(x2, u2) - np.maximum(x1, u1), 0)
    heights = np.maximum(np.minimum(y2, v2) - np.maximum(y1, v1), 0)
    shared = widths * heights
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
    return shared / union


def extents(boxes: np.ndarray) -> np.ndarray:
    """Turns inclusive pixels into edges: x2 - x1 becomes the width."""
    return np.asarray(boxes, np.float64) + np.array([0, 0, 1, 1])


def sightings(
    clip: ClipLocalization, events: Sequence[TrueEvent]
) -> list[Sighting]:
    """Compares the regions of a clip with its true boxes.

    A class that is visible in no sampled frame cannot be found in one and has
    no sighting.
    """
    found = []
    for index, class_name in enumerate(clip.class_names):
        sights = [e.sight for e in events if e.class_name == class_name]
        sights = [
            sight
            for sight in sights
            if sight and sight.is_visible(clip.frame_times_s).any()
        ]
        if sights:
            found.append(_sighting(clip, index, sights))
    return found


def _sighting(
    clip: ClipLocalization, class_index: int, sights: Sequence[Sight]
) -> Sighting:
    regions = extents(clip.boxes)  # [M, 4]
    times_s = clip.region_times_s
    visible = np.array([sight.is_visible(times_s) for sight in sights])
    boxes = np.array([sight.boxes(times_s) for sight in sights])  # [O, M, 4]
    centers = (regions[:, :2] + regions[:, 2:]) / 2  # [M, 2]
    inside = (centers >= boxes[..., :2]) & (centers < boxes[..., 2:])
    shown = [sight.is_visible(clip.frame_times_s).sum() for sight in sights]
    return Sighting(
        class_index,
        int(np.sum(shown)),
        visible,
        np.where(visible, iou(regions, boxes), 0),
        (inside.all(axis=-1) & visible).any(axis=0),
    )


def suppress(overlapping: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Greedy non-maximum suppression of all classes at once.

    Args:
        overlapping: Which regions overlap too much, bool [M, M].
        scores: [M, C]; of equal ones the first wins.

    Returns:
        Whether a region is kept, bool [M, C].
    """
    ranks = (-scores).argsort(axis=0, kind="stable").argsort(axis=0)
    ranks = ranks.T.astype(np.int32)  # [C, M]
    beaten_by = overlapping.T & (ranks[:, np.newaxis] < ranks[:, :, np.newaxis])
    kept = np.ones(ranks.shape, bool)
    while True:
        # A region goes if a better one that stays overlaps it. Each round
        # determines more of the ranking, from its top, until nothing changes.
        left = ~(beaten_by & kept[:, np.newaxis]).any(axis=2)
        if np.array_equal(left, kept):
            return kept.T
        kept = left


def outcomes(
    clips: Sequence[ClipLocalization], found: Sequence[Sequence[Sighting]]
) -> Pairs:
    """Looks at the best region of each pair of clip and class.

    Args:
        clips: N clips.
        found: Their sightings.
    """
    rows = [
        (position, sighting.class_index, *_outcome(clip, sighting))
        for position, clip in enumerate(clips)
        for sighting in found[position]
    ]
    columns = np.array(rows, np.int64).reshape(-1, len(Pairs._fields)).T
    clip_positions, class_indices, *flags = columns
    return Pairs(
        clip_positions, class_indices, *(flag.astype(bool) for flag in flags)
    )


def _outcome(
    clip: ClipLocalization, sighting: Sighting
) -> tuple[bool, bool, bool, bool]:
    met = (sighting.ious >= MIN_IOU).any(axis=0)
    visible = np.flatnonzero(sighting.visible.any(axis=0))
    if not visible.size:  # No proposal in any of these frames.
        return False, False, False, False
    scores = clip.region_scores[:, sighting.class_index]
    best = visible[scores[visible].argmax()]
    pointed = sighting.pointed[best]
    return met[best], met[scores.argmax()], pointed, met.any()


def detections(
    clips: Sequence[ClipLocalization], found: Sequence[Sequence[Sighting]]
) -> Detections:
    """Takes all regions of all clips as detections of every class.

    Args:
        clips: N clips of one class list.
        found: Their sightings.
    """
    size = (len(clips), len(clips[0].class_names))
    num_boxes, num_reached = np.zeros(size, int), np.zeros(size, int)
    kept, hits = [], []
    for position, clip in enumerate(clips):
        kept.append(suppress(_overlapping(clip), clip.region_scores))
        hits.append(np.zeros_like(kept[-1]))
        for sighting in found[position]:
            index = sighting.class_index
            num_boxes[position, index] = sighting.num_boxes
            num_reached[position, index] = _num_reached(clip, sighting)
            hits[-1][:, index] = _hits(clip, sighting, kept[-1][:, index])
    return Detections(
        np.repeat(np.arange(len(clips)), list(map(len, kept))),
        np.concatenate([clip.region_scores for clip in clips]),
        np.concatenate(kept),
        np.concatenate(hits),
        num_boxes,
        num_reached,
    )


def _overlapping(clip: ClipLocalization) -> np.ndarray:
    regions, times_s = extents(clip.boxes), clip.region_times_s
    same_frame = times_s[:, np.newaxis] == times_s
    return same_frame & (iou(regions[:, np.newaxis], regions) > NMS_IOU)


def _num_reached(clip: ClipLocalization, sighting: Sighting) -> int:
    met = sighting.ious >= MIN_IOU
    return sum(np.unique(clip.region_times_s[row]).size for row in met)


def _hits(
    clip: ClipLocalization, sighting: Sighting, kept: np.ndarray
) -> np.ndarray:
    """The best detection that meets each true box, bool [M].

    Like VOC's, a detection belongs to the true box that it overlaps most.
    """
    hits = np.zeros(len(kept), bool)
    scores = clip.region_scores[:, sighting.class_index]
    nearest = sighting.ious.argmax(axis=0)
    for index, ious in enumerate(sighting.ious):
        meeting = np.flatnonzero((ious >= MIN_IOU) & (nearest == index) & kept)
        meeting = meeting[np.argsort(-scores[meeting], kind="stable")]
        _, first = np.unique(clip.region_times_s[meeting], return_index=True)
        hits[meeting[first]] = True
    return hits


def average_precision(detected: Detections) -> np.ndarray:
    """All-point average precision at an IoU of 0.5, by class.

    All clips' regions are ranked by their raw scores: on validation, a clip's
    norm as for segments ranked them worse (docs/differences.md).

    Returns:
        [C]; NaN for a class without true boxes.
    """
    columns = zip(
        detected.hits.T,
        detected.scores.T,
        detected.kept.T,
        detected.num_boxes.sum(axis=0),
        strict=True,
    )
    return np.array([_class_average_precision(*column) for column in columns])


def _class_average_precision(
    hits: np.ndarray, scores: np.ndarray, kept: np.ndarray, num_boxes: int
) -> float:
    if not num_boxes:
        return float("nan")
    hits, scores = hits[kept], scores[kept]
    if not hits.any():
        return 0.0
    precision, recall, _ = sklearn_metrics.precision_recall_curve(hits, scores)
    # Recall falls along the curve: the best precision at no lower recall.
    envelope = np.maximum.accumulate(precision)
    found = -np.sum(np.diff(recall) * envelope[:-1])
    return float(found * hits.sum() / num_boxes)


def measure(
    clips: Sequence[ClipLocalization],
    found: Sequence[Sequence[Sighting]],
    groups: Mapping[str, np.ndarray],
) -> Visual:
    """Measures where classes are seen.

    Args:
        clips: Clips to measure on.
        found: Their sightings.
        groups: Group -> pairs of clip and class, bool [N, C].
    """
    all_pairs, all_detected = outcomes(clips, found), detections(clips, found)
    scores, num_pairs, bounds = {}, {}, {}
    for name, pairs in groups.items():
        seen, detected = all_pairs.within(pairs), all_detected.within(pairs)
        if not len(seen.clips):
            continue
        precision = average_precision(detected)
        scores[name] = VisualScores(
            float(seen.corloc.mean()),
            float(seen.clip_corloc.mean()),
            float(seen.pointing.mean()),
            float(np.nanmean(precision)),
        )
        num_pairs[name] = len(seen.clips)
        bounds[name] = Bounds(
            float(seen.reachable.mean()),
            _reachable_recall(detected),
        )
    by_class = average_precision(all_detected)
    return Visual(scores, num_pairs, by_class, bounds)


def _reachable_recall(detected: Detections) -> float:
    num_boxes = detected.num_boxes.sum(axis=0)  # [C]
    num_reached = detected.num_reached.sum(axis=0)
    shown = num_boxes > 0
    return float(np.mean(num_reached[shown] / num_boxes[shown]))
