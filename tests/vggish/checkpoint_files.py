"""VGGish's and YAMNet's weights by official name, and made-up files."""

from __future__ import annotations

import flatbuffers
import h5py
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

# Variables of `vggish_slim.py` and the shapes of their weights.
VGGISH_SHAPES = {
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
# Stride and filters of the separable blocks, layer2 to layer14.
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


def yamnet_shapes():
    """Shapes by the names in `yamnet.h5`, without the repeated layer."""
    shapes = {"layer1/conv/kernel": (3, 3, 1, 32)}
    add_normalization(shapes, "layer1/conv", 32)
    depth = 32
    for number, (_, filters) in enumerate(SEPARABLE_BLOCKS, start=2):
        depthwise = f"layer{number}/depthwise_conv"
        shapes[f"{depthwise}/depthwise_kernel"] = (3, 3, depth, 1)
        add_normalization(shapes, depthwise, depth)
        pointwise = f"layer{number}/pointwise_conv"
        shapes[f"{pointwise}/kernel"] = (1, 1, depth, filters)
        add_normalization(shapes, pointwise, filters)
        depth = filters
    shapes["logits/kernel"] = (1024, 521)
    shapes["logits/bias"] = (521,)
    return shapes


def add_normalization(shapes, convolution, depth):
    for name in ("beta", "moving_mean", "moving_variance"):
        shapes[f"{convolution}/bn/{name}"] = (depth,)


def vggish_values(scopes=VGGISH_SHAPES):
    """Weights and biases that keep the scale of a signal, by official name."""
    generator = np.random.default_rng(0)
    values = {}
    for scope in scopes:
        shape = VGGISH_SHAPES[scope]
        weights = generator.standard_normal(shape, np.float32)
        weights *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        values[f"{scope}/weights"] = weights
        values[f"{scope}/biases"] = generator.standard_normal(
            shape[-1], np.float32
        )
    return values


def yamnet_values():
    """Weights that keep the scale of a signal, and lively statistics."""
    generator = np.random.default_rng(3)
    values = {}
    for name, shape in yamnet_shapes().items():
        if name.endswith("kernel"):
            fan_in = 9 if "depthwise" in name else np.prod(shape[:-1])
            value = generator.normal(0, np.sqrt(2 / fan_in), shape)
        elif name.endswith("variance"):
            value = generator.uniform(0.5, 1.5, shape)
        else:
            value = generator.normal(0, 0.1, shape)
        values[name] = value.astype(np.float32)
    return values


def plain_vggish(patches, values):
    """Embeddings [T, 128], by tf.nn alone."""

    def convolution(x, scope):
        x = tf.nn.conv2d(x, values[f"{scope}/weights"], 1, "SAME")
        return tf.nn.relu(x + values[f"{scope}/biases"])

    def dense(x, scope):
        product = x @ values[f"{scope}/weights"]
        return tf.nn.relu(product + values[f"{scope}/biases"])

    x = convolution(patches[..., None], "vggish/conv1")
    x = convolution(tf.nn.max_pool2d(x, 2, 2, "VALID"), "vggish/conv2")
    x = convolution(tf.nn.max_pool2d(x, 2, 2, "VALID"), "vggish/conv3/conv3_1")
    x = convolution(x, "vggish/conv3/conv3_2")
    x = convolution(tf.nn.max_pool2d(x, 2, 2, "VALID"), "vggish/conv4/conv4_1")
    x = convolution(x, "vggish/conv4/conv4_2")
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")  # [T, 6, 4, 512]
    x = dense(tf.reshape(x, [len(patches), -1]), "vggish/fc1/fc1_1")
    x = dense(x, "vggish/fc1/fc1_2")
    return dense(x, "vggish/fc2").numpy()


def plain_yamnet(patches, values):
    """Embeddings [T, 1024] and scores [T, 521], by tf.nn alone."""

    def normalized_relu(x, name):
        return tf.nn.relu(
            tf.nn.batch_normalization(
                x,
                values[f"{name}/bn/moving_mean"],
                values[f"{name}/bn/moving_variance"],
                values[f"{name}/bn/beta"],
                None,
                1e-4,
            )
        )

    x = tf.nn.conv2d(
        patches[..., None], values["layer1/conv/kernel"], 2, "SAME"
    )
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
                folded = kernel[..., 0] * factor  # [3, 3, C]
                folded = folded[None]  # [1, 3, 3, C]
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
        tensors: Name, float32 or int8 array, and None or its scales, zero
            points and quantized axis.
    """
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers, graph.tensors = [schema.BufferT()], []
    for name, array, quantization in tensors:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape = name, list(array.shape)
        tensor.type = {"f": schema.TensorType.FLOAT32}.get(
            array.dtype.kind, schema.TensorType.INT8
        )
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
