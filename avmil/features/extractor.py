"""From one media file to the features of its bags.

The one place where decoding, EdgeBoxes and the base networks meet; used by
extract_features.py and by whatever else starts from a video.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
import tensorflow as tf

from avmil.clips import media
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import (
    ClipError,
    ConfigError,
    MediaError,
    config_errors,
)
from avmil.features import clip_features
from avmil.features.clip_features import ClipFeatures
from fast_rcnn_features.edge_boxes import EdgeBoxes
from fast_rcnn_features.features import RegionFeatures
from fast_rcnn_features.networks import NUM_FEATURES
from flags import RecipeConfig
from vggish import mel_features
from vggish.cvssp_features import cvssp_log_mel
from vggish.embeddings import EMBEDDING_SIZES, SegmentEmbeddings
from vggish.waveform import SAMPLE_RATE_HZ

_RANDOM = "random"
_AUDIO_FIELDS = ("log_mel", "segments", "segment_times_s", "cvssp_log_mel")
_WITHOUT_FILE = {
    "edge_forest": "--edges=gradient does without, but is not the paper's.",
    "region_weights": "`random` leaves the network untrained.",
    "audio_weights": "`random` leaves the network untrained.",
}
# Everything that a bad clip can make the stages raise.
_CLIP_ERRORS = (
    MediaError,
    OSError,
    ValueError,
    MemoryError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    cv2.error,
    tf.errors.OpError,
)


def recipe(config: RecipeConfig) -> dict:
    """The recipe that is kept beside the features.

    Files are named by the SHA-256 of their content, so that the recipe does
    not depend on where they lie, and those that it does not use not at all.

    Raises:
        ConfigError: if a value cannot be, or a file that the recipe needs is
            not named or missing.
    """
    with config_errors("--segment_hop_s", OSError):
        mel_features.hop_frames(config.segment_hop_s)
    values = {**dataclasses.asdict(config), **dict.fromkeys(_WITHOUT_FILE, "")}
    for name in file_flags(config):
        path = getattr(config, name)
        if not path:
            raise ConfigError(
                f"Expected a file in --{name}, received none. "
                f"{_WITHOUT_FILE[name]}"
            )
        if path == _RANDOM and name != "edge_forest":
            values[name] = path
            continue
        # A V2 checkpoint is a prefix of several files.
        index = f"{path}.index"
        if name == "audio_weights" and not files.exists(path):
            path = index if files.exists(index) else path
        try:
            values[name] = f"sha256:{files.sha256(path)}"
        except OSError as error:
            raise ConfigError(
                f"Expected a file in --{name}, received {path}: it cannot be "
                "read."
            ) from error
    return values


def file_flags(config: RecipeConfig) -> list[str]:
    """The flags that name the files of the recipe's base networks."""
    names = []
    if config.modalities != "audio":
        names.append("region_weights")
        if config.edges == "structured_forest":
            names.append("edge_forest")
    if config.modalities != "visual":
        names.append("audio_weights")
    return names


def layout(config: RecipeConfig) -> clip_features.Layout:
    """The arrays that a recipe gives; their sizes are the networks'."""
    segment_size = EMBEDDING_SIZES[config.audio_network]
    return clip_features.layout(NUM_FEATURES, segment_size)


class ClipExtractor:
    """Extracts clips by one recipe.

    Args:
        config: The recipe.
        num_threads: Threads for arithmetic, 0 for the libraries' choice.

    Raises:
        ConfigError: if a weights file does not fit its network.
    """

    def __init__(self, config: RecipeConfig, num_threads: int = 0) -> None:
        if num_threads:
            cv2.setNumThreads(num_threads)
            tf.config.threading.set_intra_op_parallelism_threads(num_threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            # Several workers share one device.
            tf.config.experimental.set_memory_growth(gpu, True)
        self._config = config
        self._visual = config.modalities != "audio"
        self._audio = config.modalities != "visual"
        if self._visual:
            forest = config.edges == "structured_forest" and config.edge_forest
            with config_errors("--edge_forest", OSError):
                self._edge_boxes = EdgeBoxes(
                    config.edges,
                    config.max_boxes,
                    forest or None,
                )
            with config_errors("--region_weights", OSError):
                self._region_features = RegionFeatures(
                    config.region_network,
                    _path_or_none(config.region_weights),
                    config.short_side_px,
                    config.long_side_px,
                    config.network_seed,
                )
        if self._audio:
            activation = config.embedding_activation
            with config_errors("--audio_weights", OSError):
                self._segment_embeddings = SegmentEmbeddings(
                    config.audio_network,
                    _path_or_none(config.audio_weights),
                    None if activation == "none" else activation,
                    config.network_seed,
                )

    def __call__(self, row: ManifestEntry) -> ClipFeatures:
        """Decodes one clip and extracts its features.

        Raises:
            ClipError: with the stage that failed and the reason.
        """
        with stage("decode"), files.local_copy(row.path) as path:
            clip = media.decode_clip(
                path,
                row.start_s,
                row.end_s,
                self._config.frame_rate_hz,
                video=self._visual,
                audio=self._audio,
            )
        return self.features(row, clip)

    def features(self, row: ManifestEntry, clip: media.Clip) -> ClipFeatures:
        """Extracts the features of a decoded clip.

        What the recipe leaves out is left out, also where it was decoded.

        Raises:
            ClipError: with the stage that failed and the reason.
        """
        if not self._visual:
            nothing = np.empty(0, np.float32)
            clip = dataclasses.replace(
                clip, frames_rgb=[], frame_times_s=nothing
            )
        if not self._audio:
            clip = dataclasses.replace(clip, waveform=None)
        with stage("regions"):
            visual = self._visual_features(clip)
        with stage("segments"):
            audio = self._audio_features(clip)
        return ClipFeatures(
            row.clip_id, row.labels, clip.duration_s, **visual, **audio
        )

    def _visual_features(self, clip: media.Clip) -> dict[str, np.ndarray]:
        proposals = [self._edge_boxes(frame) for frame in clip.frames_rgb]
        boxes = [boxes for boxes, _ in proposals]
        counts = [len(frame_boxes) for frame_boxes in boxes]
        regions = [
            self._region_features(frame, frame_boxes)
            for frame, frame_boxes in zip(clip.frames_rgb, boxes, strict=True)
        ]
        size = clip.frames_rgb[0].shape[1::-1] if clip.frames_rgb else (0, 0)
        with np.errstate(over="ignore"):  # An infinity is refused later.
            stored = _concatenate(regions, (0, NUM_FEATURES))
            stored = stored.astype(np.float16)
        return {
            "regions": stored,
            "boxes": _concatenate(boxes, (0, 4)),
            "objectness": _concatenate([s for _, s in proposals], (0,)),
            "region_times_s": np.repeat(clip.frame_times_s, counts),
            "frame_times_s": clip.frame_times_s,
            "frame_size_px": np.array(size, np.int32),
        }

    def _audio_features(self, clip: media.Clip) -> dict[str, np.ndarray]:
        waveform, hop_s = clip.waveform, self._config.segment_hop_s
        if self._audio and waveform is None:
            if self._config.missing_audio == "fail":
                raise ValueError("no sound track")
            num_samples = round(clip.duration_s * SAMPLE_RATE_HZ)
            waveform = np.zeros(num_samples, np.float32)
        if waveform is None:
            fields = layout(self._config)
            return {
                name: np.empty((0, *fields[name].shape[1:]), np.float32)
                for name in _AUDIO_FIELDS
            }
        log_mel = mel_features.log_mel_patches(
            waveform,
            SAMPLE_RATE_HZ,
            hop_s,
            self._segment_embeddings.log_offset,
        )
        return {
            "log_mel": log_mel,
            "segments": self._segment_embeddings(log_mel),
            "segment_times_s": mel_features.segment_times_s(
                len(log_mel), hop_s
            ),
            "cvssp_log_mel": cvssp_log_mel(
                waveform, SAMPLE_RATE_HZ, self._config.cvssp_scaling_rate_hz
            ),
        }


def _path_or_none(weights: str) -> str | None:
    return None if weights == _RANDOM else weights


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Turns what goes wrong within into a ClipError of this stage."""
    try:
        yield
    except _CLIP_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClipError(name, reason) from error


def _concatenate(
    arrays: list[np.ndarray], empty_shape: tuple[int, ...]
) -> np.ndarray:
    return np.concatenate([np.empty(empty_shape, np.float32), *arrays])
