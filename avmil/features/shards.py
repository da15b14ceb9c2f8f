"""Extraction of one shard: a pure function of its clips and their extractor.

What runs the shards (local processes, a cluster) is someone else's concern.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable

from avmil.clips import manifest
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import ClipError, FeaturesError, UnusableFeaturesError
from avmil.features import clip_features
from avmil.features import store as records
from avmil.features.clip_features import ClipFeatures

ExtractClip = Callable[[ManifestEntry], ClipFeatures]


# Keys whose values would not help a reader of the message.
_DESCRIBED = ("recipe", "clips_sha256", "num_shards")


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard to extract.

    Attributes:
        features_dir: Where the shard goes.
        split: Split of its clips.
        shard: Its number in the split.
        num_shards: How many shards the split has.
        rows: Its clips, in order.
    """

    features_dir: str
    split: str
    shard: int
    num_shards: int
    rows: tuple[ManifestEntry, ...]

    def writer(self) -> records.FeatureWriter:
        """The writer of this shard."""
        return records.FeatureWriter(
            self.features_dir, self.split, self.shard, self.num_shards
        )

    def num_open(self) -> int:
        """How many of its clips are not extracted yet."""
        writer = self.writer()
        return (
            0 if writer.is_complete() else len(self.rows) - len(writer.held())
        )


def plan(
    rows: list[ManifestEntry], features_dir: str, shard_size: int
) -> list[ShardTask]:
    """Divides the clips of each split, in their order, into shards."""
    tasks = []
    for split in manifest.SPLITS:
        members = [row for row in rows if row.split == split]
        starts = range(0, len(members), shard_size)
        tasks += [
            ShardTask(
                features_dir,
                split,
                shard,
                len(starts),
                tuple(members[start : start + shard_size]),
            )
            for shard, start in enumerate(starts)
        ]
    return tasks


def extract(
    task: ShardTask,
    extract_clip: ExtractClip,
    on_clip: Callable[[bool], None] = lambda failed: None,
) -> None:
    """Extracts the clips of a shard that are not extracted yet.

    A clip that cannot be extracted is kept as missing, with its stage and
    reason; everything else that goes wrong ends the shard, which goes on at
    the next call.

    Args:
        task: The shard.
        extract_clip: Makes the features of a clip or raises `ClipError`.
        on_clip: Called after each clip with whether it failed.
    """
    writer = task.writer()
    if writer.is_complete():
        return
    held = writer.held()
    for row in task.rows:
        if row.clip_id not in held:
            writer.begin(row.clip_id)
            on_clip(_extract_one(writer, row, extract_clip))
    writer.close([row.clip_id for row in task.rows])


def _extract_one(
    writer: records.FeatureWriter, row: ManifestEntry, extract_clip: ExtractClip
) -> bool:
    try:
        writer.add(extract_clip(row))
    except ClipError as error:
        writer.fail(missing_clip(row, error.stage, error.reason))
        return True
    except UnusableFeaturesError as error:
        writer.fail(missing_clip(row, "features", str(error)))
        return True
    return False


def missing_clip(
    row: ManifestEntry, stage: str, reason: str
) -> records.MissingClip:
    """Describes a clip that could not be extracted."""
    return records.MissingClip(row.clip_id, row.labels, stage, reason)


def open_features_dir(
    features_dir: str,
    recipe: dict,
    class_names: tuple[str, ...],
    tasks: list[ShardTask],
    shard_size: int,
) -> None:
    """Makes a features directory, or goes on in one of the same recipe.

    A directory in which nothing was extracted yet may change its recipe.

    Raises:
        FeaturesError: names what differs from the directory's recipe.
    """
    num_shards = {task.split: task.num_shards for task in tasks}
    info = {
        "schema_version": records.SCHEMA_VERSION,
        "recipe": recipe,
        "class_names": list(class_names),
        "clips_sha256": _clips_digest(tasks),
        "shard_size": shard_size,
        "num_shards": num_shards,
    }
    files.make_directory(features_dir)
    if records.has_shards(features_dir):
        existing = records.read_info(features_dir)
        _refuse_differences(features_dir, existing, info)
    else:
        path = files.join(features_dir, records.INFO_NAME)
        files.write_json(path, {**info, "record": clip_features.schema()})


def _refuse_differences(features_dir: str, existing: dict, info: dict) -> None:
    old = {**existing, **existing["recipe"]}
    new = {**info, **info["recipe"]}
    differing = records.differences(
        old, {k: v for k, v in new.items() if k not in _DESCRIBED}
    )
    if old.get("clips_sha256") != new["clips_sha256"]:
        differing.append("manifest: other clips, labels, splits or sections")
    if differing:
        listed = "\n  ".join(differing)
        raise FeaturesError(
            f"Expected the parameters that {features_dir} was extracted with, "
            f"received others:\n  {listed}\nUse the same ones or another "
            "--features_dir."
        )


def _clips_digest(tasks: list[ShardTask]) -> str:
    """Digest of everything about the clips but where their files lie."""
    clips = [
        (row.clip_id, row.labels, row.split, row.start_s, row.end_s)
        for task in tasks
        for row in task.rows
    ]
    return hashlib.sha256(json.dumps(clips).encode()).hexdigest()
