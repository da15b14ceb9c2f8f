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

_ROWS = (*"abcdeh", "e-mean")


@command_line.script(rows=(*_ROWS, "g", *(f"small/{row}" for row in _ROWS)))
def main(config: flags.TrainConfig) -> None:
    """Trains."""
    command_line.use_backend(config.backend)
    from avmil.runs import training

    training.train(config)


if __name__ == "__main__":
    main()
