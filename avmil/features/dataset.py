"""A features directory: which clip lies in which shard, and which is missing.

`clips.csv` lists every clip with its shard, `dataset_info.json` is what a
store goes by, `failed.csv` lists the missing clips.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import os
from collections.abc import Sequence

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import FeaturesError, listed
from avmil.features.clip_features import Layout
from avmil.features.shards import SUFFIX, Shard
from avmil.features.store import (
    INFO_NAME,
    SCHEMA_VERSION,
    DatasetInfo,
    MissingClip,
    ShardIndex,
    differences,
    read_info,
)

_PLAN_NAME = "clips.csv"
_PLAN_COLUMNS = ("clip_id", "labels", "split", "start_s", "end_s", "shard")

# Name of a shard -> its clips in their order.
_Plan = dict[str, list[ManifestEntry]]


def plan(
    rows: list[ManifestEntry],
    features_dir: str,
    recipe: dict,
    class_names: tuple[str, ...],
    shard_size: int,
    fields: Layout,
) -> list[Shard]:
    """Makes a features directory or goes on in one of the same recipe.

    Clips that the directory does not know yet go into new shards of up to
    `shard_size` clips, those of a split in their order; the others stay where
    they are. A directory in which nothing was extracted yet is made anew.

    `recipe` is what decides the numbers, `fields` are the types of the arrays.

    Returns:
        All shards, complete ones too.

    Raises:
        FeaturesError: names what differs from the directory's recipe or clips.
    """
    files.make_directory(features_dir)
    planned: _Plan = {}
    if _has_shards(features_dir):
        existing = read_info(features_dir)
        differing = differences(
            {**existing["recipe"], "class_names": existing["class_names"]},
            {**recipe, "class_names": list(class_names)},
        )
        if differing:
            raise FeaturesError(
                f"Expected the parameters that {features_dir} was extracted "
                f"with, received others:{listed(differing)}\nUse the same ones "
                "or another --features_dir."
            )
        planned = _read_plan(features_dir, existing)
        _check_unchanged(features_dir, planned, rows)
    by_id = {row.clip_id: row for row in rows}
    there = _clip_ids(planned)
    shards: _Plan = {}
    for split in manifest.SPLITS:
        old = [name for name in planned if planned[name][0].split == split]
        for name in old:
            shards[name] = [by_id[row.clip_id] for row in planned[name]]
        new = [r for r in rows if r.split == split and r.clip_id not in there]
        starts = range(0, len(new), shard_size)
        total = len(old) + len(starts)
        for number, start in enumerate(starts, len(old)):
            name = _shard_name(split, number, total)
            shards[name] = new[start : start + shard_size]
    return _write_plan(features_dir, recipe, class_names, shards, fields)


def join_features(sources: Sequence[str], output_dir: str) -> None:
    """Joins features directories of one recipe into a new one.

    Shards are copied as they are, in their order; clips stay in their splits.
    Ended before its end, the same call goes on. extract_features.py takes the
    new directory with a manifest of all clips.

    Raises:
        FeaturesError: if recipes or classes differ, two directories hold the
            same clip, one is not complete, or `output_dir` holds other clips.
    """
    if not sources:
        raise FeaturesError("Expected features directories, received none.")
    infos = [read_info(source) for source in sources]
    for source, info in zip(sources[1:], infos[1:], strict=True):
        _check_same_kind(sources[0], infos[0], source, info)
    plans = list(map(_read_plan, sources, infos))
    holders: dict[str, str] = {}
    for source, plan in zip(sources, plans, strict=True):
        for clip_id in _clip_ids(plan):
            if clip_id in holders:
                raise FeaturesError(
                    f"Expected each clip once, received {clip_id} in "
                    f"{holders[clip_id]} and {source}."
                )
            holders[clip_id] = source
    found = [
        (files.join(source, name), rows)
        for source, plan in zip(sources, plans, strict=True)
        for name, rows in plan.items()
    ]
    shards: _Plan = {}
    copied: list[tuple[str, ShardIndex]] = []
    for split in manifest.SPLITS:
        own = [(path, rows) for path, rows in found if rows[0].split == split]
        for number, (path, rows) in enumerate(own):
            shards[_shard_name(split, number, len(own))] = rows
            copied.append((path, ShardIndex.read(path)))
    with files.exclusive(output_dir):
        if _has_shards(output_dir):
            there = read_info(output_dir)
            _check_same_kind(sources[0], infos[0], output_dir, there)
            planned = _read_plan(output_dir, there)
            if list(planned.items()) != list(shards.items()):
                raise FeaturesError(
                    f"Expected a new directory, received {output_dir}, which "
                    "holds other clips, or those of the same directories in "
                    "another order."
                )
        joined = _write_plan(
            output_dir,
            infos[0]["recipe"],
            infos[0]["class_names"],
            shards,
            infos[0]["record"],
        )
        for shard, (path, index) in zip(joined, copied, strict=True):
            if not shard.is_complete():
                files.copy(path, shard.path)
                index.write(shard.path)
        write_failed(output_dir, joined)


def write_failed(features_dir: str, planned: list[Shard]) -> list[MissingClip]:
    """Lists the missing clips of all complete shards in failed.csv."""
    missing = [
        clip
        for shard in planned
        if shard.is_complete()
        for clip in ShardIndex.read(shard.path).missing
    ]
    rows = [(clip.clip_id, clip.stage, clip.reason) for clip in missing]
    path = files.join(features_dir, "failed.csv")
    files.write_csv(path, [("clip_id", "stage", "reason"), *rows])
    return missing


def remove_leftovers(features_dir: str, planned: list[Shard]) -> None:
    """Removes what processes left that died, or that a job took for dead."""
    by_name = {os.path.basename(shard.path): shard for shard in planned}
    for name in files.names(features_dir):
        shard = by_name.get(name.removesuffix(".parts"))
        if name.endswith(".parts") and shard and shard.is_complete():
            shard.join()
        elif SUFFIX in name and ".tmp-" in name:
            files.path(files.join(features_dir, name)).unlink()


def discard_empty(features_dir: str) -> None:
    """Removes the plan of a directory in which nothing was extracted."""
    if not _has_shards(features_dir):
        for name in (INFO_NAME, _PLAN_NAME):
            files.path(files.join(features_dir, name)).unlink(missing_ok=True)


def report(
    features_dir: str, planned: list[Shard], verb: str = "extracted"
) -> int:
    """Lists the missing clips of complete shards in failed.csv; prints both.

    Returns:
        An exit status: 1 if there is not a single clip.
    """
    missing = write_failed(features_dir, planned)
    if not all(map(Shard.is_complete, planned)):
        return 1
    num_clips = sum(len(shard.rows) for shard in planned)
    print(
        f"Finished: {num_clips - len(missing)} of {num_clips} clips {verb} to "
        f"{features_dir}"
    )
    if missing:
        print(f"{len(missing)} failed, see failed.csv there:")
    reasons = collections.Counter(
        (clip.stage, clip.reason.split(":")[0]) for clip in missing
    )
    for (stage, reason), count in reasons.most_common():
        print(f"  {count:6d}  {stage}: {reason}")
    return int(num_clips == len(missing))


def _has_shards(features_dir: str) -> bool:
    """Says whether there are shards, or clips of them."""
    return any(SUFFIX in name for name in files.names(features_dir))


def _shard_name(split: str, number: int, total: int) -> str:
    return f"{split}-{number:05d}-of-{total:05d}{SUFFIX}"


def _check_same_kind(
    first_dir: str, first: DatasetInfo, other_dir: str, other: DatasetInfo
) -> None:
    """Raises a FeaturesError unless recipes, classes and records are equal."""
    here, there = (
        {**info["recipe"], "class_names": info["class_names"], **info["record"]}
        for info in (first, other)
    )
    if differing := differences(here, {**dict.fromkeys(here), **there}):
        raise FeaturesError(
            f"Expected the recipe of {first_dir} in {other_dir}, received "
            f"another:{listed(differing)}"
        )


def _read_plan(features_dir: str, info: DatasetInfo) -> _Plan:
    """The clips that are there, without their paths.

    Raises:
        FeaturesError: unless they are those of the directory's shards.
    """
    text = files.read_bytes(files.join(features_dir, _PLAN_NAME)).decode()
    planned: _Plan = {}
    for line in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        clip_id, labels, split, *times, shard_name = line
        names = tuple(filter(None, labels.split(";")))
        times_s = (float(time) if time else None for time in times)
        row = ManifestEntry(clip_id, "", names, split, *times_s)
        planned.setdefault(shard_name, []).append(row)
    # A plan that was just written may have more shards than the info.
    for name in itertools.chain.from_iterable(info["shards"].values()):
        path = files.join(features_dir, name)
        if not _is_of(path, planned.get(name, [])):
            raise FeaturesError(
                f"Expected the clips of {name} in {features_dir}/{_PLAN_NAME}, "
                "received others, as of a damaged file. Copy it once more, or "
                "extract into another directory."
            )
    return planned


def _is_of(path: str, rows: list[ManifestEntry]) -> bool:
    """Says whether a shard is one of these clips, so far as it tells yet."""
    if not files.exists(ShardIndex.path(path)):
        return bool(rows)
    index = ShardIndex.read(path)
    missing = {clip.clip_id for clip in index.missing}
    return {row.clip_id for row in rows} == missing.union(index.clip_ids)


def _clip_ids(planned: _Plan) -> set[str]:
    return {row.clip_id for rows in planned.values() for row in rows}


def _check_unchanged(
    features_dir: str, planned: _Plan, rows: list[ManifestEntry]
) -> None:
    """Raises a FeaturesError unless all clips that are there are rows."""
    given = {row.clip_id: dataclasses.replace(row, path="") for row in rows}
    problems = [
        f"{row.clip_id}: other labels, split or section"
        if row.clip_id in given
        else f"{row.clip_id}: not in the manifest"
        for row in itertools.chain.from_iterable(planned.values())
        if given.get(row.clip_id) != row
    ]
    if problems:
        raise FeaturesError(
            f"Expected the clips of {features_dir} unchanged in the manifest, "
            f"beside new ones, received:{listed(problems, 10)}\nUse another "
            "--features_dir."
        )


def _write_plan(
    features_dir: str,
    recipe: dict,
    class_names: Sequence[str],
    shards: _Plan,
    fields: Layout,
) -> list[Shard]:
    """Writes the plan, and then the info that a store goes by."""
    lines = []
    num_clips = dict.fromkeys(manifest.SPLITS, 0)
    names: dict[str, list[str]] = {split: [] for split in manifest.SPLITS}
    for name, rows in shards.items():
        num_clips[rows[0].split] += len(rows)
        names[rows[0].split].append(name)
        for row in rows:
            times_s = [
                "" if time_s is None else repr(time_s)
                for time_s in (row.start_s, row.end_s)
            ]
            labels = ";".join(row.labels)
            lines.append([row.clip_id, labels, row.split, *times_s, name])
    path = files.join(features_dir, _PLAN_NAME)
    files.write_csv(path, [_PLAN_COLUMNS, *lines], exact=True)
    clips = json.dumps([line[:-1] for line in lines])
    info = {
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe,
        "class_names": list(class_names),
        "clips_sha256": hashlib.sha256(clips.encode()).hexdigest(),
        "num_clips": num_clips,
        "shards": names,
        "record": {n: dataclasses.asdict(field) for n, field in fields.items()},
    }
    files.write_json(files.join(features_dir, INFO_NAME), info, digest=True)
    return [
        Shard(files.join(features_dir, name), tuple(rows), fields)
        for name, rows in shards.items()
    ]
