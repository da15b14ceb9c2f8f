r"""Turns a data set's published lists into a manifest.

    python make_manifest.py --dataset=dcase2017 \
        --lists_dir=dcase --output=lists/manifest.csv

The paths of the manifest are the whole videos, `{youtube_id}.mp4`;
download_clips.py fetches the clips and writes a manifest of their files.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import sys

from avmil.common.errors import ConfigError

from avmil.common import command_line  # isort: skip  # Before what imports TensorFlow.
import flags
from avmil.clips import audioset, dcase2017, manifest
from avmil.clips.manifest import SPLITS, ManifestEntry
from avmil.common import files


def make(config: flags.ManifestConfig) -> None:
    """Writes the manifest and its class list, and prints the counts."""
    files.enable_remote(config.lists_dir, config.output)
    folder = os.path.dirname(config.output)
    class_list = files.join(folder, "classes.txt")
    _refuse_existing(config, class_list)
    class_names, rows = _read(config)
    if folder:
        files.make_directory(folder)
    rows = [
        dataclasses.replace(row, path=files.join(folder, row.path))
        for row in rows
    ]
    names = "".join(f"{name}\n" for name in class_names)
    files.write_text(class_list, names)
    manifest.write_manifest(config.output, rows)
    print(_counts(class_names, rows))
    for warning in _warnings(class_names, rows):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{len(rows):,} clips are listed in {config.output}.")


def _refuse_existing(config: flags.ManifestConfig, class_list: str) -> None:
    if not config.output.endswith(".csv"):
        raise ConfigError(
            f"--output: Expected a .csv file, received {config.output}."
        )
    existing = [p for p in (config.output, class_list) if files.exists(p)]
    if existing and not config.overwrite:
        raise ConfigError(
            f"--output: Expected new files, received {' and '.join(existing)}, "
            "which exist. Name another folder, or add --overwrite."
        )


def _warnings(
    class_names: tuple[str, ...], rows: list[ManifestEntry]
) -> list[str]:
    """What makes the manifest unfit for an experiment."""
    found = {row.split for row in rows}
    labels = {label for row in rows for label in row.labels}
    warnings = [
        f"no clip is in the split {split!r}."
        + " Thresholds need one: see --val_percent." * (split == "val")
        for split in SPLITS
        if split not in found
    ]
    warnings += [
        f"no clip has the class {name!r}."
        for name in class_names
        if name not in labels
    ]
    if len(class_names) < 2:
        warnings.append("there is one class, and train.py needs two.")
    return warnings


def _read(
    config: flags.ManifestConfig,
) -> tuple[tuple[str, ...], list[ManifestEntry]]:
    if config.dataset == "audioset":
        wanted = filter(None, map(str.strip, config.wanted_classes.split(";")))
        return audioset.read(config.lists_dir, wanted, config.val_percent)
    if config.wanted_classes or config.val_percent:
        raise ConfigError(
            "Expected --wanted_classes and --val_percent with "
            f"--dataset=audioset only, received {config.dataset}."
        )
    return dcase2017.read(config.lists_dir)


def _counts(class_names: tuple[str, ...], rows: list[ManifestEntry]) -> str:
    num_clips = collections.Counter(row.split for row in rows)
    num_labels = collections.Counter(
        (label, row.split) for row in rows for label in row.labels
    )
    table = [
        (name, *(num_labels[name, split] for split in SPLITS))
        for name in class_names
    ]
    totals = [sum(column) for column in list(zip(*table, strict=True))[1:]]
    table.append(("labels", *totals))
    table.append(("clips", *(num_clips[split] for split in SPLITS)))
    width = max(len(name) for name, *_ in table)
    lines = [" " * width + "".join(f"{split:>9}" for split in SPLITS)]
    lines += [
        f"{name:{width}}" + "".join(f"{count:>9,}" for count in counts)
        for name, *counts in table
    ]
    return "\n".join(lines)


def main() -> None:
    """Reads the flags and writes the manifest."""
    make(flags.read(flags.ManifestConfig))


def console_entry_point() -> None:
    """Starts the script."""
    command_line.run(main, flags.ManifestConfig)


if __name__ == "__main__":
    console_entry_point()
