"""The interactive page of a video: where and when a system localizes."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from avmil.evaluation import thresholds as thresholds_lib
from avmil.evaluation import timeline
from avmil.evaluation.clip_localization import ClipLocalization, scaled
from avmil.evaluation.events import Event
from avmil.report import offline_page

# Scores are written as whole steps between the lowest and the highest.
_STEPS = 1000
_DEFAULT_HOP_S = 0.48


def render(
    localization: ClipLocalization,
    thresholds: Mapping[str, float] | None,
    events: Sequence[Event],
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
        events: Detected events of the video.
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
    _check_finite(localization)
    limits = _thresholds(localization, thresholds)
    predicted = np.zeros(len(localization.scores), bool)
    if limits is not None:
        predicted[:] = thresholds_lib.apply(localization.scores[None], limits)
    order = np.lexsort((-localization.scores, ~predicted))
    embedded = video_source.startswith("data:")
    return offline_page.render(
        "video_page",
        media_source="data:" if embedded else "'self' file:",
        video_name=video_name,
        video_source=(
            video_source if embedded else urllib.parse.quote(video_source)
        ),
        poster=(
            offline_page.data_uri(poster_jpeg, "image/jpeg")
            if poster_jpeg
            else None
        ),
        classes=_classes(localization, limits, predicted, order),
        has_thresholds=limits is not None,
        events=_events(localization, events, order),
        data=_data(localization, order),
    )


def _check_finite(localization: ClipLocalization) -> None:
    for name in ("scores", "region_scores", "segment_scores"):
        if not np.isfinite(getattr(localization, name)).all():
            raise ValueError(
                f"Clip {localization.clip_id}: Expected finite {name}, "
                "received NaN or an infinite one."
            )


def _thresholds(
    localization: ClipLocalization, thresholds: Mapping[str, float] | None
) -> np.ndarray | None:
    """The thresholds in the order of the classes, [C]."""
    if thresholds is None:
        return None
    if missing := set(localization.class_names) - set(thresholds):
        raise ValueError(
            f"Clip {localization.clip_id}: Expected a threshold for each "
            f"class, received none for {', '.join(sorted(missing))}."
        )
    return np.array([thresholds[name] for name in localization.class_names])


def _classes(
    localization: ClipLocalization,
    limits: np.ndarray | None,
    predicted: np.ndarray,
    order: np.ndarray,
) -> list[dict[str, object]]:
    """What the list of classes shows of each, in the order of the page."""
    scores = localization.scores
    shown = scores if limits is None else np.concatenate([scores, limits])
    percent = np.rint(100 * scaled(shown)).astype(int)
    percent = percent.reshape(-1, len(scores))  # [1 or 2, C]
    return [
        {
            "name": localization.class_names[index],
            "score": float(scores[index]),
            "score_percent": int(percent[0, index]),
            "predicted": bool(predicted[index]),
            "threshold": None if limits is None else float(limits[index]),
            "threshold_percent": int(percent[-1, index]),
        }
        for index in order
    ]


def _events(
    localization: ClipLocalization, events: Sequence[Event], order: np.ndarray
) -> list[dict[str, object]]:
    """What the list of events shows of each, by onset."""
    ranks = {localization.class_names[c]: rank for rank, c in enumerate(order)}
    if unknown := {event.class_name for event in events} - set(ranks):
        raise ValueError(
            f"Clip {localization.clip_id}: Expected events of its classes, "
            f"received events of {', '.join(sorted(unknown))}."
        )
    return [
        {
            "class_name": event.class_name,
            "class_index": ranks[event.class_name],
            "onset_s": round(event.onset_s, 3),
            "offset_s": round(event.offset_s, 3),
        }
        for event in sorted(events, key=lambda event: event[2:])
    ]


def _data(
    localization: ClipLocalization, order: np.ndarray
) -> dict[str, object]:
    """What the script reads; arrays over classes are in the page's order."""
    frames_s = np.asarray(localization.frame_times_s, np.float64)
    segments_s = np.asarray(localization.segment_times_s, np.float64)
    segments_s = segments_s.reshape(-1, 2)  # [T, 2], also of no segment.
    onsets_s = segments_s[:, 0]
    hop_s = onsets_s[1] - onsets_s[0] if len(onsets_s) > 1 else _DEFAULT_HOP_S
    return {
        "duration_s": _rounded(localization.duration_s, 3),
        "hop_s": _rounded(hop_s, 3),
        "frame_size_px": [int(side) for side in localization.frame_size_px],
        "frames": {
            "times_s": _rounded(frames_s, 3),
            "edges_s": _rounded(timeline.frame_edges_s(localization), 3),
        },
        "regions": {
            "boxes": _rounded(localization.boxes, 1),
            "frames": timeline.region_frames(localization).tolist(),
            **_steps(localization.region_scores[:, order]),
        },
        "segments": {
            "times_s": _rounded(segments_s, 3),
            "edges_s": _rounded(timeline.segment_edges_s(localization), 3),
            **_steps(localization.segment_scores[:, order]),
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
