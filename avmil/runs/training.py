"""Trains one system of the paper's Table 1 on extracted features."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Callable

import keras
import numpy as np

from avmil.common import command_line, files
from avmil.common.errors import ConfigError, FeaturesError, config_errors
from avmil.common.progress import Progress
from avmil.evaluation import metrics, thresholds
from avmil.features import published_weights
from avmil.features.balanced import BalancedSampler
from avmil.features.batches import read_ahead
from avmil.features.standardization import fit_bins
from avmil.features.store import FeatureStore
from avmil.runs import scoring
from avmil.runs.checkpoints import TrainState
from avmil.runs.run import Run, TrainedOn
from avmil.runs.tensorboard_log import TensorBoardLog
from flags import TrainConfig
from model import systems

# Validation clips whose heat maps TensorBoard shows.
_LOCALIZED_CLIPS = 3


def train(config: TrainConfig) -> None:
    """Trains a run to its last step, from its last checkpoint if it has one.

    Args:
        config: The run's configuration.

    Raises:
        ConfigError: for flags that contradict each other or the run.
        FeaturesError: for features that cannot be trained on.
        KeyboardInterrupt: if it was interrupted; its last step is kept.
    """
    if not files.is_remote(config.features_dir):
        # evaluate.py may be started elsewhere.
        features_dir = os.path.abspath(config.features_dir)
        config = dataclasses.replace(config, features_dir=features_dir)
    with files.exclusive(config.run_dir):
        _Trainer(config).run()


class _Trainer:
    """One training run, ready to start or to go on."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._store = scoring.open_split(config.features_dir, "train")
        self._validation = scoring.open_split(config.features_dir, "val")
        _check_splits(self._store, self._validation)
        self._run = Run.start(config, TrainedOn.of(self._store))
        self._sampler = BalancedSampler(
            self._store.labels, config.batch_size, config.seed
        )
        # Before loading too: it decides whether the loss is scaled.
        keras.mixed_precision.set_dtype_policy(config.precision)
        if self._run.checkpoints.steps("last"):
            loaded = self._run.checkpoints.load("last", config.system)
            self._model, self._state = loaded
            self._restore()
        else:
            self._model, self._state = self._build(), TrainState()
        _check_inputs(self._model, self._store)
        self._log = TensorBoardLog(self._run.file("tensorboard"))

    def run(self) -> None:
        """Trains to the last step, or to the one of an interrupt."""
        self._log.config(self._state.step, self._config)
        try:
            with command_line.postponed_interrupt() as interrupted:
                self._train(interrupted)
        finally:
            self._log.close()

    def _build(self) -> keras.Model:
        config = self._config
        statistics = {}
        if systems.needs_standardization(config.system):
            print("Fitting the standardization of the mel bands.")
            with Progress(len(self._store), "clip") as progress:
                means, stds = fit_bins(self._store, progress.update)
            statistics = {"bin_means": means, "bin_stds": stds}
        sizes = systems.SystemConfig(
            config.fc_units,
            config.audio_units,
            config.dropout,
            config.seed,
            self._store.segment_size,
            **statistics,
        )
        num_classes = len(self._store.class_names)
        network = systems.build(config.system, num_classes, sizes)
        if config.fc_weights:
            weights = published_weights.fc_weights(config.fc_weights)
            with config_errors("--fc_weights"):
                systems.set_fc_weights(network, weights)
        network.compile(
            keras.optimizers.Adam(
                config.learning_rate, epsilon=config.adam_epsilon
            ),
            loss={"scores": systems.loss(config.system)},
            jit_compile=config.xla,
        )
        return network

    def _restore(self) -> None:
        config, state = self._config, self._state
        self._sampler.restore(state.sampler)
        seeds = zip(
            _dropout_seeds(self._model), state.dropout_seeds, strict=True
        )
        for variable, value in seeds:
            variable.assign(value)
        if state.step > config.steps:
            raise ConfigError(
                f"--steps: Expected at least the {state.step} steps that "
                f"{config.run_dir} has, received {config.steps}."
            )
        print(f"Going on after step {state.step}.")

    def _train(self, interrupted: Callable[[], bool]) -> None:
        config, state = self._config, self._state
        batches = read_ahead(
            self._store,
            itertools.islice(self._sampler, config.steps - state.step),
            scoring.batch_shape(self._store, config.batch_size),
            self._model.input,
        )
        interval_s = time.monotonic()
        with Progress(config.steps, "step", state.step) as progress:
            for batch in batches:
                logs = self._model.train_on_batch(
                    scoring.inputs(self._model, batch),
                    {"scores": batch["labels"]},
                    return_dict=True,
                )
                state.step += 1
                loss = float(logs["loss"])  # The mean since the last point.
                if not math.isfinite(loss):
                    raise ConfigError(
                        f"Expected a finite loss, received {loss} at step "
                        f"{state.step}. Try a lower --learning_rate."
                    )
                progress.update(loss=f"{loss:.4f}")
                if state.step % config.log_every == 0:
                    num_examples = config.log_every * config.batch_size
                    interval_s = time.monotonic() - interval_s
                    curves = {
                        "loss": loss,
                        "learning_rate": float(
                            self._model.optimizer.learning_rate
                        ),
                        "examples_per_s": num_examples / interval_s,
                    }
                    self._log.scalars(state.step, curves)
                    self._model.reset_metrics()
                    interval_s = time.monotonic()
                pause_s = time.monotonic()
                self._validate_and_save()
                interval_s += time.monotonic() - pause_s
                if interrupted():
                    self._save()
                    raise KeyboardInterrupt

    def _validate_and_save(self) -> None:
        config, step = self._config, self._state.step
        last = step == config.steps
        if last or step % config.validate_every == 0:
            self._validate()
        if config.keep_every and step % config.keep_every == 0:
            self._run.checkpoints.save(
                "kept", self._model, self._state, config.keep_last
            )
        if last or step % config.checkpoint_every == 0:
            self._save()

    def _save(self) -> None:
        state = self._state
        # The sampler is ahead of training by the batches that are read.
        state.sampler = {**self._sampler.state(), "num_batches": state.step}
        state.dropout_seeds = [
            np.asarray(seed).tolist() for seed in _dropout_seeds(self._model)
        ]
        self._run.checkpoints.save("last", self._model, state)

    def _validate(self) -> None:
        """Scores validation with thresholds tuned on it, hence a bit high."""
        state, store = self._state, self._validation
        scores = scoring.score(self._model, store, self._config.batch_size)
        predictions = thresholds.apply(
            scores.scores, thresholds.tune(scores.labels, scores.scores)
        )
        micro = metrics.micro_scores(scores.labels, predictions)
        classes = metrics.class_scores(scores.labels, predictions)
        named = zip(scores.class_names, classes.f1, strict=True)
        curves = {f"validation_f1/{name}": f1 for name, f1 in named}
        self._log.scalars(
            state.step, {"validation/micro_f1": micro.f1, **curves}
        )
        # Where and when a few clips' first class is found.
        for index in np.flatnonzero(store.labels.any(axis=1))[
            :_LOCALIZED_CLIPS
        ]:
            localized = scoring.localize(
                self._model, store[index], store.class_names
            )
            label = store.class_names[store.labels[index].argmax()]
            self._log.localization(state.step, localized, label)
        if micro.f1 > state.best_micro_f1:
            state.best_micro_f1, state.best_step = float(micro.f1), state.step
            self._run.checkpoints.save("best", self._model, state)


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


def _check_inputs(network: keras.Model, store: FeatureStore) -> None:
    counts = {
        "regions": store.max_regions,
        "segments": store.max_segments,
        # Extracted from the same sound track.
        "cvssp_log_mel": store.max_segments,
    }
    for name, count in counts.items():
        if name in network.input and not count:
            raise FeaturesError(
                f"Expected features with {name}, which {network.name} needs, "
                "received none: were they extracted with --modalities?"
            )


def _dropout_seeds(network: keras.Model) -> list[keras.Variable]:
    """States of the random generators, which Keras does not save."""
    return [v for v in network.variables if v.path.endswith("generator_state")]
