"""Where and when a system localizes the classes in one clip.

Sampled frames and segments stand for parts of the clip that follow each other:
an instant belongs to the frame, or to the segment, whose middle is nearest.
The last part ends where nothing was scored anymore, as after the 10 s that a
CVSSP system takes; nothing stands for the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Times are float32 in the features: two that mean the same instant must meet.
TIME_DECIMALS = 4
# Share of the proposals that may lie below a robust scale.
_OUTLIERS = 0.1
# Least share of the whole range that a robust scale spans.
_LEAST_EXTENT = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class ClipLocalization:
    """Scores of a clip, of its regions and of its segments.

    C classes, M regions, T segments, F frames. A system without a visual
    module has M = 0, one without an audio module T = 0. All scores are as the
    system gives them.
    """

    clip_id: str
    class_names: tuple[str, ...]  # In the order of all arrays.
    scores: np.ndarray  # Of the clip, [C].
    duration_s: float
    frame_size_px: tuple[int, int]  # Width and height.
    frame_times_s: np.ndarray  # Of the sampled frames, [F].
    boxes: np.ndarray  # x1, y1, x2, y2 in pixels, 0-based, inclusive, [M, 4].
    region_times_s: np.ndarray  # Of each region's frame, ascending, [M].
    region_scores: np.ndarray  # [M, C]
    # Onset and offset, [T, 2]; the last one may end after the clip.
    segment_times_s: np.ndarray
    segment_scores: np.ndarray  # [T, C]
    heat_scale: str = "robust"  # Of heat maps; or "paper": `scaled`.

    @functools.cached_property
    def ranked_classes(self) -> tuple[str, ...]:
        """The classes, the highest score first."""
        order = np.argsort(-self.scores, kind="stable")
        return tuple(self.class_names[index] for index in order)

    @functools.cached_property
    def segment_edges_s(self) -> np.ndarray:
        """Where the segments take over from each other, [T + 1].

        The last one lasts to its offset, at most to the end of the clip.
        """
        times_s = np.asarray(self.segment_times_s, np.float64)
        if not len(times_s):
            return np.zeros(1)
        end_s = min(times_s[-1, 1], self.duration_s)
        return _edges_s(times_s.mean(axis=1), end_s)

    @functools.cached_property
    def frame_edges_s(self) -> np.ndarray:
        """Where the sampled frames take over from each other, [F + 1].

        What is left of the clip and too short for another frame belongs to the
        last one; where frames were due and the video has none, it ends with its
        part.
        """
        times_s = np.asarray(self.frame_times_s, np.float64)
        if not len(times_s):
            return np.zeros(1)
        half_s, last_s = times_s[0], times_s[-1]  # Middles of equal parts.
        is_complete = last_s + 2 * half_s >= self.duration_s
        end_s = self.duration_s if is_complete else last_s + half_s
        return _edges_s(times_s, end_s)

    @functools.cached_property
    def region_frames(self) -> np.ndarray:
        """Index of each region's frame, [M]."""
        return part_at(self.frame_edges_s, self.region_times_s)


class Event(NamedTuple):
    """One event of a class in a clip, from onset to offset (seconds)."""

    clip_id: str
    class_name: str
    onset_s: float
    offset_s: float


@dataclasses.dataclass(frozen=True, eq=False)
class ClassLocalization:
    """One class of a clip: what is found, and how heat maps show its scores.

    `events` begin with their onset and offset (seconds) and end with their
    score. A class that is not predicted has none and no found regions; one that
    is labeled, and not judged, is predicted without a threshold.

    Raises:
        ValueError: if the system does not know the class.
    """

    clip: ClipLocalization
    class_name: str
    is_predicted: bool = False
    threshold: float | None = None  # Of the clip's score.
    # Of the validation clips with such a score: those that hold the class, and
    # all.
    confidence: tuple[int, int] | None = None
    found_regions: Set[int] = frozenset()  # Of those that show the class.
    events: Sequence[tuple[float, ...]] = ()

    def __post_init__(self) -> None:
        if self.class_name not in self.clip.class_names:
            raise ValueError(
                f"Expected a class of {', '.join(self.clip.class_names)}, "
                f"received {self.class_name!r}."
            )

    @property
    def score(self) -> float:
        """The clip's score, as the system gives it."""
        return float(self.clip.scores[self._column])

    @functools.cached_property
    def regions(self) -> np.ndarray:
        """Scores in [0, 1], [M]."""
        return self._heat(self.clip.region_scores)

    @functools.cached_property
    def segments(self) -> np.ndarray:
        """Scores in [0, 1], [T]."""
        return self._heat(self.clip.segment_scores)

    @functools.cached_property
    def frames(self) -> np.ndarray:
        """The highest score of each frame's regions, 0 for none, [F]."""
        frames = np.zeros(len(self.clip.frame_times_s))
        np.maximum.at(frames, self.clip.region_frames, self.regions)
        return frames

    @functools.cached_property
    def sights_s(self) -> list[tuple[float, float]]:
        """Parts of the clip, start and end, whose frames show the class."""
        frames = self.clip.region_frames[list(self.found_regions)]
        spans_s: list[tuple[float, float]] = []
        for frame in np.unique(frames):
            start_s, end_s = self.clip.frame_edges_s[frame : frame + 2].tolist()
            if spans_s and spans_s[-1][1] == start_s:
                start_s = spans_s.pop()[0]
            spans_s.append((start_s, end_s))
        return spans_s

    @property
    def is_seen(self) -> bool:
        """Whether regions show it, or may be drawn as if they did."""
        return bool(self.found_regions) or self.presence == "labeled"

    @property
    def is_heard(self) -> bool:
        """Whether segments show it, or may be drawn as if they did."""
        return bool(self.events) or self.presence == "labeled"

    @property
    def best_s(self) -> float:
        """When the best found region is seen, or the best event begins.

        The start of the clip if there is neither.
        """
        if self.found_regions:
            best = max(self.found_regions, key=lambda r: self.regions[r])
            return float(self.clip.region_times_s[best])
        if self.events:
            return max(self.events, key=lambda event: event[-1])[0]
        return 0.0

    @property
    def presence(self) -> str:
        """Says whether the class is seen and whether it is heard."""
        if self.threshold is None:
            return "labeled" if self.is_predicted else "no threshold"
        if not self.is_predicted:
            return "not found"
        seen, heard = self.found_regions, self.events
        if not len(self.clip.boxes):
            return "heard" if heard else "not heard"
        if not len(self.clip.segment_times_s):
            return "seen" if seen else "not seen"
        if not seen and not heard:
            return "neither seen nor heard"
        if seen:
            return "seen and heard" if heard else "seen, not heard"
        return "heard, not seen"

    @property
    def sureness(self) -> str:
        """Says how often such scores were right, and the margin of this one."""
        texts = []
        if self.confidence:
            right, total = self.confidence
            verb = "were right" if self.is_predicted else "held the class"
            texts = [f"{right} of {total} such {verb}"]
        if self.threshold is not None:
            side = "above" if self.score > self.threshold else "below"
            margin = abs(self.score - self.threshold)
            texts.append(f"{margin:.2g} {side} its threshold")
        return ", ".join(texts)

    def shown_region(self, frame: int) -> int | None:
        """The best region of a sampled frame, if it is to be drawn.

        Of a predicted class it is only where it shows the class.
        """
        regions = np.flatnonzero(self.clip.region_frames == frame)
        if not len(regions):
            return None
        best = int(regions[self.regions[regions].argmax()])
        is_shown = not self.is_predicted or best in self.found_regions
        return best if is_shown else None

    @property
    def _column(self) -> int:
        return self.clip.class_names.index(self.class_name)

    def _heat(self, scores: np.ndarray) -> np.ndarray:
        return heat(scores[:, self._column], self.clip.heat_scale)


def score_cells(clip: ClipLocalization) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a clip where segments begin and end, and scores each cell.

    Overlapping segments share a cell: its score is their mean, which does not
    widen a sound by the segment's length as their maximum would. A gap between
    segments is no cell.

    Returns:
        Onset and offset of each cell, inside the clip, [K, 2]; scores [K, C].
    """
    segments_s = np.asarray(clip.segment_times_s, np.float64)
    segments_s = np.round(segments_s.clip(0, clip.duration_s), TIME_DECIMALS)
    edges_s = np.unique(segments_s)
    cells_s = np.stack([edges_s[:-1], edges_s[1:]], axis=1)  # [K, 2]
    covered = (segments_s[:, 0] <= cells_s[:, :1]) & (
        segments_s[:, 1] >= cells_s[:, 1:]
    )  # [K, T]
    counts = covered.sum(axis=1, keepdims=True)
    sums = covered @ np.asarray(clip.segment_scores, np.float64)
    is_covered = counts[:, 0] > 0
    return cells_s[is_covered], sums[is_covered] / counts[is_covered]


def detect_events(
    clip: ClipLocalization, class_thresholds: np.ndarray
) -> list[Event]:
    """Joins the neighboring cells of a clip that pass into events.

    Their scores exceed `class_thresholds`, [C]. The events come in the order
    of the classes, then of time.
    """
    cells_s, scores = score_cells(clip)
    events = []
    for name, passed in zip(
        clip.class_names, (scores > class_thresholds).T, strict=True
    ):
        for onset_s, offset_s in cells_s[passed].tolist():
            last = events[-1] if events else None
            if last and (last.class_name, last.offset_s) == (name, onset_s):
                events[-1] = last._replace(offset_s=offset_s)
            else:
                events.append(Event(clip.clip_id, name, onset_s, offset_s))
    return events


def scaled(scores: npt.ArrayLike) -> np.ndarray:
    """Scales scores to [0, 1], float64 [P]: the lowest 0, the highest 1.

    So the paper scales heat maps (Fig. 4). Equal scores become 0.
    """
    scores = np.asarray(scores, np.float64)
    if not scores.size or not (extent := np.ptp(scores)):
        return np.zeros_like(scores)
    return (scores - scores.min()) / extent


def heat(scores: npt.ArrayLike, heat_scale: str) -> np.ndarray:
    """Scales a class's scores of all proposals as heat maps show them, [P].

    Below `heat_limits` it is 0 and above them 1.
    """
    relative = scaled(scores)
    low, high = heat_limits(relative, heat_scale)
    return ((relative - low) / (high - low)).clip(0, 1)


def heat_limits(relative: np.ndarray, heat_scale: str) -> tuple[float, float]:
    """Which `scaled` scores [P] a heat map shows as 0 and as 1.

    `paper` takes 0 and 1, in which one low outlier makes all other proposals
    alike and bright. `robust` begins at the score that one in ten proposals
    does not reach; where the others span less than a quarter of all, they are
    nearly equal and shown so: a quarter is 1 then.
    """
    if heat_scale == "paper" or not relative.any():
        return 0.0, 1.0
    low = float(np.quantile(relative, _OUTLIERS, method="lower"))
    return low, max(1.0, low + _LEAST_EXTENT)


def part_at(edges_s: np.ndarray, times_s: npt.ArrayLike) -> np.ndarray:
    """Indices of the parts that hold some instants; the last one beyond."""
    return np.searchsorted(edges_s[1:-1], times_s, side="right")


def _edges_s(middles_s: np.ndarray, end_s: float) -> np.ndarray:
    """Edges half-way between neighboring middles, from 0 to the end."""
    between_s = (middles_s[1:] + middles_s[:-1]) / 2
    return np.minimum([0.0, *between_s, end_s], end_s)
