"""Batches of padded bags, read ahead of their use."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from avmil.features.clip_features import ClipFeatures
from avmil.features.store import FeatureStore
from vggish import cvssp_features

Batch = dict[str, np.ndarray]

# Input of the systems -> the field that it comes from.
_FIELDS = {
    "regions": "regions",
    "region_mask": "regions",
    "segments": "segments",
    "segment_mask": "segments",
    "cvssp_log_mel": "cvssp_log_mel",
}
INPUTS = tuple(_FIELDS)
# Frames of the CVSSP systems' input, and the seconds between two.
CVSSP_FRAMES, CVSSP_HOP_S = cvssp_features.NUM_FRAMES, cvssp_features.HOP_S


@dataclasses.dataclass(frozen=True)
class BatchShape:
    """Clips, and regions and segments a clip, of a padded batch.

    One size for all batches lets XLA compile a training step once.
    """

    batch_size: int
    max_regions: int
    max_segments: int


def load_batch(
    store: FeatureStore,
    indices: np.ndarray,
    shape: BatchShape,
    inputs: Collection[str] = INPUTS,
) -> Batch:
    """Reads clips and pads them.

    Returns:
        What `pad` returns, and `labels` float32 [B, C].

    Raises:
        FeaturesError: for a damaged clip, by name.
    """
    fields = tuple(dict.fromkeys(_FIELDS[name] for name in inputs))
    batch = pad([store.read(i, fields) for i in indices], shape, inputs)
    num_classes = len(store.class_names)
    batch["labels"] = np.zeros((shape.batch_size, num_classes), np.float32)
    batch["labels"][: len(indices)] = store.labels[indices]
    return batch


def pad(
    clips: Sequence[ClipFeatures | Mapping[str, np.ndarray]],
    shape: BatchShape,
    inputs: Collection[str] = INPUTS,
) -> Batch:
    """Puts clips into arrays of one size.

    Args:
        clips: One to `shape.batch_size` clips, or what a store read of them.
        shape: Size of the batch; what the clips do not fill is zeros that
            the masks leave out.
        inputs: What is wanted of `INPUTS`.

    Returns:
        Of `regions` float16 [B, M, D], `region_mask` bool [B, M], `segments`
        float32 [B, T, D], `segment_mask` bool [B, T] and `cvssp_log_mel`
        float32 [B, 240, 64] those that are wanted.
    """
    bags = [vars(c) if isinstance(c, ClipFeatures) else c for c in clips]
    lengths = {
        "regions": shape.max_regions,
        "segments": shape.max_segments,
        "cvssp_log_mel": CVSSP_FRAMES,
    }
    batch = {}
    for name in inputs:
        field = _FIELDS[name]
        size = shape.batch_size, lengths[field]
        if name.endswith("_mask"):
            batch[name] = np.zeros(size, bool)
            for row, bag in enumerate(bags):
                batch[name][row, : len(bag[field])] = True
        else:
            like = bags[0][field]  # [N, D]
            batch[name] = np.zeros((*size, like.shape[1]), like.dtype)
            for row, bag in enumerate(bags):
                batch[name][row, : len(bag[field])] = bag[field]
    return batch


def read_ahead(
    store: FeatureStore,
    index_batches: Iterable[np.ndarray],
    shape: BatchShape,
    inputs: Collection[str] = INPUTS,
    num_readers: int = 2,
) -> Iterator[Batch]:
    """Yields what `load_batch` returns, in order, while the next are read.

    As many index batches are taken ahead as there are readers.
    """
    waiting = collections.deque()
    with ThreadPoolExecutor(num_readers) as readers:
        for indices in index_batches:
            waiting.append(
                readers.submit(load_batch, store, indices, shape, inputs)
            )
            if len(waiting) > num_readers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_order(num_clips: int, batch_size: int) -> Iterator[np.ndarray]:
    """Yields the indices of all clips once; the last batch may be short."""
    for start in range(0, num_clips, batch_size):
        yield np.arange(start, min(start + batch_size, num_clips))
