"""Where the classes of a clip are seen: how well regions meet true boxes.

Sources: Bilen and Vedaldi, Weakly supervised deep detection networks, CVPR
2016 (CorLoc; average precision after suppression at an IoU of 0.4); PASCAL VOC
(IoU of 0.5, all-point average precision); Zhang et al., Top-down neural
attention by excitation backprop, ECCV 2016 (pointing game).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avmil.evaluation import metrics
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.evaluation.truth import TrueEvent

MIN_IOU = 0.5
NMS_IOU = 0.4


class VisualScores(NamedTuple):
    """Where a class is seen, as fractions.

    CorLoc is the share of pairs of clip and class whose best region, of the
    frames in which the class is visible, has an IoU of 0.5 or more with a true
    box.
    """

    corloc: float
    clip_corloc: float  # Of the best region of all frames; visible there, too.
    pointing: float  # Pairs with the center of CorLoc's region in a true box.
    average_precision: float  # At an IoU of 0.5, mean over classes.


class Sighting(NamedTuple):
    """How the M regions of a clip meet the O true objects of a class."""

    class_index: int
    num_boxes: int  # True boxes in the sampled frames.
    num_reached: int  # Those that some region meets.
    visible: np.ndarray  # Whether an object is in a region's frame, [M].
    ious: np.ndarray  # 0 where an object is not visible, [O, M].
    pointed: np.ndarray  # Whether a region's center is in an object, [M].


class Outcome(NamedTuple):
    """What a clip's regions find, ranked by their scores of each class."""

    best: np.ndarray  # Of corloc, clip_corloc and pointing, bool [C, 3].
    kept: np.ndarray  # Whether suppression leaves a region, [M, C].
    hits: np.ndarray  # Whether it is the first to meet its true box, [M, C].


def measure(
    clips: Sequence[ClipLocalization],
    found: Sequence[Sequence[Sighting]],
    groups: Mapping[str, np.ndarray],
) -> metrics.Benchmark:
    """Measures where classes are seen.

    All clips' regions are ranked by their raw scores: on validation, a clip's
    norm as for segments ranked them worse (docs/differences.md). `found` are
    the clips' sightings, `groups` pairs of clip and class, bool [N, C];
    detections and true boxes of other pairs are left out.

    Returns:
        `VisualScores` of each group in which something is seen in a sampled
        frame. The reference is what the proposals leave possible: CorLoc of
        both kinds is bounded by the share of pairs in which any region meets a
        true box, average precision by the recall, the share of true boxes that
        any region meets, mean over classes.
    """
    size = 2, len(clips), len(clips[0].class_names)
    num_boxes, num_reached = counts = np.zeros(size, int)
    for row, of_clip in enumerate(found):
        for sighting in of_clip:
            reached = sighting.num_boxes, sighting.num_reached
            counts[:, row, sighting.class_index] = reached
    outcomes = list(map(outcome, clips, found))
    best = np.array([o.best for o in outcomes])  # [N, C, 3]
    scores = np.concatenate([clip.region_scores for clip in clips])  # [D, C]
    kept = np.concatenate([o.kept for o in outcomes])
    hits = np.concatenate([o.hits for o in outcomes])
    clip_of = np.repeat(np.arange(len(clips)), [len(o.kept) for o in outcomes])

    def average_precision(pairs: np.ndarray) -> np.ndarray:
        detected = kept & pairs[clip_of]
        num_true = (num_boxes * pairs).sum(axis=0)
        return metrics.detection_precision(
            hits, scores, detected, num_true, all_points=True
        )

    by_group, num_pairs, bounds = {}, {}, {}
    for name, pairs in groups.items():
        shown = pairs & (num_boxes > 0)
        if not shown.any():
            continue
        num_pairs[name] = int(shown.sum())
        by_group[name] = VisualScores(
            *best[shown].mean(axis=0).tolist(),
            float(np.nanmean(average_precision(pairs))),
        )
        boxes, reached = (counts * pairs).sum(axis=1)  # [C]
        corloc = float((num_reached[shown] > 0).mean())
        recall = float(np.mean(reached[boxes > 0] / boxes[boxes > 0]))
        bounds[name] = VisualScores(corloc, corloc, np.nan, recall)
    by_class = average_precision(np.ones_like(num_boxes, bool))
    return metrics.Benchmark(
        by_group,
        {"proposals": bounds},
        num_pairs,
        {"box_average_precision": by_class},
    )


def sightings(
    clip: ClipLocalization, events: Sequence[TrueEvent]
) -> list[Sighting]:
    """Compares the regions of a clip with its true boxes.

    A class that is visible in no sampled frame, or of which nobody knows
    where it is, cannot be found in one and has no sighting.
    """
    found = []
    regions = extents(clip.boxes)  # [M, 4]
    centers = (regions[:, :2] + regions[:, 2:]) / 2  # [M, 2]
    times_s = clip.region_times_s
    for index, class_name in enumerate(clip.class_names):
        of_class = [e.sight for e in events if e.class_name == class_name]
        sights = [s for s in of_class if s and len(s.positions)]
        shown = [s.is_visible(clip.frame_times_s).sum() for s in sights]
        sights = [s for s, count in zip(sights, shown, strict=True) if count]
        if not sights:
            continue
        visible = np.array([sight.is_visible(times_s) for sight in sights])
        boxes = np.array([sight.boxes(times_s) for sight in sights])
        inside = (centers >= boxes[..., :2]) & (centers < boxes[..., 2:])
        ious = np.where(visible, iou(regions, boxes), 0)  # [O, M]
        reached = [np.unique(times_s[met]).size for met in ious >= MIN_IOU]
        found.append(
            Sighting(
                index,
                int(sum(shown)),
                sum(reached),
                visible.any(axis=0),
                ious,
                (inside.all(axis=-1) & visible).any(axis=0),
            )
        )
    return found


def outcome(clip: ClipLocalization, found: Sequence[Sighting]) -> Outcome:
    """Looks at what the regions of a clip meet, ranked for each class.

    Like VOC's, a detection belongs to the true box that it overlaps most, and
    only the best one that meets a box hits it.
    """
    regions, times_s = extents(clip.boxes), clip.region_times_s
    overlapping = iou(regions[:, np.newaxis], regions) > NMS_IOU
    overlapping &= times_s[:, np.newaxis] == times_s  # In the same frame.
    kept = suppress(overlapping, clip.region_scores)
    hits = np.zeros_like(kept)
    best = np.zeros((len(clip.class_names), 3), bool)
    for sighting in found:
        column = sighting.class_index
        scores, met = clip.region_scores[:, column], sighting.ious >= MIN_IOU
        visible = np.flatnonzero(sighting.visible)
        if visible.size:  # Else no proposal is in any of these frames.
            in_frames = visible[scores[visible].argmax()]
            best[column] = (
                met[:, in_frames].any(),
                met[:, scores.argmax()].any(),
                sighting.pointed[in_frames],
            )
        nearest = sighting.ious.argmax(axis=0)
        for index, of_object in enumerate(met):
            meeting = np.flatnonzero(
                of_object & (nearest == index) & kept[:, column]
            )
            meeting = meeting[np.argsort(-scores[meeting], kind="stable")]
            _, first = np.unique(times_s[meeting], return_index=True)
            hits[meeting[first], column] = True
    return Outcome(best, kept, hits)


def suppress(overlapping: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Greedy non-maximum suppression of all classes at once.

    Of regions that overlap too much, bool [M, M], the one of the highest
    score, [M, C], is kept, of equal ones the first: bool [M, C].
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
