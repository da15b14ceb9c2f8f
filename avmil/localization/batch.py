"""Localizing in many videos, none of which stops the others."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import dataclasses
import functools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from avmil.clips.manifest import ManifestEntry
from avmil.common import files, processes
from avmil.common.errors import ClipError, ConfigError
from avmil.common.progress import Progress, printable
from avmil.features.extractor import stage
from avmil.localization import formats, videos, writers
from avmil.localization.trained_run import TrainedRun, load_run
from avmil.localization.video_localization import VideoLocalization
from avmil.report import video_results
from avmil.report.video_results import FoundClass, VideoResult
from flags import LocalizeConfig

_MOST_LISTED = 3
_LEAST_UNSCORED_S = 1.0
_ALL = "all"
_THUMBNAIL_PX = 320
# Of a video whose folder is complete.
_RESULT_FILE = "result.json"
# From this size on arrays are given back to the operating system as soon as
# they are not needed: the number of this setting is that of glibc's malloc.h.
_LARGE_BYTES, _M_MMAP_THRESHOLD = 4 << 20, -3


@dataclasses.dataclass
class _Kept:
    """Content of `result.json`."""

    made_for: dict[str, Any]
    result: VideoResult


def localize_videos(config: LocalizeConfig, paths: Sequence[str]) -> int:
    """Localizes in all videos and folders of videos and writes their files.

    A video whose folder holds what is asked for is not done again.

    Returns:
        1 if one of them failed, else 0.

    Raises:
        ConfigError: if there are no videos, or the run cannot be used.
    """
    entries = videos.entries(
        paths, config.start_s, config.end_s or None, config.output_dir
    )
    if config.workers > 1:  # This process loads the run as well.
        num_threads = max(1, (os.cpu_count() or 1) // config.workers)
        os.environ.update(processes.SHARED_DEVICE)
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(num_threads)
    make_localizer = functools.partial(_Localizer, config)
    localizer = make_localizer()
    run = localizer.run
    _warn_of_thresholds(config.run_dir, run)
    done = {e.clip_id: r for e in entries if (r := localizer.result_of(e))}
    left = [entry for entry in entries if entry.clip_id not in done]
    if num_again := sum(map(localizer.has_result, left)):
        print(
            f"{num_again} videos are done again: their files are of another "
            "run, other thresholds, flags or outputs."
        )
    if left:  # What is wrong with the weights is said before a video.
        _ = run.extraction if config.workers > 1 else run.extractor
    files.make_directory(config.output_dir)
    num_before, num_failed = len(done), 0
    work: Iterator = ((entry, localizer(entry)) for entry in left)
    if config.workers > 1:
        work = processes.apply(make_localizer, left, config.workers)
    with Progress(len(entries), "video", num_before) as progress:
        for entry, made in work:
            died = ClipError("process", "the worker process died")
            result, text = made or _failed(entry, died)
            done[entry.clip_id] = result
            num_failed += result.status == "failed"
            if result.status == "failed":
                progress.write(text)
            else:
                print(printable(text), flush=True)
            progress.update(failed=num_failed)
    _write_results(config, run, [done[entry.clip_id] for entry in entries])
    before = f", {num_before} of them before" if num_before else ""
    page = "index.html" if len(entries) > 1 else done[entries[0].clip_id].page
    print(
        f"Finished: {len(entries) - num_failed} of {len(entries)} videos "
        f"localized{before}. Open {files.join(config.output_dir, page)}"
    )
    return int(bool(num_failed))


class _Localizer:
    """A run that localizes in videos and writes their files."""

    def __init__(self, config: LocalizeConfig) -> None:
        # The C library would keep 0.15 GB of the frames of a large video;
        # others than glibc have no such setting.
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        self._config = config
        self.run = load_run(
            config.run_dir,
            config.checkpoint,
            weights_dir=config.weights_dir,
            edge_forest=config.edge_forest,
            region_weights=config.region_weights,
            audio_weights=config.audio_weights,
        )
        shown = _classes_shown(config.classes_shown, self.run.class_names)
        self._classes_shown = shown
        self._outputs = [name.strip() for name in config.outputs.split(",")]
        self._formats = [name.strip() for name in config.formats.split(",")]
        writers.check(self._outputs, self._formats)

    def __call__(self, entry: ManifestEntry) -> tuple[VideoResult, str]:
        """Localizes in a video; also gives what to print of it."""
        path = self._result_path(entry)
        try:
            with videos.local_entry(entry) as local:
                found = self.run.localize(
                    local, heat_scale=self._config.heat_scale
                )
                with stage("draw"):
                    directory = os.path.dirname(path)
                    files.make_directory(directory)
                    # Of an earlier start, whose files are replaced now.
                    files.path(path).unlink(missing_ok=True)
                    page = found.save(
                        directory,
                        self._classes_shown,
                        self._outputs,
                        self._formats,
                    )
                    result = _result(found, entry.path, page)
                    content = {
                        "made_for": self._made_for(entry),
                        "result": dataclasses.asdict(result),
                    }
                    files.write_json(path, content, digest=True)
        except ClipError as error:
            return _failed(entry, error)
        shown = found.shown(self._classes_shown)
        return result, _labels_text(entry, found, shown, result.note)

    def result_of(self, entry: ManifestEntry) -> VideoResult | None:
        """The result of an earlier start, if it wrote all that is asked for."""
        try:
            kept = files.read_json(self._result_path(entry), _Kept)
            there, wanted = kept.made_for, self._made_for(entry)
            has_all = all(
                {*there.pop(name)} >= {*wanted.pop(name)}
                for name in ("outputs", "formats")
            )
            if not has_all or there != wanted:
                return None
            return kept.result
        except (OSError, ConfigError, LookupError):
            return None  # There is no result, or a damaged one, or no video.

    def has_result(self, entry: ManifestEntry) -> bool:
        """Whether an earlier start completed the video's folder."""
        return files.exists(self._result_path(entry))

    def _result_path(self, entry: ManifestEntry) -> str:
        return files.join(self._config.output_dir, entry.clip_id, _RESULT_FILE)

    def _made_for(self, entry: ManifestEntry) -> dict[str, Any]:
        """All that decides what is written about a video."""
        run, stat = self.run, files.path(entry.path).stat()
        return {
            "schema_version": formats.SCHEMA_VERSION,
            "run": files.absolute(self._config.run_dir),
            **dataclasses.asdict(run.weights),
            "thresholds": run.thresholds,
            "event_thresholds": run.event_thresholds,
            "box_thresholds": run.box_thresholds,
            "video": [entry.path, stat.length, stat.mtime],
            "section": [entry.start_s, entry.end_s],
            "outputs": self._outputs,
            "formats": self._formats,
            "classes_shown": [*self._classes_shown],
            "heat_scale": self._config.heat_scale,
        }


def _failed(entry: ManifestEntry, error: ClipError) -> tuple[VideoResult, str]:
    result = VideoResult(
        entry.clip_id,
        entry.path,
        "failed",
        stage=error.stage,
        reason=error.reason,
    )
    return result, f"{entry.path}: {error}"


def _write_results(
    config: LocalizeConfig, run: TrainedRun, listed: Sequence[VideoResult]
) -> None:
    """Writes what is about all videos: tables, list of failures, index."""
    directory = config.output_dir
    rows = [
        (result.clip_id, result.video, result.stage, result.reason)
        for result in listed
        if result.status == "failed"
    ]
    path = files.join(directory, "failed.csv")
    files.write_csv(path, [("clip_id", "path", "stage", "reason"), *rows])
    path = files.join(directory, "results.csv")
    files.write_csv(path, video_results.to_table(listed))
    content = {
        "schema_version": formats.SCHEMA_VERSION,
        "run": run.name,
        "system": run.system,
        **dataclasses.asdict(run.weights),
        "class_names": run.class_names,
        "videos": [dataclasses.asdict(result) for result in listed],
    }
    for video in content["videos"]:
        del video["picture_jpeg"]
    files.write_json(files.join(directory, "results.json"), content)
    if len(listed) > 1:
        page = video_results.to_page(
            f"{run.name} ({run.system}), {run.weights}"
            + ", at chance on its test split" * run.is_at_chance,
            run.class_names,
            listed,
        )
        files.write_text(files.join(directory, "index.html"), page)


def _result(found: VideoLocalization, path: str, page: str) -> VideoResult:
    """Sums up a video; its path on this machine may be another."""
    clip, thresholds = found.clip, found.run.thresholds or {}
    classes = [
        FoundClass(
            name,
            float(clip.scores[clip.class_names.index(name)]),
            thresholds[name],
            found.confidences.get(name),
            found.events[name],
            found.boxes[name],
        )
        for name in found.predicted
    ]
    status = "found" if classes else "none"
    picture = found.picture_jpeg(found.shown()[0], _THUMBNAIL_PX) or b""
    return VideoResult(
        clip.clip_id,
        path,
        "foreign" if found.is_foreign else status,
        float(clip.duration_s),
        page and f"{clip.clip_id}/{page}",
        classes,
        _note(found),
        picture_jpeg=base64.b64encode(picture).decode(),
    )


def _classes_shown(asked: str, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that the user asked for; none for those predicted."""
    if asked == _ALL:
        return class_names
    names = tuple(name.strip() for name in asked.split(";") if name.strip())
    if unknown := [name for name in names if name not in class_names]:
        raise ConfigError(
            f"--classes_shown: Expected classes of {'; '.join(class_names)}, "
            f"received {'; '.join(unknown)}."
        )
    return names


def _warn_of_thresholds(run_dir: str, run: TrainedRun) -> None:
    if run.thresholds is None:
        print(
            f"warning: {run_dir} has no thresholds.json: run evaluate.py "
            "first. Scores are shown, but no class is predicted.",
            file=sys.stderr,
        )
    elif not run.thresholds_from:
        print(
            f"note: {run_dir} has no event_thresholds.json of these weights "
            "and this version: run evaluate.py. Neither events nor boxes of "
            "predicted classes are listed.",
            file=sys.stderr,
        )
    if run.is_at_chance:
        print(
            f"note: {run_dir} is at chance on its test split: its labels say "
            "little.",
            file=sys.stderr,
        )


def _labels_text(
    entry: ManifestEntry,
    result: VideoLocalization,
    shown: Sequence[str],
    note: str,
) -> str:
    """The predicted classes and the best others, with their scores."""
    clip, thresholds = result.clip, result.run.thresholds
    predicted = result.predicted
    others = [name for name in clip.ranked_classes if name not in predicted]
    num_listed = max(_MOST_LISTED, len(predicted))
    lines = [f"{entry.path} ({clip.duration_s:.1f} s) -> {entry.clip_id}"]
    for name in [*predicted, *others][:num_listed]:
        score = clip.scores[clip.class_names.index(name)]
        is_found = result.events[name] or result.boxes[name]
        mark = "*" if is_found else "?" if name in predicted else " "
        line = f"  {mark} {name:24}{score:8.3f}"
        if thresholds is not None:
            line += f"   threshold {thresholds[name]:.3f}"
        if name in predicted:
            line += f"   {result.of_class(name).presence}"
        if name in predicted and name in result.confidences:
            line += ", {} of {} such were right".format(
                *result.confidences[name]
            )
        lines.append(line)
    if result.is_foreign:
        num_classes = len(clip.class_names)
        lines.append(f"    none of the {num_classes} classes of this run")
    elif thresholds is not None and not predicted:
        lines.append(f"    no class passes; drawn: {', '.join(shown)}")
    if note:
        lines.append(f"    note: {note}")
    return "\n".join(lines)


def _note(result: VideoLocalization) -> str:
    """Says which part of a video was not scored; "" if all was."""
    clip, inputs = result.clip, result.run.model.input
    if "segments" in inputs and not len(clip.segment_times_s):
        return "no sound track: scored by its pictures alone"
    if "regions" in inputs and not len(clip.frame_times_s):
        return "no video track: scored by its sound alone"
    scored_s = clip.segment_edges_s[-1]
    if 0 < scored_s < clip.duration_s - _LEAST_UNSCORED_S:
        return f"only the first {scored_s:.1f} s of the sound are scored"
    return ""
