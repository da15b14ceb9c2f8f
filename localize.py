r"""Says what videos show, where it is seen and when it is heard.

    python localize.py VIDEO_OR_FOLDER... --run_dir=runs/a --output_dir=found

Each video, also of sub-folders, gets a folder with the paper's Fig. 3 and
Fig. 4 for each predicted class, an annotated video, a page to look through it,
localization.json, and the events and boxes in the formats of other programs
(--outputs and --formats write less); `results.csv`, `results.json` and
`index.html` list all videos. The run may also be a packed one, of
export_model.py. The base networks' weights are those of the run, looked for in
--weights_dir unless they are named. Videos that cannot be used are listed in
`failed.csv`; the status is then 1. Started again with the same flags it goes
on with the videos that are not done.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script()
def main(config: flags.LocalizeConfig, *arguments: str) -> int:
    """Localizes."""
    command_line.use_backend(config.backend)
    from avmil.localization.batch import localize_videos

    return localize_videos(config, arguments)


if __name__ == "__main__":
    main()
