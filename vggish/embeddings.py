"""Embeddings of segments by the base audio network, which stays frozen.

`NETWORKS` is the one registry of these networks: `vggish` (the paper's),
`yamnet`, and `keras_file`, any model that Keras has saved.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vggish import checkpoint
from vggish.mel_features import PATCH_S, PATCH_SAMPLES
from vggish.network import build_vggish
from vggish.waveform import SAMPLE_RATE_HZ
from vggish.yamnet import build_yamnet

# Segments at a time: more need memory, and are no faster.
_BATCH_SIZE = 32
_Weights = str | os.PathLike[str] | None


class AudioNetwork(NamedTuple):
    """A base audio network, as the registry knows it."""

    # Weights, VGGish's activation and seed of random weights -> a model.
    build: Callable[[_Weights, str | None, int], keras.Model]
    size: int | None  # Of an embedding; None where the file decides.
    log_offset: float  # Before the logarithm of the patches.


def _vggish(weights: _Weights, activation: str | None, seed: int):
    model = build_vggish(activation, seed if weights is None else None)
    if weights is not None:
        checkpoint.load(model, weights)
    return model


def _yamnet(weights: _Weights, _: str | None, seed: int):
    model = build_yamnet(seed)
    if weights is not None:
        checkpoint.load(model, weights)
    return keras.Model(model.input, model.output["embeddings"])


def _keras_file(weights: _Weights, _: str | None, __: int):
    """Loads a saved model, in Keras' safe mode."""
    try:
        if not str(weights).endswith(".keras"):
            raise ValueError("it is of another kind")
        model = keras.saving.load_model(weights, compile=False)
        takes, gives = model.input_shape, model.output_shape
    except Exception as error:
        raise ValueError(
            "Expected a .keras file of Keras' own layers, which "
            "model.save('network.keras') writes, without Lambda or classes of "
            f"your own, received {weights}: {error}"
        ) from error
    is_single = isinstance(takes, tuple) and isinstance(gives, tuple)
    if not (
        is_single
        and (takes[1:] in ((96, 64), (96, 64, 1)) or len(takes) == 2)
        and (len(gives) == 2 and gives[1])
    ):
        raise ValueError(
            "Expected a network from log-mel patches [T, 96, 64] or waveforms "
            "[T, samples] at 16 kHz to embeddings [T, size], received one from "
            f"{takes} to {gives} in {weights}."
        )
    return model


NETWORKS = {
    "vggish": AudioNetwork(_vggish, 128, 0.01),
    "yamnet": AudioNetwork(_yamnet, 1024, 0.001),
    "keras_file": AudioNetwork(_keras_file, None, 0.01),
}


def embedding_size(network: str, weights: _Weights = None) -> int:
    """Size of a segment's embedding; `keras_file` is loaded to know it."""
    known = NETWORKS[network]
    return known.size or known.build(weights, None, 0).output_shape[-1]


class SegmentEmbeddings:
    """Computes the embeddings of segments.

    Args:
        network: Name of one of `NETWORKS`.
        weights: Published weights of VGGish or YAMNet, or None for random
            ones; the model itself for `keras_file`.
        embedding_activation: VGGish's, `"relu"` or None; the others have none
            of their own.
        seed: Decides the random weights.

    Attributes:
        size: Size of an embedding.
        log_offset: Offset before the logarithm that the patches must have.
        window_samples: Samples at 16 kHz of each segment that the network
            takes; None of a network that takes log-mel patches.
        segment_s: How long a segment lasts.

    Raises:
        FileNotFoundError: `weights` is not there.
        ValueError: `network` is unknown, or `weights` does not fit it.
    """

    def __init__(
        self,
        network: str,
        weights: _Weights = None,
        embedding_activation: str | None = "relu",
        seed: int = 0,
    ) -> None:
        if network not in NETWORKS:
            raise ValueError(
                f"Expected a network of {', '.join(NETWORKS)}, received "
                f"{network!r}."
            )
        known = NETWORKS[network]
        model = known.build(weights, embedding_activation, seed)
        # TensorFlow's XLA would compile again for each number of patches, and
        # JAX without it would not compile at all.
        model.jit_compile = keras.backend.backend() == "jax"
        self._model = model
        self._lock = threading.Lock()
        self.log_offset = known.log_offset
        self.size = model.output_shape[-1]
        self.window_samples, self.segment_s = None, PATCH_S
        if len(model.input_shape) == 2:
            self.window_samples = model.input_shape[1] or PATCH_SAMPLES
            if model.input_shape[1] not in (None, PATCH_SAMPLES):
                self.segment_s = self.window_samples / SAMPLE_RATE_HZ

    def __call__(self, segments: np.ndarray) -> np.ndarray:
        """Embeds segments.

        Args:
            segments: float32 [T, 96, 64] of `mel_features.log_mel_patches`, or
                [T, window_samples] of `windows`.

        Returns:
            float32 [T, size].
        """
        inputs = segments
        if not self.window_samples:  # Some have an axis of one channel.
            shape = self._model.input_shape[1:]
            inputs = segments.reshape(len(segments), *shape)
        starts = range(0, max(1, len(inputs)), _BATCH_SIZE)
        batches = (inputs[start : start + _BATCH_SIZE] for start in starts)
        with self._lock:  # Keras' models serve one thread at a time.
            embedded = [self._model.predict_on_batch(b) for b in batches]
        return np.concatenate(embedded)


def windows(
    waveform: np.ndarray, count: int, window_samples: int, hop_samples: int
) -> np.ndarray:
    """Cuts a waveform [N] into float32 [count, window_samples].

    Zeros follow where it ends.
    """
    needed = (count - 1) * hop_samples + window_samples
    part = waveform[:needed].astype(np.float32)
    samples = np.pad(part, (0, needed - len(part)))
    return sliding_window_view(samples, window_samples)[::hop_samples]
