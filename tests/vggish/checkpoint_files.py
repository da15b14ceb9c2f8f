"""VGGish's and YAMNet's weights by official name, and made-up files."""

from __future__ import annotations

import flatbuffers
import h5py
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

# Scopes of `vggish_slim.py` and the shapes of their kernels.
VGGISH_KERNELS = {
    "vggish/conv1": (3, 3, 1, 64),
    "vggish/conv2": (3, 3, 64, 128),
    "vggish/conv3/conv3_1": (3, 3, 128, 256),
    "vggish/conv3/conv3_2": (3, 3, 256, 256),
    "vggish/conv4/conv4_1": (3, 3, 256, 512),
    "vggish/conv4/conv4_2": (3, 3, 512, 512),
    "vggish/fc1/fc1_1": (12_288, 4096),
    "vggish/fc1/fc1_2": (4096, 4096),
    "vggish/fc2": (4096, 128),
}
# Stride and filters of YAMNet's separable blocks, layer2 to layer14.
SEPARABLE_BLOCKS = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
]
_TFLITE_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
}


def vggish_shapes():
    shapes = {}
    for scope, kernel in VGGISH_KERNELS.items():
        shapes[f"{scope}/weights"] = kernel
        shapes[f"{scope}/biases"] = kernel[-1:]
    return shapes


def yamnet_shapes():
    """Shapes by the names in `yamnet.h5`, without the repeated layer."""
    shapes = {}

    def add(layer, kernel, shape, depth):
        shapes[f"{layer}/{kernel}"] = shape
        for name in ("beta", "moving_mean", "moving_variance"):
            shapes[f"{layer}/bn/{name}"] = (depth,)

    add("layer1/conv", "kernel", (3, 3, 1, 32), 32)
    depth = 32
    for number, (_, filters) in enumerate(SEPARABLE_BLOCKS, start=2):
        name = f"layer{number}/depthwise_conv"
        add(name, "depthwise_kernel", (3, 3, depth, 1), depth)
        name = f"layer{number}/pointwise_conv"
        add(name, "kernel", (1, 1, depth, filters), filters)
        depth = filters
    return shapes | {"logits/kernel": (1024, 521), "logits/bias": (521,)}


def random_values(shapes):
    """Weights that keep the scale of a signal, and lively statistics."""
    generator = np.random.default_rng(3)
    values = {}
    for name, shape in shapes.items():
        value = generator.standard_normal(shape, np.float32)
        if len(shape) > 1:
            fan_in = 9 if "depthwise" in name else np.prod(shape[:-1])
            value *= np.float32(np.sqrt(2 / fan_in))
        elif name.endswith("variance"):
            value = np.float32(1) + np.abs(value)
        else:
            value *= np.float32(0.1)
        values[name] = value
    return values


def plain_vggish(patches, values):
    """Embeddings [T, 128], by tf.nn alone."""
    x = patches[..., None]
    for scope, kernel in VGGISH_KERNELS.items():
        if scope.endswith(("conv2", "conv3_1", "conv4_1", "fc1_1")):
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        if len(kernel) == 4:
            x = tf.nn.conv2d(x, values[f"{scope}/weights"], 1, "SAME")
        else:
            x = tf.reshape(x, [len(patches), -1]) @ values[f"{scope}/weights"]
        x = tf.nn.relu(x + values[f"{scope}/biases"])
    return x.numpy()


def plain_yamnet(patches, values):
    """Embeddings [T, 1024] and scores [T, 521], by tf.nn alone."""

    def normalized_relu(x, name):
        beta, mean, variance = (
            values[f"{name}/bn/{statistic}"]
            for statistic in ("beta", "moving_mean", "moving_variance")
        )
        return tf.nn.relu(
            tf.nn.batch_normalization(x, mean, variance, beta, None, 1e-4)
        )

    kernel = values["layer1/conv/kernel"]
    x = tf.nn.conv2d(patches[..., None], kernel, 2, "SAME")
    x = normalized_relu(x, "layer1/conv")
    for number, (stride, _) in enumerate(SEPARABLE_BLOCKS, start=2):
        name = f"layer{number}/depthwise_conv"
        kernel = values[f"{name}/depthwise_kernel"]
        strides = [1, stride, stride, 1]
        x = tf.nn.depthwise_conv2d(x, kernel, strides, "SAME")
        x = normalized_relu(x, name)
        name = f"layer{number}/pointwise_conv"
        x = tf.nn.conv2d(x, values[f"{name}/kernel"], 1, "SAME")
        x = normalized_relu(x, name)
    embeddings = tf.reduce_mean(x, axis=[1, 2])
    logits = embeddings @ values["logits/kernel"] + values["logits/bias"]
    return embeddings.numpy(), tf.sigmoid(logits).numpy()


def write_v1(path, values, version=1):
    """As the official code does, in a graph and a session of its own."""
    compat = tf.compat.v1
    with tf.Graph().as_default(), compat.Session() as session:
        for name, value in values.items():
            variable = compat.get_variable(
                name, value.shape, value.dtype, use_resource=False
            )
            variable.load(value, session)
        saver = compat.train.Saver(write_version=version)
        saver.save(session, str(path), write_meta_graph=False)
    assert path.is_file() == (version == 1)
    return path


def write_v2(path, values):
    """The second format: an index and data, `path` is their common start."""
    return write_v1(path, values, version=2)


def write_h5(path, values):
    """The layout of Keras 2's `save_weights`: a group a layer."""
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            layer = name.rpartition("/")[0]
            file[f"{layer}/{name}:0"] = value
    return path


def write_tflite(path, values):
    """The constants of a converted model, batch normalization folded in."""
    constants = {"other/constant": np.ones(3, np.float32)}
    for name, kernel in values.items():
        layer, _, weight = name.rpartition("/")
        if layer == "logits":
            constants[f"yamnet_frames/dense/{weight}"] = kernel.T
        elif weight.endswith("kernel"):
            beta, mean, variance = (
                values[f"{layer}/bn/{statistic}"]
                for statistic in ("beta", "moving_mean", "moving_variance")
            )
            factor = 1 / np.sqrt(variance + 1e-4)
            if weight == "depthwise_kernel":
                folded = (kernel[..., 0] * factor)[None]  # [1, 3, 3, C]
            else:
                folded = (kernel * factor).transpose(3, 0, 1, 2)
            constants[f"yamnet_frames/{layer}/Conv2D;another/name"] = folded
            constants[f"yamnet_frames/{layer}/bn/Fused"] = beta - mean * factor
    tensors = [(name, value, None) for name, value in constants.items()]
    path.write_bytes(make_tflite(tensors))
    return path


def make_tflite(tensors):
    """A model of nothing but constants.

    Args:
        tensors: Name, array, and None or its scales, zero points and quantized
            axis.
    """
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers, graph.tensors = [schema.BufferT()], []
    for name, array, quantization in tensors:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape = name, list(array.shape)
        tensor.type = _TFLITE_TYPES[array.dtype.name]
        if quantization:
            tensor.quantization = schema.QuantizationParametersT()
            (
                tensor.quantization.scale,
                tensor.quantization.zeroPoint,
                tensor.quantization.quantizedDimension,
            ) = quantization
        tensor.buffer = len(model.buffers)
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        model.buffers.append(buffer)
        graph.tensors.append(tensor)
    return pack(model)


def pack(model):
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
