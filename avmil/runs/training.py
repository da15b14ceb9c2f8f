"""Trains one system of the paper's Table 1 on extracted features."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from avmil.common import command_line, files
from avmil.common.errors import ConfigError, FeaturesError, config_errors
from avmil.common.progress import Progress
from avmil.evaluation import metrics, thresholds
from avmil.features.balanced import BalancedSampler, label_frequencies
from avmil.features.standardization import fit_bins
from avmil.features.store import FeatureStore
from avmil.runs import devices, scoring
from avmil.runs.checkpoints import TrainState
from avmil.runs.run import Run, TrainedOn
from avmil.runs.steps import SplitData, train_function
from avmil.runs.tensorboard_log import TensorBoardLog
from flags import TrainConfig
from model import systems
from model.layers import ScoreNormalization

_MIN_VALIDATIONS = 10  # Of a run, unless --validate_every is given.
_MAX_VALIDATE_EVERY = 500
# Validation clips whose heat maps TensorBoard shows.
_LOCALIZED_CLIPS = 3
_CRITERIA = {"map": "mAP", "f1": "micro F1"}


def train(config: TrainConfig) -> None:
    """Trains a run to its last step, from its last checkpoint if it has one.

    Raises:
        ConfigError: for flags that contradict each other or the run.
        FeaturesError: for features that cannot be trained on.
        KeyboardInterrupt: if it was interrupted; its last step is kept.
        WorkerError: if another process that trains the run has ended.
    """
    backend = keras.backend.backend()
    if config.backend != backend:
        raise ConfigError(
            f"--backend: Expected {backend}, which Keras was imported with, "
            f"received {config.backend}."
        )
    # evaluate.py may be started elsewhere.
    features_dir = files.absolute(config.features_dir)
    config = dataclasses.replace(config, features_dir=features_dir)
    with (
        devices.joined_processes(config.devices),
        contextlib.ExitStack() as stack,
    ):
        mesh = devices.find(config.devices, config.batch_size)
        if devices.is_first_process():
            stack.enter_context(files.exclusive(config.run_dir))
        else:  # The first one writes and prints.
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        _Trainer(config, mesh).run()


class _Trainer:
    """One training run, ready to start or to go on.

    Of several processes that train it, the first one writes it.
    """

    def __init__(self, config: TrainConfig, mesh: Any) -> None:
        self._config, self._mesh = config, mesh
        self._writes = devices.is_first_process()
        self._validate_every = config.validate_every or min(
            _MAX_VALIDATE_EVERY, max(1, config.steps // _MIN_VALIDATIONS)
        )
        self._store = scoring.open_split(config.features_dir, "train")
        self._validation = scoring.open_split(config.features_dir, "val")
        _check_labels(self._store, self._validation)
        if self._writes:
            Run.start(config, TrainedOn.of(self._store))
        devices.highest(0)  # The others read what the first one wrote.
        self._run = Run(config.run_dir)
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
            self._model = self._build()
            self._state = TrainState(backend=config.backend)
        if self._state.step < devices.highest(self._state.step):
            raise ConfigError(
                f"--run_dir: Expected the checkpoint in {config.run_dir} that "
                f"another process reads, received that of step "
                f"{self._state.step}. Do all of them see the same directory?"
            )
        _check_inputs(self._model, self._store)
        # The best network since the last checkpoint, and its state.
        self._best: tuple[list[np.ndarray], TrainState] | None = None
        self._saved_s = time.monotonic()
        events = self._run.file("tensorboard")
        self._log = TensorBoardLog(events if self._writes else "")

    def run(self) -> None:
        """Trains to the last step, or to the one of an interrupt."""
        self._log.config(self._state.step, self._config)
        try:
            if not self._is_done():
                size, cache = self._config.batch_size, self._config.cache
                data = SplitData(
                    self._store, size, self._model.input, cache, self._mesh
                )
                self._scorer = scoring.Scorer(
                    self._model, self._validation, size, cache
                )
                with command_line.postponed_interrupt() as interrupted:
                    self._train(data, interrupted)
        finally:
            self._log.close()
        devices.leave()
        if not self._is_done():
            raise KeyboardInterrupt
        print(_summary(self._config, self._state))

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
            one_stream_pooling=config.one_stream_pooling,
            region_size=self._store.region_size,
            region_dtype=self._store.fields["regions"].dtype,
            **statistics,
        )
        num_classes = len(self._store.class_names)
        network = systems.build(config.system, num_classes, sizes)
        if config.fc_weights:
            # Here, since it brings along all that downloads.
            from avmil.features import published_weights

            weights = published_weights.fc_weights(
                config.fc_weights, self._store.region_size
            )
            with config_errors("--fc_weights"):
                systems.set_fc_weights(network, weights)
        elif "regions" in network.input:
            print(
                "fc6 and fc7 start from random weights; the paper's start "
                "from CaffeNet's, which --fc_weights takes."
            )
        network.compile(
            keras.optimizers.Adam(
                config.learning_rate, epsilon=config.adam_epsilon
            ),
            loss=systems.losses(config.system),
            jit_compile=config.xla,
        )
        return network

    def _restore(self) -> None:
        config, state = self._config, self._state
        self._sampler.restore(state.sampler)
        seeds = _dropout_seeds(self._model)
        for seed, value in zip(seeds, state.dropout_seeds, strict=True):
            seed.assign(value)
        if state.step > config.steps:
            raise ConfigError(
                f"--steps: Expected at least the {state.step} steps that "
                f"{config.run_dir} has, received {config.steps}."
            )
        if not self._is_done():
            print(f"Going on after step {state.step}.")
        if state.backend != config.backend:
            print(
                f"The steps so far ran on {state.backend}: from here on other "
                "dropout is drawn, and rounding differs."
            )
            state.backend = config.backend

    def _is_done(self) -> bool:
        config, state = self._config, self._state
        stopped = 0 < config.early_stopping <= state.num_worse
        return stopped or state.step == config.steps

    def _train(self, data: SplitData, interrupted: Callable[[], bool]) -> None:
        """Trains in calls of several steps, which end where a pause is due."""
        config, state = self._config, self._state
        train = train_function(self._model, self._mesh)
        frequencies = label_frequencies(self._store.labels)
        loss = no_class_loss(self._model, frequencies)
        losses = _Losses(config, state.step, self._log, loss)
        under_way: collections.deque = collections.deque()
        with Progress(config.steps, "step", state.step) as progress:
            calls = data.calls(self._chunks(data.steps_per_call))
            for clips, rows in calls:
                under_way.append(train(clips, rows))
                state.step += 1 if rows is None else len(rows)
                pause = self._is_pause(state.step)
                ends = devices.highest(interrupted())
                while len(under_way) > (0 if pause or ends else data.in_flight):
                    losses.add(np.asarray(under_way.popleft()), progress)
                if pause:
                    self._validate_and_save(progress, losses)
                    losses.start_clock()
                if ends or self._is_done():
                    break
        if self._writes and not self._is_done():
            self._save()

    def _chunks(self, max_steps: int) -> Iterator[np.ndarray]:
        """Yields the clips [K, B] of K steps at a time up to each pause."""
        chunk = []
        for step in range(self._state.step + 1, self._config.steps + 1):
            chunk.append(next(self._sampler))
            if len(chunk) == max_steps or self._is_pause(step):
                yield np.stack(chunk)
                chunk.clear()

    def _is_pause(self, step: int) -> bool:
        config = self._config
        return step == config.steps or any(
            every and step % every == 0
            for every in (
                self._validate_every,
                config.checkpoint_every,
                config.keep_every,
            )
        )

    def _validate_and_save(self, progress: Progress, losses: _Losses) -> None:
        config, state = self._config, self._state
        due = time.monotonic() - self._saved_s >= config.save_interval_s
        last = state.step == config.steps
        if last or state.step % self._validate_every == 0:
            result = self._validate(with_pictures=due or last)
            loss = losses.mean_since_validation()
            progress.write(f"Step {state.step}: loss {loss:.4f}, {result}")
        if not self._writes:
            return
        if config.keep_every and state.step % config.keep_every == 0:
            self._run.checkpoints.save(
                "kept", self._model, state, config.keep_last
            )
        if self._is_done() or (
            due and state.step % config.checkpoint_every == 0
        ):
            self._save()

    def _save(self) -> None:
        state, checkpoints = self._state, self._run.checkpoints
        if self._best:
            now, (weights, best_state) = self._model.get_weights(), self._best
            self._model.set_weights(weights)
            checkpoints.save("best", self._model, best_state)
            self._model.set_weights(now)
            self._best = None
        # The sampler is ahead of training by the batches that are read.
        state.sampler = {**self._sampler.state(), "num_batches": state.step}
        state.dropout_seeds = [
            np.asarray(seed).tolist() for seed in _dropout_seeds(self._model)
        ]
        checkpoints.save("last", self._model, state)
        self._saved_s = time.monotonic()

    def _validate(self, with_pictures: bool) -> str:
        """Tells the scores, with thresholds tuned on them, hence a bit high."""
        state = self._state
        by_modality = self._scorer.score()
        scores = by_modality.pop("scores")
        predictions = thresholds.apply(
            scores.scores, thresholds.tune(scores.labels, scores.scores)
        )
        micro = metrics.micro_scores(scores.labels, predictions)
        ranking = metrics.ranking(scores.labels, scores.scores)
        classes = metrics.class_scores(scores.labels, predictions)
        values = {
            "map": ranking.mean_average_precision,
            "f1": float(micro.f1),
        }
        named = zip(scores.class_names, classes.f1, strict=True)
        curves = {f"validation_f1/{name}": f1 for name, f1 in named}
        curves["validation/micro_f1"] = values["f1"]
        curves["validation/map"] = values["map"]
        for modality, alone in by_modality.items():
            known = alone.scores[: len(self._validation)]  # [N, C]
            curves[f"{modality}_score/mean"] = known.mean()
            # Over clips: near 0, the modality tells no clip from another.
            deviation = known.std(axis=0).mean()
            curves[f"{modality}_score/deviation"] = deviation
        self._log.scalars(state.step, curves)
        if with_pictures:
            self._draw_localizations()
        value = values[self._config.best_by]
        state.num_worse += 1
        if value > state.best:
            state.best, state.best_step, state.num_worse = value, state.step, 0
            best_state = dataclasses.replace(state)
            self._best = self._model.get_weights(), best_state
        # Rounding may differ between hosts; they stop behind the same step.
        state.num_worse = devices.highest(state.num_worse)
        return f"validation mAP {values['map']:.3f}, F1 {values['f1']:.3f}"

    def _draw_localizations(self) -> None:
        """Where and when a few validation clips' first class is found."""
        store = self._validation
        for index in np.flatnonzero(store.labels.any(axis=1))[
            :_LOCALIZED_CLIPS
        ]:
            localized = scoring.localize(
                self._model, store[index], store.class_names
            )
            label = store.class_names[store.labels[index].argmax()]
            self._log.localization(self._state.step, localized, label)


class _Losses:
    """Checks the losses of finished steps, and shows their curve."""

    def __init__(
        self,
        config: TrainConfig,
        step: int,
        log: TensorBoardLog,
        no_class_loss: float | None,
    ) -> None:
        self._config, self._step, self._log = config, step, log
        self._constants = {"learning_rate": config.learning_rate}
        if no_class_loss is not None:
            self._constants["loss_of_no_class"] = no_class_loss
            print(
                f"Scores that find no class have a loss of "
                f"{no_class_loss:.4f}; learning shows below it."
            )
        self._since_point: list[tuple[float, float]] = []
        self._since_validation: list[float] = []
        self._start_s = time.monotonic()

    def start_clock(self) -> None:
        """Leaves out of the times what passed since the last losses."""
        self._start_s = time.monotonic()

    def add(self, losses: np.ndarray, progress: Progress) -> None:
        """Takes the losses [K] of the next steps; they must be finite."""
        step_s = (time.monotonic() - self._start_s) / len(losses)
        self.start_clock()
        for loss in losses.tolist():
            self._step += 1
            if not math.isfinite(loss):
                raise ConfigError(
                    f"Expected a finite loss, received {loss} at step "
                    f"{self._step}. Try a lower --learning_rate."
                )
            self._since_validation.append(loss)
            self._since_point.append((loss, step_s))
            if self._step % self._config.log_every == 0:
                mean, mean_s = np.mean(self._since_point, axis=0)
                rate = self._config.batch_size / mean_s
                curves = {"loss": mean, "examples_per_s": rate}
                self._log.scalars(self._step, curves | self._constants)
                self._since_point.clear()
        progress.update(len(losses), loss=f"{losses[-1]:.4f}")

    def mean_since_validation(self) -> float:
        """Mean of the losses since it was asked for last."""
        mean = float(np.mean(self._since_validation))
        self._since_validation.clear()
        return mean


def _summary(config: TrainConfig, state: TrainState) -> str:
    """How a finished run went, and what to do with it."""
    run_dir = shlex.quote(f"--run_dir={config.run_dir}")
    if config.backend != TrainConfig.backend:
        run_dir += f" --backend={config.backend}"
    logdir = shlex.quote(f"--logdir={config.run_dir}")
    return (
        f"{config.run_dir} is finished: trained {state.step} steps.\n"
        f"Best on validation: {_CRITERIA[config.best_by]} {state.best:.3f} at "
        f"step {state.best_step}.\n"
        "Next, its scores on the test split, then any video, and its curves:\n"
        f"  python evaluate.py {run_dir}\n"
        f"  python localize.py {run_dir} --output_dir=found VIDEO\n"
        f"  tensorboard {logdir}"
    )


def _check_labels(train: FeatureStore, validation: FeatureStore) -> None:
    for split, store in (("train", train), ("val", validation)):
        if not store.labels.any():
            raise FeaturesError(
                f"Expected labeled clips in {split!r}, received none."
            )
    if len(train.class_names) < 2:
        raise FeaturesError(
            "Expected two classes or more: batches are drawn by labels, so "
            "that every clip of theirs would have the single one."
        )
    if unlabeled := int((train.labels.sum(axis=1) == 0).sum()):
        print(f"{unlabeled} training clips have no label and are not drawn.")


def _check_inputs(network: keras.Model, store: FeatureStore) -> None:
    counts = {
        "regions": store.max_regions,
        "segments": store.max_segments,
        "cvssp_log_mel": store.max_cvssp_frames,
    }
    for name, count in counts.items():
        if name in network.input and not count:
            raise FeaturesError(
                f"Expected features with {name}, which {network.name} needs, "
                "received none: were they imported, or extracted with "
                "--modalities?"
            )


def no_class_loss(
    network: keras.Model, label_frequencies: np.ndarray
) -> float | None:
    """The hinge loss of scores that find no class in any clip.

    A constant vector of negative scores in each modality, divided by its
    norm, gets this loss: a system that does not get below it tells no clip
    from another. None for a system whose scores are not normalized.

    Args:
        network: A system.
        label_frequencies: Share of the examples that have each class, [C].
    """
    num_modalities = sum(
        isinstance(layer, ScoreNormalization) for layer in network.layers
    )
    if not num_modalities:
        return None
    score = num_modalities / math.sqrt(len(label_frequencies))
    positive = float(np.mean(label_frequencies))
    return positive * (1 + score) + (1 - positive) * max(0, 1 - score)


def _dropout_seeds(network: keras.Model) -> list[keras.Variable]:
    """States of the random generators, which Keras does not save."""
    return [v for v in network.variables if v.path.endswith("generator_state")]
