r"""Trains one system of the paper's Table 1 on extracted features.

    python train.py --flagfile=configs/a_av_two_stream.flags \
        --features_dir=features --run_dir=runs/a

Started again with the same flags it goes on from the last checkpoint, with
the same result as without the interruption. `tensorboard --logdir=runs` shows
the curves.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Callable

from avmil.common.errors import ConfigError, FeaturesError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import keras
import numpy as np

import flags
from avmil.common import files
from avmil.common.progress import Progress
from avmil.evaluation import metrics, thresholds
from avmil.features.balanced import BalancedSampler
from avmil.features.batches import Batch, read_ahead
from avmil.features.standardization import fit_bins
from avmil.features.store import FeatureStore
from avmil.runs import scoring
from avmil.runs.run_directory import RunDirectory, TrainState
from avmil.runs.training_log import TrainingLog
from fast_rcnn_features.weights import load_fc_weights
from model import systems

# Validation clips whose heat maps TensorBoard shows.
_LOCALIZED_CLIPS = 3


class Trainer:
    """One training run.

    Args:
        config: The run's configuration.
    """

    def __init__(self, config: flags.TrainConfig) -> None:
        self._config = config
        self._store = scoring.open_split(config.features_dir, "train")
        self._validation = scoring.open_split(config.features_dir, "val")
        _check_splits(self._store, self._validation)
        self._directory = RunDirectory(config.run_dir)
        self._directory.open(config, describe_features(self._store))
        self._sampler = BalancedSampler(
            self._store.labels, config.batch_size, config.seed
        )
        # Before loading too: it decides whether the loss is scaled.
        keras.mixed_precision.set_dtype_policy(config.precision)
        self._system, self._state = self._restore() or self._start()
        _check_inputs(self._system, self._store)
        self._log = TrainingLog(self._directory.file("tensorboard"))

    def run(self) -> None:
        """Trains to the last step.

        Raises:
            KeyboardInterrupt: if it was interrupted; its last step is kept.
        """
        self._log.config(self._state.step, self._config)
        try:
            with command_line.postponed_interrupt() as interrupted:
                self._train(interrupted)
        finally:
            self._log.close()

    def _start(self) -> tuple[keras.Model, TrainState]:
        config = self._config
        system = systems.build(
            config.system, len(self._store.class_names), self._system_config()
        )
        if config.fc_weights:
            _initialize_fc(system, config.fc_weights)
        system.compile(
            keras.optimizers.Adam(
                config.learning_rate, epsilon=config.adam_epsilon
            ),
            loss={"scores": systems.loss(config.system)},
            jit_compile=config.xla,
        )
        return system, TrainState()

    def _system_config(self) -> systems.SystemConfig:
        config = self._config
        statistics = {}
        if systems.needs_standardization(config.system):
            print("Fitting the standardization of the mel bands.")
            with Progress(len(self._store), "clip") as progress:
                means, stds = fit_bins(self._store, progress.update)
            statistics = {"bin_means": means, "bin_stds": stds}
        return systems.SystemConfig(
            config.fc_units,
            config.audio_units,
            config.dropout,
            config.seed,
            self._store.segment_size,
            **statistics,
        )

    def _restore(self) -> tuple[keras.Model, TrainState] | None:
        loaded = self._directory.load("last", self._config.system)
        if loaded is None:
            return None
        system, state = loaded
        self._sampler.restore(state.sampler)
        seeds = zip(_dropout_seeds(system), state.dropout_seeds, strict=True)
        for variable, value in seeds:
            variable.assign(value)
        if state.step > self._config.steps:
            raise ConfigError(
                f"--steps: Expected at least the {state.step} steps that "
                f"{self._config.run_dir} has, received {self._config.steps}."
            )
        print(f"Going on after step {state.step}.")
        return system, state

    def _save(self) -> None:
        state = self._state
        # The sampler is ahead of training by the batches that are read.
        state.sampler = {**self._sampler.state(), "num_batches": state.step}
        state.dropout_seeds = [
            np.asarray(seed).tolist() for seed in _dropout_seeds(self._system)
        ]
        self._directory.save("last", self._system, state)

    def _train(self, interrupted: Callable[[], bool]) -> None:
        config, state = self._config, self._state
        shape = scoring.batch_shape(self._store, config.batch_size)
        batches = read_ahead(
            self._store,
            itertools.islice(self._sampler, config.steps - state.step),
            shape,
            self._system.input,
        )
        interval_s = time.monotonic()
        with Progress(config.steps, "step", state.step) as progress:
            for batch in batches:
                loss = self._step(batch)
                progress.update(loss=f"{loss:.4f}")
                if state.step % config.log_every == 0:
                    self._write_curves(loss, time.monotonic() - interval_s)
                    interval_s = time.monotonic()
                pause_s = time.monotonic()
                self._validate_and_save()
                interval_s += time.monotonic() - pause_s
                if interrupted():
                    self._save()
                    raise KeyboardInterrupt

    def _step(self, batch: Batch) -> float:
        """One step of Adam; returns the mean loss since the last point."""
        logs = self._system.train_on_batch(
            scoring.inputs(self._system, batch),
            {"scores": batch["labels"]},
            return_dict=True,
        )
        self._state.step += 1
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise ConfigError(
                f"Expected a finite loss, received {loss} at step "
                f"{self._state.step}. Try a lower --learning_rate."
            )
        return loss

    def _write_curves(self, loss: float, interval_s: float) -> None:
        config = self._config
        examples = config.log_every * config.batch_size
        self._log.scalars(
            self._state.step,
            {
                "loss": loss,
                "learning_rate": float(self._system.optimizer.learning_rate),
                "examples_per_s": examples / interval_s,
            },
        )
        self._system.reset_metrics()

    def _validate_and_save(self) -> None:
        config, step = self._config, self._state.step
        last = step == config.steps
        if last or step % config.validate_every == 0:
            self._validate()
        if config.keep_every and step % config.keep_every == 0:
            self._directory.save(
                "kept", self._system, self._state, config.keep_last
            )
        if last or step % config.checkpoint_every == 0:
            self._save()

    def _validate(self) -> None:
        """Scores validation with thresholds tuned on it, hence a bit high."""
        scores = scoring.score(
            self._system, self._validation, self._config.batch_size
        )
        predictions = thresholds.apply(
            scores.scores, thresholds.tune(scores.labels, scores.scores)
        )
        micro = metrics.micro_scores(scores.labels, predictions)
        classes = metrics.class_scores(scores.labels, predictions)
        named = zip(scores.class_names, classes.f1, strict=True)
        self._log.scalars(
            self._state.step,
            {
                "validation/micro_f1": micro.f1,
                **{f"validation_f1/{name}": f1 for name, f1 in named},
            },
        )
        self._localize()
        if micro.f1 > self._state.best_micro_f1:
            self._state.best_micro_f1 = float(micro.f1)
            self._state.best_step = self._state.step
            self._directory.save("best", self._system, self._state)

    def _localize(self) -> None:
        """Shows where and when a few validation clips' first class is found."""
        labeled = np.flatnonzero(self._validation.labels.any(axis=1))
        class_names = self._validation.class_names
        for index in labeled[:_LOCALIZED_CLIPS]:
            localized = scoring.localize(
                self._system, self._validation[index], class_names
            )
            label = self._validation.labels[index].argmax()
            self._log.localization(
                self._state.step, localized, class_names[label]
            )


def describe_features(store: FeatureStore) -> dict:
    """What a run must find again in the features when it goes on."""
    names = ("recipe", "class_names", "clips_sha256")
    return {name: store.info[name] for name in names}


def _check_splits(train: FeatureStore, validation: FeatureStore) -> None:
    for split, store in (("train", train), ("val", validation)):
        if not store.labels.any():
            raise FeaturesError(
                f"Expected labeled clips in {split!r}, received none."
            )
    if len(train.class_names) < 2:
        raise FeaturesError(
            "Expected two classes or more: the scores of a clip are divided "
            "by their norm, which leaves 1 or -1 of a single one."
        )
    if unlabeled := int((train.labels.sum(axis=1) == 0).sum()):
        print(f"{unlabeled} training clips have no label and are not drawn.")


def _check_inputs(system: keras.Model, store: FeatureStore) -> None:
    counts = {
        "regions": store.max_regions,
        "segments": store.max_segments,
        # Extracted from the same sound track.
        "cvssp_log_mel": store.max_segments,
    }
    for name, count in counts.items():
        if name in system.input and not count:
            raise FeaturesError(
                f"Expected features with {name}, which {system.name} needs, "
                "received none: were they extracted with --modalities?"
            )


def _initialize_fc(system: keras.Model, path: str) -> None:
    try:
        systems.set_fc_weights(system, load_fc_weights(path))
    except (ValueError, OSError) as error:
        raise ConfigError(f"--fc_weights: {error}") from error


def _dropout_seeds(system: keras.Model) -> list[keras.Variable]:
    """States of the random generators, which Keras does not save."""
    return [v for v in system.variables if v.path.endswith("generator_state")]


def main() -> None:
    """Reads the flags and trains."""
    config = flags.read(flags.TrainConfig)
    files.enable_remote(config.features_dir, config.run_dir)
    if not files.is_remote(config.features_dir):
        # evaluate.py may be started elsewhere.
        features_dir = os.path.abspath(config.features_dir)
        config = dataclasses.replace(config, features_dir=features_dir)
    files.make_directory(config.run_dir)
    with files.exclusive(config.run_dir):
        Trainer(config).run()


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.TrainConfig)


if __name__ == "__main__":
    console_entry_point()
