"""The recipe of a run's features, with files for its base networks.

A run keeps the SHA-256 of the weights that its features were extracted with;
only the same files give the same features for another video.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import clip_extraction
from dataset import files
from flags import ConfigError, RecipeConfig

WEIGHTS = ("edge_forest", "region_weights", "audio_weights")
_PREFIX = "sha256:"
_INDEX = ".index"  # A V2 checkpoint is named by its prefix.


def with_weights(
    recipe: Mapping[str, Any], given: Mapping[str, str], weights_dir: str
) -> RecipeConfig:
    """Puts paths in the place of the SHA-256 of a run's weights.

    Args:
        recipe: The run's recipe.
        given: Paths of `edge_forest`, `region_weights` and `audio_weights`;
            for an empty one the file is looked for.
        weights_dir: Local folder to look in.

    Raises:
        ConfigError: if a file is missing, or not the one that the run was
            trained with.
    """
    try:
        config = RecipeConfig(**recipe)
    except TypeError as error:
        raise ConfigError(
            f"Expected a run of this version of avmil, received a recipe with "
            f"other parameters: {error}."
        ) from error
    wanted = {name: recipe[name] for name in WEIGHTS}
    paths = {
        name: given[name] if digest.startswith(_PREFIX) else digest
        for name, digest in wanted.items()
    }
    open_names = [name for name in WEIGHTS if wanted[name] and not paths[name]]
    found = _paths_by_digest(weights_dir) if open_names else {}
    for name in open_names:
        if wanted[name] not in found:
            raise ConfigError(
                f"Expected the run's --{name} ({wanted[name]}), received no "
                f"path of it, and {weights_dir} does not hold it."
            )
        paths[name] = found[wanted[name]]
    config = dataclasses.replace(config, **paths)
    _check_same(recipe, clip_extraction.recipe(config), paths)
    return config


def _check_same(
    recipe: Mapping[str, Any], received: dict, paths: Mapping[str, str]
) -> None:
    for name in WEIGHTS:
        if recipe[name] != received[name]:
            raise ConfigError(
                f"--{name}: Expected the file that the run was trained with, "
                f"{recipe[name]}, received {paths[name]}, which is "
                f"{received[name]}."
            )


def _paths_by_digest(directory: str) -> dict[str, str]:
    if not os.path.isdir(directory):
        return {}
    with os.scandir(directory) as entries:
        paths = sorted(entry.path for entry in entries if entry.is_file())
    return {
        f"{_PREFIX}{files.sha256(path)}": path.removesuffix(_INDEX)
        for path in paths
    }
