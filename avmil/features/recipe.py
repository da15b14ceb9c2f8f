"""The recipe of features: flags and weights, as they are kept beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from avmil.common import files
from avmil.common.errors import ConfigError, config_errors, listed
from avmil.features import clip_features
from avmil.features.given_features import BOX_PARAMETERS, has_audio_of
from fast_rcnn_features import networks
from fast_rcnn_features.features import region_size
from flags import RecipeConfig
from vggish import mel_features
from vggish.embeddings import embedding_size

# How the recipe names untrained networks, each drawing of weights by its own
# name: those of a first `random` of sound recurred in networks of other seeds.
_UNTRAINED = {"region_weights": "random", "audio_weights": "random-2"}
_WITHOUT_FILE = {
    "edge_forest": "--edges=gradient does without, but is not the paper's.",
    "region_weights": "`random` leaves the network untrained.",
    "audio_weights": "`random` leaves the network untrained.",
}


def of_flags(
    config: RecipeConfig, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The recipe that is kept beside the features.

    Files are named by the SHA-256 of their content, wherever they lie, and
    those that it does not use not at all.

    Args:
        config: The flags.
        given: Recipe of the directory that the boxes come from, whose
            parameters of boxes then count, and without --audio_weights those
            of sound.

    Raises:
        ConfigError: if a value cannot be, or a file is not named or missing.
    """
    with config_errors("--segment_hop_s"):
        mel_features.hop_frames(config.segment_hop_s)
    with config_errors("--region_network"):
        networks.get(config.region_network)
    values = {**dataclasses.asdict(config), **dict.fromkeys(_WITHOUT_FILE, "")}
    wanted = file_flags(config)
    if given:
        values |= {name: given[name] for name in BOX_PARAMETERS}
        wanted = [name for name in wanted if name != "edge_forest"]
    if given and "audio_weights" in wanted and not config.audio_weights:
        values["audio_weights"] = given["audio_weights"]
        if has_audio_of(given, values):
            wanted.remove("audio_weights")
    unreadable = {}
    for name in wanted:
        try:
            values[name] = _identity_of_weights(config, name)
        except OSError:
            path = getattr(config, name)
            found = f"{path} cannot be read" if path else "none"
            unreadable[name] = f"--{name}: {found}. {_WITHOUT_FILE[name]}"
    if unreadable:
        raise ConfigError(
            "Expected the files of the base networks, received"
            f"{listed([*unreadable.values()])}\n"
            f"{fetch_advice(config, unreadable)}"
        )
    return values


def _identity_of_weights(config: RecipeConfig, name: str) -> str:
    """What a recipe calls the weights of a flag; an OSError without a file."""
    path = getattr(config, name)
    untrained = _UNTRAINED.get(name)
    if untrained and path in ("random", untrained):
        return untrained
    is_keras = config.region_network.startswith(networks.KERAS_PREFIX)
    if name == "region_weights" and is_keras and path == "imagenet":
        # Keras fetches them once, before there are several processes.
        with config_errors("--region_weights", Exception):
            networks.build(config.region_network, weights=path)
        return path
    # A V2 checkpoint is a prefix of several files.
    index = f"{path}.index"
    if name == "audio_weights" and not files.exists(path):
        path = index if files.exists(index) else path
    return f"sha256:{files.sha256(path)}"


def fetch_advice(
    config: RecipeConfig, names: Collection[str], weights_dir: str = "weights"
) -> str:
    """Says how to fetch the published files that flags of a recipe name."""
    published = {
        "edge_forest": "edge_forest",
        "region_weights": config.region_network,
        "audio_weights": config.audio_network,
    }
    wanted = " ".join(published[name] for name in names)
    if "keras" in wanted:
        return (
            "Weights of a keras: network are `imagenet` or a file of yours; "
            "those of keras_file are the .keras file."
        )
    return (
        f"`python fetch_weights.py {wanted} --weights_dir={weights_dir}` "
        "fetches the published ones."
    )


def file_flags(config: RecipeConfig) -> list[str]:
    """The flags that name the files of the recipe's base networks."""
    names = []
    if config.modalities != "audio":
        names.append("region_weights")
        if config.edges == "structured_forest":
            names.append("edge_forest")
    if config.modalities != "visual":
        names.append("audio_weights")
    return names


def layout(config: RecipeConfig) -> clip_features.Layout:
    """The arrays that a recipe gives; their sizes are the networks'."""
    with config_errors("--region_network"):
        num_features = region_size(config.region_network, config.roi_bins)
    with config_errors("--audio_weights"):
        segment_size = embedding_size(
            config.audio_network, config.audio_weights
        )
    return clip_features.layout(num_features, segment_size)


def weights_path(weights: str) -> str | None:
    """The file that a weights flag or a recipe's entry names, if any."""
    return None if weights in _UNTRAINED.values() else weights
