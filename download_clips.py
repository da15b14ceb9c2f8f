r"""Fetches the clips of a manifest from a video site.

    python download_clips.py --manifest=lists/manifest.csv --clips_dir=clips

Only the wanted section of a video is fetched, and kept as it is encoded. The
folder gets a manifest.csv of its own for extract_features.py. Videos that are
not to be had are listed in missing_clips.csv; they stay in the manifest, so
that an evaluation counts them as missed. Started again with the same flags it
goes on where it stopped.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script()
def main(config: flags.DownloadConfig) -> int:
    """Downloads."""
    from avmil.clips import download

    return download.download(config)


if __name__ == "__main__":
    main()
