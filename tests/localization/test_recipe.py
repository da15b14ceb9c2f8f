"""A run's recipe and the files of its base networks."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re

import pytest

from avmil.common.errors import ConfigError
from avmil.localization.recipe import WeightsFiles, with_weights
from flags import RecipeConfig

BOTH = ("regions", "region_mask", "segments", "segment_mask")


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_recipe(**changes):
    config = RecipeConfig(
        edges="gradient",
        edge_forest="",
        region_weights=digest(b"regions"),
        audio_weights=digest(b"audio"),
    )
    return {**dataclasses.asdict(config), **changes}


def found(recipe, folder="no/such/folder", inputs=BOTH, **given):
    return with_weights(recipe, inputs, WeightsFiles(str(folder), **given))


@pytest.fixture
def weights_dir(tmp_path):
    (tmp_path / "alexnet.npz").write_bytes(b"regions")
    (tmp_path / "vggish.ckpt.index").write_bytes(b"audio")
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_weights_are_found_by_their_content_or_named(weights_dir):
    config = found(make_recipe(max_boxes=3), weights_dir)
    assert config.region_weights == str(weights_dir / "alexnet.npz")
    # A V2 checkpoint is named by its prefix.
    assert config.audio_weights == str(weights_dir / "vggish.ckpt")
    assert config.edge_forest == ""
    assert config.max_boxes == 3
    named = str(weights_dir / "folder" / "elsewhere.npz")
    pathlib.Path(named).write_bytes(b"regions")
    config = found(make_recipe(), weights_dir, region_weights=named)
    assert config.region_weights == named


def test_other_weights_are_refused_by_name(weights_dir):
    other = str(weights_dir / "other")
    with pytest.raises(ConfigError, match="--region_weights") as caught:
        found(make_recipe(), weights_dir, region_weights=other)
    assert other in str(caught.value)
    assert digest(b"regions") in str(caught.value)
    assert digest(b"other") in str(caught.value)


def test_missing_weights_are_named(weights_dir):
    (weights_dir / "alexnet.npz").unlink()
    fetch = "`python fetch_weights.py alexnet --weights_dir=.*`"
    with pytest.raises(ConfigError, match="--region_weights") as caught:
        found(make_recipe(region_network="alexnet"), weights_dir)
    assert re.search(fetch, str(caught.value))
    with pytest.raises(ConfigError, match="--weights_dir") as caught:
        found(make_recipe())
    for name in ("region_weights", "audio_weights"):
        assert f"--{name} (sha256:" in str(caught.value)


def test_untrained_networks_need_no_file():
    recipe = make_recipe(region_weights="random", audio_weights="random-2")
    config = found(recipe, region_weights="ignored.npz")
    assert (config.region_weights, config.audio_weights) == (
        "random",
        "random-2",
    )
    # These weights are drawn no more.
    with pytest.raises(ConfigError, match="--audio_weights"):
        found(make_recipe(region_weights="random", audio_weights="random"))


@pytest.mark.parametrize("recipe", [{"made": "up"}, make_recipe(new=1)])
def test_recipe_of_another_version_is_refused(recipe):
    with pytest.raises(ConfigError, match="this version of avmil"):
        found(recipe)


@pytest.mark.parametrize(
    ("inputs", "modalities", "missing"),
    [
        (("segments", "segment_mask"), "audio", "alexnet.npz"),
        (("cvssp_log_mel",), "audio", "alexnet.npz"),
        (("regions", "region_mask"), "visual", "vggish.ckpt.index"),
    ],
)
def test_what_the_system_does_not_take_is_not_needed(
    weights_dir, inputs, modalities, missing
):
    (weights_dir / missing).unlink()
    recipe = make_recipe(
        edges="structured_forest", edge_forest=digest(b"other")
    )
    config = found(recipe, weights_dir, inputs)
    assert config.modalities == modalities
    assert bool(config.audio_weights) == (modalities == "audio")
    assert bool(config.region_weights) == (modalities == "visual")
    assert bool(config.edge_forest) == (modalities == "visual")


@pytest.mark.parametrize("modalities", ["audio_visual", "audio", "visual"])
def test_modalities_of_the_recipe_stay(weights_dir, modalities):
    recipe = make_recipe(modalities=modalities)
    assert found(recipe, weights_dir).modalities == modalities
