"""A run as a model card: what a stranger must know of it, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import pandas as pd

from avmil.localization.trained_run import TrainedRun

_CARD = """---
library_name: keras
tags: [audio-visual, weakly-supervised, event-localization]
---
# {run.name}

A system `{run.system}` of [Parekh et al., Weakly Supervised Representation
Learning for Unsynchronized Audio-Visual Events](https://arxiv.org/abs/1804.07345)
(CVPRW 2018), trained by avmil on clips that carry labels only. It says which of
its {num_classes} classes a video shows; the scores of its proposals say where
it is seen and when it is heard. Weights: {run.weights}.

## Scores

{scores}

{classes}

## Use

The packed file of this run is opened by avmil, which finds the weights of the
base networks in `weights_dir` by their SHA-256:

```python
import avmil

run = avmil.load_run("{run.name}.zip", weights_dir="weights")
run.localize("video.mp4").save("found")
```

The network alone, as a SavedModel, an ONNX or a Keras file, takes bags of
features (B clips, M regions, T segments) and gives scores of all classes.
A class is predicted where `scores` pass its threshold. A Keras file needs
avmil's layers: `import model.systems` before it is loaded.

{tensors}

## Training

{training}

## Features

{recipe}
"""


def render(
    run: TrainedRun, metrics: Mapping[str, Any], training: Mapping[str, Any]
) -> str:
    """Writes the card.

    Args:
        run: The run.
        metrics: Content of `metrics.json`; empty where evaluate.py did not run.
        training: The flags that decided what was learned.
    """
    thresholds = run.thresholds or {}
    f1 = {row["name"]: row["f1"] for row in metrics.get("classes", ())}
    classes = [
        (
            name,
            f"{thresholds[name]:.4g}" if thresholds else "",
            f"{100 * f1[name]:.1f}" if f1 else "",
        )
        for name in run.class_names
    ]
    return _CARD.format(
        run=run,
        num_classes=len(classes),
        scores=_scores(metrics),
        classes=_table(["class", "threshold", "F1"], classes),
        tensors=_table(["", "name", "dtype", "shape"], _tensors(run.model)),
        training=_table(["flag", "value"], training.items()),
        recipe=_table(["parameter", "value"], run.recipe.items()),
    )


def _scores(metrics: Mapping[str, Any]) -> str:
    if not metrics:
        return "It was not evaluated: no class is predicted."
    micro, interval = metrics["micro"], metrics["micro_intervals"]["f1"]
    mean_precision = metrics["ranking"]["mean_average_precision"]
    text = (
        "On its test split, micro-averaged, in percent: "
        f"F1 {100 * micro['f1']:.1f} (95 % interval "
        f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}), "
        f"precision {100 * micro['precision']:.1f}, recall "
        f"{100 * micro['recall']:.1f}; mean average precision "
        f"{100 * mean_precision:.1f}."
    )
    if metrics["is_at_chance"]:
        text += "\n\n**At chance: its labels say little.**"
    return text


def _tensors(model: keras.Model) -> Iterable[tuple[str, str, str, str]]:
    """Input or output, name, dtype and shape of each of a network's tensors."""
    for kind, tensors in (("input", model.input), ("output", model.output)):
        for name, tensor in tensors.items():
            proposals = "M" if name.startswith("region") else "T"
            sizes = (str(size or proposals) for size in tensor.shape[1:])
            yield kind, name, tensor.dtype, f"[{', '.join(['B', *sizes])}]"


def _table(columns: list[str], rows: Iterable) -> str:
    cells = pd.DataFrame(list(rows), columns=columns).astype(str)
    cells = cells.replace({r"\|": r"\\|"}, regex=True)
    return cells.to_markdown(index=False, disable_numparse=True)
