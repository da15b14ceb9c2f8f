"""The files that localize.py writes for one video."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Sequence
from typing import Any

import cv2
import tensorflow as tf

from avmil.clips import media_writer
from avmil.clips.media_container import Section
from avmil.common import files
from avmil.common.errors import ClipError, MediaError
from avmil.evaluation.class_localization import ClassLocalization
from avmil.localization.trained_run import TrainedRun
from avmil.localization.video_list import file_stem
from avmil.localization.video_localization import LocalizedVideo, scaled_down
from avmil.report import (
    figures,
    images,
    localization_files,
    offline_page,
    video_page,
)
from avmil.report.frame_painter import MAX_CLASSES, FramePainter, even_size_px

VIDEO_NAME, PAGE_NAME = "video.mp4", "page.html"

# A video up to this size lies within its page, which is then a single file.
_MOST_EMBEDDED_BYTES = 16 << 20
_JPEG_QUALITY = 85
_THUMBNAIL_PX = 320
_OWN_FIGURES = re.compile(r"fig[34]-.*\.(png|svg)")


def write(
    directory: str, video: LocalizedVideo, run: TrainedRun, shown: Sequence[str]
) -> str:
    """Writes figures, annotated video, tables and page of a video.

    A sound file has no pictures, hence no video and no page.

    Args:
        directory: Folder of the video; figures of an earlier start go.
        video: What was found in it.
        run: The run that found it.
        shown: Classes to draw, the best one first.

    Returns:
        The file to look at first, its name in the directory.

    Raises:
        ClipError: if the video cannot be encoded.
    """
    files.make_directory(directory)
    _remove_figures(directory)
    _write_figures(directory, video, run, shown)
    localization, events = video.localization, video.events
    text = localization_files.to_json(
        localization,
        run.thresholds,
        run.event_thresholds,
        video.predicted,
        events,
        _facts(video, run),
    )
    files.write_text(files.join(directory, "localization.json"), text)
    text = localization_files.segments_csv(video.compared, events)
    files.write_text(files.join(directory, "segments.csv"), text)
    if not video.frames_rgb:
        return f"fig4-{file_stem(shown[0])}.png"
    _write_annotated(directory, video, shown[:MAX_CLASSES])
    _write_page(directory, video, run, shown[0])
    return PAGE_NAME


def jpeg(
    video: LocalizedVideo, class_name: str, long_side_px: int = 0
) -> bytes | None:
    """The best frame for a class as a JPEG; None without frames.

    Args:
        video: What was found.
        class_name: The class.
        long_side_px: Longer frames are scaled down to it; 0 leaves them.
    """
    if not video.frames_rgb:
        return None
    scores = ClassLocalization(video.localization, class_name)
    image = video.frames_rgb[int(scores.frames.argmax())]
    if long_side_px:
        image = scaled_down(image, long_side_px)
    _, encoded = cv2.imencode(
        ".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    return encoded.tobytes()


def thumbnail(video: LocalizedVideo, class_name: str) -> bytes | None:
    """A small picture of a video, JPEG; None without frames."""
    return jpeg(video, class_name, _THUMBNAIL_PX)


def _remove_figures(directory: str) -> None:
    for name in tf.io.gfile.listdir(directory):
        if _OWN_FIGURES.fullmatch(name):
            tf.io.gfile.remove(files.join(directory, name))


def _write_figures(
    directory: str, video: LocalizedVideo, run: TrainedRun, shown: Sequence[str]
) -> None:
    frames_rgb, localization = video.frames_rgb, video.localization
    times_s = localization.frame_times_s
    stems: list[str] = []
    for name in shown:
        threshold = run.thresholds and run.thresholds[name]
        stems.append(file_stem(name, stems))
        drawn = {
            "fig3": figures.figure_3(frames_rgb, localization, name, threshold),
            "fig4": figures.figure_4(
                frames_rgb, times_s, localization, name, threshold
            ),
        }
        for figure_name, figure in drawn.items():
            path = files.join(directory, f"{figure_name}-{stems[-1]}")
            files.write_bytes(f"{path}.png", images.to_png(figure))
            files.write_text(f"{path}.svg", images.to_svg(figure))


def _facts(video: LocalizedVideo, run: TrainedRun) -> dict[str, Any]:
    row = video.row
    return {
        "video": os.path.basename(row.path),
        "start_s": row.start_s or 0.0,
        "run": run.name,
        "system": run.system_name,
        **run.weights,
    }


def _write_annotated(
    directory: str, video: LocalizedVideo, shown: Sequence[str]
) -> None:
    localization = video.localization
    painter = FramePainter(localization, shown, localization.frame_size_px)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "annotated.mp4")
        _encode(video, local, painter, painter.size_px)
        _publish(local, files.join(directory, "annotated.mp4"))


def _write_page(
    directory: str, video: LocalizedVideo, run: TrainedRun, class_name: str
) -> None:
    size_px = even_size_px(video.localization.frame_size_px)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, VIDEO_NAME)
        _encode(
            video, local, lambda image, _: cv2.resize(image, size_px), size_px
        )
        if os.path.getsize(local) <= _MOST_EMBEDDED_BYTES:
            content = files.read_bytes(local)
            source = offline_page.data_uri(content, "video/mp4")
        else:
            _publish(local, files.join(directory, VIDEO_NAME))
            source = VIDEO_NAME
    page = video_page.render(
        video.localization,
        run.thresholds,
        video.events,
        os.path.basename(video.row.path),
        source,
        jpeg(video, class_name),
    )
    files.write_text(files.join(directory, PAGE_NAME), page)


def _encode(
    video: LocalizedVideo,
    path: str,
    paint: media_writer.Paint,
    size_px: tuple[int, int],
) -> None:
    """Encodes the section; sound that cannot be decoded is left out."""
    start_s = video.row.start_s or 0.0
    section = Section(start_s, start_s + video.localization.duration_s)
    write = functools.partial(
        media_writer.write_painted,
        video.row.path,
        path,
        section,
        paint,
        size_px,
    )
    try:
        try:
            write()
        except MediaError:
            # Features of pictures alone say nothing about the sound.
            write(sound=False)
    except MediaError as error:
        raise ClipError("encode", str(error)) from error


def _publish(local: str, path: str) -> None:
    """Copies a finished file to its place, which may be remote."""
    temporary = f"{path}.tmp-{os.getpid()}"
    tf.io.gfile.copy(local, temporary, overwrite=True)
    tf.io.gfile.rename(temporary, path, overwrite=True)
