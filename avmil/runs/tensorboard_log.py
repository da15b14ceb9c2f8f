"""What TensorBoard shows of a run: curves, choices and localized clips."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import tempfile
import time
from collections.abc import Mapping

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar import summary_v2 as scalar_summary
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

import flags
from avmil.common import files
from avmil.evaluation.clip_localization import (
    ClassLocalization,
    ClipLocalization,
)
from avmil.report import figures, images

_FIGURE_DPI = 80


class TensorBoardLog:
    """Writes the events of one run.

    Args:
        path: Directory of the events, local or remote. A remote one gets them
            when the log is closed: objects do not grow. Empty for no events.
    """

    def __init__(self, path: str) -> None:
        self._path, self._folder = path, tempfile.TemporaryDirectory()
        is_local = path and not files.is_remote(path)
        self._writer = EventFileWriter(path if is_local else self._folder.name)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
        with self._folder as local:
            for name in files.names(local) if self._path else ():
                inner = files.join(local, name)
                files.copy(inner, files.join(self._path, name))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the points of curves."""
        for name, value in values.items():
            self._add(step, scalar_summary.scalar_pb(name, value))

    def config(self, step: int, config: flags.TrainConfig) -> None:
        """Writes the configuration as text, and its choices as HParams.

        HParams are written once, at the start: TensorBoard reads the first.
        """
        text = json.dumps(dataclasses.asdict(config), indent=2)
        indented = "\n".join(f"    {line}" for line in text.splitlines())
        self._add(step, text_summary.text_pb("config", indented))
        if step == 0:
            run_name = os.path.basename(os.path.normpath(config.run_dir))
            self._add(step, hparams.hparams_pb(config.choices(), run_name))

    def localization(
        self, step: int, localization: ClipLocalization, class_name: str
    ) -> None:
        """Writes the heat maps of a clip for one of its labels."""
        labeled = ClassLocalization(localization, class_name, is_predicted=True)
        figure = figures.figure_3(labeled)
        png = images.to_png(figure, _FIGURE_DPI)
        width_px, height_px = struct.unpack(">II", png[16:24])  # Its header.
        image = Summary.Image(
            width=width_px, height=height_px, encoded_image_string=png
        )
        tag = f"{localization.clip_id}/{class_name}"
        value = Summary.Value(tag=tag, image=image)
        self._add(step, Summary(value=[value]))

    def _add(self, step: int, summary: Summary) -> None:
        event = Event(step=step, wall_time=time.time(), summary=summary)
        self._writer.add_event(event)
