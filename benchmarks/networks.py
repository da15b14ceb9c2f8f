"""VGGish and the convolutions of AlexNet and CaffeNet against PyTorch eager.

A clip of 10 s each: 20 log-mel patches; 10 frames of 16:9, as they are after
scaling. Both have the same weights, compute in float32, and take and give
arrays of NumPy. Three turns.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import keras
import numpy as np

from benchmarks import timing
from fast_rcnn_features import networks
from vggish.network import build_vggish

_FRAMES, _PATCHES = (10, 563, 1000, 3), (20, 96, 64)


def run() -> Iterator[str]:
    """Compares each network."""
    has_torch = importlib.util.find_spec("torch")
    if not has_torch:
        yield "Not compared with PyTorch, which is not installed."
    is_jax = keras.backend.backend() == "jax"
    if is_jax:
        import jax

        # No TF32, as in extraction.
        jax.config.update("jax_default_matmul_precision", "float32")
    generator = np.random.default_rng(0)
    for model, shape in (
        (build_vggish(), _PATCHES),
        *((networks.build(name), _FRAMES) for name in networks.NAMES),
    ):
        inputs = generator.standard_normal(shape, np.float32)
        model.jit_compile = is_jax
        functions = {
            timing.OURS: lambda m=model, x=inputs: m.predict_on_batch(x)
        }
        if has_torch:
            functions["PyTorch"] = _torch(model, inputs)
            ours, other = (function() for function in functions.values())
            error = np.abs(ours - other).max() / np.abs(ours).max()
            assert error < 1e-3, f"{model.name} differs by {error}"
        yield from timing.compare(model.name, functions, turns=3)


def _torch(model: keras.Model, inputs: np.ndarray) -> Callable[[], np.ndarray]:
    import torch

    from benchmarks import torch_models

    torch.backends.cudnn.allow_tf32 = False
    network = torch_models.convolution_network(model)
    network.to(memory_format=torch.channels_last)

    def predict() -> np.ndarray:
        with torch.inference_mode():
            x = torch.from_numpy(inputs).to(torch_models.DEVICE)
            x = x if x.ndim == 4 else x[..., None]
            # [B, D, H, W] by name, with the channels last in memory, which
            # is faster.
            outputs = network(x.permute(0, 3, 1, 2))
            if outputs.ndim == 4:
                outputs = outputs.permute(0, 2, 3, 1)
            return outputs.cpu().numpy()

    return predict
