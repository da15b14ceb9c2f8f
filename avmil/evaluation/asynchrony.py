"""Which pairs of clip and class are seen while they are heard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avmil.evaluation.truth import Interval, Truth

GROUPS = ("in sync", "partly in sync", "apart", "only heard", "only seen")
MIN_OVERLAP = 0.5


def pair_groups(
    clip_ids: Sequence[str], truth: Truth, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Divides the pairs of clip and class by how sight and sound coincide.

    All times at which a class is heard in a clip are taken together, and so
    are those at which it is seen. With the temporal IoU of the two,

    - `in sync` has an IoU of 0.5 or more,
    - `partly in sync` a smaller one above 0,
    - `apart` one of 0: both happen, at different times,
    - `only heard` and `only seen` have just one of the two.

    A pair whose class is not in the clip, or whose times nobody knows, is in
    no group. Group -> its pairs of N clips and C classes, bool [N, C].
    """
    size = (len(clip_ids), len(class_names))
    groups = {name: np.zeros(size, bool) for name in GROUPS}
    in_sync, partly, apart, only_heard, only_seen = groups.values()
    for row, clip_id in enumerate(clip_ids):
        for column, class_name in enumerate(class_names):
            events = [e for e in truth[clip_id] if e.class_name == class_name]
            sounds = [e.sound for e in events if e.sound]
            sights = [e.sight.interval for e in events if e.sight]
            if sounds and sights:
                overlap = temporal_iou(sounds, sights)
                in_sync[row, column] = overlap >= MIN_OVERLAP
                partly[row, column] = 0 < overlap < MIN_OVERLAP
                apart[row, column] = overlap == 0
            else:
                only_heard[row, column] = bool(sounds)
                only_seen[row, column] = bool(sights)
    return groups


def temporal_iou(
    first: Sequence[Interval], second: Sequence[Interval]
) -> float:
    """Intersection over union of two sets of intervals, in time."""
    edges_s = np.unique([*first, *second])
    middles_s = (edges_s[:-1] + edges_s[1:]) / 2
    in_first, in_second = (
        np.any([(s <= middles_s) & (middles_s < e) for s, e in part], axis=0)
        for part in (first, second)
    )
    lengths_s = np.diff(edges_s)
    union_s = lengths_s[in_first | in_second].sum()
    return float(lengths_s[in_first & in_second].sum() / union_s)
