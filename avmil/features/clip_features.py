"""What extraction keeps of a clip, as arrays and as a tf.train.Example."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from avmil.common.errors import UnusableFeaturesError


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """The features of one clip: a bag of M regions and a bag of T segments.

    A clip without pictures has M = 0 and F = 0, one without sound T = 0.

    Attributes:
        clip_id: Name of the clip.
        labels: Names of its classes.
        regions: RoI-pooled features, float16 [M, 9216], channel-major.
        boxes: x1, y1, x2, y2 in pixels of the decoded frame, 0-based and
            inclusive, float32 [M, 4].
        objectness: Score of each proposal, float32 [M].
        region_times_s: Instant of each region's frame, float32 [M].
        frame_times_s: Instants of all sampled frames, float32 [F].
        frame_size_px: Width and height of the frames, int32 [2].
        log_mel: Log-mel patches, float32 [T, 96, 64].
        segments: Embeddings of the frozen base network, float32 [T, 128] of
            VGGish or [T, 1024] of YAMNet.
        segment_times_s: Onset and offset of each segment, float32 [T, 2].
        cvssp_log_mel: Input of the CVSSP systems, float32 [240, 64]; [0, 64]
            without sound.
    """

    clip_id: str
    labels: tuple[str, ...]
    regions: np.ndarray
    boxes: np.ndarray
    objectness: np.ndarray
    region_times_s: np.ndarray
    frame_times_s: np.ndarray
    frame_size_px: np.ndarray
    log_mel: np.ndarray
    segments: np.ndarray
    segment_times_s: np.ndarray
    cvssp_log_mel: np.ndarray

    def __post_init__(self) -> None:
        for name in ("boxes", "objectness", "region_times_s"):
            self._check_count(name, "regions")
        for name in ("segments", "segment_times_s"):
            self._check_count(name, "log_mel")

    def _check_count(self, name: str, other: str) -> None:
        count, expected = len(getattr(self, name)), len(getattr(self, other))
        if count != expected:
            raise UnusableFeaturesError(
                f"Clip {self.clip_id}: Expected as many {name} as {other} "
                f"({expected}), received {count}."
            )


# Feature name -> dtype and shape; -1 stands for a length of its own. The size
# of a segment depends on the base network, so that records keep it besides.
_SEGMENT_SIZE = "segment_size"
_ARRAYS = {
    "regions": (np.float16, (-1, 9216)),
    "boxes": (np.float32, (-1, 4)),
    "objectness": (np.float32, (-1,)),
    "region_times_s": (np.float32, (-1,)),
    "frame_times_s": (np.float32, (-1,)),
    "frame_size_px": (np.int32, (2,)),
    "log_mel": (np.float32, (-1, 96, 64)),
    "segments": (np.float32, (-1, -1)),
    "segment_times_s": (np.float32, (-1, 2)),
    "cvssp_log_mel": (np.float32, (-1, 64)),
}


def schema() -> dict[str, dict]:
    """Names, types and shapes of a record's arrays, for dataset_info.json."""
    arrays = {
        name: {"dtype": np.dtype(dtype).name, "shape": list(shape)}
        for name, (dtype, shape) in _ARRAYS.items()
    }
    return {**arrays, _SEGMENT_SIZE: {"dtype": "int64", "shape": []}}


def check_finite(features: ClipFeatures) -> None:
    """Checks all arrays.

    Raises:
        UnusableFeaturesError: names the array with a NaN or an infinity.
    """
    for name in _ARRAYS:
        if not np.isfinite(getattr(features, name)).all():
            raise UnusableFeaturesError(
                f"Clip {features.clip_id}: Expected finite numbers in {name}, "
                "received NaN or infinity. Extract the clip again."
            )


def to_record(features: ClipFeatures) -> bytes:
    """Serializes a clip as a tf.train.Example; arrays are raw bytes.

    Raises:
        UnusableFeaturesError: for an array of another shape, or one that is
            not finite.
    """
    example = tf.train.Example()
    entries = example.features.feature
    entries["clip_id"].bytes_list.value.append(features.clip_id.encode())
    entries["labels"].bytes_list.value.extend(
        label.encode() for label in features.labels
    )
    for name, (dtype, shape) in _ARRAYS.items():
        array = _as_little_endian(features, name, dtype, shape)
        entries[name].bytes_list.value.append(array.tobytes())
    segment_size = features.segments.shape[1]
    entries[_SEGMENT_SIZE].int64_list.value.append(segment_size)
    check_finite(features)
    return example.SerializeToString()


def _as_little_endian(
    features: ClipFeatures, name: str, dtype: type, shape: tuple[int, ...]
) -> np.ndarray:
    array = np.asarray(getattr(features, name))
    fits = array.ndim == len(shape) and all(
        expected in (-1, length)
        for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise UnusableFeaturesError(
            f"Clip {features.clip_id}: Expected {name} of shape {shape}, "
            f"received {array.shape}."
        )
    return array.astype(np.dtype(dtype).newbyteorder("<"))


def from_record(record: bytes) -> ClipFeatures:
    """Reads a clip back.

    The arrays are read-only views of the record.

    Raises:
        ValueError: if the record is no clip of this schema.
    """
    example = tf.train.Example.FromString(record)
    entries = example.features.feature
    expected = {"clip_id", "labels", _SEGMENT_SIZE, *_ARRAYS}
    missing = sorted(expected - set(entries))
    if missing:
        raise ValueError(
            f"Expected a clip's record, received one without {missing}."
        )
    (segment_size,) = entries[_SEGMENT_SIZE].int64_list.value
    arrays = {
        name: np.frombuffer(
            entries[name].bytes_list.value[0], np.dtype(dtype).newbyteorder("<")
        ).reshape((-1, segment_size) if name == "segments" else shape)
        for name, (dtype, shape) in _ARRAYS.items()
    }
    return ClipFeatures(
        clip_id=entries["clip_id"].bytes_list.value[0].decode(),
        labels=tuple(
            label.decode() for label in entries["labels"].bytes_list.value
        ),
        **arrays,
    )
