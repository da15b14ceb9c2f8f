"""Embeddings of segments by the base audio network, which stays frozen."""

from __future__ import annotations

import os
import threading

import keras
import numpy as np

from vggish import checkpoint
from vggish.network import build_vggish
from vggish.yamnet import build_yamnet

# Patches at a time: more need memory, and are no faster.
_BATCH_SIZE = 64

EMBEDDING_SIZES = {"vggish": 128, "yamnet": 1024}


class SegmentEmbeddings:
    """Computes the embeddings of log-mel patches.

    Args:
        network: `"vggish"` (the paper's) or `"yamnet"`.
        weights: Published weights of the network, or None for random ones.
        embedding_activation: VGGish's, `"relu"` or None; YAMNet has none of
            its own.
        seed: Decides the random weights.

    Attributes:
        log_offset: Offset before the logarithm that the patches must have.

    Raises:
        FileNotFoundError: `weights` is not there.
        ValueError: `network` is unknown, or `weights` does not fit it.
    """

    def __init__(
        self,
        network: str,
        weights: str | os.PathLike[str] | None = None,
        embedding_activation: str | None = "relu",
        seed: int = 0,
    ) -> None:
        if network == "vggish":
            self.log_offset = 0.01
            drawn = seed if weights is None else None
            model = build_vggish(embedding_activation, drawn)
        elif network == "yamnet":
            self.log_offset = 0.001
            model = build_yamnet(seed)
        else:
            raise ValueError(
                f"Expected a network of {', '.join(EMBEDDING_SIZES)}, received "
                f"{network!r}."
            )
        if weights is not None:
            checkpoint.load(model, weights)
        if network == "yamnet":
            model = keras.Model(model.input, model.output["embeddings"])
        # TensorFlow's XLA would compile again for each number of patches, and
        # JAX without it would not compile at all.
        model.jit_compile = keras.backend.backend() == "jax"
        self._model = model
        self._lock = threading.Lock()

    def __call__(self, log_mel: np.ndarray) -> np.ndarray:
        """Embeds the patches of `mel_features.log_mel_patches`.

        Args:
            log_mel: float32 [T, 96, 64].

        Returns:
            float32 [T, size], the size that `EMBEDDING_SIZES` has.
        """
        starts = range(0, max(1, len(log_mel)), _BATCH_SIZE)
        batches = (log_mel[start : start + _BATCH_SIZE] for start in starts)
        with self._lock:  # Keras' models serve one thread at a time.
            embedded = [self._model.predict_on_batch(b) for b in batches]
        return np.concatenate(embedded)
