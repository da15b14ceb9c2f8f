r"""Fetches published weights of the base networks, and checks them.

    python fetch_weights.py caffenet vggish edge_forest --weights_dir=weights
    python fetch_weights.py all
    python fetch_weights.py caffenet --from_file=downloads/caffenet.caffemodel
    python fetch_weights.py --list

Started again it checks the files that are there and fetches the others.
`--list` shows sources, licenses and hashes.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


def main(*names: str) -> int:
    """Reads the flags and fetches; returns 1 if a file failed."""
    from avmil.features import published_weights

    config = flags.read(flags.FetchConfig)
    if config.list:
        print(published_weights.listing(config.weights_dir))
        return 0
    return int(
        not published_weights.fetch(names, config.weights_dir, config.from_file)
    )


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.FetchConfig, positional=True, resumes=False)


if __name__ == "__main__":
    console_entry_point()
