r"""Extracts the features of all clips of a manifest.

    python extract_features.py --manifest=clips/manifest.csv \
        --features_dir=features --edge_forest=model.yml.gz \
        --region_weights=bvlc_reference_caffenet.caffemodel \
        --audio_weights=vggish_model.ckpt

Started again with the same flags it goes on where it stopped; clips that were
added to the manifest go into new shards. Clips that cannot be extracted are
listed in `failed.csv` of the features directory.
"""

from __future__ import annotations

import flags
from avmil.clips import manifest
from avmil.common import command_line


@command_line.script()
def main(config: flags.ExtractionConfig, recipe: flags.RecipeConfig) -> int:
    """Extracts."""
    # Mistakes in the manifest are told before Keras, which takes seconds.
    manifest.read(config.manifest, config.classes, config.allow_outside_paths)
    command_line.use_backend(config.backend)
    from avmil.features import extraction

    return extraction.extract(config, recipe)


if __name__ == "__main__":
    main()
