"""From one media file to the features of its bags.

The one place where decoding, EdgeBoxes and the base networks meet.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import keras
import numpy as np

from avmil.clips import media
from avmil.clips.manifest import ManifestEntry
from avmil.common import files
from avmil.common.errors import (
    ClipError,
    MediaError,
    NoTrackError,
    StorageError,
    config_errors,
)
from avmil.features import recipe
from avmil.features.clip_features import ClipFeatures
from avmil.features.given_features import (
    AUDIO_FIELDS,
    FindBoxes,
    GivenFeatures,
    boxes_of,
    check_same_frames,
)
from fast_rcnn_features.edge_boxes import EdgeBoxes
from fast_rcnn_features.features import RegionFeatures
from flags import RecipeConfig
from vggish import mel_features
from vggish.cvssp_features import MAX_SAMPLES as CVSSP_SAMPLES
from vggish.cvssp_features import cvssp_log_mel
from vggish.embeddings import SegmentEmbeddings, windows
from vggish.waveform import SAMPLE_RATE_HZ

# Those of a clip of 10 s: one call of the network describes them all.
_FRAMES_AT_A_TIME = 10
# Long recordings would need much memory for a spectrogram of their own.
_SEGMENTS_AT_A_TIME = 1024
# What no clip is to blame for, and what names its stage already.
_OTHER_ERRORS = (
    ClipError,
    StorageError,
    TypeError,
    AttributeError,
    ImportError,
)


class ClipExtractor:
    """Extracts clips by one recipe.

    Args:
        config: The recipe.
        num_threads: Threads for arithmetic, 0 for the libraries' choice.
        given: Where boxes are taken from instead of being searched; the
            recipe's frame rate is then the one there.
        needs_both: Whether a clip without pictures or without sound fails
            where the recipe takes in both; else it has none of their features.

    Raises:
        ConfigError: if a weights file does not fit its network.
    """

    def __init__(
        self,
        config: RecipeConfig,
        num_threads: int = 0,
        given: GivenFeatures | None = None,
        needs_both: bool = True,
    ) -> None:
        configure_backend(num_threads)
        self._fields = recipe.layout(config)
        self._needs_all = needs_both or config.modalities != "audio_visual"
        self._config = config
        self._given = given
        self._visual = config.modalities != "audio"
        self._threads = ThreadPoolExecutor(num_threads or os.cpu_count() or 1)
        if self._visual and not given:
            forest = config.edges == "structured_forest" and config.edge_forest
            with config_errors("--edge_forest", OSError):
                self._edge_boxes = EdgeBoxes(
                    config.edges, config.max_boxes, forest or None
                )
        if self._visual:
            with config_errors("--region_weights", OSError):
                self._region_features = RegionFeatures(
                    config.region_network,
                    recipe.weights_path(config.region_weights),
                    config.short_side_px,
                    config.long_side_px,
                    config.network_seed,
                    config.roi_bins,
                )
        given_audio = given is not None and given.audio
        self._embeds = config.modalities != "visual" and not given_audio
        if self._embeds:
            activation = config.embedding_activation
            with config_errors("--audio_weights", OSError):
                self._segment_embeddings = SegmentEmbeddings(
                    config.audio_network,
                    recipe.weights_path(config.audio_weights),
                    None if activation == "none" else activation,
                    config.network_seed,
                )

    def __call__(
        self,
        row: ManifestEntry,
        on_frame: Callable[[np.ndarray], None] | None = None,
        describe: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> ClipFeatures:
        """Decodes one clip and extracts its features, frame by frame.

        Args:
            row: The clip.
            on_frame: Takes every sampled frame, uint8 [H, W, 3]; those of a
                recipe for sound alone too, if there are any.
            describe: Turns the regions of some frames, float16 [N, D],
                into rows that are kept as `regions` in their place. No
                log-mel patches are kept then, for long videos: [T, 0, 64].

        Raises:
            ClipError: with the stage that failed and the reason.
        """
        given = None
        if self._given:
            with stage("boxes"):
                given = self._given.read(row.clip_id)
        bag = _Bag(
            self._threads,
            self._find_boxes if given is None else boxes_of(given),
            self._region_features if self._visual else None,
            self._fields["regions"].shape[1],
            on_frame,
            describe,
        )
        decode = functools.partial(
            media.decode_clip,
            start_s=row.start_s,
            end_s=row.end_s,
            frame_rate_hz=self._config.frame_rate_hz,
            audio=self._embeds,
            on_frame=bag.add,
            least_duration_s=float(given["duration_s"]) if given else 0.0,
        )
        with stage("decode"), files.local_copy(row.path) as path:
            try:
                clip = decode(path, video=self._visual or bool(on_frame))
            except MediaError as error:  # Sound alone may be enough.
                has_none = isinstance(error, NoTrackError)
                enough = has_none and not self._needs_all
                if (self._visual and not enough) or not on_frame:
                    raise
                clip = decode(path, video=False)
                if clip.waveform is None and self._visual:
                    raise
        with stage("regions"):
            visual = bag.features(clip.frame_times_s)
            if given:
                check_same_frames(given, visual)
        with stage("segments"):
            if given and self._given.audio:
                audio = {name: given[name] for name in AUDIO_FIELDS}
            else:
                audio = self._audio_features(clip, 0 if describe else None)
        return ClipFeatures(
            row.clip_id, row.labels, clip.duration_s, **visual, **audio
        )

    def _find_boxes(
        self, _: int, frame_rgb: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._edge_boxes(frame_rgb)

    def _audio_features(
        self, clip: media.Clip, kept_frames: int | None
    ) -> dict[str, np.ndarray]:
        waveform, hop_s = clip.waveform, self._config.segment_hop_s
        if self._embeds and waveform is None:
            if self._config.missing_audio == "silence":
                num_samples = round(clip.duration_s * SAMPLE_RATE_HZ)
                waveform = np.zeros(num_samples, np.float32)
            elif self._needs_all:
                raise ValueError("no sound track")
        if waveform is None:
            return {
                name: np.empty((0, *self._fields[name].shape[1:]), np.float32)
                for name in AUDIO_FIELDS
            }
        log_mel, segments = [], []
        embed = self._segment_embeddings
        for start, patches in _log_mel_blocks(
            waveform, hop_s, embed.log_offset
        ):
            inputs = patches
            if embed.window_samples:
                inputs = windows(
                    waveform[start:],
                    len(patches),
                    embed.window_samples,
                    round(hop_s * SAMPLE_RATE_HZ),
                )
            segments.append(embed(inputs))
            log_mel.append(patches[:, :kept_frames].copy())
        embedded = np.concatenate(segments)
        return {
            "log_mel": np.concatenate(log_mel),
            "segments": embedded,
            "segment_times_s": mel_features.segment_times_s(
                len(embedded), hop_s, embed.segment_s
            ),
            "cvssp_log_mel": cvssp_log_mel(
                waveform[:CVSSP_SAMPLES],
                SAMPLE_RATE_HZ,
                self._config.cvssp_scaling_rate_hz,
            ),
        }


def _log_mel_blocks(
    waveform: np.ndarray, hop_s: float, log_offset: float
) -> Iterator[tuple[int, np.ndarray]]:
    """First samples and `log_mel_patches` of a waveform, some at a time."""
    hop = mel_features.hop_frames(hop_s) * mel_features.FRAME_HOP_SAMPLES
    block = _SEGMENTS_AT_A_TIME * hop
    overlap = mel_features.PATCH_SAMPLES - hop
    for start in range(0, max(1, len(waveform) - overlap), block):
        part = waveform[start : start + block + overlap]
        yield (
            start,
            mel_features.log_mel_patches(
                part, SAMPLE_RATE_HZ, hop_s, log_offset
            ),
        )


class _Bag:
    """Collects the regions of a clip, whose frames come one by one.

    Without `region_features` there are none; `on_frame` and `describe` are
    those of the extractor.
    """

    def __init__(
        self,
        threads: ThreadPoolExecutor,
        find_boxes: FindBoxes,
        region_features: RegionFeatures | None,
        region_size: int,
        on_frame: Callable[[np.ndarray], None] | None,
        describe: Callable[[np.ndarray], np.ndarray] | None,
    ) -> None:
        self._threads = threads
        self._find_boxes = find_boxes
        self._region_features = region_features
        self._region_size = region_size
        self._on_frame = on_frame
        self._describe_regions = describe
        self._size_px = (0, 0)
        self._waiting: list[np.ndarray] = []
        self._boxes: list[np.ndarray] = []
        self._objectness: list[np.ndarray] = []
        self._regions: list[np.ndarray] = []

    def add(self, frame_rgb: np.ndarray) -> None:
        """Takes the next frame; a ClipError if it cannot be described."""
        if self._on_frame:
            self._on_frame(frame_rgb)
        if self._size_px == (0, 0):
            self._size_px = frame_rgb.shape[1::-1]
        if self._region_features is None:
            return
        first = self._waiting[0] if self._waiting else frame_rgb
        if first.shape != frame_rgb.shape:
            self._describe()
        self._waiting.append(frame_rgb)
        if len(self._waiting) == _FRAMES_AT_A_TIME:
            self._describe()

    def features(self, frame_times_s: np.ndarray) -> dict[str, np.ndarray]:
        """The visual fields of a clip with frames at these instants."""
        self._describe()
        counts = [len(boxes) for boxes in self._boxes] or 0
        size_px = self._size_px if len(frame_times_s) else (0, 0)
        no_regions = np.empty((0, self._region_size), np.float16)
        no_boxes = np.empty((0, 4), np.float32)
        return {
            "regions": np.concatenate(self._regions or [no_regions]),
            "boxes": np.concatenate(self._boxes or [no_boxes]),
            "objectness": np.concatenate(self._objectness or [no_boxes[:, 0]]),
            "region_times_s": np.repeat(frame_times_s, counts),
            "frame_times_s": frame_times_s,
            "frame_size_px": np.array(size_px, np.int32),
        }

    def _describe(self) -> None:
        """Describes the frames that wait."""
        if not self._waiting:
            return
        with stage("regions"):
            numbers = itertools.count(len(self._boxes))
            found = self._threads.map(self._find_boxes, numbers, self._waiting)
            boxes, objectness = zip(*found, strict=True)
            regions = self._region_features(self._waiting, boxes)
            with np.errstate(over="ignore"):  # An infinity is refused later.
                regions = [r.astype(np.float16) for r in regions]
            if self._describe_regions:
                regions = [self._describe_regions(np.concatenate(regions))]
            self._regions += regions
            self._boxes += boxes
            self._objectness += objectness
            self._waiting.clear()


def configure_backend(num_threads: int) -> None:
    """Sets threads, before any network, and the precision of convolutions."""
    cv2.setNumThreads(num_threads or -1)
    if keras.backend.backend() == "jax":
        import jax

        # Convolutions in float32 also where the device would round to TF32.
        jax.config.update("jax_default_matmul_precision", "float32")
    elif keras.backend.backend() == "tensorflow" and num_threads:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Turns what goes wrong within into a ClipError of this stage."""
    try:
        yield
    except _OTHER_ERRORS:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClipError(name, reason) from error
