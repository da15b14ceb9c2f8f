r"""Turns published arrays into a features directory that train.py takes.

    python import_features.py --manifest=llp/manifest.csv \
        --features_dir=features --audio=feats/vggish --visual=feats/res152
    python import_features.py --manifest=ave/manifest.csv \
        --features_dir=features --audio=audio_feature.h5 \
        --visual=visual_feature.h5

A source is a folder of .npy files, named by clip or by video, or an HDF5 file
with one array for each clip of the manifest, in its order. Started again it
goes on; what a source lacks is listed in `failed.csv`.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script()
def main(config: flags.ImportConfig) -> int:
    """Imports."""
    from avmil.features import exchange

    return exchange.import_features(config)


if __name__ == "__main__":
    main()
