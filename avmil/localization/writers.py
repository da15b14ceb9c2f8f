"""The files about a video."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from avmil.clips import media_writer
from avmil.clips.media_container import Section
from avmil.common import files
from avmil.common.errors import ConfigError, MediaError
from avmil.features.extractor import stage
from avmil.localization.formats import FORMATS
from avmil.localization.videos import file_stem, local_entry
from avmil.report import images, offline_page, video_page
from avmil.report.annotated_video import (
    MAX_CLASSES,
    FramePainter,
    even_size_px,
)

if TYPE_CHECKING:
    from avmil.localization.video_localization import VideoLocalization

OUTPUTS = ("labels", "page", "video", "figures")
# A video up to this size lies within its page, which is then a single file.
_MOST_EMBEDDED_BYTES = 16 << 20
# Larger videos are scaled down for it: writing an hour of them takes long.
_PAGE_SIDE_PX = 1280
_OWN_FIGURES = re.compile(r"fig[34]-.*\.(png|svg)")


def check(outputs: Collection[str], formats: Collection[str]) -> None:
    """Raises a ConfigError unless all are names of `OUTPUTS` and `FORMATS`."""
    for flag, names, known in (
        ("outputs", outputs, OUTPUTS),
        ("formats", formats, FORMATS),
    ):
        if unknown := set(names) - set(known):
            raise ConfigError(
                f"--{flag}: Expected some of {','.join(known)}, received "
                f"{','.join(sorted(unknown))}."
            )


def write_all(
    result: VideoLocalization,
    shown: Sequence[str],
    directory: str,
    outputs: Collection[str] = OUTPUTS,
    format_names: Collection[str] = tuple(FORMATS),
) -> str:
    """Writes the files about a video, for `VideoLocalization.save`."""
    check(outputs, format_names)
    files.make_directory(directory)
    first = ""
    if "labels" in outputs:
        for file_name, write in map(FORMATS.__getitem__, format_names):
            files.write_text(files.join(directory, file_name), write(result))
            first = first or file_name
    if "figures" in outputs:
        write_figures(result, shown, directory)
        first = f"fig4-{_stems(shown)[0]}.png"
    if "video" in outputs and result.frames_rgb:
        write_annotated_video(result, shown, directory)
        first = "annotated.mp4"
    if "page" in outputs and result.frames_rgb:
        write_page(result, shown, directory)
        first = "page.html"
    return first


def write_figures(
    result: VideoLocalization, shown: Sequence[str], directory: str
) -> None:
    """Writes Fig. 3 and 4 of each class to draw; those of earlier ones go."""
    for name in filter(_OWN_FIGURES.fullmatch, files.names(directory)):
        files.path(files.join(directory, name)).unlink()
    for name, stem in zip(shown, _stems(shown), strict=True):
        for number in (3, 4):
            figure = result.figure(name, number)
            path = files.join(directory, f"fig{number}-{stem}")
            files.write_bytes(f"{path}.png", images.to_png(figure))
            files.write_text(f"{path}.svg", images.to_svg(figure))


def write_annotated_video(
    result: VideoLocalization, shown: Sequence[str], directory: str
) -> None:
    """Writes the video with boxes, above heat maps with a cursor."""
    classes = [result.of_class(name) for name in shown[:MAX_CLASSES]]
    painter = FramePainter(classes, result.clip.frame_size_px)
    with _encoded(result, painter, painter.size_px) as encoded:
        files.copy(encoded, files.join(directory, "annotated.mp4"))


def write_page(
    result: VideoLocalization, shown: Sequence[str], directory: str
) -> None:
    """Writes the interactive page with the video inside, a long one beside."""
    frame_size_px = result.clip.frame_size_px
    scale = min(1.0, _PAGE_SIDE_PX / max(frame_size_px))
    size_px = even_size_px([scale * side for side in frame_size_px])

    def fit(image_rgb: np.ndarray, _: float) -> np.ndarray:
        return cv2.resize(image_rgb, size_px, interpolation=cv2.INTER_AREA)

    with _encoded(result, fit, size_px) as encoded:
        if os.path.getsize(encoded) <= _MOST_EMBEDDED_BYTES:
            content = files.read_bytes(encoded)
            source = offline_page.data_uri(content, "video/mp4")
        else:
            source = "video.mp4"
            files.copy(encoded, files.join(directory, source))
    run = result.run
    # Those that are seen or heard first: the page opens there.
    found = [n for n in result.predicted if result.boxes[n] or result.events[n]]
    names = list(
        dict.fromkeys([*found, *result.predicted, *result.clip.ranked_classes])
    )
    run_text = f"Run {run.name}, step {run.weights.step}"
    if run.test_f1 is not None:
        run_text += f", test F1 {100 * run.test_f1:.1f}"
        run_text += " (at chance)" * run.is_at_chance
    page = video_page.render(
        [result.of_class(name) for name in names],
        f"{run_text}, {len(names)} classes",
        result.is_foreign,
        os.path.basename(result.video.path),
        source,
        result.picture_jpeg(names[0]),
    )
    files.write_text(files.join(directory, "page.html"), page)


def _stems(shown: Sequence[str]) -> list[str]:
    """Parts of file names for the classes."""
    stems: list[str] = []
    for name in shown:
        stems.append(file_stem(name, stems))
    return stems


@contextlib.contextmanager
def _encoded(
    result: VideoLocalization,
    paint: media_writer.Paint,
    size_px: tuple[int, int],
) -> Iterator[str]:
    """Yields the section as a local MP4 file, its frames painted."""
    start_s = result.video.start_s or 0.0
    section = Section(start_s, start_s + result.clip.duration_s)
    with (
        local_entry(result.video) as local,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = os.path.join(folder, "video.mp4")
        write = functools.partial(
            media_writer.write_painted,
            *(local.path, path, section, paint, size_px),
        )
        with stage("encode"):
            try:
                write()
            except MediaError:
                # Features of pictures alone say nothing about the sound.
                write(sound=False)
        yield path
