"""Choosing and converting the frames that are shown at given instants."""

from __future__ import annotations

import av
import av.video.stream
import numpy as np

from avmil.clips.media_section import Section
from avmil.common.errors import MediaError

# The container's start is rounded to microseconds: a frame that is due within
# this time counts as shown.
_TIME_TOLERANCE_S = 1e-5

# Video tracks often end a few frames before the sound: that long the last frame
# stays.
_LAST_FRAME_HOLD_S = 0.25

# Where neither the frame nor the track tells.
_DEFAULT_FRAME_S = 0.04


class FrameSampler:
    """Keeps the frames shown at regular instants, and only those.

    The instants are (k + 0.5) / frame_rate_hz seconds after the start of the
    section. The frame of an instant is the last one that begins no later than
    it; before the first frame of the file it is the first frame. At most one
    decoded frame is held at any time.

    Args:
        stream: The video stream that the frames come from.
        section: Wanted part of the file.
        frame_rate_hz: Frames to keep for each second.

    Attributes:
        frames_rgb: The frames so far, uint8 [H, W, 3] each, upright.
        end_s: End of the last frame seen, cut to the section.
        done: Whether the frames reach the end of the section.
    """

    def __init__(
        self,
        stream: av.video.stream.VideoStream,
        section: Section,
        frame_rate_hz: float,
    ):
        self.frames_rgb: list[np.ndarray] = []
        self.end_s = 0.0
        self.done = False
        self._section = section
        self._frame_rate_hz = frame_rate_hz
        self._time_base = stream.time_base
        rate_hz = stream.average_rate or stream.guessed_rate
        self._frame_s = float(1 / rate_hz) if rate_hz else _DEFAULT_FRAME_S
        self._shown: av.VideoFrame | None = None
        self._shown_rgb: np.ndarray | None = None

    @property
    def frame_times_s(self) -> np.ndarray:
        """Instants of the frames from the start of the clip, float32 [F]."""
        indices = np.arange(len(self.frames_rgb))
        return ((indices + 0.5) / self._frame_rate_hz).astype(np.float32)

    def add(self, frame: av.VideoFrame, time_s: float) -> None:
        """Takes the next frame, which begins `time_s` after the file's zero."""
        if time_s >= self._section.end_s - _TIME_TOLERANCE_S:
            self.done = True
            if self._shown is not None:
                self.end_s = self._section.end_s
            return
        self._take_until(time_s)
        self._shown, self._shown_rgb = frame, None
        duration_s = float(frame.duration * self._time_base) or self._frame_s
        self.end_s = max(
            self.end_s, min(time_s + duration_s, self._section.end_s)
        )

    def finish(self, clip_end_s: float) -> list[np.ndarray]:
        """Takes the last frame for the instants that are left.

        Args:
            clip_end_s: End of the clip, from the file's zero.

        Returns:
            All frames, uint8 [H, W, 3] each, upright.

        Raises:
            MediaError: If no frame is shown in the section.
        """
        self._take_until(min(clip_end_s, self.end_s + _LAST_FRAME_HOLD_S))
        if not self.frames_rgb:
            if self.end_s <= self._section.start_s:
                raise MediaError(f"no video frame {self._section}")
            self._take()
        return self.frames_rgb

    def _take_until(self, stop_s: float) -> None:
        if self._shown is not None:
            while self._next_instant_s() < stop_s - _TIME_TOLERANCE_S:
                self._take()

    def _next_instant_s(self) -> float:
        index = len(self.frames_rgb)
        return self._section.start_s + (index + 0.5) / self._frame_rate_hz

    def _take(self) -> None:
        if self._shown_rgb is None:
            self._shown_rgb = upright_rgb(self._shown)
        self.frames_rgb.append(self._shown_rgb)


def upright_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Converts a frame to RGB, turned and mirrored as its track asks for.

    The track's display matrix [a b u; c d v; x y w] sends column p and row q
    to column a p + c q + x and row b p + d q + y (ISO/IEC 14496-12, 8.3.2). Of
    its values only the signs matter here: multiples of 90 degrees, with or
    without mirroring. Non-square pixels stay as they are.

    Args:
        frame: Decoded frame.

    Returns:
        uint8 [H, W, 3].
    """
    image = frame.to_ndarray(format="rgb24", threads=1)  # [H, W, 3]
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is not None:
        matrix = np.frombuffer(bytes(side_data), dtype=np.int32).reshape(3, 3)
        (a, b), (c, d) = matrix[:2, :2].tolist()
        if abs(b) > abs(a):
            image = image.swapaxes(0, 1)  # [W, H, 3]
            a, d = c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
