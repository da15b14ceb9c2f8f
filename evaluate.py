r"""Evaluates runs on the test split: the paper's Table 1 and Table 2.

    python evaluate.py --run_dir=runs/a --truth=clips/truth.json
    python evaluate.py --runs=runs/a0,runs/a1,runs/b --output_dir=tables
    python evaluate.py --fuse=runs/g0,runs/g1@all --output_dir=runs/f

Scores validation and test, tunes a threshold for each class on validation
only, applies them to test, prints both tables and writes `scores-*.npz`,
`thresholds.json`, `event_thresholds.json`, `metrics.json`, the tables as
Markdown, LaTeX and CSV and `report.html` into the run directory. Several runs
also get common tables, in the paper's order: runs that differ in their seed
only are one row, and the best row's leads are compared with chance. A fusion
averages the probabilities of runs or of their checkpoints; its directory is
evaluated like a run's. With a truth, Table 3 says where and when the systems
localize.
"""

from __future__ import annotations

import flags
from avmil.common import command_line


@command_line.script(rows="f")
def main(config: flags.EvaluationConfig) -> None:
    """Evaluates."""
    command_line.use_backend(config.backend)
    from avmil.runs import evaluation

    evaluation.evaluate(config)


if __name__ == "__main__":
    main()
