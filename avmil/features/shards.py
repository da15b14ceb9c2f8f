"""Shards of a features directory: planned, filled clip by clip, joined."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import json
import os
import struct
from collections.abc import Callable, Sequence

import google_crc32c

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, FeaturesError, UnusableFeaturesError
from avmil.features import clip_features
from avmil.features.clip_features import ClipFeatures, Layout
from avmil.features.store import (
    INFO_NAME,
    SCHEMA_VERSION,
    MissingClip,
    ShardIndex,
    differences,
    read_info,
)

ExtractClip = Callable[[ManifestEntry], ClipFeatures]

PLAN_NAME = "clips.csv"
_PLAN_COLUMNS = ("clip_id", "labels", "split", "start_s", "end_s", "shard")
# A TFRecord is length (8 bytes), its CRC (4), the data and their CRC (4).
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_RECORD = ".tfrecord"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One shard, whose extraction can be interrupted at any clip.

    Every clip is kept beside the shard, as a shard of its own, until `join`
    puts them together in their order: a shard is the same whether or not its
    extraction was interrupted. It is complete when its index exists.
    """

    path: str
    rows: tuple[ManifestEntry, ...]
    fields: Layout

    def is_complete(self) -> bool:
        """Says whether the shard was joined before."""
        return files.exists(ShardIndex.path(self.path))

    def open_rows(self) -> list[ManifestEntry]:
        """The clips that are neither kept nor known to be missing yet."""
        if self.is_complete():
            return []
        kept = set(files.names(self._parts))
        return [
            row
            for row in self.rows
            if ShardIndex.path(row.clip_id + _RECORD) not in kept
        ]

    def extract(self, row: ManifestEntry, extract_clip: ExtractClip) -> bool:
        """Keeps a clip, or why it is missing; says whether it was extracted."""
        try:
            features = extract_clip(row)
            record, spans = clip_features.to_record(features, self.fields)
        except ClipError as error:
            self.fail(row, error.stage, error.reason)
            return False
        except UnusableFeaturesError as error:
            self.fail(row, "features", str(error))
            return False
        part = self._part(row.clip_id)
        length = struct.pack("<Q", len(record))
        parts = length, _masked_crc(length), record, _masked_crc(record)
        files.write_bytes(part, b"".join(parts))
        index = ShardIndex.of(self.fields)
        index.add(row.clip_id, row.labels, spans, _HEADER_BYTES)
        index.write(part)
        return True

    def complete(self, extract_clip: ExtractClip) -> None:
        """Extracts in this process what the shard lacks, and joins it."""
        for row in self.open_rows():
            self.extract(row, extract_clip)
        if not self.is_complete():
            self.join()

    def fail(self, row: ManifestEntry, stage: str, reason: str) -> None:
        """Keeps the reason why a clip has no features."""
        missing = MissingClip(row.clip_id, row.labels, stage, reason)
        part = self._part(row.clip_id)
        ShardIndex.of(self.fields, missing).write(part)

    def join(self) -> None:
        """Joins the kept clips, one for each row, and writes the index.

        Where an earlier join was ended behind the index, the rest is done.
        """
        if self.is_complete():
            if files.exists(self._parts):
                files.path(self._parts).rmtree()
            return
        index, position = ShardIndex.of(self.fields), 0
        with (
            files.replacing(self.path) as temporary,
            files.path(temporary).open("wb") as shard,
        ):
            for row in self.rows:
                part = self._part(row.clip_id)
                kept = ShardIndex.read(part)
                index.missing += kept.missing
                if kept.clip_ids:
                    index.copy(0, kept, position)
                    content = files.read_bytes(part)
                    shard.write(content)
                    position += len(content)
        index.write(self.path)
        files.path(self._parts).rmtree()

    def is_truncated(self) -> bool:
        """Says whether a complete shard lacks bytes that its index names."""
        path = files.path(self.path)
        ends = [
            offset + size
            for field in ShardIndex.read(self.path).fields.values()
            for offset, size in zip(field.offset, field.size, strict=True)
        ]
        if not ends:
            return False
        return not path.exists() or path.stat().length < max(ends)

    def reopen(self) -> None:
        """Takes a complete shard apart, so that its missing clips are retried.

        The clips that it has are kept, of a truncated shard those before.
        """
        index = ShardIndex.read(self.path)
        if not index.missing and not self.is_truncated():
            return
        if files.exists(self._parts):  # Of a join that was interrupted.
            files.path(self._parts).rmtree()
        is_there = files.exists(self.path)
        with (
            files.path(self.path).open("rb") if is_there else io.BytesIO()
        ) as shard:
            for number, clip_id in enumerate(index.clip_ids):
                position = shard.tell()
                header = shard.read(_HEADER_BYTES)
                size = int.from_bytes(header[:8], "little") + _FOOTER_BYTES
                content = shard.read(size)
                if len(content) < size:
                    break
                part, kept = self._part(clip_id), ShardIndex.of(self.fields)
                files.write_bytes(part, header + content)
                kept.copy(number, index, -position)
                kept.write(part)
        files.path(ShardIndex.path(self.path)).unlink()

    @property
    def _parts(self) -> str:
        return f"{self.path}.parts"

    def _part(self, clip_id: str) -> str:
        files.make_directory(self._parts)
        return files.join(self._parts, clip_id + _RECORD)


def _masked_crc(content: bytes) -> bytes:
    """The CRC that TFRecords have, rotated and shifted as they ask for."""
    crc = google_crc32c.value(content)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


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

    Args:
        rows: All clips, those that are there already too.
        features_dir: The features directory, local or remote.
        recipe: What decides the numbers.
        class_names: Classes in table order.
        shard_size: Most clips of a new shard.
        fields: Types of the arrays.

    Returns:
        All shards, complete ones too.

    Raises:
        FeaturesError: names what differs from the directory's recipe or clips.
    """
    files.make_directory(features_dir)
    planned: dict[str, list[str]] = {}
    if any(".tfrecord" in name for name in files.names(features_dir)):
        existing = read_info(features_dir)
        differing = differences(
            {**existing["recipe"], "class_names": existing["class_names"]},
            {**recipe, "class_names": list(class_names)},
        )
        if differing:
            listed = "\n  ".join(differing)
            raise FeaturesError(
                f"Expected the parameters that {features_dir} was extracted "
                f"with, received others:\n  {listed}\nUse the same ones or "
                "another --features_dir."
            )
        planned = _read_plan(features_dir, rows)
    members: dict[str, dict[str, list[ManifestEntry]]] = {
        split: {} for split in manifest.SPLITS
    }
    by_id = {row.clip_id: row for row in rows}
    for clip_id, (*_, split, _, _, name) in planned.items():
        members[split].setdefault(name, []).append(by_id[clip_id])
    for split, shards in members.items():
        new = [r for r in rows if r.split == split and r.clip_id not in planned]
        starts = range(0, len(new), shard_size)
        first, total = len(shards), len(shards) + len(starts)
        for number, start in enumerate(starts, first):
            name = f"{split}-{number:05d}-of-{total:05d}.tfrecord"
            shards[name] = new[start : start + shard_size]
    _write_plan(features_dir, recipe, class_names, members, fields)
    return [
        Shard(files.join(features_dir, name), tuple(clips), fields)
        for shards in members.values()
        for name, clips in shards.items()
    ]


def join_features(sources: Sequence[str], output_dir: str) -> None:
    """Joins features directories of one recipe into a new one.

    Shards are copied as they are, in their order; clips stay in their splits.
    Ended before its end, the same call goes on. extract_features.py takes the
    new directory with a manifest of all clips.

    Args:
        sources: Complete features directories, local or remote.
        output_dir: Directory to make.

    Raises:
        FeaturesError: if recipes or classes differ, two directories hold the
            same clip, one is not complete, or `output_dir` holds other clips.
    """
    infos = [read_info(source) for source in sources]
    first, *others = (
        {**info["recipe"], **{k: info[k] for k in ("class_names", "record")}}
        for info in infos
    )
    for source, other in zip(sources[1:], others, strict=True):
        if differing := differences(first, {**dict.fromkeys(first), **other}):
            listed = "\n  ".join(differing)
            raise FeaturesError(
                f"Expected the recipe of {sources[0]} in {source}, received "
                f"another:\n  {listed}"
            )
    shards: dict[str, dict[tuple[str, str], list[ManifestEntry]]] = {
        split: {} for split in manifest.SPLITS
    }
    holders: dict[str, str] = {}
    for source in sources:
        for clip_id, labels, split, start_s, end_s, name in _plan_lines(source):
            if clip_id in holders:
                raise FeaturesError(
                    f"Expected each clip once, received {clip_id} in "
                    f"{holders[clip_id]} and {source}."
                )
            holders[clip_id] = source
            times_s = (float(s) if s else None for s in (start_s, end_s))
            names = tuple(filter(None, labels.split(";")))
            row = ManifestEntry(clip_id, "", names, split, *times_s)
            shards[split].setdefault((source, name), []).append(row)
    copies, members = {}, {}
    for split, found in shards.items():
        members[split] = {}
        for number, ((source, name), rows) in enumerate(found.items()):
            copied = f"{split}-{number:05d}-of-{len(found):05d}{_RECORD}"
            members[split][copied] = rows
            place = files.join(source, name)
            copies[place] = copied, ShardIndex.read(place)
    with files.exclusive(output_dir):
        if any(_RECORD in name for name in files.names(output_dir)):
            there = {line[0] for line in _plan_lines(output_dir)}
            if there != {*holders}:
                raise FeaturesError(
                    f"Expected a new directory, received {output_dir}, which "
                    "holds other clips."
                )
        recipe, fields = infos[0]["recipe"], infos[0]["record"]
        class_names = infos[0]["class_names"]
        _write_plan(output_dir, recipe, class_names, members, fields)
        joined = []
        for place, (copied, index) in copies.items():
            joined.append(Shard(files.join(output_dir, copied), (), fields))
            if not joined[-1].is_complete():
                files.copy(place, joined[-1].path)
                index.write(joined[-1].path)
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


def remove_leftovers(planned: list[Shard]) -> None:
    """Removes what processes left that died, or that a job took for dead."""
    by_name = {os.path.basename(shard.path): shard for shard in planned}
    for directory in {os.path.dirname(shard.path) for shard in planned}:
        for name in files.names(directory):
            shard = by_name.get(name.removesuffix(".parts"))
            if name.endswith(".parts") and shard and shard.is_complete():
                shard.join()
            elif ".tfrecord" in name and ".tmp-" in name:
                files.path(files.join(directory, name)).unlink()


def discard_empty(features_dir: str) -> None:
    """Removes the plan of a directory in which nothing was extracted."""
    if not any(".tfrecord" in name for name in files.names(features_dir)):
        for name in (INFO_NAME, PLAN_NAME):
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


def _describe(row: ManifestEntry) -> list[str]:
    """Everything about a clip but where its file lies, as in the plan."""
    times_s = ["" if s is None else repr(s) for s in (row.start_s, row.end_s)]
    return [row.clip_id, ";".join(row.labels), row.split, *times_s]


def _plan_lines(features_dir: str) -> list[list[str]]:
    text = files.read_bytes(files.join(features_dir, PLAN_NAME)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


def _read_plan(
    features_dir: str, rows: list[ManifestEntry]
) -> dict[str, list[str]]:
    """Reads the clips that are there; they must stay, and stay the same."""
    lines = _plan_lines(features_dir)
    given = {row.clip_id: _describe(row) for row in rows}
    problems = [
        f"{clip_id}: not in the manifest"
        if clip_id not in given
        else f"{clip_id}: other labels, split or section"
        for clip_id, *described, _ in lines
        if given.get(clip_id) != [clip_id, *described]
    ]
    if problems:
        listed = "\n  ".join(problems[:10])
        more = f"\n  ... {len(problems) - 10} more" * (len(problems) > 10)
        raise FeaturesError(
            f"Expected the clips of {features_dir} unchanged in the manifest, "
            f"beside new ones, received:\n  {listed}{more}\nUse another "
            "--features_dir."
        )
    return {line[0]: line for line in lines}


def _write_plan(
    features_dir: str,
    recipe: dict,
    class_names: tuple[str, ...],
    members: dict[str, dict[str, list[ManifestEntry]]],
    fields: Layout,
) -> None:
    """Writes the plan, and then the info that a store goes by."""
    lines = [
        [*_describe(row), name]
        for shards in members.values()
        for name, rows in shards.items()
        for row in rows
    ]
    path = files.join(features_dir, PLAN_NAME)
    files.write_csv(path, [_PLAN_COLUMNS, *lines], exact=True)
    clips = json.dumps([line[:-1] for line in lines])
    info = {
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe,
        "class_names": list(class_names),
        "clips_sha256": hashlib.sha256(clips.encode()).hexdigest(),
        "num_clips": {
            split: sum(map(len, shards.values()))
            for split, shards in members.items()
        },
        "shards": {split: list(shards) for split, shards in members.items()},
        "record": {n: dataclasses.asdict(field) for n, field in fields.items()},
    }
    files.write_json(files.join(features_dir, INFO_NAME), info, digest=True)
