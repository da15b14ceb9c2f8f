"""Batches of padded bags, read ahead of their use."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore

Batch = dict[str, np.ndarray]

# Frames and mel bands of the CVSSP systems' input.
CVSSP_SHAPE = (240, 64)


@dataclasses.dataclass(frozen=True)
class BatchShape:
    """Size of a padded batch.

    One size for all batches lets XLA compile a training step once.

    Attributes:
        batch_size: Clips.
        max_regions: Regions a clip.
        max_segments: Segments a clip.
    """

    batch_size: int
    max_regions: int
    max_segments: int


def load_batch(
    store: FeatureStore, indices: np.ndarray, shape: BatchShape
) -> Batch:
    """Reads clips and pads them.

    Args:
        store: Where the clips lie.
        indices: Clips of the batch, at most `shape.batch_size`.
        shape: Size of the batch; missing clips, regions and segments are
            zeros that the masks leave out.

    Returns:
        What `pad` returns, and `labels` float32 [B, C].
    """
    batch = pad([store[i] for i in indices], shape, store.segment_size)
    num_classes = len(store.class_names)
    batch["labels"] = np.zeros((shape.batch_size, num_classes), np.float32)
    batch["labels"][: len(indices)] = store.labels[indices]
    return batch


def pad(
    clips: Sequence[ClipFeatures], shape: BatchShape, segment_size: int
) -> Batch:
    """Puts clips into arrays of one size.

    Args:
        clips: At most `shape.batch_size`.
        shape: Size of the batch; what the clips do not fill is zeros that
            the masks leave out.
        segment_size: Size D of a segment's embedding.

    Returns:
        `regions` float16 [B, M, 9216], `region_mask` bool [B, M], `segments`
        float32 [B, T, D], `segment_mask` bool [B, T] and `cvssp_log_mel`
        float32 [B, 240, 64].
    """
    size, regions, segments = dataclasses.astuple(shape)
    batch = {
        "regions": np.zeros((size, regions, 9216), np.float16),
        "region_mask": np.zeros((size, regions), bool),
        "segments": np.zeros((size, segments, segment_size), np.float32),
        "segment_mask": np.zeros((size, segments), bool),
        "cvssp_log_mel": np.zeros((size, *CVSSP_SHAPE), np.float32),
    }
    for row, clip in enumerate(clips):
        for name in ("regions", "segments", "cvssp_log_mel"):
            features = getattr(clip, name)
            batch[name][row, : len(features)] = features
        batch["region_mask"][row, : len(clip.regions)] = True
        batch["segment_mask"][row, : len(clip.segments)] = True
    return batch


def read_ahead(
    store: FeatureStore,
    index_batches: Iterable[np.ndarray],
    shape: BatchShape,
    num_readers: int = 2,
) -> Iterator[Batch]:
    """Yields batches in order while the next ones are read.

    Args:
        store: Where the clips lie.
        index_batches: Clip indices of each batch.
        shape: Size of the batches.
        num_readers: Batches that are read at the same time.

    Yields:
        What `load_batch` returns.

    Raises:
        ValueError: for a damaged clip, by name.
    """
    empty = load_batch(store, np.array([], int), shape)
    failures: list[ValueError] = []

    def load(indices: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            return tuple(load_batch(store, indices, shape).values())
        except ValueError as error:
            failures.append(error)
            raise

    dataset = tf.data.Dataset.from_generator(
        lambda: iter(index_batches),
        output_signature=tf.TensorSpec([None], tf.int64),
    ).map(
        lambda indices: tf.numpy_function(
            load, [indices], [tf.as_dtype(a.dtype) for a in empty.values()]
        ),
        num_parallel_calls=num_readers,
        deterministic=True,
    )
    try:
        for arrays in dataset.prefetch(1).as_numpy_iterator():
            yield dict(zip(empty, arrays, strict=True))
    except tf.errors.OpError:
        # tf.data wraps what its functions raise; the cause says it better.
        if failures:
            raise failures[0] from None
        raise


def in_order(num_clips: int, batch_size: int) -> Iterator[np.ndarray]:
    """Yields the indices of all clips once; the last batch may be short."""
    for start in range(0, num_clips, batch_size):
        yield np.arange(start, min(start + batch_size, num_clips))
