r"""Says what videos show, where it is seen and when it is heard.

    python localize.py VIDEO_OR_FOLDER... --run_dir=runs/a --output_dir=found

Each video gets a folder with the paper's Fig. 3 and Fig. 4 for each predicted
class, an annotated video, a page to look through it, localization.json and
segments.csv; `index.html` lists all videos. The base networks' weights are
those of the run, looked for in --weights_dir unless they are named. Videos
that cannot be used are listed in `failed.csv`; the status is then 1.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Sequence

from avmil.common.errors import ClipError, ConfigError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.progress import Progress
from avmil.evaluation import timeline
from avmil.features.extractor import stage
from avmil.localization import (
    run_recipe,
    trained_run,
    video_list,
    video_outputs,
)
from avmil.localization.trained_run import TrainedRun
from avmil.localization.video_localization import LocalizedVideo, VideoLocalizer
from avmil.report import index_page
from avmil.report.index_page import IndexEntry

_MOST_LISTED = 3
_LEAST_UNHEARD_S = 1.0
_ALL = "all"


def localize(config: flags.LocalizeConfig, arguments: Sequence[str]) -> int:
    """Localizes in all videos; returns 1 if one of them failed."""
    files.enable_remote(config.run_dir, config.output_dir, *arguments)
    rows = video_list.rows(arguments, config.start_s, config.end_s)
    run = trained_run.load(config.run_dir, config.checkpoint)
    classes_shown = _classes_shown(config.classes_shown, run.class_names)
    named = {name: getattr(config, name) for name in run_recipe.WEIGHTS}
    recipe = run_recipe.with_weights(
        run.recipe, run.system.input, named, config.weights_dir
    )
    _warn_of_thresholds(config.run_dir, run)
    localizer = VideoLocalizer(run, recipe)
    files.make_directory(config.output_dir)
    entries, failures = [], []
    with Progress(len(rows), "video") as progress:
        for row in rows:
            try:
                entries.append(
                    _localize(row, localizer, run, classes_shown, config)
                )
            except ClipError as error:
                failures.append((row, error))
                entries.append(_failed_entry(row, error))
                progress.write(f"{row.path}: {error}")
            progress.update(failed=len(failures))
    _write_failed(config.output_dir, failures)
    if len(rows) > 1:
        _write_index(config.output_dir, entries)
    print(f"{len(rows) - len(failures)} of {len(rows)} videos localized.")
    return int(bool(failures))


def _classes_shown(
    asked: str, class_names: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The classes that the user asked for; None for those predicted."""
    if not asked:
        return None
    if asked == _ALL:
        return class_names
    names = tuple(name.strip() for name in asked.split(";") if name.strip())
    if unknown := [name for name in names if name not in class_names]:
        raise ConfigError(
            f"--classes_shown: Expected classes of {'; '.join(class_names)}, "
            f"received {'; '.join(unknown)}."
        )
    return tuple(dict.fromkeys(names)) or None


def _warn_of_thresholds(run_dir: str, run: TrainedRun) -> None:
    if run.thresholds is None:
        print(
            f"warning: {run_dir} has no thresholds.json: run evaluate.py "
            "first. Scores are shown, but no class is predicted.",
            file=sys.stderr,
        )
    elif run.event_thresholds is None:
        print(
            f"note: {run_dir} has no event_thresholds.json of these weights, "
            "which evaluate.py tunes with --truth: events of a predicted class "
            "are where its scaled scores are at least 0.5.",
            file=sys.stderr,
        )


def _localize(
    row: ManifestEntry,
    localizer: VideoLocalizer,
    run: TrainedRun,
    classes_shown: tuple[str, ...] | None,
    config: flags.LocalizeConfig,
) -> IndexEntry:
    """Localizes in one video, writes its files and prints its labels."""
    directory = files.join(config.output_dir, row.clip_id)
    with video_list.local_row(row) as local:
        video = localizer(local)
        shown = _shown(video, classes_shown)
        with stage("draw"):
            page = video_outputs.write(directory, video, run, shown)
            thumbnail_jpeg = video_outputs.thumbnail(video, shown[0])
    print(_labels_text(row, video, run, shown), flush=True)
    return IndexEntry(
        name=os.path.basename(row.path),
        page=f"{row.clip_id}/{page}",
        predicted=video.predicted,
        thumbnail_jpeg=thumbnail_jpeg,
        failure=None,
    )


def _shown(
    video: LocalizedVideo, classes_shown: tuple[str, ...] | None
) -> list[str]:
    """The classes to draw, the best one first."""
    wanted = classes_shown or video.predicted or video.ranked_classes[:1]
    return [name for name in video.ranked_classes if name in wanted]


def _labels_text(
    row: ManifestEntry,
    video: LocalizedVideo,
    run: TrainedRun,
    shown: Sequence[str],
) -> str:
    """The predicted classes and the best others, with their scores."""
    clip = video.localization
    others = [n for n in video.ranked_classes if n not in video.predicted]
    num_others = max(_MOST_LISTED - len(video.predicted), 0)
    lines = [f"{row.path} ({clip.duration_s:.1f} s) -> {row.clip_id}"]
    for name in [*video.predicted, *others[:num_others]]:
        score = clip.scores[clip.class_names.index(name)]
        mark = "*" if name in video.predicted else " "
        line = f"  {mark} {name:24}{score:8.3f}"
        if run.thresholds is not None:
            line += f"   threshold {run.thresholds[name]:.3f}"
        lines.append(line)
    if run.thresholds is not None and not video.predicted:
        lines.append(f"    no class passes; drawn: {', '.join(shown)}")
    heard_s = timeline.segment_edges_s(clip)[-1]
    if 0 < heard_s < clip.duration_s - _LEAST_UNHEARD_S:
        lines.append(f"    note: only the first {heard_s:.1f} s were heard")
    return "\n".join(lines)


def _failed_entry(row: ManifestEntry, error: ClipError) -> IndexEntry:
    return IndexEntry(os.path.basename(row.path), "", (), None, str(error))


def _write_failed(
    output_dir: str, failures: Sequence[tuple[ManifestEntry, ClipError]]
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["clip_id", "path", "stage", "reason"])
    for row, error in failures:
        writer.writerow([row.clip_id, row.path, error.stage, error.reason])
    files.write_text(files.join(output_dir, "failed.csv"), text.getvalue())


def _write_index(output_dir: str, entries: Sequence[IndexEntry]) -> None:
    files.write_text(
        files.join(output_dir, "index.html"), index_page.render(entries)
    )


def main(*arguments: str) -> int:
    """Reads the flags and localizes."""
    return localize(flags.read(flags.LocalizeConfig), arguments)


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.LocalizeConfig, positional=True, resumes=False)


if __name__ == "__main__":
    console_entry_point()
