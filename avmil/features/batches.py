"""Batches of padded bags, read ahead of their use."""

from __future__ import annotations

import collections
import functools
import itertools
import os
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from avmil.features.clip_features import ClipFeatures, Field
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
# XLA on a CPU takes arrays as they are, without a copy, if so aligned.
_ALIGNMENT_BYTES = 64
# More of them than this do not copy faster.
_NUM_READERS = max(2, min(8, (os.cpu_count() or 1) // 2))


def pad(clip: ClipFeatures, inputs: Collection[str] = INPUTS) -> Batch:
    """Makes a batch of one clip, of its length but of one proposal at least.

    Args:
        clip: The clip.
        inputs: What is wanted of `INPUTS`.

    Returns:
        Of `regions` float16 [1, M, D], `region_mask` bool [1, M], `segments`
        float32 [1, T, D], `segment_mask` bool [1, T] and `cvssp_log_mel`
        float32 [1, 240, 64] those that are wanted.
    """
    arrays = vars(clip)
    lengths = {name: len(arrays[name]) for name in ("regions", "segments")}
    batch = _new_batch(inputs, 1, lengths, arrays)
    _fill(batch, 0, arrays)
    return batch


class BatchLoader:
    """Reads padded batches of a split, from its files or from memory.

    What is wanted of `INPUTS` is read, `num_readers` batches at a time. All
    batches have one size, so that XLA compiles a step once: what their clips
    do not fill is zeros.
    """

    def __init__(
        self,
        store: FeatureStore,
        batch_size: int,
        inputs: Collection[str] = INPUTS,
        num_readers: int = _NUM_READERS,
    ) -> None:
        self._store = store
        self._batch_size = batch_size
        self._inputs = tuple(inputs)
        self._num_readers = num_readers
        self._fields = tuple(dict.fromkeys(_FIELDS[n] for n in self._inputs))
        self._held: Batch | None = None

    @property
    def split_bytes(self) -> int:
        """Memory that the padded clips of the whole split take."""
        one_clip = self._new_batch(1)
        return len(self._store) * sum(a.nbytes for a in one_clip.values())

    def hold(
        self, on_clips: Callable[[int], None] = lambda count: None
    ) -> None:
        """Reads the whole split into memory, where batches then come from.

        `on_clips` is called with the number of clips that were read.
        """
        batch = self._new_batch(len(self._store))
        indices = range(len(self._store))
        with ThreadPoolExecutor(self._num_readers) as readers:
            read = functools.partial(self._read, batch)
            for _ in readers.map(read, indices, indices):
                on_clips(1)
        self._held = batch

    def load(self, indices: np.ndarray, into: Batch | None = None) -> Batch:
        """Reads clips and pads them.

        Args:
            indices: One to `batch_size` clips.
            into: A batch whose arrays are used again.

        Returns:
            What `pad` returns, of B clips, and `labels` float32 [B, C].

        Raises:
            FeaturesError: for a damaged clip, by name.
        """
        batch = into or self._new_batch(self._batch_size)
        for name, array in batch.items():
            array[len(indices) :] = 0
            if self._held is not None:
                part = array[: len(indices)]
                # Only without `raise` NumPy writes there directly.
                np.take(self._held[name], indices, 0, part, mode="clip")
        if self._held is None:
            for row, index in enumerate(indices):
                self._read(batch, row, index)
        return batch

    def ahead(self, index_batches: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Yields what `load` returns, in order, while the next are read.

        As many index batches are taken ahead as there are readers. A batch
        holds until the next but one is taken: its arrays are used again.
        """
        buffers = itertools.cycle(
            self._new_batch(self._batch_size)
            for _ in range(self._num_readers + 2)
        )
        waiting = collections.deque()
        with ThreadPoolExecutor(self._num_readers) as readers:
            for indices, buffer in zip(index_batches, buffers):  # noqa: B905
                waiting.append(readers.submit(self.load, indices, buffer))
                if len(waiting) > self._num_readers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _new_batch(self, batch_size: int) -> Batch:
        store = self._store
        lengths = {"regions": store.max_regions, "segments": store.max_segments}
        batch = _new_batch(self._inputs, batch_size, lengths, store.fields)
        size = batch_size, len(store.class_names)
        return {**batch, "labels": _zeros(size, "float32")}

    def _read(self, batch: Batch, row: int, index: int) -> None:
        _fill(batch, row, self._store.read(index, self._fields))
        batch["labels"][row] = self._store.labels[index]


def in_order(num_clips: int, batch_size: int) -> Iterator[np.ndarray]:
    """Yields the indices of all clips once; the last batch may be short."""
    for start in range(0, num_clips, batch_size):
        yield np.arange(start, min(start + batch_size, num_clips))


def _new_batch(
    inputs: Collection[str],
    batch_size: int,
    lengths: Mapping[str, int],
    fields: Mapping[str, np.ndarray | Field],
) -> Batch:
    """Zeros for bags of these lengths, of one proposal at least."""
    batch = {}
    lengths = {**lengths, "cvssp_log_mel": CVSSP_FRAMES}
    for name in inputs:
        field = fields[_FIELDS[name]]
        size = batch_size, max(1, lengths[_FIELDS[name]])
        if name.endswith("_mask"):
            batch[name] = _zeros(size, "bool")
        else:
            batch[name] = _zeros((*size, field.shape[-1]), field.dtype)
    return batch


def _zeros(shape: tuple[int, ...], dtype: np.dtype | str) -> np.ndarray:
    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(num_bytes + _ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[start : start + num_bytes].view(dtype).reshape(shape)


def _fill(batch: Batch, row: int, clip: Mapping[str, np.ndarray]) -> None:
    """Puts a clip into a row, whatever was there before."""
    for name in batch.keys() & _FIELDS.keys():
        bag = clip[_FIELDS[name]]  # [N, D]
        batch[name][row, : len(bag)] = True if name.endswith("_mask") else bag
        batch[name][row, len(bag) :] = 0
