r"""Writes the features of a directory as .npy files or as HDF5.

python export_features.py --features_dir=features --output_dir=arrays
python export_features.py --features_dir=features --output_dir=arrays \
        --format=h5 --fields=regions,boxes,region_times_s
"""

from __future__ import annotations

import flags
from avmil.common import command_line


def main() -> None:
    """Reads the flags and exports."""
    from avmil.features import exchange

    exchange.export_features(flags.read(flags.FeatureExportConfig))


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.FeatureExportConfig, resumes=False)


if __name__ == "__main__":
    console_entry_point()
