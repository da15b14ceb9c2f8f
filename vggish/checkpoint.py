"""Reads the published weights of VGGish, `vggish_model.ckpt`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from vggish import weight_shapes


def load(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a TensorFlow 1 checkpoint to VGGish.

    Everything is read and compared first: the model changes only if each of
    its weights is in the checkpoint with the right shape. What else the
    checkpoint holds (an optimizer, say) is left alone.

    Args:
        model: Network of `vggish.network.build_vggish`.
        path: Checkpoint as `tf.compat.v1.train.Saver` writes it: the file of
            the first format (the published one is of that kind), or what the
            files of the second have in common, without `.index`.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it cannot be read, or naming every weight that it lacks
            or holds in another shape.
    """
    path = os.fspath(path)
    weights = _official_weights(model)
    values = _read(path, {name: w.shape for name, w in weights.items()})
    for name, weight in weights.items():
        weight.assign(values[name])


def _official_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by the names of `vggish_slim.py`."""
    weights = {}
    for layer in model.layers:
        if layer.weights:
            scope = _official_scope(layer.name)
            weights[f"{scope}/weights"] = layer.kernel
            weights[f"{scope}/biases"] = layer.bias
    return weights


def _official_scope(layer_name: str) -> str:
    """conv1 has the scope vggish/conv1, but conv3_1 vggish/conv3/conv3_1."""
    group, _, number = layer_name.partition("_")
    return f"vggish/{group}/{layer_name}" if number else f"vggish/{layer_name}"


def _read(
    path: str, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Values of the variables in `shapes`, from a checkpoint that fits them."""
    try:
        reader = tf.train.load_checkpoint(path)
        received = reader.get_variable_to_shape_map()
        weight_shapes.check(path, "VGGish", shapes, received)
        return {name: reader.get_tensor(name) for name in shapes}
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(
            f"Expected VGGish's checkpoint at {path}, found none."
        ) from error
    except (tf.errors.OpError, IndexError) as error:
        # A cut index file of the second format ends in an IndexError.
        raise ValueError(
            f"Expected a TensorFlow checkpoint at {path}, received what cannot "
            f"be read as one ({error}); fetch it again."
        ) from error
