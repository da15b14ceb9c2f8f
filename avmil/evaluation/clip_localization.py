"""Where and when a system localizes the classes in one clip."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ClipLocalization:
    """Scores of a clip, of its regions and of its segments.

    C classes, M regions, T segments, F frames. A system without a visual
    module has M = 0, one without an audio module T = 0.

    Attributes:
        clip_id: Name of the clip.
        class_names: C names, in the order of all arrays.
        scores: Scores of the clip, [C].
        duration_s: Length of the clip.
        frame_size_px: Width and height of the frames.
        frame_times_s: Instants of the sampled frames, [F].
        boxes: x1, y1, x2, y2 in pixels, 0-based and inclusive, [M, 4].
        region_times_s: Instant of each region's frame, ascending, [M].
        region_scores: [M, C], as the system gives them.
        segment_times_s: Onset and offset of each segment, [T, 2]; the last
            one may end after the clip.
        segment_scores: [T, C], as the system gives them.
    """

    clip_id: str
    class_names: tuple[str, ...]
    scores: np.ndarray
    duration_s: float
    frame_size_px: tuple[int, int]
    frame_times_s: np.ndarray
    boxes: np.ndarray
    region_times_s: np.ndarray
    region_scores: np.ndarray
    segment_times_s: np.ndarray
    segment_scores: np.ndarray

    def __post_init__(self) -> None:
        num_classes = len(self.class_names)
        expected = {
            "scores": (num_classes,),
            "boxes": (len(self.boxes), 4),
            "region_times_s": (len(self.boxes),),
            "region_scores": (len(self.boxes), num_classes),
            "segment_times_s": (len(self.segment_times_s), 2),
            "segment_scores": (len(self.segment_times_s), num_classes),
        }
        for name, shape in expected.items():
            if (received := np.shape(getattr(self, name))) != shape:
                raise ValueError(
                    f"Clip {self.clip_id}: Expected {name} of shape {shape}, "
                    f"received {received}."
                )


def scaled(scores: np.ndarray) -> np.ndarray:
    """Scales the scores of a clip to [0, 1], as the paper's heat maps do.

    The lowest becomes 0 and the highest 1 (Fig. 4); equal scores become 0.

    Args:
        scores: Of one class over proposals, [P].

    Returns:
        [P], float64.
    """
    scores = np.asarray(scores, np.float64)
    if not scores.size or not (extent := np.ptp(scores)):
        return np.zeros_like(scores)
    return (scores - scores.min()) / extent
