"""Batches of a features directory against the copying of the same bytes.

The project's own writer makes 192 clips of 100 regions and 20 segments; a
batch has 24. The floor copies the bytes of the same clips by as many threads
as the reader has. tf.data parses the same TFRecords in their order, without
the balanced draw and without checksums. Files are in the operating system's
cache.
"""

from __future__ import annotations

import functools
import itertools
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from avmil.clips.manifest import ManifestEntry
from avmil.features.balanced import BalancedSampler
from avmil.features.batches import BatchLoader
from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore
from benchmarks import timing
from tests import feature_files

_NUM_CLIPS, _NUM_REGIONS, _NUM_SEGMENTS, _BATCH = 192, 100, 20, 24
_INPUTS = ("regions", "region_mask", "segments", "segment_mask")
_CLIP_BYTES = _NUM_REGIONS * 9216 * 2 + _NUM_SEGMENTS * 128 * 4
_READERS = 2
# Batches of one call: enough to hide its start.
_NUM_BATCHES = 32


def run() -> Iterator[str]:
    """Compares reading from files and from memory."""
    with tempfile.TemporaryDirectory() as folder:
        _write(folder)
        store = FeatureStore(folder, "train")
        sampler = BalancedSampler(store.labels, _BATCH)
        batches = [next(sampler) for _ in range(_NUM_BATCHES)]
        others = {"copying": _copying(batches)}
        try:
            others["tf.data"] = _tf_data(folder)
        except ImportError as error:
            yield f"Not compared with tf.data: {error}."
        for what, in_memory in (
            ("from files", False),
            ("from memory (--cache=host)", True),
        ):
            loader = BatchLoader(store, _BATCH, _INPUTS, _READERS)
            if in_memory:
                loader.hold()
            read = functools.partial(loader.ahead, batches)
            functions = {timing.OURS: lambda r=read: _use(r())}
            yield from timing.compare(
                what, functions | others, steps=_NUM_BATCHES
            )


def _use(batches: Iterator[object]) -> None:
    for _ in batches:
        pass


def _write(folder: str) -> None:
    rows = feature_files.make_rows({"train": _NUM_CLIPS})
    for shard in feature_files.plan_shards(folder, rows, shard_size=64):
        shard.complete(_make_clip)


def _make_clip(row: ManifestEntry) -> ClipFeatures:
    return feature_files.make_clip(
        row.clip_id, row.labels, _NUM_REGIONS, _NUM_SEGMENTS
    )


def _copying(batches: list[np.ndarray]) -> Callable[[], None]:
    clips = np.ones((_NUM_CLIPS, _CLIP_BYTES), np.uint8)
    buffers = np.ones((_READERS, _BATCH, _CLIP_BYTES), np.uint8)
    threads = ThreadPoolExecutor(_READERS)

    def copy(indices: np.ndarray, buffer: np.ndarray) -> None:
        for row, index in enumerate(indices):
            buffer[row] = clips[index]

    return lambda: _use(threads.map(copy, batches, itertools.cycle(buffers)))


def _tf_data(folder: str) -> Callable[[], None]:
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature([], tf.string)
        for name in ("regions", "segments")
    }

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, spec)
        regions = tf.io.decode_raw(example["regions"], tf.float16)
        segments = tf.io.decode_raw(example["segments"], tf.float32)
        return (
            tf.reshape(regions, [_NUM_REGIONS, 9216]),
            tf.reshape(segments, [_NUM_SEGMENTS, 128]),
        )

    paths = sorted(map(str, pathlib.Path(folder).glob("*.tfrecord")))
    dataset = tf.data.TFRecordDataset(paths, num_parallel_reads=_READERS)
    dataset = dataset.map(parse, tf.data.AUTOTUNE).repeat()
    dataset = dataset.batch(_BATCH, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.take(_NUM_BATCHES).prefetch(tf.data.AUTOTUNE)
    # A new iterator each time: an old one would read during others' turns.
    return lambda: _use(iter(dataset))
