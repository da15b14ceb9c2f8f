"""Files for the official scorers of DCASE 2017 task 4.

Format and quirks: the folders `evaluation` (subtask A, audio tagging) and
`TaskB_evaluation` (subtask B, sound event detection) of the task's repository,
ankitshah009/Task-4-Large-scale-weakly-supervised-sound-event-detection-for-
smart-cars. Rows are the file, start, end and class name, separated by tabs,
without a header. Files bear the names of the published labels,
`{YouTube id}_{start}_{end}.wav`; the audio archives put a `Y` before them,
which neither scorer would recognize.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from avmil.evaluation.clip_localization import Event

_CLIP_ID = re.compile(r"[\w-]{11}_(\d+\.\d{3})_(\d+\.\d{3})", re.ASCII)


def tagging_submission(
    clip_ids: Sequence[str], class_names: Sequence[str], predictions: np.ndarray
) -> str:
    """Rows of subtask A: the clip's place in its video and a predicted class.

    A clip without a prediction gets a row of its file's name alone, as in the
    task's own example `prediction_missing.csv`: the scorer would forget the
    misses of a clip that has no row. Predictions are {0, 1} of shape [N, C].

    Raises:
        ValueError: if a clip has another name.
    """
    rows = []
    for clip_id, predicted in zip(clip_ids, predictions, strict=True):
        start, end = _place(clip_id)
        for index in np.flatnonzero(predicted):
            rows.append(
                f"{clip_id}.wav\t{start}\t{end}\t{class_names[index]}\n"
            )
        if not np.any(predicted):
            rows.append(f"{clip_id}.wav\n")
    return "".join(rows)


def detection_submission(events: Iterable[Event]) -> str:
    """Rows of subtask B: an event's onset and offset in the clip.

    Clips without events need no row: the scorer takes its clips from the
    reference. Times have three decimals, as the published labels.

    Raises:
        ValueError: if a clip has another name.
    """
    rows = []
    for event in events:
        _place(event.clip_id)
        times = f"{event.onset_s:.3f}\t{event.offset_s:.3f}"
        rows.append(f"{event.clip_id}.wav\t{times}\t{event.class_name}\n")
    return "".join(rows)


def _place(clip_id: str) -> tuple[str, str]:
    """Start and end of the clip in its video, as its name has them."""
    match = _CLIP_ID.fullmatch(clip_id)
    if match is None:
        raise ValueError(
            "Expected clips of DCASE 2017 task 4, named "
            f"{{YouTube id}}_{{start}}_{{end}}, received {clip_id!r}."
        )
    return match[1], match[2]
