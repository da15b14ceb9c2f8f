"""What the paper publishes: Table 1 and Table 2, typed out.

Source: Parekh et al., CVPRW 2018, section 4. All figures are for the test set
of `DATASET` and no other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping

from avmil.common.dcase2017_classes import CLASS_NAMES, is_dcase
from avmil.evaluation import metrics

DATASET = "DCASE 2017 task 4"


@dataclasses.dataclass(frozen=True)
class PublishedSystem:
    """A row of Table 1 and, for five of the seven, one of Table 2."""

    letter: str
    name: str
    scores: metrics.Scores  # Micro, in [0, 1].
    short_name: str  # That of Table 2, or else `name`.
    class_f1: Mapping[str, float]  # In [0, 1]; empty if not in Table 2.


def _published(
    letter: str,
    name: str,
    percents: tuple[float, float, float],
    short_name: str | None = None,
    class_percents: tuple[float, ...] = (),
) -> PublishedSystem:
    """Builds a row from percentages in the order of the paper's columns."""
    micro = [round(percent / 100, 3) for percent in percents]
    f1 = [round(percent / 100, 3) for percent in class_percents]
    by_class = dict(zip(CLASS_NAMES, f1, strict=False))
    return PublishedSystem(
        letter, name, metrics.Scores(*micro), short_name or name, by_class
    )


# fmt: off
SYSTEMS: Mapping[str, PublishedSystem] = {
    "av_two_stream": _published(
        "a", "Proposed AV Two Stream", (64.2, 59.7, 69.4), "Proposed AV TS",
        (75.7, 54.9, 75.0, 34.6, 76.2, 78.6, 82.0, 61.5,
         40.0, 64.7, 53.9, 80.4, 64.4, 49.2, 36.6, 81.1, 47.1),
    ),
    "audio_two_stream": _published(
        "b", "TS Audio-Only", (57.3, 53.2, 62.0), "TS Audio-Only",
        (42.1, 38.8, 69.8, 29.6, 68.9, 64.9, 78.5, 44.0,
         40.4, 58.2, 53.0, 79.6, 61.0, 51.4, 42.9, 72.1, 46.9),
    ),
    "visual_two_stream": _published(
        "c", "TS Video-Only", (47.3, 48.5, 46.1), "TS Video-Only",
        (72.5, 52.0, 61.2, 15.0, 54.1, 64.2, 73.3, 49.7,
         12.0, 33.9, 13.5, 68.6, 46.5, 19.8, 21.8, 44.1, 32.1),
    ),
    "visual_wsddn": _published(
        "d", "TS Video-Only WSDDN-Type", (48.8, 47.6, 50.1),
    ),
    "av_one_stream": _published(
        "e", "AV One Stream", (55.3, 50.4, 61.2), "AV OS",
        (68.2, 53.6, 74.1, 25.6, 67.1, 74.4, 82.8, 52.8,
         28.0, 54.7, 20.6, 76.6, 60.4, 56.3, 18.8, 49.4, 36.2),
    ),
    "cvssp_fusion": _published(
        "f", "CVSSP - Fusion system", (55.6, 61.4, 50.8), "CVSSP - FS",
        (40.5, 39.7, 72.9, 27.1, 63.5, 74.5, 79.2, 52.3,
         63.7, 35.6, 72.9, 86.4, 65.7, 63.8, 60.3, 91.2, 73.6),
    ),
    "cvssp_gated_crnn": _published(
        "g", "CVSSP - Gated-CRNN-logMel", (54.2, 58.9, 50.2),
    ),
}
# fmt: on
_NAMED = {
    **SYSTEMS,
    "av_late_fusion": _published(
        "h", "AV Late Fusion, not the paper's", (math.nan,) * 3
    ),
}


def class_f1(system: str, class_names: Collection[str]) -> Mapping[str, float]:
    """Class name to F1 in [0, 1], the paper's row of Table 2.

    Empty if the classes are not the paper's or the system has no such row.
    """
    if system not in SYSTEMS or not is_dcase(class_names):
        return {}
    return SYSTEMS[system].class_f1


def place(system: str) -> int:
    """Place of a system in Table 1's order; systems that it lacks are last."""
    names = list(SYSTEMS)
    return names.index(system) if system in SYSTEMS else len(names)


def letter(system: str) -> str:
    """A system's letter in Table 1, "(b)", or the name of one it lacks.

    Row (h) is avmil's own.
    """
    return f"({_NAMED[system].letter})" if system in _NAMED else system


def numbered_name(system: str, short: bool = False) -> str:
    """A system as Table 1, or in short Table 2, names it: "(b) TS Audio-Only".

    One without a letter keeps its name.
    """
    if system not in _NAMED:
        return system
    named = _NAMED[system]
    return f"({named.letter}) {named.short_name if short else named.name}"
