"""Evaluates runs: scores, thresholds, metrics and the paper's tables."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from avmil.common import files
from avmil.common.errors import ConfigError, config_errors
from avmil.evaluation import aggregation, evaluation
from avmil.evaluation.evaluation import Result
from avmil.report import dcase_submission
from avmil.report.evaluation_report import EvaluationReport
from avmil.runs import localization_evaluation
from avmil.runs.fusion import Fusion, fuse, open_members, open_run
from avmil.runs.run import Run, run_directories, write_scores
from flags import EvaluationConfig
from model import systems


def evaluate(config: EvaluationConfig) -> list[Result]:
    """Evaluates runs, writes their files and tables and prints the tables.

    Every run directory gets its files as soon as the run is evaluated; what
    several runs have in common goes to `output_dir`.

    Returns:
        A result of each run, in the order of the flag.

    Raises:
        ConfigError: for flags that contradict each other or the files.
    """
    truth_paths = _check(config)
    scored = config.checkpoint, config.features_dir, config.use_saved_scores
    paths = run_directories(config.runs) or [config.run_dir]
    if config.fuse:
        members = open_members(config.fuse, *scored)
        paths = [fuse(members, config.output_dir).path]
    results = [
        _evaluate_run(open_run(path, *scored), config, truth_paths)
        for path in paths
    ]
    with config_errors("--runs"):
        report = EvaluationReport(aggregation.rows(results))
    if config.runs and config.output_dir:
        files.make_directory(config.output_dir)
        report.write(config.output_dir)
    written = config.output_dir or ("" if config.runs else paths[0])
    print("\n" + report.to_text(written, ansi=sys.stdout.isatty()), end="")
    if config.dcase_output:
        first = results[0]
        with config_errors("--dcase_output"):
            tags = dcase_submission.tagging_submission(
                first.test.clip_ids, first.class_names, first.predictions
            )
        files.write_text(config.dcase_output, tags)
    if config.dcase_events_output:
        with config_errors("--dcase_events_output"):
            events = dcase_submission.detection_submission(
                results[0].localization.events
            )
        files.write_text(config.dcase_events_output, events)
    return results


def _evaluate_run(
    run: Run | Fusion, config: EvaluationConfig, truth_paths: Sequence[str]
) -> Result:
    """Evaluates one run and writes the files of its directory."""
    write_scores(run.path, run.scored, run.weights)
    with config_errors(run.path):
        result = evaluation.evaluate(
            run.scores("val"),
            run.scores("test"),
            identity=run.identity,
            fallback_argmax=config.fallback_argmax,
        )
    names, tuned = result.class_names, result.thresholds.tolist()
    by_class = dict(zip(names, tuned, strict=True))
    files.write_json(run.file("thresholds.json"), by_class)
    # Saved scores need no features; their thresholds were tuned then.
    if run.localizes and (truth_paths or not config.use_saved_scores):
        found = localization_evaluation.evaluate_run(run, result, truth_paths)
        result = dataclasses.replace(result, localization=found)
    elif truth_paths:
        print(f"{run.path} is a fusion of whole clips' scores: not in Table 3.")
    EvaluationReport(aggregation.rows([result])).write(run.path)
    return result


def _check(config: EvaluationConfig) -> list[str]:
    """Refuses flags that contradict each other; returns the truth files."""
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
    if config.runs and config.dcase_output:
        raise ConfigError(
            "Expected --dcase_output with a single run, received --runs: the "
            "file holds what one run predicts."
        )
    truth_paths = [path for path in config.truth.split(",") if path]
    for path in truth_paths:
        if not files.exists(path):
            raise ConfigError(
                f"--truth: Expected a file, received {path}: there is none."
            )
    if config.dcase_events_output:
        if not (truth_paths and config.run_dir):
            raise ConfigError(
                "Expected --run_dir and --truth with --dcase_events_output, "
                "received it without: thresholds of events are tuned on the "
                "truth."
            )
        run = open_run(config.run_dir)
        if not (run.localizes and systems.has_audio(run.config.system)):
            raise ConfigError(
                "--dcase_events_output: Expected a run of a system that has "
                f"audio, received {run.path}, which does not say when classes "
                "are heard."
            )
    return truth_paths
