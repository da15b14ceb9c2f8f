"""RoI pooling against a plain C loop, compiled with -O3, and torchvision.

The map is that of a 16:9 frame; 10 boxes are those of a frame. The C loop has
one box after the other and the channels innermost, which compilers vectorize;
torchvision has the channels first.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import timing
from fast_rcnn_features.roi_pooling import roi_max_pool

_HEIGHT, _WIDTH, _DEPTH, _BINS, _SCALE = 36, 63, 256, 6, 1 / 16
_C_SOURCE = r"""
#include <math.h>
static int cut(float x, int size) { return x < 0 ? 0 : x > size ? size : x; }
void pool(const float *map, int height, int width, int depth,
          const float *boxes, int num_boxes, int bins, float *out) {
  for (int r = 0; r < num_boxes; r++, boxes += 4) {
    int x1 = roundf(boxes[0] / 16), y1 = roundf(boxes[1] / 16);
    float h = (fmaxf(roundf(boxes[3] / 16) - y1 + 1, 1)) / bins;
    float w = (fmaxf(roundf(boxes[2] / 16) - x1 + 1, 1)) / bins;
    for (int i = 0; i < bins; i++)
      for (int j = 0; j < bins; j++, out += depth) {
        int top = cut(y1 + floorf(i * h), height);
        int bottom = cut(y1 + ceilf((i + 1) * h), height);
        int left = cut(x1 + floorf(j * w), width);
        int right = cut(x1 + ceilf((j + 1) * w), width);
        int empty = top >= bottom || left >= right;
        for (int d = 0; d < depth; d++) out[d] = empty ? 0 : -INFINITY;
        for (int y = top; y < bottom; y++)
          for (int x = left; x < right; x++) {
            const float *cell = map + (y * width + x) * depth;
            for (int d = 0; d < depth; d++)
              out[d] = cell[d] > out[d] ? cell[d] : out[d];
          }
      }
  }
}
"""


def run() -> Iterator[str]:
    """Compares a frame's boxes and many boxes."""
    generator = np.random.default_rng(0)
    feature_map = generator.random((_HEIGHT, _WIDTH, _DEPTH), np.float32)
    others = {}
    if compiler := shutil.which("cc"):
        others["C, -O3"] = _c_loop(compiler)
    else:
        yield "There is no C compiler (cc): not compared with the C loop."
    try:
        others["torchvision"] = _torchvision(feature_map)
    except (ImportError, RuntimeError) as error:
        yield f"Not compared with torchvision: {error}."
    for num_boxes in (10, 100):
        corners = generator.random((num_boxes, 2, 2), np.float32)
        corners = np.sort(corners, axis=1) * [16 * _WIDTH, 16 * _HEIGHT]
        boxes = corners.reshape(-1, 4).astype(np.float32)  # x1, y1, x2, y2
        functions = {
            timing.OURS: lambda b=boxes: roi_max_pool(feature_map, b, _SCALE)
        }
        for name, pool in others.items():
            functions[name] = lambda p=pool, b=boxes: p(feature_map, b)
            np.testing.assert_array_equal(
                functions[name](), functions[timing.OURS]()
            )
        yield from timing.compare(f"{num_boxes} boxes", functions)


def _c_loop(compiler: str) -> Callable[..., np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "pool.so")
        options = ["-O3", "-shared", "-fPIC", "-xc", "-", "-o", library, "-lm"]
        command = [compiler, *options]
        subprocess.run(command, input=_C_SOURCE, text=True, check=True)
        loop = ctypes.CDLL(library).pool

    def pool(feature_map: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        shape = (len(boxes), _BINS, _BINS, _DEPTH)
        pooled = np.empty(shape, np.float32)
        pointers = [
            ctypes.c_void_p(array.ctypes.data)
            for array in (feature_map, boxes, pooled)
        ]
        sizes = _HEIGHT, _WIDTH, _DEPTH
        loop(pointers[0], *sizes, pointers[1], len(boxes), _BINS, pointers[2])
        return pooled

    return pool


def _torchvision(feature_map: np.ndarray) -> Callable[..., np.ndarray]:
    import torch
    from torchvision.ops import roi_pool

    channels_first = np.ascontiguousarray(feature_map.transpose(2, 0, 1))
    images = torch.from_numpy(channels_first)[None]

    def pool(_: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        rows = [torch.from_numpy(boxes)]
        pooled = roi_pool(images, rows, _BINS, _SCALE)  # [R, D, P, P]
        return pooled.numpy().transpose(0, 2, 3, 1)

    return pool
