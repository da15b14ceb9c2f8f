r"""Trains one system of the paper's Table 1 on extracted features.

    python train.py --row=a --features_dir=features --run_dir=runs/a

Started again with the same flags it goes on from the last checkpoint, with
the same result as without the interruption. Every validation prints its mAP
and F1, the end the best step and the next commands; `tensorboard
--logdir=runs` shows the curves. `--backend=jax --devices=all` divides each
batch among all devices, of several hosts too (docs/devices.md).
"""

from __future__ import annotations

import flags
from avmil.common import command_line


def main() -> None:
    """Reads the flags and trains."""
    config = flags.read(flags.TrainConfig)
    command_line.use_backend(config.backend)
    from avmil.runs import training

    training.train(config)


def console_entry_point() -> None:
    """Starts the script."""
    rows = (*"abcdeh", "e-mean")
    flags.define_row(*rows, "g", *(f"small/{row}" for row in rows))
    command_line.run(main, flags.TrainConfig)


if __name__ == "__main__":
    console_entry_point()
