"""True events of clips: when they are heard, when and where seen.

Two forms are read: `truth.json`, as beside the sample clips (docs/formats.md),
and DCASE 2017's strong labels, which know of sound only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from avmil.common.errors import TruthError

# How sight and sound of a class coincide in a clip.
GROUPS = ("in sync", "partly in sync", "apart", "only heard", "only seen")
MIN_OVERLAP = 0.5
# Of a truth file: no NaN, and nothing near an infinity.
_Number = Annotated[float, msgspec.Meta(gt=-1e9, lt=1e9)]
_Position = tuple[_Number, _Number, _Number, _Number, _Number]


class Interval(NamedTuple):
    """A part of a clip, in seconds, up to but without its end."""

    start_s: _Number
    end_s: _Number


class _SightEntry(msgspec.Struct):
    """`sight` in `truth.json`; positions are t, x1, y1, x2, y2."""

    t0: _Number
    t1: _Number
    boxes: list[_Position] = []
    boxes_half: list[_Position] = []
    track: list[_Position] = []


class _Entry(msgspec.Struct):
    """An event in `truth.json`; true stands for an unknown time."""

    class_name: str = msgspec.field(name="class")
    sound: Interval | bool | None = None
    sight: _SightEntry | bool | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """When and where an object is seen.

    It moves linearly between positions, which are t, x1, y1, x2, y2 in
    ascending t, [K, 5]; in pixels, and x2 - x1 is the width. Without any, it
    is not known where it is.
    """

    interval: Interval
    positions: np.ndarray

    def is_visible(self, times_s: npt.ArrayLike) -> np.ndarray:
        """Says whether it is visible at instants, [F] -> bool [F]."""
        times_s = np.asarray(times_s, np.float64)
        start_s, end_s = self.interval
        return (times_s >= start_s) & (times_s < end_s)

    def boxes(self, times_s: npt.ArrayLike) -> np.ndarray:
        """Returns where it is at instants, [F] -> [F, 4]."""
        known_s, *sides = self.positions.T
        moved = [np.interp(times_s, known_s, side) for side in sides]
        return np.stack(moved, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class TrueEvent:
    """An event of a clip, which may be heard or seen at an unknown time."""

    class_name: str
    sound: Interval | None = None
    sight: Sight | None = None
    is_heard_untimed: bool = False
    is_seen_untimed: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether it is heard, at a known time or an unknown one."""
        return self.is_heard_untimed or self.sound is not None

    @property
    def is_seen(self) -> bool:
        """Whether it is seen, at a known time or an unknown one."""
        return self.is_seen_untimed or self.sight is not None


Truth = Mapping[str, tuple[TrueEvent, ...]]


def is_untimed(truth: Truth, clip_ids: Collection[str]) -> bool:
    """Whether it says what is heard and seen in the clips, but never when."""
    events = [e for clip_id in clip_ids for e in truth.get(clip_id, ())]
    is_timed = any(event.sound or event.sight for event in events)
    return not is_timed and any(e.is_heard or e.is_seen for e in events)


def pair_groups(
    clip_ids: Sequence[str], truth: Truth, class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Divides the pairs of clip and class by how sight and sound coincide.

    All times at which a class is heard in a clip are taken together, and so
    are those at which it is seen. With the temporal IoU of the two,

    - `in sync` has an IoU of 0.5 or more,
    - `partly in sync` a smaller one above 0,
    - `apart` one of 0: both happen, at different times,
    - `only heard` and `only seen` have just one of the two.

    A pair whose class is not in the clip, or whose times nobody knows, is in
    no group. Group -> its pairs of N clips and C classes, bool [N, C].
    """
    size = (len(clip_ids), len(class_names))
    groups = {name: np.zeros(size, bool) for name in GROUPS}
    in_sync, partly, apart, only_heard, only_seen = groups.values()
    for row, clip_id in enumerate(clip_ids):
        for column, class_name in enumerate(class_names):
            events = [e for e in truth[clip_id] if e.class_name == class_name]
            sounds = [e.sound for e in events if e.sound]
            sights = [e.sight.interval for e in events if e.sight]
            if sounds and sights:
                overlap = temporal_iou(sounds, sights)
                in_sync[row, column] = overlap >= MIN_OVERLAP
                partly[row, column] = 0 < overlap < MIN_OVERLAP
                apart[row, column] = overlap == 0
            else:
                only_heard[row, column] = bool(sounds)
                only_seen[row, column] = bool(sights)
    return groups


def temporal_iou(
    first: Sequence[Interval], second: Sequence[Interval]
) -> float:
    """Intersection over union of two sets of intervals, in time."""
    edges_s = np.unique([*first, *second])
    middles_s = (edges_s[:-1] + edges_s[1:]) / 2
    in_first, in_second = (
        np.any([(s <= middles_s) & (middles_s < e) for s, e in part], axis=0)
        for part in (first, second)
    )
    lengths_s = np.diff(edges_s)
    union_s = lengths_s[in_first | in_second].sum()
    return float(lengths_s[in_first & in_second].sum() / union_s)


def parse(
    content: bytes,
    path: str,
    class_names: Sequence[str],
    clip_ids: Collection[str],
) -> Truth:
    """Reads a truth file: `truth.json`, or strong labels under another name.

    Events may have the given classes; clips of other ids are not looked at.

    Returns:
        Clip -> its events, none for a clip that is named without any. A clip
        that the file does not name is not in it.

    Raises:
        TruthError: names the file, the clip and what is wrong.
    """
    read = _from_json if path.endswith(".json") else _from_strong_labels
    try:
        events = read(content.decode("utf-8-sig"), set(clip_ids))
        for clip_id, found in events.items():
            unknown = {event.class_name for event in found} - set(class_names)
            if unknown:
                raise ValueError(
                    f"clip {clip_id}: Expected classes of the features "
                    f"({'; '.join(class_names)}), received "
                    f"{'; '.join(sorted(unknown))}."
                )
    except (ValueError, RecursionError) as error:
        raise TruthError(f"{path}: {error}") from error
    return events


def _from_json(text: str, wanted: set[str]) -> Truth:
    events = {}
    content = msgspec.convert(json.loads(text), dict[str, Any])
    for clip_id, entries in content.items():
        if clip_id in wanted:
            try:
                found = msgspec.convert(entries, list[_Entry])
                events[clip_id] = tuple(map(_event, found))
            except ValueError as error:
                raise ValueError(
                    f"clip {clip_id}: Expected events as in docs/formats.md, "
                    f"received others: {error}."
                ) from error
    return events


def _event(entry: _Entry) -> TrueEvent:
    sound = sight = None
    if isinstance(entry.sound, Interval):
        sound = _checked(entry.sound)
    if isinstance(entry.sight, _SightEntry):
        sight = _sight(entry.sight)
    untimed = entry.sound is True, entry.sight is True
    return TrueEvent(entry.class_name, sound, sight, *untimed)


def _sight(entry: _SightEntry) -> Sight:
    positions = {}
    for position in entry.boxes + entry.boxes_half + entry.track:
        time_s, x1, y1, x2, y2 = position
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"Expected x1 < x2 and y1 < y2, got {position}")
        # An instant that several lists name counts once.
        positions[time_s] = position
    ordered = [positions[time_s] for time_s in sorted(positions)]
    interval = _checked(Interval(entry.t0, entry.t1))
    return Sight(interval, np.array(ordered).reshape(-1, 5))


def _checked(interval: Interval) -> Interval:
    start_s, end_s = interval
    if not 0 <= start_s < end_s:
        raise ValueError(f"Expected 0 <= start < end, got {start_s}, {end_s}")
    return interval


def _from_strong_labels(text: str, wanted: set[str]) -> Truth:
    """Reads rows of file, onset, offset and class, separated by tabs.

    Times of 0 and 0 mark an event that nobody timed.
    """
    events: dict[str, tuple[TrueEvent, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 4:
            raise ValueError(
                f"line {number}: Expected file, onset, offset and class "
                f"separated by tabs, received {len(fields)} field(s)."
            )
        file_name, *times, class_name = fields
        clip_id = file_name.removesuffix(".wav")
        if clip_id not in wanted:
            continue
        try:
            sound = msgspec.convert(times, Interval, strict=False)
            sound = _checked(sound) if any(sound) else None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        event = TrueEvent(class_name, sound)
        events[clip_id] = (*events.get(clip_id, ()), event)
    return events
