"""Any video and a trained run to what it shows, where and when.

In: a media file and a run. Out: a `VideoLocalization`, and its page, figures,
video and tables. It stands on all other rooms.
"""

from avmil.localization.trained_run import TrainedRun, load_run
from avmil.localization.video_localization import (
    Box,
    Confidence,
    Event,
    VideoLocalization,
)

__all__ = [
    "Box",
    "Confidence",
    "Event",
    "TrainedRun",
    "VideoLocalization",
    "load_run",
]
