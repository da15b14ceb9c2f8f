"""The interactive page of a video: where and when a system localizes."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation import thresholds as thresholds_lib
from avmil.evaluation.clip_localization import ClipLocalization, scaled
from avmil.report import offline_page

# Scores are written as whole steps between the lowest and the highest.
_STEPS = 1000
_DEFAULT_HOP_S = 0.48


def render(
    localization: ClipLocalization,
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
        localization: What the system found in the video.
        thresholds: Of each class; without any, no class is marked predicted.
        events: Onset and offset (seconds), and whatever else, of each detected
            event, for classes that have any.
        video_name: The page's title.
        video_source: A `data:` URI, or the path of the video relative to the
            page's folder with `/` between its parts.
        poster_jpeg: Shown until the video plays, and where it cannot.

    Returns:
        The HTML text, to be written as UTF-8.

    Raises:
        ValueError: if a class has no threshold, an event another class, or a
            score is not finite.
    """
    clip = localization
    for name in ("scores", "region_scores", "segment_scores"):
        if not np.isfinite(getattr(clip, name)).all():
            raise ValueError(
                f"Clip {clip.clip_id}: Expected finite {name}, received NaN "
                "or an infinite one."
            )
    limits, predicted = None, np.zeros(len(clip.scores), bool)
    if thresholds is not None:
        if missing := set(clip.class_names) - set(thresholds):
            raise ValueError(
                f"Clip {clip.clip_id}: Expected a threshold for each class, "
                f"received none for {', '.join(sorted(missing))}."
            )
        limits = np.array([thresholds[name] for name in clip.class_names])
        predicted = thresholds_lib.apply(clip.scores[None], limits)[0] > 0
    if unknown := set(events) - set(clip.class_names):
        raise ValueError(
            f"Clip {clip.clip_id}: Expected events of its classes, received "
            f"events of {', '.join(sorted(unknown))}."
        )
    order = np.lexsort((-clip.scores, ~predicted))  # [C], as on the page.
    ranks = {clip.class_names[c]: rank for rank, c in enumerate(order)}
    listed = [
        {
            "class_name": name,
            "class_index": ranks[name],
            "onset_s": round(onset_s, 3),
            "offset_s": round(offset_s, 3),
        }
        for name in clip.class_names
        for onset_s, offset_s, *_ in events.get(name, ())
    ]
    embedded = video_source.startswith("data:")
    poster = None
    if poster_jpeg:
        poster = offline_page.data_uri(poster_jpeg, "image/jpeg")
    return offline_page.render(
        "video_page",
        media_source="data:" if embedded else "'self' file:",
        video_name=video_name,
        video_source=(
            video_source if embedded else urllib.parse.quote(video_source)
        ),
        poster=poster,
        classes=_classes(clip, limits, predicted, order),
        has_thresholds=limits is not None,
        events=sorted(listed, key=lambda e: (e["onset_s"], e["offset_s"])),
        data=_data(clip, order),
    )


def _classes(
    clip: ClipLocalization,
    limits: np.ndarray | None,
    predicted: np.ndarray,
    order: np.ndarray,
) -> list[dict[str, object]]:
    """What the list of classes shows of each, in the order of the page."""
    scores = clip.scores
    shown = scores if limits is None else np.concatenate([scores, limits])
    percent = np.rint(100 * scaled(shown)).astype(int)
    percent = percent.reshape(-1, len(scores))  # [1 or 2, C]
    return [
        {
            "name": clip.class_names[index],
            "score": float(scores[index]),
            "score_percent": int(percent[0, index]),
            "predicted": bool(predicted[index]),
            "threshold": None if limits is None else float(limits[index]),
            "threshold_percent": int(percent[-1, index]),
        }
        for index in order
    ]


def _data(clip: ClipLocalization, order: np.ndarray) -> dict[str, object]:
    """What the script reads; arrays over classes are in the page's order."""
    segments_s = np.asarray(clip.segment_times_s, np.float64)
    onsets_s = segments_s[:, 0]
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
            **_steps(clip.region_scores[:, order]),
        },
        "segments": {
            "times_s": _rounded(segments_s, 3),
            "edges_s": _rounded(clip.segment_edges_s, 3),
            **_steps(clip.segment_scores[:, order]),
        },
    }


def _steps(scores: np.ndarray) -> dict[str, list]:
    """Scores [P, C] as whole steps of each class, with its range.

    Returns:
        Lists of `steps`, [C, P], 0 for the lowest and 1000 for the highest
        score of the class, and of these two, `range`, [C, 2].
    """
    steps = [np.rint(_STEPS * scaled(column)) for column in scores.T]
    ends = [(column.min(), column.max()) for column in scores.T if column.size]
    return {
        "steps": [column.astype(int).tolist() for column in steps],
        "range": [[float(f"{end:.4g}") for end in pair] for pair in ends],
    }


def _rounded(values: npt.ArrayLike, digits: int) -> list | float:
    return np.round(np.asarray(values, np.float64), digits).tolist()
