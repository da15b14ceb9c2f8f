"""The interactive page of a video: where and when a system localizes."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation.clip_localization import (
    ClipLocalization,
    heat_limits,
    scaled,
)
from avmil.report import offline_page

# Scores are written as whole steps between the lowest and the highest.
_STEPS = 1000
_DEFAULT_HOP_S = 0.48


def render(
    clip: ClipLocalization,
    predicted: Sequence[str],
    thresholds: Mapping[str, float] | None,
    events: Mapping[str, Sequence[tuple[float, ...]]],
    video_name: str,
    video_source: str,
    poster_jpeg: bytes | None = None,
) -> str:
    """Renders the page, one HTML file that works without a network.

    It plays the video with the regions over it and shows the heat maps of
    Figs. 3 and 4 below it, for one class at a time.

    Args:
        clip: What the system found in the video, finite scores.
        predicted: The predicted classes, the best score first.
        thresholds: Of each class, if there are any.
        events: Onset and offset (seconds) first, of each class's events.
        video_name: The page's title.
        video_source: A `data:` URI, or the path of the video relative to the
            page's folder with `/` between its parts.
        poster_jpeg: Shown until the video plays, and where it cannot.
    """
    others = [name for name in clip.ranked_classes if name not in predicted]
    names = [*predicted, *others]  # As on the page.
    order = [clip.class_names.index(name) for name in names]
    scores = clip.scores[order]
    limits = [thresholds[name] for name in names] if thresholds else []
    # Bars of scores and marks of thresholds have one scale.
    percent = np.rint(100 * scaled([*scores, *limits])).astype(int)
    percent = percent.reshape(-1, len(names)).tolist()  # [1 or 2, C]
    classes = [
        {
            "name": name,
            "score": score,
            "score_percent": percent[0][rank],
            "predicted": name in predicted,
            "threshold": limits[rank] if limits else None,
            "threshold_percent": percent[-1][rank],
        }
        for rank, (name, score) in enumerate(
            zip(names, scores.tolist(), strict=True)
        )
    ]
    listed = [
        {
            "class_name": name,
            "class_index": names.index(name),
            "onset_s": round(onset_s, 3),
            "offset_s": round(offset_s, 3),
        }
        for name in clip.class_names
        for onset_s, offset_s, *_ in events.get(name, ())
    ]
    embedded = video_source.startswith("data:")
    return offline_page.render(
        "video_page",
        media_source="data:" if embedded else "'self' file:",
        video_name=video_name,
        video_source=(
            video_source if embedded else urllib.parse.quote(video_source)
        ),
        poster_jpeg=poster_jpeg,
        classes=classes,
        has_thresholds=thresholds is not None,
        events=sorted(listed, key=lambda e: (e["onset_s"], e["offset_s"])),
        data=_data(clip, order),
    )


def _data(clip: ClipLocalization, order: list[int]) -> dict[str, object]:
    """What the script reads; arrays over classes are in the page's order."""
    onsets_s = np.asarray(clip.segment_times_s, np.float64)[:, 0]
    hop_s = onsets_s[1] - onsets_s[0] if len(onsets_s) > 1 else _DEFAULT_HOP_S
    return {
        "duration_s": _rounded(clip.duration_s, 3),
        "hop_s": _rounded(hop_s, 3),
        "frame_size_px": [int(side) for side in clip.frame_size_px],
        "frames": {
            "times_s": _rounded(clip.frame_times_s, 3),
            "edges_s": _rounded(clip.frame_edges_s, 3),
        },
        "regions": {
            "boxes": _rounded(clip.boxes, 1),
            "frames": clip.region_frames.tolist(),
            **_steps(clip.region_scores[:, order], clip.heat_scale),
        },
        "segments": {
            "times_s": _rounded(clip.segment_times_s, 3),
            "edges_s": _rounded(clip.segment_edges_s, 3),
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


def _rounded(values: npt.ArrayLike, digits: int) -> list | float:
    return np.round(np.asarray(values, np.float64), digits).tolist()
