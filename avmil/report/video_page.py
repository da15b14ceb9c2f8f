"""The interactive page of a video: where and when a system localizes."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation.clip_localization import (
    ClassLocalization,
    heat_limits,
    scaled,
)
from avmil.report import offline_page

# Scores are written as whole steps between the lowest and the highest.
_STEPS = 1000
_DEFAULT_HOP_S = 0.48


def render(
    classes: Sequence[ClassLocalization],
    run_text: str,
    is_foreign: bool,
    video_name: str,
    video_source: str,
    poster_jpeg: bytes | None = None,
) -> str:
    """Renders the page, one HTML file that works without a network.

    It plays the video with the best region over it and shows heat maps over
    time below it, for one class at a time, first the best moment of the first.

    Args:
        classes: All of a clip, predicted ones first; finite scores.
        run_text: Says which run it was.
        is_foreign: Whether the video shows none of what the run knows.
        video_name: The page's title.
        video_source: A `data:` URI, or the path of the video relative to the
            page's folder with `/` between its parts.
        poster_jpeg: Shown until the video plays, and where it cannot.
    """
    embedded = video_source.startswith("data:")
    return offline_page.render(
        "video_page",
        media_source="data:" if embedded else "'self' file:",
        video_name=video_name,
        video_source=(
            video_source if embedded else urllib.parse.quote(video_source)
        ),
        poster_jpeg=poster_jpeg,
        run_text=run_text,
        is_foreign=is_foreign,
        classes=classes,
        data=_data(classes),
    )


def _data(classes: Sequence[ClassLocalization]) -> dict[str, object]:
    """What the script reads; arrays over classes are in the page's order."""
    clip = classes[0].clip
    order = [clip.class_names.index(scores.class_name) for scores in classes]
    onsets_s = np.asarray(clip.segment_times_s, np.float64)[:, 0]
    hop_s = onsets_s[1] - onsets_s[0] if len(onsets_s) > 1 else _DEFAULT_HOP_S
    return {
        "duration_s": _rounded(clip.duration_s, 3),
        "hop_s": _rounded(hop_s, 3),
        "frame_size_px": [int(side) for side in clip.frame_size_px],
        "classes": [
            {
                "name": scores.class_name,
                "presence": scores.presence,
                "is_predicted": scores.is_predicted,
                "best_s": _rounded(scores.best_s, 3),
            }
            for scores in classes
        ],
        "frames": {
            "times_s": _rounded(clip.frame_times_s, 3),
            "edges_s": _rounded(clip.frame_edges_s, 3),
        },
        "regions": {
            "boxes": _rounded(clip.boxes, 1),
            "frames": clip.region_frames.tolist(),
            "found": [sorted(scores.found_regions) for scores in classes],
            "spans_s": [_spans_s(c.sights_s) for c in classes],
            **_steps(clip.region_scores[:, order], clip.heat_scale),
        },
        "segments": {
            "times_s": _rounded(clip.segment_times_s, 3),
            "edges_s": _rounded(clip.segment_edges_s, 3),
            "spans_s": [_spans_s(c.events) for c in classes],
            **_steps(clip.segment_scores[:, order], clip.heat_scale),
        },
    }


def _steps(scores: np.ndarray, heat_scale: str) -> dict[str, list]:
    """Scores [P, C] as whole steps, [C, P], of a class's range, [C, 2].

    `heat` are the parts of the range that heat maps show as 0 and 1, [C, 2].
    """
    relative = [scaled(column) for column in scores.T if column.size]
    ends = [(column.min(), column.max()) for column in scores.T if column.size]
    return {
        "steps": [
            np.rint(_STEPS * column).astype(int).tolist() for column in relative
        ],
        "range": [[float(f"{end:.4g}") for end in pair] for pair in ends],
        "heat": [_rounded(heat_limits(r, heat_scale), 4) for r in relative],
    }


def _spans_s(spans_s: Sequence[tuple[float, ...]]) -> list[list[float]]:
    """Starts and ends, without scores."""
    return [_rounded(span_s[:2], 3) for span_s in spans_s]


def _rounded(values: npt.ArrayLike, digits: int) -> list | float:
    return np.round(np.asarray(values, np.float64), digits).tolist()
