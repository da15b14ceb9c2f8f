"""A whole clip by stage, against the sum of the floors of its arithmetic.

A drawn clip of 10 s. The floor of a network is its multiplications and
additions at the rate of a Keras product of 2048 x 2048 in the same turn; that
of every other stage is its own time. Edges and boxes are searched in several
frames at once, as extraction does. The networks are untrained, which takes as
long. Three turns.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

from avmil.clips import drawn_clips, media
from avmil.clips.manifest import ManifestEntry
from avmil.features import clip_features, extractor, published_weights
from benchmarks import timing
from fast_rcnn_features import networks
from fast_rcnn_features.edge_boxes import EdgeBoxes
from fast_rcnn_features.preprocessing import prepare_image
from fast_rcnn_features.roi_pooling import roi_max_pool
from flags import RecipeConfig
from vggish.cvssp_features import cvssp_log_mel
from vggish.embeddings import SegmentEmbeddings
from vggish.mel_features import log_mel_patches
from vggish.network import build_vggish
from vggish.waveform import SAMPLE_RATE_HZ

_PRODUCT_SIZE = 2048


def run() -> Iterator[str]:
    """Compares the clip and its stages."""
    (forest,) = (
        pathlib.Path("weights", w.file_name)
        for w in published_weights.WEIGHT_FILES
        if w.name == "edge_forest"
    )
    if not forest.exists():
        yield f"Edges are the gradient's: {forest} is not there."
    edges = "structured_forest" if forest.exists() else "gradient"
    config = RecipeConfig(
        edges=edges,
        edge_forest=str(forest),
        region_weights="random",
        audio_weights="random",
    )
    extract = extractor.ClipExtractor(config)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.mp4")
        (plan,) = drawn_clips.plan_clips(drawn_clips.DrawnClipsConfig(1, 0, 0))
        drawn_clips.write_clip(plan, path)
        entry = ManifestEntry("clip", path, (), "train")
        whole = "whole clip"
        functions = {whole: lambda: extract(entry)}
        find = EdgeBoxes(edges, 10, forest if forest.exists() else None)
        stages, flops = _stages(path, find, extract(entry))
        factor = ops.ones((_PRODUCT_SIZE, _PRODUCT_SIZE))
        functions |= {
            **stages,
            "product": lambda: np.asarray(ops.matmul(factor, factor)),
        }
        times = timing.alternate(functions, turns=3)
    product_flops = 2 * _PRODUCT_SIZE**3
    floors = {name: times[name] for name in stages}
    for name, count in flops.items():
        floors[name] = [s * count / product_flops for s in times["product"]]
    total = [sum(turn) for turn in zip(*floors.values(), strict=True)]
    yield from timing.lines(whole, {"": times[whole], "sum of floors": total})
    for name in stages:
        others = {"products": floors[name]} if name in flops else {}
        yield from timing.lines(name, {"": times[name], **others})
    rate = product_flops / min(times["product"]) / 1e9
    yield f"The product ran at {rate:.0f} GFLOP/s."


def _stages(
    path: str, find: EdgeBoxes, features: clip_features.ClipFeatures
) -> tuple[dict, dict[str, float]]:
    """What each stage of this clip does, and the networks' operations."""
    clip = media.decode_clip(path)
    prepared = [prepare_image(frame, "caffenet") for frame in clip.frames_rgb]
    images = np.stack([image for image, _ in prepared])
    model, vggish = networks.build("caffenet"), build_vggish()
    model.jit_compile = keras.backend.backend() == "jax"
    maps = model.predict_on_batch(images)
    log_mel = features.log_mel
    embed = SegmentEmbeddings("vggish")
    threads = ThreadPoolExecutor(os.cpu_count())
    boxes = [
        features.boxes[features.region_times_s == time_s] * prepared[0][1]
        for time_s in clip.frame_times_s
    ]
    fields = clip_features.layout(9216, 128)
    conv, audio = "convolutions (CaffeNet)", "VGGish"
    stages = {
        "decoding": lambda: media.decode_clip(path),
        "edges and boxes": lambda: list(threads.map(find, clip.frames_rgb)),
        "scaling": lambda: [
            prepare_image(frame, "caffenet") for frame in clip.frames_rgb
        ],
        conv: lambda: model.predict_on_batch(images),
        "RoI pooling": lambda: list(map(roi_max_pool, maps, boxes)),
        "log-mel": lambda: log_mel_patches(clip.waveform, SAMPLE_RATE_HZ),
        audio: lambda: embed(log_mel),
        "CVSSP's log-mel": lambda: cvssp_log_mel(clip.waveform, SAMPLE_RATE_HZ),
        "record": lambda: clip_features.to_record(features, fields),
    }
    return stages, {conv: _flops(model, images), audio: _flops(vggish, log_mel)}


def _flops(model: keras.Model, inputs: np.ndarray) -> float:
    """Multiplications and additions of a chain of layers."""
    outputs, flops = keras.KerasTensor(inputs.shape), 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        outputs = layer.compute_output_spec(outputs)
        if hasattr(layer, "kernel"):
            positions = np.prod(outputs.shape[:-1])
            flops += 2.0 * positions * np.prod(layer.kernel.shape)
    return flops
