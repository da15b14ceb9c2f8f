"""The 17 classes of DCASE 2017 task 4, the data set of the paper.

Names as DCASE writes them, in the order, with the groups and with the
abbreviations of the paper's Table 2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

CLASS_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Vehicle sounds": {
        "Bicycle": "bik",
        "Bus": "bus",
        "Car": "car",
        "Car passing by": "car-pby",
        "Motorcycle": "mbik",
        "Skateboard": "skt",
        "Train": "trn",
        "Truck": "trk",
    },
    "Warning sounds": {
        "Air horn, truck horn": "air-hrn",
        "Ambulance (siren)": "amb",
        "Car alarm": "car-alm",
        "Civil defense siren": "civ-def",
        "Fire engine, fire truck (siren)": "F-eng",
        "Police car (siren)": "pol-car",
        "Reversing beeps": "rv-bps",
        "Screaming": "scrm",
        "Train horn": "trn-hrn",
    },
}
CLASS_ABBREVIATIONS: Mapping[str, str] = {
    name: short
    for group in CLASS_GROUPS.values()
    for name, short in group.items()
}
CLASS_NAMES = tuple(CLASS_ABBREVIATIONS)


def is_dcase(class_names: Collection[str]) -> bool:
    """Says whether a class list is the paper's, in whatever order."""
    return sorted(class_names) == sorted(CLASS_NAMES)
