"""YAMNet with its published weights against its own TensorFlow Lite model."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from avmil.clips import media
from tests.vggish.checkpoint_files import pack
from vggish import checkpoint
from vggish.yamnet import build_yamnet

WINDOW_SAMPLES, HOP_SAMPLES = 15_600, 7_680
NUM_CLIPS, MAX_WINDOWS = 3, 10


def windows(path):
    """Windows of 975 ms of real audio, [T, 15600]."""
    clip = media.decode_clip(path, video=False)
    frames = np.lib.stride_tricks.sliding_window_view(
        clip.waveform.astype(np.float32), WINDOW_SAMPLES
    )
    return frames[::HOP_SAMPLES][:MAX_WINDOWS]


def interpret(content, clip):
    """Scores [T, 521] and patches [T, 96, 64], window by window.

    The patches are those that the model itself makes of the waveform.
    """
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (waveform,) = interpreter.get_input_details()
    outputs = []
    for window in clip:
        interpreter.set_tensor(waveform["index"], window[None])
        interpreter.invoke()
        outputs.append(
            [
                interpreter.get_tensor(detail["index"])
                for detail in interpreter.get_output_details()
            ]
        )
    scores, patches = map(np.stack, zip(*outputs, strict=True))
    return scores[:, 0], patches


def in_floats(content):
    """The same model with its int8 weights dequantized and kept as floats.

    What it computes has no rounding of activations to int8, which the
    interpreter applies where weights are int8.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        buffer = model.buffers[tensor.buffer]
        if tensor.type == schema.TensorType.INT8 and buffer.data is not None:
            (scale,), (zero_point,) = (
                tensor.quantization.scale,
                tensor.quantization.zeroPoint,
            )
            stored = buffer.data.view(np.int8).astype(np.float32)
            buffer.data = ((stored - zero_point) * scale).view(np.uint8)
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    graph.operators = without_dequantization(model, graph.operators)
    return pack(model)


def without_dequantization(model, operators):
    sources, kept = {}, []
    for operator in operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if code.deprecatedBuiltinCode == schema.BuiltinOperator.DEQUANTIZE:
            sources[operator.outputs[0]] = operator.inputs[0]
        else:
            operator.inputs = [sources.get(i, i) for i in operator.inputs]
            kept.append(operator)
    return kept


def test_scores_are_those_of_the_model_in_floats(shared_data):
    """In float64, so that the network's own rounding is none.

    TensorFlow's float32 convolutions are up to 1.1e-5 away from it in a score,
    depending on the processor, and the interpreter's up to 2e-6.
    """
    weights = shared_data / "weights" / "yamnet.tflite"
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    network = build_yamnet()
    keras.config.set_dtype_policy(policy)
    checkpoint.load(network, weights)
    content = in_floats(weights.read_bytes())
    paths = sorted((shared_data / "clips").glob("*.mp4"))[:NUM_CLIPS]
    for path in paths:
        expected, patches = interpret(content, windows(path))
        scores = network.predict_on_batch(patches)["scores"]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert len(paths) == NUM_CLIPS
