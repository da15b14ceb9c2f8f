"""Random access to the clips of a features directory, field by field.

Beside every shard lies an index of the bytes of each clip and field, so that
reading needs neither TensorFlow nor a parser, and touches nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
import mmap
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import xxhash

from avmil.clips import manifest
from avmil.common import files
from avmil.common.errors import FeaturesError
from avmil.features.clip_features import ClipFeatures, Field, Layout, Span

SCHEMA_VERSION = 2
INFO_NAME = "dataset_info.json"
# Each mapped shard holds a file descriptor, of which a process may have 1024.
_MAX_MAPPED = 128


@dataclasses.dataclass(frozen=True)
class MissingClip:
    """A clip that the manifest lists and extraction could not deliver."""

    clip_id: str
    labels: tuple[str, ...]
    stage: str
    reason: str


@dataclasses.dataclass(frozen=True)
class StoredField(Field):
    """A field in a shard: its type and the places of the clips' bytes."""

    offset: list[int] = dataclasses.field(default_factory=list)
    size: list[int] = dataclasses.field(default_factory=list)
    xxh3: list[str] = dataclasses.field(default_factory=list)

    def span(self, number: int) -> Span:
        """The place of one clip's bytes."""
        return Span(self.offset[number], self.size[number], self.xxh3[number])


@dataclasses.dataclass
class ShardIndex:
    """What a shard holds, clip by clip in the order of the records, and where.

    As JSON it lies beside its shard, under the name that `path` gives.
    """

    clip_ids: list[str]
    labels: list[tuple[str, ...]]
    fields: dict[str, StoredField]
    missing: list[MissingClip]

    @classmethod
    def of(cls, layout: Layout, *missing: MissingClip) -> ShardIndex:
        """The index of a shard without clips."""
        fields = {
            name: StoredField(field.dtype, field.shape)
            for name, field in layout.items()
        }
        return cls([], [], fields, [*missing])

    @staticmethod
    def path(shard_path: str) -> str:
        """The index of a shard; written last: with it a shard is complete."""
        return f"{shard_path}.index.json"

    @property
    def layout(self) -> Layout:
        """The types of the fields."""
        return {n: Field(f.dtype, f.shape) for n, f in self.fields.items()}

    def add(
        self,
        clip_id: str,
        labels: tuple[str, ...],
        spans: Mapping[str, Span],
        shift: int,
    ) -> None:
        """Adds a clip whose spans count from the shard's byte `shift`."""
        self.clip_ids.append(clip_id)
        self.labels.append(labels)
        for name, span in spans.items():
            self.fields[name].offset.append(span.offset + shift)
            self.fields[name].size.append(span.size)
            self.fields[name].xxh3.append(span.xxh3)

    def copy(self, number: int, other: ShardIndex, shift: int) -> None:
        """Adds a clip of another index, its bytes moved by `shift`."""
        spans = {n: field.span(number) for n, field in other.fields.items()}
        self.add(other.clip_ids[number], other.labels[number], spans, shift)

    def counts(self, name: str) -> list[int]:
        """How many rows each clip has in a field."""
        field = self.fields[name]
        row = field.stored_dtype.itemsize * int(np.prod(field.shape[1:]))
        return [size // row for size in field.size]

    def write(self, shard_path: str) -> None:
        """Writes the index beside its shard."""
        path, content = self.path(shard_path), dataclasses.asdict(self)
        files.write_json(path, content, digest=True, indent=None)

    @classmethod
    def read(cls, shard_path: str) -> ShardIndex:
        """Reads an index; a FeaturesError if there is none or it is damaged."""
        path = cls.path(shard_path)
        try:
            index = files.read_json(path, cls)
            lists = [index.clip_ids, index.labels]
            for field in index.fields.values():
                lists += [field.offset, field.size, field.xxh3]
            if len(set(map(len, lists))) > 1:
                raise ValueError("its lists are not of one length")
            return index
        except FileNotFoundError as error:
            raise FeaturesError(
                f"Expected the shard {shard_path}, received none: its "
                "extraction is not complete. Run extract_features.py again; "
                "it goes on."
            ) from error
        except ValueError as error:
            raise FeaturesError(
                f"Expected the index of a shard, received a damaged file "
                f"{path}: {error} Delete it with its shard and extract again."
            ) from error


class DatasetInfo(TypedDict):
    """Content of `dataset_info.json`."""

    schema_version: int
    recipe: dict[str, Any]
    class_names: list[str]
    clips_sha256: str
    num_clips: dict[str, int]
    shards: dict[str, list[str]]
    record: dict[str, Field]


class FeatureStore:
    """Random access to the clips of a features directory.

    Only the indexes are held in memory. Arrays of local files are read-only
    views of the files; copy what shall outlive the directory.

    Args:
        features_dir: Directory that extraction wrote, local or remote.
        split: `train`, `val`, `test`, or None for all of them in this order.

    Attributes:
        info: Content of `dataset_info.json`; `info["recipe"]` is the recipe.
        fields: Type of each field.
        class_names: Classes in table order.
        clip_ids: Names of the clips.
        labels: {0, 1} of shape [N, C], int8.
        missing: Clips that could not be extracted.
        max_regions, max_segments, max_cvssp_frames: Most of them in a clip.
        region_size, segment_size: Size of the features of one.

    Raises:
        FeaturesError: if the directory is none, is of another schema or is
            not complete.
    """

    def __init__(self, features_dir: str, split: str | None = None) -> None:
        if split is not None and split not in manifest.SPLITS:
            raise FeaturesError(
                f"Expected a split of {manifest.SPLITS}, received {split!r}."
            )
        self.info = read_info(features_dir)
        self.class_names = tuple(self.info["class_names"])
        self.fields = self.info["record"]
        self.region_size = self.fields["regions"].shape[1]
        self.segment_size = self.fields["segments"].shape[1]
        self._paths = [
            files.join(features_dir, shard_name)
            for name in manifest.SPLITS
            if split in (None, name)
            for shard_name in self.info["shards"].get(name, ())
        ]
        self._indexes = [ShardIndex.read(path) for path in self._paths]
        for path, index in zip(self._paths, self._indexes, strict=True):
            named = {name for labels in index.labels for name in labels}
            if index.layout != self.fields or named - {*self.class_names}:
                raise FeaturesError(
                    f"Expected fields and classes of {INFO_NAME} in "
                    f"{ShardIndex.path(path)}, received others. Delete it with "
                    "its shard and extract again."
                )
        self._places = [
            (shard, number)
            for shard, index in enumerate(self._indexes)
            for number in range(len(index.clip_ids))
        ]
        self.clip_ids = [c for i in self._indexes for c in i.clip_ids]
        self.labels = manifest.label_matrix(
            [labels for index in self._indexes for labels in index.labels],
            self.class_names,
        )
        self.missing = [clip for i in self._indexes for clip in i.missing]
        self.max_regions, self.max_segments, self.max_cvssp_frames = (
            max((n for i in self._indexes for n in i.counts(name)), default=0)
            for name in ("regions", "segments", "cvssp_log_mel")
        )
        self._shard_bytes = functools.lru_cache(_MAX_MAPPED)(_open_shard)
        self._verified = {
            name: np.zeros(len(self), bool) for name in self.fields
        }

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> ClipFeatures:
        """Reads a clip; raises as `read` does."""
        shard, number = self._places[index]
        arrays = self.read(index)
        return ClipFeatures(
            clip_id=self.clip_ids[index],
            labels=self._indexes[shard].labels[number],
            duration_s=float(arrays.pop("duration_s")),
            **arrays,
        )

    def read(
        self, index: int, fields: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Reads fields of a clip and no other bytes.

        The checksum of a field is compared when the store first reads it.

        Args:
            index: Number of the clip.
            fields: Names of array fields of `ClipFeatures`, or `duration_s`;
                by default all of them. Their arrays are read-only.

        Raises:
            IndexError: beyond the last clip.
            FeaturesError: for an unknown field or damaged bytes.
        """
        names = tuple(self.fields if fields is None else fields)
        if unknown := sorted(set(names) - set(self.fields)):
            raise FeaturesError(
                f"Expected fields of {tuple(self.fields)}, received {unknown}."
            )
        shard, number = self._places[index]
        stored = self._indexes[shard].fields
        spans = [stored[name].span(number) for name in names]
        start = min((span.offset for span in spans), default=0)
        end = max((span.offset + span.size for span in spans), default=0)
        path = self._paths[shard]
        try:
            content = self._shard_bytes(path)[start:end]
        except (OSError, ValueError) as error:  # Of an empty one.
            raise FeaturesError(
                f"Expected a shard that can be read, received {path}: {error}."
            ) from error
        arrays = {}
        for name, span in zip(names, spans, strict=True):
            payload = content[span.offset - start :][: span.size]
            if not self._verified[name][index]:
                if xxhash.xxh3_64_hexdigest(payload) != span.xxh3:
                    raise FeaturesError(
                        f"Expected {name} of clip {self.clip_ids[index]} at "
                        f"byte {span.offset} of {self._paths[shard]}, received "
                        "something else: the shard is damaged. Delete it with "
                        "its index and extract again."
                    )
                self._verified[name][index] = True
            field = self.fields[name]
            array = np.frombuffer(payload, field.stored_dtype)
            arrays[name] = array.reshape(field.shape)
        return arrays

    def missing_labels(self) -> np.ndarray:
        """Labels of the missing clips, {0, 1} of shape [N missing, C]."""
        labels = [clip.labels for clip in self.missing]
        return manifest.label_matrix(labels, self.class_names)


@dataclasses.dataclass
class _RemoteBytes:
    """Bytes of a remote file, of which a slice is one ranged read."""

    path: str

    def __getitem__(self, part: slice) -> memoryview:
        return memoryview(files.read_part(self.path, part.start, part.stop))


def _open_shard(path: str) -> memoryview | _RemoteBytes:
    if files.is_remote(path):
        return _RemoteBytes(path)
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def read_info(features_dir: str) -> DatasetInfo:
    """Reads `dataset_info.json`; a FeaturesError for that of another schema."""
    path = files.join(features_dir, INFO_NAME)
    try:
        content = files.read_bytes(path)
    except FileNotFoundError as error:
        raise FeaturesError(
            f"Expected a features directory, received {features_dir} without "
            f"{INFO_NAME}. extract_features.py makes one."
        ) from error
    there = files.parse_json(content, dict[str, Any], path)
    if there.get("schema_version") != SCHEMA_VERSION:
        raise FeaturesError(
            f"Expected schema version {SCHEMA_VERSION} in {path}, received "
            f"{there.get('schema_version')}: extract again into another "
            "--features_dir."
        )
    info = files.parse_json(content, DatasetInfo, path)
    if "region_network" in info["recipe"]:  # Before the flag there were 6.
        info["recipe"].setdefault("roi_bins", 6)
    return info


def differences(
    there: Mapping[str, Any], received: Mapping[str, Any]
) -> list[str]:
    """Describes the received values that are not those that are there."""
    return [
        f"{name}: there {there.get(name)!r}, received {value!r}"
        for name, value in received.items()
        if there.get(name) != value
    ]
