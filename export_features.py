r"""Writes the features of a directory as .npy files or as HDF5.

python export_features.py --features_dir=features --output_dir=arrays
python export_features.py --features_dir=features --output_dir=arrays \
        --format=h5 --fields=regions,boxes,region_times_s
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script(resumes=False)
def main(config: flags.FeatureExportConfig) -> None:
    """Exports."""
    from avmil.features import exchange

    exchange.export_features(config)


if __name__ == "__main__":
    main()
