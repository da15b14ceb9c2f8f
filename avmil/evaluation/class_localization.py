"""One class of a clip, scaled as the paper's heat maps show it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from avmil.evaluation import timeline
from avmil.evaluation.clip_localization import ClipLocalization, scaled


@dataclasses.dataclass(frozen=True, eq=False)
class ClassLocalization:
    """What a drawing needs to know of one class in one clip.

    Attributes:
        clip: All scores of the clip.
        class_name: The class.

    Raises:
        ValueError: if the system does not know the class.
    """

    clip: ClipLocalization
    class_name: str

    def __post_init__(self) -> None:
        if self.class_name not in self.clip.class_names:
            raise ValueError(
                f"Expected a class of {', '.join(self.clip.class_names)}, "
                f"received {self.class_name!r}."
            )

    @functools.cached_property
    def _column(self) -> int:
        return self.clip.class_names.index(self.class_name)

    @property
    def score(self) -> float:
        """Score of the clip, as the system gives it."""
        return float(self.clip.scores[self._column])

    @functools.cached_property
    def regions(self) -> np.ndarray:
        """Region scores scaled to [0, 1], [M]."""
        return scaled(self.clip.region_scores[:, self._column])

    @functools.cached_property
    def segments(self) -> np.ndarray:
        """Segment scores scaled to [0, 1], [T]."""
        return scaled(self.clip.segment_scores[:, self._column])

    @functools.cached_property
    def segment_edges_s(self) -> np.ndarray:
        """Where the heat map goes from a segment to the next, [T + 1]."""
        return timeline.segment_edges_s(self.clip)

    @functools.cached_property
    def frame_edges_s(self) -> np.ndarray:
        """Where the sampled frames take over from each other, [F + 1]."""
        return timeline.frame_edges_s(self.clip)

    @functools.cached_property
    def region_frames(self) -> np.ndarray:
        """Index of each region's frame, [M]."""
        return timeline.region_frames(self.clip)

    @functools.cached_property
    def frames(self) -> np.ndarray:
        """The highest scaled region score of each frame, [F]; 0 for none."""
        best = np.zeros(len(self.clip.frame_times_s))
        np.maximum.at(best, self.region_frames, self.regions)
        return best

    def frame_at(self, time_s: float) -> int:
        """Index of the sampled frame whose time it is."""
        return int(timeline.part_at(self.frame_edges_s, time_s))
