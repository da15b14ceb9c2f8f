r"""Exports a run for use elsewhere.

    python export_model.py runs/a --output=a.zip
    python export_model.py runs/a --output=a_onnx --format=onnx

The first packs the run into one file, which `avmil.load_run` and localize.py
open as they open its directory: weights, thresholds, recipe, classes, scores,
metrics and a model card. The other formats give a folder with the network,
from features to scores, and the same files beside it.
"""

from __future__ import annotations

import flags
from avmil.common import command_line
from avmil.common.errors import ConfigError


@command_line.script(resumes=False)
def main(config: flags.ExportConfig, *arguments: str) -> None:
    """Exports."""
    if len(arguments) != 1:
        raise ConfigError(f"Expected one run, received {list(arguments)}.")
    command_line.use_backend("tensorflow")
    from avmil.localization.export import export_run

    export_run(*arguments, config)
    print(f"Finished: {config.output}")


if __name__ == "__main__":
    main()
