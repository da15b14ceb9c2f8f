"""What extraction keeps of a clip, as arrays and as a tf.train.Example."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import xxhash

from avmil.common.errors import UnusableFeaturesError


@dataclasses.dataclass(frozen=True)
class ClipFeatures:
    """The features of one clip: a bag of M regions and a bag of T segments.

    A clip without pictures has M = 0 and F = 0, one without sound T = 0.

    Attributes:
        clip_id: Name of the clip.
        labels: Names of its classes.
        duration_s: Length of the clip.
        regions: RoI-pooled features, float16 [M, D], channel-major; D is the
            network's, 9216 of CaffeNet and AlexNet.
        boxes: x1, y1, x2, y2 in pixels of the decoded frame, 0-based and
            inclusive, float32 [M, 4].
        objectness: Score of each proposal, float32 [M].
        region_times_s: Instant of each region's frame, float32 [M].
        frame_times_s: Instants of all sampled frames, float32 [F].
        frame_size_px: Width and height of the frames, int32 [2].
        log_mel: Log-mel patches, float32 [T, 96, 64]; none of imported clips.
        segments: Embeddings of the frozen base network, float32 [T, 128] of
            VGGish or [T, 1024] of YAMNet.
        segment_times_s: Onset and offset of each segment, float32 [T, 2].
        cvssp_log_mel: Input of the CVSSP systems, float32 [240, 64]; [0, 64]
            without sound.
    """

    clip_id: str
    labels: tuple[str, ...]
    duration_s: float
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
        has_patches = len(self.log_mel) > 0
        for names in (
            ("regions", "boxes", "objectness", "region_times_s"),
            ("segments", "segment_times_s", *["log_mel"] * has_patches),
        ):
            counts = {name: len(getattr(self, name)) for name in names}
            if len(set(counts.values())) > 1:
                raise UnusableFeaturesError(
                    f"Clip {self.clip_id}: Expected as many of each, received "
                    f"{counts}."
                )


@dataclasses.dataclass(frozen=True)
class Field:
    """Type of one array of all clips of a features directory."""

    dtype: str  # Its NumPy name.
    shape: tuple[int, ...]  # A leading -1 differs between clips.

    @property
    def stored_dtype(self) -> np.dtype:
        """The dtype as bytes in a file: little-endian."""
        return np.dtype(self.dtype).newbyteorder("<")


Layout = dict[str, Field]


def layout(region_size: int, segment_size: int) -> Layout:
    """The fields of a clip, in the order of their bytes in its record.

    What is read together lies together; the sizes are those of a region's
    features and of a segment's embedding.
    """
    return {
        "duration_s": Field("float64", ()),
        "log_mel": Field("float32", (-1, 96, 64)),
        "cvssp_log_mel": Field("float32", (-1, 64)),
        "segments": Field("float32", (-1, segment_size)),
        "segment_times_s": Field("float32", (-1, 2)),
        "frame_times_s": Field("float32", (-1,)),
        "frame_size_px": Field("int32", (2,)),
        "boxes": Field("float32", (-1, 4)),
        "objectness": Field("float32", (-1,)),
        "region_times_s": Field("float32", (-1,)),
        "regions": Field("float16", (-1, region_size)),
    }


class Span(NamedTuple):
    """Where the bytes of a field lie; a tuple, as a store holds many."""

    offset: int
    size: int
    xxh3: str  # XXH3 (64 bits) of the bytes, in hexadecimal.


def to_record(
    features: ClipFeatures, fields: Layout
) -> tuple[bytes, dict[str, Span]]:
    """Serializes a clip as a tf.train.Example.

    Returns:
        The example and the place of each field in it. Every array is one
        string of raw bytes, which protobuf leaves in one piece.

    Raises:
        UnusableFeaturesError: for an array of another shape, or one that is
            not finite.
    """
    values = {
        "clip_id": [features.clip_id.encode()],
        "labels": [label.encode() for label in features.labels],
    }
    for name, field in fields.items():
        array = np.asarray(getattr(features, name))
        expected = field.shape
        if -1 in expected:
            expected = (len(array), *expected[1:])
        if array.shape != expected:
            raise UnusableFeaturesError(
                f"Clip {features.clip_id}: Expected {name} of shape "
                f"{field.shape}, received {array.shape}."
            )
        array = array.astype(field.stored_dtype)
        if not np.isfinite(array).all():
            raise UnusableFeaturesError(
                f"Clip {features.clip_id}: Expected finite numbers in {name}, "
                "received NaN or infinity. Extract the clip again."
            )
        values[name] = [array.tobytes()]
    parts, spans, end = [], {}, 0
    for name, value in values.items():
        feature = _message(b"".join(map(_message, value)))  # A BytesList.
        entry = _message(name.encode()) + _message(feature, number=2)
        part = _message(entry)
        parts.append(part)
        end += len(part)
        if name in fields:  # An entry ends with its value.
            (payload,) = value
            checksum = xxhash.xxh3_64_hexdigest(payload)
            spans[name] = Span(end - len(payload), len(payload), checksum)
    example = _message(b"".join(parts))
    header_size = len(example) - end
    return example, {
        name: span._replace(offset=header_size + span.offset)
        for name, span in spans.items()
    }


def _message(payload: bytes, number: int = 1) -> bytes:
    """Encodes bytes, text or a message as a field of a protobuf message."""
    head, size = [number << 3 | 2], len(payload)
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + payload
