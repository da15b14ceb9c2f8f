"""The project's networks in PyTorch, with the weights of a Keras model."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fast_rcnn_features.networks import LocalResponseNormalization
from model import layers

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_TINY = 1e-7  # As in Keras' cross-entropy.


def synchronize() -> None:
    """Waits for the GPU, if there is one."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def convolution_network(model: keras.Model) -> nn.Module:
    """A network of convolutions and dense layers, from [B, D, H, W]."""
    converted: list[nn.Module] = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
            same = layer.padding == "same"
            convolution = nn.Conv2d(
                kernel.shape[1] * layer.groups,
                *kernel.shape[::2],
                stride=layer.strides,
                padding=kernel.shape[2] // 2 if same else 0,
                groups=layer.groups,
            )
            converted += [_filled(convolution, kernel, layer.bias), nn.ReLU()]
        elif isinstance(layer, keras.layers.Dense):
            converted += [_dense(layer), nn.ReLU()]
        elif isinstance(layer, keras.layers.MaxPooling2D):
            converted.append(nn.MaxPool2d(layer.pool_size, layer.strides))
        elif isinstance(layer, keras.layers.ZeroPadding2D):
            (top, bottom), (left, right) = layer.padding
            converted.append(nn.ZeroPad2d((left, right, top, bottom)))
        elif isinstance(layer, LocalResponseNormalization):
            converted.append(nn.LocalResponseNorm(5))
        elif isinstance(layer, keras.layers.Flatten):
            converted.append(_ChannelsLastFlatten())
    return nn.Sequential(*converted).to(DEVICE).eval()


class System(nn.Module):
    """A system of rows (a) to (e): bags of clips to scores [B, C]."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._bags, self._kinds = {}, {}
        self.layers = nn.ModuleDict()
        for modality, bag, names in (
            ("visual", "region", ("fc6", "fc7")),
            ("audio", "segment", ("audio_fc",)),
        ):
            if f"{bag}s" not in model.input:
                continue
            scoring = model.get_layer(f"{modality}_scoring")
            self._bags[bag], self._kinds[bag] = names, type(scoring)
            for name in names:
                self.layers[name] = _dense(model.get_layer(name))
            for name in ("classification", "localization"):
                if hasattr(scoring, name):
                    stream = _dense(getattr(scoring, name))
                    self.layers[f"{bag}_{name}"] = stream
        self.to(DEVICE)

    def forward(self, clips: dict[str, torch.Tensor]) -> torch.Tensor:
        """Clips of one batch -> scores [B, C]."""
        total = 0.0
        for bag, names in self._bags.items():
            x, mask = clips[f"{bag}s"], clips[f"{bag}_mask"][..., None]
            if not torch.is_autocast_enabled(DEVICE):
                x = x.float()
            for name in names:
                x = functional.relu(self.layers[name](x))
                if bag == "region":
                    x = functional.dropout(x, 0.5, self.training)
            with torch.autocast(DEVICE, enabled=False):
                total = total + self._score(bag, x.float(), mask)
        return total

    def _score(
        self, bag: str, x: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        scores, kind = self.layers[f"{bag}_classification"](x), self._kinds[bag]
        if kind is layers.OneStreamScoring:
            scores = scores.masked_fill(~mask, -6e4).logsumexp(1)
            return functional.normalize(scores, dim=-1)
        places = self.layers[f"{bag}_localization"](x)  # [B, P, C]
        weights = places.masked_fill(~mask, -6e4).softmax(1) * mask
        if kind is layers.WsddnScoring:
            return (scores.softmax(-1) * weights).sum(1)
        return functional.normalize((scores * weights).sum(1), dim=-1)


def train_function(
    system: System,
    clips: dict[str, torch.Tensor],
    learning_rate: float,
    epsilon: float,
    bfloat16: bool = False,
    compiled: bool = False,
) -> Callable[[np.ndarray], None]:
    """Makes the function that trains on the clips `rows` [K, B] of K steps."""
    system.train()
    adam = torch.optim.Adam(
        system.parameters(), learning_rate, eps=epsilon, fused=True
    )
    hinge = layers.WsddnScoring not in system._kinds.values()

    def step(rows: torch.Tensor) -> torch.Tensor:
        adam.zero_grad(set_to_none=True)
        batch = {name: array[rows] for name, array in clips.items()}
        with torch.autocast(DEVICE, torch.bfloat16, enabled=bfloat16):
            scores = system(batch)
        labels = batch["labels"]
        if hinge:
            loss = functional.relu(1 - (2 * labels - 1) * scores).mean()
        else:
            scores = scores.clamp(_TINY, 1 - _TINY)
            loss = functional.binary_cross_entropy(scores, labels)
        loss.backward()
        adam.step()
        return loss

    step = torch.compile(step) if compiled else step

    def train(rows: np.ndarray) -> None:
        for step_rows in torch.from_numpy(rows).to(DEVICE):
            step(step_rows)
        synchronize()

    return train


class _ChannelsLastFlatten(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


def _dense(layer: keras.layers.Dense) -> nn.Linear:
    kernel = np.asarray(layer.kernel).T
    return _filled(nn.Linear(*kernel.shape[::-1]), kernel, layer.bias)


def _filled(module: nn.Module, kernel: np.ndarray, bias: object) -> nn.Module:
    with torch.no_grad():
        module.weight.copy_(torch.tensor(kernel))
        module.bias.copy_(torch.tensor(np.asarray(bias)))
    return module
