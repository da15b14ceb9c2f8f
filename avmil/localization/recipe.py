"""The recipe of a run's features, with files for its base networks.

A run keeps the SHA-256 of the weights that its features were extracted with;
only the same files give the same features for another video.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from typing import Any

from avmil.common import files
from avmil.common.errors import ConfigError
from avmil.features import recipe as recipes
from flags import RecipeConfig

_PREFIX = "sha256:"
_INDEX = ".index"  # A V2 checkpoint is named by its prefix.


@dataclasses.dataclass(frozen=True)
class WeightsFiles:
    """Where the files of a run's base networks are.

    Attributes:
        weights_dir: Local folder in which they are looked for, by their
            SHA-256, unless they are named.
        edge_forest: The structured edge forest of the run.
        region_weights: Weights of its base visual network.
        audio_weights: Weights of its base audio network.
    """

    weights_dir: str = "weights"
    edge_forest: str = ""
    region_weights: str = ""
    audio_weights: str = ""


def with_weights(
    recipe: Mapping[str, Any], inputs: Collection[str], given: WeightsFiles
) -> RecipeConfig:
    """Puts paths in the place of the SHA-256 of a run's weights.

    What the inputs of its system need is left of the recipe: one of audio
    alone needs no network for pictures, nor its weights.

    Raises:
        ConfigError: if a file is missing, or not the one that the run was
            trained with.
    """
    if any(name.startswith("imported_") for name in recipe):
        raise ConfigError(
            "Expected a run on features that extract_features.py made, "
            "received one on imported features, which no video gives again: "
            f"{dict(recipe)}."
        )
    try:
        config = RecipeConfig(**recipe)
    except TypeError as error:
        raise ConfigError(
            f"Expected a run of this version of avmil, received a recipe with "
            f"other parameters: {error}."
        ) from error
    visual = "regions" in inputs
    audio = "segments" in inputs or "cvssp_log_mel" in inputs
    if config.modalities == "audio_visual" and visual != audio:
        modalities = "visual" if visual else "audio"
        config = dataclasses.replace(config, modalities=modalities)
    wanted = {name: recipe[name] for name in recipes.file_flags(config)}
    paths = {
        name: getattr(given, name) if digest.startswith(_PREFIX) else digest
        for name, digest in wanted.items()
    }
    open_names = [name for name in paths if not paths[name]]
    found = _paths_by_digest(given.weights_dir) if open_names else {}
    if missing := [name for name in open_names if wanted[name] not in found]:
        listed = "\n  ".join(f"--{name} ({wanted[name]})" for name in missing)
        raise ConfigError(
            "Expected the files of the run's base networks, received neither "
            f"their flags nor them in --weights_dir={given.weights_dir}:\n  "
            f"{listed}\n"
            f"{recipes.fetch_advice(config, missing, given.weights_dir)}"
        )
    paths |= {name: found[wanted[name]] for name in open_names}
    unused = {"edge_forest": "", "region_weights": "", "audio_weights": ""}
    config = dataclasses.replace(config, **(unused | paths))
    received = recipes.of_flags(config)
    for name, digest in wanted.items():
        if digest != received[name]:
            raise ConfigError(
                f"--{name}: Expected the file that the run was trained with, "
                f"{digest}, received {paths[name]}, which is "
                f"{received[name]}."
            )
    return config


def _paths_by_digest(directory: str) -> dict[str, str]:
    """The files of a folder by SHA-256."""
    if not os.path.isdir(directory):
        return {}
    with os.scandir(directory) as entries:
        paths = sorted(entry.path for entry in entries if entry.is_file())
    return {
        f"{_PREFIX}{files.sha256(path)}": path.removesuffix(_INDEX)
        for path in paths
    }
