r"""Turns a data set's published lists into a manifest.

    python make_manifest.py --dataset=dcase2017 \
        --lists_dir=dcase --output=lists/manifest.csv

The paths of the manifest are the whole videos, `{youtube_id}.mp4`;
download_clips.py fetches the clips and writes a manifest of their files.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script()
def main(config: flags.ManifestConfig) -> None:
    """Writes the manifest."""
    from avmil.clips import published_lists

    published_lists.make_manifest(config)


if __name__ == "__main__":
    main()
