r"""Evaluates runs on the test split: the paper's Table 1 and Table 2.

    python evaluate.py --run_dir=runs/a
    python evaluate.py --runs=runs/a,runs/b,runs/c --output_dir=tables

Scores validation and test, tunes a threshold for each class on validation
only, applies them to test, prints both tables and writes `scores-*.npz`,
`thresholds.json`, `metrics.json` and the tables as Markdown and CSV into the
run directory. Several runs also get common tables, in the paper's order.
"""

from __future__ import annotations

import os

import entry  # isort: skip  # Before what imports TensorFlow.
import flags
import scoring
from dataset import files
from dataset.progress import Progress
from dataset.records import FeaturesError
from report import evaluation, exports, rendering, tables
from report.scores import ScoreSet
from run_directory import RunDirectory

_SPLITS = ("val", "test")


def evaluate(config: flags.EvaluationConfig) -> list[evaluation.Result]:
    """Evaluates the runs, writes the tables and prints them."""
    run_dirs = _run_dirs(config)
    results = [_evaluate_run(run_dir, config) for run_dir in run_dirs]
    try:
        text = "\n".join(table.to_text() for table in _tables(results))
    except ValueError as error:
        raise flags.ConfigError(f"--runs: {error}") from error
    if config.output_dir:
        files.make_directory(config.output_dir)
        _write_tables(config.output_dir, results)
        metrics = [exports.to_dict(result) for result in results]
        files.write_json(files.join(config.output_dir, "metrics.json"), metrics)
    print(f"\n{text}", end="")
    return results


def _run_dirs(config: flags.EvaluationConfig) -> list[str]:
    if bool(config.run_dir) == bool(config.runs):
        raise flags.ConfigError(
            "Expected either --run_dir or --runs, received "
            f"{'both' if config.runs else 'neither'}."
        )
    return [config.run_dir] if config.run_dir else config.runs.split(",")


def _evaluate_run(
    run_dir: str, config: flags.EvaluationConfig
) -> evaluation.Result:
    directory = RunDirectory(run_dir)
    train_config, trained_on = directory.read()
    if config.use_saved_scores:
        print(_describe_saved(directory))
        val, test = (_saved_scores(directory, split) for split in _SPLITS)
    else:
        val, test = _score(directory, config, train_config, trained_on)
    try:
        result = evaluation.evaluate(
            val,
            test,
            system=train_config.system,
            run_name=os.path.basename(os.path.normpath(run_dir)),
            fallback_argmax=config.fallback_argmax,
        )
    except ValueError as error:
        raise flags.ConfigError(f"{run_dir}: {error}") from error
    named = zip(result.class_names, result.thresholds.tolist(), strict=True)
    files.write_json(directory.file("thresholds.json"), dict(named))
    files.write_json(directory.file("metrics.json"), exports.to_dict(result))
    _write_tables(run_dir, [result])
    return result


def _score(
    directory: RunDirectory,
    config: flags.EvaluationConfig,
    train_config: flags.TrainConfig,
    trained_on: dict,
) -> list[ScoreSet]:
    features_dir = config.features_dir or train_config.features_dir
    stores = [scoring.open_split(features_dir, split) for split in _SPLITS]
    _check_features(features_dir, stores[0].info, trained_on)
    loaded = directory.load(config.checkpoint, train_config.system)
    if loaded is None:
        raise flags.ConfigError(
            f"Expected a checkpoint in {directory.path}, received none: "
            "train.py has not saved one yet."
        )
    system, state = loaded
    print(
        f"Scoring {directory.path} with its {config.checkpoint} weights, step "
        f"{state.step}."
    )
    with Progress(sum(map(len, stores)), "clip") as progress:
        score_sets = [
            scoring.score(
                system, store, train_config.batch_size, progress.update
            )
            for store in stores
        ]
    for split, score_set in zip(_SPLITS, score_sets, strict=True):
        path = directory.file(f"scores-{split}.npz")
        files.write_bytes(path, score_set.to_bytes())
    source = {"checkpoint": config.checkpoint, "step": state.step}
    files.write_json(directory.file("scores.json"), source)
    return score_sets


def _check_features(features_dir: str, info: dict, trained_on: dict) -> None:
    there = {**info["recipe"], "classes": info["class_names"]}
    trained = {**trained_on["recipe"], "classes": trained_on["class_names"]}
    differing = [
        f"{name}: trained on {value!r}, received {there.get(name)!r}"
        for name, value in trained.items()
        if there.get(name) != value
    ]
    if differing:
        listed = "\n  ".join(differing)
        raise FeaturesError(
            "Expected the features that the run was trained on, received "
            f"others in {features_dir}:\n  {listed}"
        )


def _describe_saved(directory: RunDirectory) -> str:
    path = directory.file("scores.json")
    if not files.exists(path):
        return "Scores of unknown weights."
    source = files.read_json(path)
    return (
        f"Scores of the {source['checkpoint']} weights, step {source['step']}."
    )


def _saved_scores(directory: RunDirectory, split: str) -> ScoreSet:
    path = directory.file(f"scores-{split}.npz")
    content = files.read_bytes(path)
    try:
        return ScoreSet.from_bytes(content, path)
    except ValueError as error:
        raise flags.ConfigError(str(error)) from error


def _write_tables(directory: str, results: list[evaluation.Result]) -> None:
    contents = {
        "tables.md": "\n".join(t.to_markdown() for t in _tables(results)),
        "table1.csv": exports.table_1_csv(results),
        "table2.csv": exports.table_2_csv(results),
    }
    for name, content in contents.items():
        files.write_text(files.join(directory, name), content)


def _tables(results: list[evaluation.Result]) -> list[rendering.Table]:
    return [tables.table_1(results), tables.table_2(results)]


def main() -> None:
    """Reads the flags and evaluates."""
    config = flags.read(flags.EvaluationConfig)
    files.enable_remote(
        config.features_dir,
        config.run_dir,
        config.output_dir,
        *config.runs.split(","),
    )
    evaluate(config)


def console_entry_point() -> None:
    """Starts the script."""
    entry.run(main, flags.EvaluationConfig)


if __name__ == "__main__":
    console_entry_point()
