"""Localizing in many videos, none of which stops the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, ConfigError
from avmil.common.progress import Progress
from avmil.features.extractor import stage
from avmil.localization import videos
from avmil.localization.trained_run import TrainedRun, load_run
from avmil.localization.video_localization import VideoLocalization
from avmil.report import index_page
from avmil.report.index_page import IndexEntry
from flags import LocalizeConfig

_MOST_LISTED = 3
_LEAST_UNSCORED_S = 1.0
_ALL = "all"
_THUMBNAIL_PX = 320


def localize_videos(config: LocalizeConfig, paths: Sequence[str]) -> int:
    """Localizes in all videos and folders of videos and writes their files.

    Returns:
        1 if one of them failed, else 0.

    Raises:
        ConfigError: if there are no videos, or the run cannot be used.
    """
    entries = videos.entries(paths, config.start_s, config.end_s or None)
    run = load_run(
        config.run_dir,
        config.checkpoint,
        config.weights_dir,
        config.edge_forest,
        config.region_weights,
        config.audio_weights,
    )
    class_names = _classes_shown(config.classes_shown, run.class_names)
    _warn_of_thresholds(config.run_dir, run)
    _ = run.extractor  # What is wrong with the weights is said before a video.
    files.make_directory(config.output_dir)
    listed, failures = [], []
    with Progress(len(entries), "video") as progress:
        for entry in entries:
            name = os.path.basename(entry.path)
            directory = files.join(config.output_dir, entry.clip_id)
            try:
                with videos.local_entry(entry) as local:
                    result = run.localize(local, heat_scale=config.heat_scale)
                    with stage("draw"):
                        page = result.save(directory, class_names)
                        shown = result.shown(class_names)
                        picture = result.picture_jpeg(shown[0], _THUMBNAIL_PX)
                print(_labels_text(entry, result, shown), flush=True)
                page = f"{entry.clip_id}/{page}"
                listed.append(IndexEntry(name, page, result.predicted, picture))
            except ClipError as error:
                failures.append((entry, error))
                listed.append(IndexEntry(name, failure=str(error)))
                progress.write(f"{entry.path}: {error}")
            progress.update(failed=len(failures))
    rows = [(e.clip_id, e.path, r.stage, r.reason) for e, r in failures]
    path = files.join(config.output_dir, "failed.csv")
    files.write_csv(path, [("clip_id", "path", "stage", "reason"), *rows])
    if len(entries) > 1:
        path = files.join(config.output_dir, "index.html")
        files.write_text(path, index_page.render(listed))
    print(f"{len(entries) - len(failures)} of {len(entries)} videos localized.")
    return int(bool(failures))


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


def _labels_text(
    entry: ManifestEntry, result: VideoLocalization, shown: Sequence[str]
) -> str:
    """The predicted classes and the best others, with their scores."""
    clip, thresholds = result.clip, result.run.thresholds
    predicted = result.predicted
    others = [name for name in clip.ranked_classes if name not in predicted]
    num_listed = max(_MOST_LISTED, len(predicted))
    lines = [f"{entry.path} ({clip.duration_s:.1f} s) -> {entry.clip_id}"]
    for name in [*predicted, *others][:num_listed]:
        score = clip.scores[clip.class_names.index(name)]
        mark = "*" if name in predicted else " "
        line = f"  {mark} {name:24}{score:8.3f}"
        if thresholds is not None:
            line += f"   threshold {thresholds[name]:.3f}"
        lines.append(line)
    if thresholds is not None and not predicted:
        lines.append(f"    no class passes; drawn: {', '.join(shown)}")
    scored_s = clip.segment_edges_s[-1]
    if 0 < scored_s < clip.duration_s - _LEAST_UNSCORED_S:
        lines.append(
            f"    note: only the first {scored_s:.1f} s of the sound are scored"
        )
    return "\n".join(lines)
