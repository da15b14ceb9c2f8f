"""Shards of a features directory: filled clip by clip, and joined."""

from __future__ import annotations

import collections
import dataclasses
import functools
import io
import struct
from collections.abc import Callable

import google_crc32c

from avmil.clips.manifest import ManifestEntry
from avmil.common import files, processes
from avmil.common.errors import ClipError, UnusableFeaturesError
from avmil.common.progress import Progress
from avmil.features import clip_features
from avmil.features.clip_features import ClipFeatures, Layout
from avmil.features.store import MissingClip, ShardIndex

ExtractClip = Callable[[ManifestEntry], ClipFeatures]

# A TFRecord is length (8 bytes), its CRC (4), the data and their CRC (4).
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
SUFFIX = ".tfrecord"


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
            if ShardIndex.path(row.clip_id + SUFFIX) not in kept
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
        if files.exists(self._parts):  # An interrupted join left them.
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
        return files.join(self._parts, clip_id + SUFFIX)


# A clip of a shard to extract, or None for a shard to join.
_Work = tuple[Shard, ManifestEntry | None]


def complete(
    planned: list[Shard],
    make_extract_clip: Callable[[], ExtractClip],
    num_workers: int,
    progress: Progress,
    clips_at_a_time: int = 1,
    scheduler: str = "",
) -> None:
    """Completes shards, each clip in one of several processes.

    The arguments are those of `processes.apply`, which raises the same.
    """
    by_path = {shard.path: shard for shard in planned}
    work: collections.deque[_Work] = collections.deque()
    num_left = {}
    for shard in planned:
        rows = shard.open_rows()
        alone = dataclasses.replace(shard, rows=())  # Less to send.
        work.extend((alone, row) for row in rows)
        num_left[shard.path] = len(rows)
        if not rows and not shard.is_complete():
            shard.join()
    num_failed = 0
    for (shard, row), done in processes.apply(
        functools.partial(_make_keep, make_extract_clip),
        work,
        num_workers,
        clips_at_a_time,
        scheduler,
        progress,
    ):
        if row is None:
            if done is None:  # Its process died, for another reason.
                shard.join()
            continue
        if done is None:
            shard.fail(row, "process", "the worker process died")
        num_failed += not done
        progress.update(failed=num_failed)
        num_left[shard.path] -= 1
        if not num_left[shard.path]:
            work.appendleft((by_path[shard.path], None))


def _make_keep(
    make_extract_clip: Callable[[], ExtractClip],
) -> Callable[[_Work], bool]:
    """Makes the function that does a piece of work, in its process."""
    extract_clip = make_extract_clip()

    def keep(work: _Work) -> bool:
        shard, row = work
        if row is not None:
            return shard.extract(row, extract_clip)
        shard.join()
        return True

    return keep


def _masked_crc(content: bytes) -> bytes:
    """The CRC that TFRecords have, rotated and shifted as they ask for."""
    crc = google_crc32c.value(content)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
