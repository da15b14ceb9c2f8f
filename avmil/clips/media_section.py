"""The part of a media file that is wanted, and why it may be refused."""

from __future__ import annotations

import dataclasses
import math

from avmil.common.errors import MediaError

# Longest clip that is decoded in one piece. It also bounds what a file with
# wrong time stamps can ask for: repeated frames and silence in its gaps.
MAX_CLIP_S = 3600.0


@dataclasses.dataclass(frozen=True)
class Section:
    """Wanted part of a file, in seconds from the file's zero.

    Attributes:
        start_s: Start of the clip.
        end_s: End of the clip; infinity for the end of the file.

    Raises:
        ValueError: Unless 0 <= start_s < end_s.
    """

    start_s: float
    end_s: float

    def __post_init__(self):
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(
                "Expected 0 <= start_s < end_s, "
                f"received start_s={self.start_s} and end_s={self.end_s}."
            )

    def __str__(self):
        if self.end_s == math.inf:
            return f"after {self.start_s:g} s"
        return f"between {self.start_s:g} s and {self.end_s:g} s"

    def check_length(self, time_s: float) -> None:
        """Refuses a file that goes on too long.

        Args:
            time_s: A time up to which the file would be decoded.

        Raises:
            MediaError: If that is over an hour after the section's start.
        """
        if min(time_s, self.end_s) > self.start_s + MAX_CLIP_S:
            raise MediaError(
                f"longer than {MAX_CLIP_S:g} s: set start_s and end_s"
            )

    def duration_s(self, file_end_s: float) -> float:
        """Returns the length of the part that the file really has.

        Raises:
            MediaError: If the file ends before the section begins.
        """
        if self.start_s >= file_end_s:
            raise MediaError(
                f"start_s={self.start_s:g} is not before the end of the file "
                f"at {file_end_s:g} s"
            )
        return min(self.end_s, file_end_s) - self.start_s
