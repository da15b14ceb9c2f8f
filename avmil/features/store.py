"""TFRecord shards of clip features: writer, index and random access."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from avmil.clips import manifest
from avmil.common import files
from avmil.common.errors import FeaturesError
from avmil.features import clip_features

SCHEMA_VERSION = 1
INFO_NAME = "dataset_info.json"
# A TFRecord is length (8 bytes), its CRC (4), the data and their CRC (4).
_LENGTH_BYTES, _CRC_BYTES = 8, 4
# No clip id starts with a dot.
_CURRENT = ".current"
_EXAMPLE, _FAILED = ".example", ".failed.json"


@dataclasses.dataclass(frozen=True)
class MissingClip:
    """A clip that the manifest lists and extraction could not deliver."""

    clip_id: str
    labels: tuple[str, ...]
    stage: str
    reason: str


def shard_name(split: str, shard: int, num_shards: int) -> str:
    """File name of a shard."""
    return f"{split}-{shard:05d}-of-{num_shards:05d}.tfrecord"


def index_path(shard_path: str) -> str:
    """File that says where in a shard each clip lies; written last."""
    return f"{shard_path}.index.json"


def differences(
    there: Mapping[str, Any], received: Mapping[str, Any]
) -> list[str]:
    """Describes the received values that are not those that are there."""
    return [
        f"{name}: there {there.get(name)!r}, received {value!r}"
        for name, value in received.items()
        if there.get(name) != value
    ]


class FeatureWriter:
    """Writes one shard, which can be interrupted at any clip.

    Every clip is kept in a file of its own beside the shard until `close`
    joins them in the order given, so that a shard is the same whether or not
    its extraction was interrupted. A shard is complete when its index exists.

    Args:
        features_dir: The features directory, local or remote.
        split: Split of the shard's clips.
        shard: Number of the shard in its split.
        num_shards: How many shards the split has.
    """

    def __init__(
        self, features_dir: str, split: str, shard: int, num_shards: int
    ) -> None:
        name = shard_name(split, shard, num_shards)
        self._path = files.join(features_dir, name)
        self._parts = f"{self._path}.parts"

    def is_complete(self) -> bool:
        """Says whether the shard was closed before."""
        return files.exists(index_path(self._path))

    def index(self) -> dict[str, list[dict]]:
        """Index of the complete shard, see `read_index`."""
        return read_index(self._path)

    def begin(self, clip_id: str) -> None:
        """Notes which clip is worked on, for whoever sees this process die."""
        files.make_directory(self._parts)
        files.write_text(self._part(_CURRENT), clip_id)

    def current(self) -> str | None:
        """The clip that was begun last and is not kept yet."""
        if not files.exists(self._part(_CURRENT)):
            return None
        clip_id = files.read_bytes(self._part(_CURRENT)).decode()
        return None if clip_id in self.held() else clip_id

    def add(self, features: clip_features.ClipFeatures) -> None:
        """Keeps a clip's features.

        Raises:
            UnusableFeaturesError: for a wrong shape, a NaN or an infinity.
        """
        record = clip_features.to_record(features)
        self._write_part(features.clip_id + _EXAMPLE, record)

    def fail(self, clip: MissingClip) -> None:
        """Keeps the reason why a clip has no features."""
        content = dataclasses.asdict(clip)
        files.make_directory(self._parts)
        files.write_json(self._part(clip.clip_id + _FAILED), content)

    def held(self) -> set[str]:
        """The clips that are kept already, or their failures."""
        if not files.exists(self._parts):
            return set()
        return {
            name.removesuffix(kind)
            for name in tf.io.gfile.listdir(self._parts)
            for kind in (_EXAMPLE, _FAILED)
            if name.endswith(kind)
        }

    def close(self, clip_ids: list[str]) -> None:
        """Joins the kept clips into the shard and writes its index.

        Args:
            clip_ids: All clips of the shard, in order; each must be held.
        """
        index: dict[str, list] = {"clips": [], "missing": []}
        temporary = f"{self._path}.tmp"
        files.make_directory(self._parts)
        with tf.io.TFRecordWriter(temporary) as writer:
            offset = 0
            for clip_id in clip_ids:
                failed = self._part(clip_id + _FAILED)
                if files.exists(failed):
                    index["missing"].append(files.read_json(failed))
                    continue
                record = files.read_bytes(self._part(clip_id + _EXAMPLE))
                writer.write(record)
                index["clips"].append(_index_entry(record, offset))
                offset += len(record) + _LENGTH_BYTES + 2 * _CRC_BYTES
        tf.io.gfile.rename(temporary, self._path, overwrite=True)
        files.write_json(index_path(self._path), index)
        tf.io.gfile.rmtree(self._parts)

    def reopen(self) -> None:
        """Takes a complete shard apart again, so that its failures are retried.

        The clips that it has are kept.
        """
        for entry in self.index()["clips"]:
            record = _read_record(self._path, entry)
            self._write_part(entry["clip_id"] + _EXAMPLE, record)
        tf.io.gfile.remove(index_path(self._path))

    def _part(self, name: str) -> str:
        return files.join(self._parts, name)

    def _write_part(self, name: str, content: bytes) -> None:
        files.make_directory(self._parts)
        files.write_bytes(self._part(name), content)


def _index_entry(record: bytes, offset: int) -> dict[str, Any]:
    features = clip_features.from_record(record)
    return {
        "clip_id": features.clip_id,
        "labels": list(features.labels),
        "offset": offset,
        "crc32": zlib.crc32(record),
        "num_regions": len(features.regions),
        "num_segments": len(features.segments),
        "segment_size": features.segments.shape[1],
    }


def _read_record(path: str, entry: dict[str, Any]) -> bytes:
    """Reads a clip's record and checks it against the index.

    The records' own checksums need TensorFlow's reader, which cannot seek.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            file.seek(entry["offset"])
            header = file.read(_LENGTH_BYTES + _CRC_BYTES)
            length = int.from_bytes(header[:_LENGTH_BYTES], "little")
            record = file.read(length) if length < 1 << 31 else b""
    except tf.errors.OpError as error:
        raise FeaturesError(
            f"Expected a shard that can be read, received {path}: "
            f"{error.message}."
        ) from error
    if zlib.crc32(record) != entry["crc32"]:
        raise FeaturesError(
            f"Expected clip {entry['clip_id']} at byte {entry['offset']} of "
            f"{path}, received something else: the shard is damaged. Delete "
            "it with its index and extract again."
        )
    return record


class FeatureStore:
    """Random access to the clips of a features directory.

    Only the index is held in memory; `store[i]` reads one clip.

    Args:
        features_dir: Directory that extraction wrote, local or remote.
        split: `train`, `val`, `test`, or None for all of them in this order.

    Attributes:
        info: Content of `dataset_info.json`.
        class_names: Classes in table order.
        clip_ids: Names of the clips.
        labels: {0, 1} of shape [N, C], int8.
        missing: Clips that could not be extracted.
        max_regions: Most regions in a clip.
        max_segments: Most segments in a clip.
        segment_size: Size of a segment's embedding; 0 without clips.

    Raises:
        FeaturesError: if the directory is none, is of another schema or is
            not complete.
    """

    def __init__(self, features_dir: str, split: str | None = None) -> None:
        self.info = read_info(features_dir)
        self.class_names = tuple(self.info["class_names"])
        self._places: list[tuple[str, dict]] = []
        self.missing: list[MissingClip] = []
        entries: list[dict] = []
        for path in _shard_paths(features_dir, self.info, split):
            index = read_index(path)
            entries += index["clips"]
            self._places += [(path, entry) for entry in index["clips"]]
            self.missing += [_missing_clip(e) for e in index["missing"]]
        self.clip_ids = [entry["clip_id"] for entry in entries]
        self.labels = manifest.label_matrix(
            [tuple(entry["labels"]) for entry in entries], self.class_names
        )
        self.max_regions = max((e["num_regions"] for e in entries), default=0)
        self.max_segments = max((e["num_segments"] for e in entries), default=0)
        self.segment_size = max((e["segment_size"] for e in entries), default=0)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> clip_features.ClipFeatures:
        """Reads a clip.

        Raises:
            IndexError: beyond the last clip.
            FeaturesError: for a damaged record.
        """
        return clip_features.from_record(_read_record(*self._places[index]))

    def missing_labels(self) -> np.ndarray:
        """Labels of the missing clips, {0, 1} of shape [N missing, C]."""
        labels = [clip.labels for clip in self.missing]
        return manifest.label_matrix(labels, self.class_names)


def has_shards(features_dir: str) -> bool:
    """Says whether anything was extracted into a directory."""
    names = tf.io.gfile.listdir(features_dir)
    return any(".tfrecord" in name for name in names)


def read_info(features_dir: str) -> dict[str, Any]:
    """Reads `dataset_info.json`.

    Raises:
        FeaturesError: if there is none or it is of another schema version.
    """
    path = files.join(features_dir, INFO_NAME)
    try:
        info = files.read_json(path)
    except FileNotFoundError as error:
        raise FeaturesError(
            f"Expected a features directory, received {features_dir} without "
            f"{INFO_NAME}. extract_features.py makes one."
        ) from error
    except ValueError as error:
        raise FeaturesError(str(error)) from error
    if info.get("schema_version") != SCHEMA_VERSION:
        raise FeaturesError(
            f"Expected schema version {SCHEMA_VERSION} in {path}, received "
            f"{info.get('schema_version')}. Extract again with this version."
        )
    return info


def _shard_paths(
    features_dir: str, info: dict[str, Any], split: str | None
) -> list[str]:
    if split is not None and split not in manifest.SPLITS:
        raise FeaturesError(
            f"Expected a split of {manifest.SPLITS}, received {split!r}."
        )
    return [
        files.join(features_dir, shard_name(name, shard, num_shards))
        for name in manifest.SPLITS
        if split in (None, name)
        for num_shards in [info["num_shards"].get(name, 0)]
        for shard in range(num_shards)
    ]


def read_index(shard_path: str) -> dict[str, list[dict]]:
    """Reads a shard's index.

    Returns:
        `clips`: clip_id, labels, offset, crc32, num_regions, num_segments and
        segment_size of each clip; `missing`: clip_id, labels, stage and reason
        of each other one.

    Raises:
        FeaturesError: if the shard was not completed.
    """
    try:
        return files.read_json(index_path(shard_path))
    except FileNotFoundError as error:
        raise FeaturesError(
            f"Expected the shard {shard_path}, received none: its extraction "
            "is not complete. Run extract_features.py again; it goes on."
        ) from error
    except ValueError as error:
        raise FeaturesError(str(error)) from error


def _missing_clip(entry: dict[str, Any]) -> MissingClip:
    return MissingClip(**{**entry, "labels": tuple(entry["labels"])})
