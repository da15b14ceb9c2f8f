"""What extraction takes over from another features directory (--boxes_from).

Boxes do not depend on the network that describes them; audio features are
taken over as well where their part of the recipe is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from avmil.common.errors import ClipError, ConfigError
from avmil.features.store import FeatureStore, read_info

# Boxes and their scores in a frame, by its number.
FindBoxes = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]

BOX_PARAMETERS = ("frame_rate_hz", "edges", "edge_forest", "max_boxes")
AUDIO_FIELDS = ("log_mel", "segments", "segment_times_s", "cvssp_log_mel")
_AUDIO_PARAMETERS = (
    "audio_network",
    "audio_weights",
    "embedding_activation",
    "segment_hop_s",
    "missing_audio",
    "cvssp_scaling_rate_hz",
)
_BOX_FIELDS = ("frame_times_s", "frame_size_px", "boxes", "objectness")


def given_recipe(features_dir: str) -> dict[str, Any]:
    """The recipe of a directory; a ConfigError if it has no boxes to take."""
    recipe = read_info(features_dir)["recipe"]
    if recipe["modalities"] == "audio" or "edges" not in recipe:
        raise ConfigError(
            f"--boxes_from: Expected features with boxes in {features_dir}, "
            "received those of sound alone, or imported ones."
        )
    return recipe


def has_audio_of(given: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    """Says whether a recipe's audio features are those of the given one."""
    names = [*_AUDIO_PARAMETERS]
    if recipe["audio_weights"].startswith("random"):
        names.append("network_seed")
    return "visual" not in (given["modalities"], recipe["modalities"]) and all(
        given.get(name) == recipe[name] for name in names
    )


class GivenFeatures:
    """Reads what is taken over of each clip, with or without its audio.

    A FeaturesError if the directory, local or remote, is not complete.
    """

    def __init__(self, features_dir: str, audio: bool) -> None:
        self.audio = audio
        self._features_dir = features_dir
        self._store = FeatureStore(features_dir)
        self._numbers = {name: i for i, name in enumerate(self._store.clip_ids)}

    def read(self, clip_id: str) -> dict[str, np.ndarray]:
        """Reads the fields of a clip; a ClipError where there is no such."""
        if clip_id not in self._numbers:
            raise ClipError("boxes", f"not in {self._features_dir}")
        fields = ["region_times_s", "duration_s", *_BOX_FIELDS]
        fields += AUDIO_FIELDS if self.audio else ()
        return self._store.read(self._numbers[clip_id], fields)


def boxes_of(given: dict[str, np.ndarray]) -> FindBoxes:
    """Gives the boxes that a clip has in the directory, frame by frame."""

    def find(number: int, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        times_s = given["frame_times_s"][number : number + 1]
        rows = np.isin(given["region_times_s"], times_s)
        return given["boxes"][rows], given["objectness"][rows]

    return find


def check_same_frames(
    given: dict[str, np.ndarray], visual: dict[str, np.ndarray]
) -> None:
    """Raises ValueError if boxes were found in other frames than these."""
    for name, unit in (("frame_size_px", "px"), ("frame_times_s", "s")):
        if not np.array_equal(given[name], visual[name]):
            raise ValueError(
                f"expected the frames that the boxes were found in, {name} "
                f"{given[name].tolist()} {unit}, received "
                f"{visual[name].tolist()} {unit}"
            )
