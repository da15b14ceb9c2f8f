r"""Evaluates runs on the test split: the paper's Table 1 and Table 2.

    python evaluate.py --run_dir=runs/a --truth=clips/truth.json
    python evaluate.py --runs=runs/a0,runs/a1,runs/b --output_dir=tables
    python evaluate.py --fuse=runs/g0,runs/g1@all --output_dir=runs/f

Scores validation and test, tunes a threshold for each class on validation
only, applies them to test, prints both tables and writes `scores-*.npz`,
`thresholds.json`, `metrics.json`, the tables as Markdown, LaTeX and CSV and
`report.html` into the run directory. Several runs also get common tables, in
the paper's order: runs that differ in their seed only are one row, and the
best row's leads are compared with chance. A fusion averages the probabilities
of runs or of their checkpoints; its directory is evaluated like a run's. With
a truth, Table 3 says where and when the systems localize.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

from avmil.common.errors import ConfigError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.common import files
from avmil.evaluation import aggregation, evaluation
from avmil.evaluation.identity import RunIdentity
from avmil.evaluation.localization import LocalizationResult
from avmil.report import dcase_submission
from avmil.report.evaluation_report import EvaluationReport
from avmil.runs import localization_evaluation, run_fusion, run_scores
from avmil.runs.run_directory import RunDirectory
from model import systems


def evaluate(config: flags.EvaluationConfig) -> list[evaluation.Result]:
    """Evaluates the runs, writes the tables and prints them."""
    evaluated = [_evaluate_run(path, config) for path in _directories(config)]
    results = [run.result for run in evaluated]
    try:
        rows = aggregation.rows(results)
        report = EvaluationReport(rows, _localized(evaluated))
    except ValueError as error:
        raise ConfigError(f"--runs: {error}") from error
    if config.runs and config.output_dir:
        files.make_directory(config.output_dir)
        report.write(config.output_dir)
    print("\n" + report.to_text(ansi=sys.stdout.isatty()), end="")
    _write_dcase(config, evaluated[0])
    return results


def _directories(config: flags.EvaluationConfig) -> list[str]:
    """The directories to evaluate; makes that of a fusion."""
    _check(config)
    for path in filter(None, config.truth.split(",")):
        if not files.exists(path):
            raise ConfigError(
                f"--truth: Expected a file, received {path}: there is none."
            )
    if config.runs:
        return run_scores.directories(config.runs)
    if config.run_dir:
        return [config.run_dir]
    members = run_fusion.members(config.fuse, config.checkpoint)
    run_fusion.fuse(
        members, config.output_dir, config.features_dir, config.use_saved_scores
    )
    return [config.output_dir]


def _check(config: flags.EvaluationConfig) -> None:
    given = [n for n in ("run_dir", "runs", "fuse") if getattr(config, n)]
    if len(given) != 1:
        received = " and ".join(f"--{name}" for name in given)
        raise ConfigError(
            "Expected --fuse or either --run_dir or --runs, received "
            f"{received or 'neither'}."
        )
    if config.fuse and not config.output_dir:
        raise ConfigError(
            "Expected --output_dir, where the fusion goes, received none."
        )
    for name in ("dcase_output", "dcase_events_output"):
        if config.runs and getattr(config, name):
            raise ConfigError(
                f"Expected --{name} with a single run, received --runs: the "
                "file holds what one run predicts."
            )
    if config.dcase_events_output:
        _check_events(config)


def _check_events(config: flags.EvaluationConfig) -> None:
    if not (config.truth and config.run_dir):
        raise ConfigError(
            "Expected --run_dir and --truth with --dcase_events_output, "
            "received it without: thresholds of events are tuned on the truth."
        )
    if run_scores.is_fusion(config.run_dir):
        raise ConfigError(
            "--dcase_events_output: Expected a run, received the fusion "
            f"{config.run_dir}, which says nothing of times."
        )
    train_config, _ = RunDirectory(config.run_dir).read()
    if not systems.has_audio(train_config.system):
        raise ConfigError(
            "--dcase_events_output: Expected a system that hears, received "
            f"{config.run_dir} of {train_config.system}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Evaluated:
    """What a run gets; a fusion, or any without a truth, is not localized."""

    result: evaluation.Result
    localized: LocalizationResult | None


def _evaluate_run(path: str, config: flags.EvaluationConfig) -> _Evaluated:
    scores = _scores(path, config)
    about = (
        run_fusion.identity(path)
        if run_scores.is_fusion(path)
        else run_scores.identity(path, scores.weights)
    )
    run_name = os.path.basename(os.path.normpath(path))
    identity = RunIdentity(run_name=run_name, **about)
    try:
        result = evaluation.evaluate(
            scores.val,
            scores.test,
            identity=identity,
            fallback_argmax=config.fallback_argmax,
        )
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    named = zip(result.class_names, result.thresholds.tolist(), strict=True)
    files.write_json(files.join(path, "thresholds.json"), dict(named))
    localized = _localize(path, config, scores.weights, identity)
    evaluated = _Evaluated(result, localized)
    rows = aggregation.rows([result])
    EvaluationReport(rows, _localized([evaluated])).write(path)
    return evaluated


def _localize(
    path: str,
    config: flags.EvaluationConfig,
    weights: dict[str, Any],
    identity: RunIdentity,
) -> LocalizationResult | None:
    if not config.truth:
        return None
    if run_scores.is_fusion(path):
        print(f"{path} is a fusion of whole clips' scores: not in Table 3.")
        return None
    if not weights:
        raise ConfigError(
            f"Expected scores of known weights in {path}, received some "
            "without scores.json. Evaluate without --use_saved_scores."
        )
    return localization_evaluation.evaluate_run(
        path,
        config.truth.split(","),
        weights,
        config.features_dir,
        identity,
    )


def _localized(evaluated: Sequence[_Evaluated]) -> list[LocalizationResult]:
    return [run.localized for run in evaluated if run.localized]


def _scores(path: str, config: flags.EvaluationConfig) -> run_scores.RunScores:
    if run_scores.is_fusion(path):
        print(f"Scores of the fusion {path}.")
        return run_scores.RunScores.read(path)
    directory = RunDirectory(path)
    if not config.use_saved_scores:
        scores = run_scores.score(
            directory, config.checkpoint, config.features_dir
        )
        scores.write(path)
        return scores
    directory.read()  # Says what is wrong with a directory that is no run.
    scores = run_scores.RunScores.read(path)
    print(_described(scores.weights))
    return scores


def _described(weights: dict[str, Any]) -> str:
    if not weights:
        return "Scores of unknown weights."
    return (
        f"Scores of the {weights['checkpoint']} weights, step "
        f"{weights['step']}."
    )


def _write_dcase(config: flags.EvaluationConfig, run: _Evaluated) -> None:
    writers = {"dcase_output": _tagging, "dcase_events_output": _detection}
    for name, write in writers.items():
        if path := getattr(config, name):
            try:
                files.write_text(path, write(run))
            except ValueError as error:
                raise ConfigError(f"--{name}: {error}") from error


def _tagging(run: _Evaluated) -> str:
    return dcase_submission.tagging_submission(
        run.result.test.clip_ids, run.result.class_names, run.result.predictions
    )


def _detection(run: _Evaluated) -> str:
    return dcase_submission.detection_submission(run.localized.events)


def main() -> None:
    """Reads the flags and evaluates."""
    config = flags.read(flags.EvaluationConfig)
    files.enable_remote(
        config.features_dir,
        config.run_dir,
        config.output_dir,
        config.dcase_output,
        config.dcase_events_output,
        *config.truth.split(","),
        *config.runs.split(","),
        *config.fuse.split(","),
    )
    evaluate(config)


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.EvaluationConfig)


if __name__ == "__main__":
    console_entry_point()
