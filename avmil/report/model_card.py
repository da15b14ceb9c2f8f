"""A run as a model card: what a stranger must know of it, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

_HEAD = """---
library_name: keras
tags: [audio-visual, weakly-supervised, event-localization]
---
# {name}

A system `{system}` of [Parekh et al., Weakly Supervised Representation
Learning for Unsynchronized Audio-Visual Events](https://arxiv.org/abs/1804.07345)
(CVPRW 2018), trained by avmil on clips that carry labels only. It says which of
its {num_classes} classes a video shows; the scores of its proposals say where
it is seen and when it is heard. Weights: {weights}.
"""
_USE = """
## Use

The packed file of this run is opened by avmil, which finds the weights of the
base networks in `weights_dir` by their SHA-256:

```python
import avmil

run = avmil.load_run("{name}.zip", weights_dir="weights")
run.localize("video.mp4").save("found")
```

The network alone, as a SavedModel, an ONNX or a Keras file, takes bags of
features (B clips, M regions, T segments) and gives scores of all classes.
A class is predicted where `scores` pass its threshold. A Keras file needs
avmil's layers: `import model.systems` before it is loaded.
"""


def render(
    name: str,
    system: str,
    weights: str,
    classes: Sequence[str],
    thresholds: Mapping[str, float] | None,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
    recipe: Mapping[str, Any],
    tensors: Sequence[tuple[str, str, str, str]],
) -> str:
    """Writes the card.

    Args:
        name: Name of the run.
        system: Name of its system in `model.systems`.
        weights: Which of its weights they are.
        classes: Its classes, in the order of the scores.
        thresholds: Of each class; None where evaluate.py did not run.
        metrics: Content of `metrics.json`; empty where it did not run.
        training: The flags that decided what was learned.
        recipe: Of the features.
        tensors: Input or output, name, dtype and shape of each tensor.
    """
    facts = {"name": name, "system": system, "weights": weights}
    parts = [_HEAD.format(**facts, num_classes=len(classes)), "\n## Scores\n\n"]
    if metrics:
        micro, interval = metrics["micro"], metrics["micro_intervals"]["f1"]
        parts.append(
            "On its test split, micro-averaged, in percent: "
            f"F1 {100 * micro['f1']:.1f} (95 % interval "
            f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}), "
            f"precision {100 * micro['precision']:.1f}, "
            f"recall {100 * micro['recall']:.1f}; mean average precision "
            f"{100 * metrics['ranking']['mean_average_precision']:.1f}.\n"
        )
        if metrics["is_at_chance"]:
            parts.append("\n**At chance: its labels say little.**\n")
    else:
        parts.append("It was not evaluated: no class is predicted.\n")
    measured = {row["name"]: row["f1"] for row in metrics.get("classes", ())}
    rows = [
        (
            class_name.replace("|", "\\|"),
            f"{thresholds[class_name]:.4g}" if thresholds else "",
            f"{100 * measured[class_name]:.1f}" if measured else "",
        )
        for class_name in classes
    ]
    parts += [
        _table(["class", "threshold", "F1"], rows),
        _USE.format(**facts, num_classes=len(classes)),
        _table(["", "name", "dtype", "shape"], tensors),
        "\n## Training\n",
        _table(["flag", "value"], training.items()),
        "\n## Features\n",
        _table(["parameter", "value"], recipe.items()),
    ]
    return "".join(parts)


def _table(columns: Sequence[str], rows: Any) -> str:
    frame = pd.DataFrame(list(rows), columns=columns).astype(str)
    table = frame.to_markdown(index=False, disable_numparse=True)
    return f"\n{table}\n"
