"""What TensorBoard shows of a run: curves, choices and localized clips."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

import cv2
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

import flags
from avmil.evaluation.clip_localization import ClipLocalization
from avmil.report import figures, images

_FIGURE_DPI = 80


class TrainingLog:
    """Writes the events of one run.

    Args:
        path: Directory of the events, local or remote.
    """

    def __init__(self, path: str) -> None:
        self._writer = tf.summary.create_file_writer(path)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the points of curves."""
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def config(self, step: int, config: flags.TrainConfig) -> None:
        """Writes the configuration as text, and its choices as HParams.

        HParams are written once, at the start: TensorBoard reads the first.
        """
        values = dataclasses.asdict(config)
        text = json.dumps(values, indent=2)
        indented = "\n".join(f"    {line}" for line in text.splitlines())
        with self._writer.as_default(step):
            tf.summary.text("config", indented)
            if step == 0:
                choices = {
                    name: value
                    for name, value in values.items()
                    if name not in flags.BOOKKEEPING
                }
                run_name = os.path.basename(os.path.normpath(config.run_dir))
                hparams.hparams(choices, trial_id=run_name)

    def localization(
        self, step: int, localization: ClipLocalization, class_name: str
    ) -> None:
        """Writes the heat maps of a clip for one class."""
        figure = figures.heat_maps(localization, class_name)
        png = np.frombuffer(images.to_png(figure, _FIGURE_DPI), np.uint8)
        picture = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1]  # [H, W, 3]
        with self._writer.as_default(step):
            tf.summary.image(
                f"{localization.clip_id}/{class_name}", picture[np.newaxis]
            )
