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


@command_line.script(resumes=False)
def main(config: flags.FetchConfig, *names: str) -> int:
    """Fetches; returns 1 if a file failed."""
    from avmil.features import published_weights

    if config.list:
        print(published_weights.listing(config.weights_dir))
        return 0
    return int(
        not published_weights.fetch(names, config.weights_dir, config.from_file)
    )


if __name__ == "__main__":
    main()
