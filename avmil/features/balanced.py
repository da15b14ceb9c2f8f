"""Batches balanced over classes, as the paper's generator draws them.

Source: the paper's section 4 ("Dataset") names the public generator of the
CVSSP team, `data_generator.py:RatioDataGenerator`. Its quirks are documented
in docs/differences.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

# A class with fewer clips than the k-th bound has k + 1 slots in the list.
_SLOT_BOUNDS = (1000, 2000, 3000, 4000)


def label_slots(labels: np.ndarray) -> np.ndarray:
    """The list that label draws go through, of labels {0, 1} [N, C].

    Class indices, each 1 to 5 times; a class without a clip has no slot.
    """
    counts = np.asarray(labels).sum(axis=0)  # [C]
    slots = 1 + np.searchsorted(_SLOT_BOUNDS, counts, side="right")
    slots[counts == 0] = 0
    return np.repeat(np.arange(len(counts)), slots)


def label_frequencies(labels: np.ndarray) -> np.ndarray:
    """Share of the drawn clips that have each class, [C], of labels [N, C]."""
    labels = np.asarray(labels)
    drawn = [labels[labels[:, c] > 0].mean(axis=0) for c in label_slots(labels)]
    return np.mean(drawn, axis=0)


class BalancedSampler:
    """Draws batches of clip indices, full ones, without end.

    Labels are drawn from a list that holds every class 1 to 5 times, shuffled
    anew each time it is used up; each drawn label takes the next clip of its
    class, and a class whose clips are used up is shuffled and starts again.

    Args:
        labels: {0, 1} of shape [N, C].
        batch_size: Clips in a batch.
        seed: Seed of the only random generator.

    Raises:
        ValueError: for labels of another form or without any positive.
    """

    def __init__(
        self, labels: np.ndarray, batch_size: int, seed: int = 0
    ) -> None:
        labels = np.asarray(labels)
        if labels.ndim != 2 or not np.isin(labels, (0, 1)).all():
            raise ValueError(
                "Expected labels of shape [N, C] that hold 0 and 1, received "
                f"shape {labels.shape}."
            )
        if not labels.any():
            raise ValueError("Expected labeled clips, received none.")
        if batch_size < 1:
            raise ValueError(
                f"Expected a batch size above 0, received {batch_size}."
            )
        self._labels = labels
        self._batch_size = int(batch_size)
        self._seed = int(seed)
        bits = np.packbits(labels.astype(bool)).tobytes()
        content = bits + str(labels.shape).encode()
        self._digest = hashlib.sha256(content).hexdigest()
        self._start()

    def _start(self) -> None:
        self._num_batches = 0
        self._generator = np.random.default_rng(self._seed)
        self._slots = label_slots(self._labels)
        self._queue: list[int] = []
        self._clips = [np.flatnonzero(column) for column in self._labels.T]
        for clips in self._clips:
            self._generator.shuffle(clips)
        self._position = [0] * len(self._clips)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        """The next batch: clip indices, int64 [batch_size]."""
        while len(self._queue) < self._batch_size:
            self._generator.shuffle(self._slots)
            self._queue.extend(self._slots.tolist())
        drawn = self._queue[: self._batch_size]
        del self._queue[: self._batch_size]
        self._num_batches += 1
        return np.array([self._next_clip(label) for label in drawn])

    def _next_clip(self, label: int) -> int:
        if self._position[label] == len(self._clips[label]):
            self._generator.shuffle(self._clips[label])
            self._position[label] = 0
        clip = self._clips[label][self._position[label]]
        self._position[label] += 1
        return clip

    def state(self) -> dict:
        """All that `restore` needs, JSON-able."""
        return {
            "seed": self._seed,
            "batch_size": self._batch_size,
            "labels_sha256": self._digest,
            "num_batches": self._num_batches,
        }

    def restore(self, state: dict) -> None:
        """Goes on behind the batch at which `state` was taken.

        The batches before it are drawn again, 25,000 in about two seconds.

        Raises:
            ValueError: if the state is that of another sampler.
        """
        own = self.state()
        for name in ("seed", "batch_size", "labels_sha256"):
            if state.get(name) != own[name]:
                raise ValueError(
                    f"Expected the sampler state's {name} to be {own[name]!r},"
                    f" received {state.get(name)!r}."
                )
        self._start()
        for _ in range(state["num_batches"]):
            next(self)
