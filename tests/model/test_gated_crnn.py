"""CVSSP's gated CRNN against NumPy, its size, and what Keras 2 did."""

from __future__ import annotations

import numpy as np
import pytest

from model import gated_crnn, systems


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def convolve(maps, kernel):
    """3x3 with zeros around, [F, K, D] -> [F, K, E]."""
    frames, bands, _ = maps.shape
    padded = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
    return sum(
        padded[i : i + frames, j : j + bands] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


def gated_block(maps, layer):
    (kernel,) = layer.convolution.get_weights()
    gamma, beta, mean, variance = layer.normalization.get_weights()
    maps = convolve(maps, kernel)
    maps = (maps - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    return maps[..., :64] * sigmoid(maps[..., 64:])


def max_pool(maps, frames, bands):
    num_frames, num_bands, depth = maps.shape
    shape = (num_frames // frames, frames, num_bands // bands, bands, depth)
    return maps.reshape(shape).max(axis=(1, 3))


def gru(inputs, weights, activation):
    """Keras 2: gates z, r, h; the reset comes before the product."""
    kernel, recurrent, bias = (np.split(w, 3, axis=-1) for w in weights)
    state, states = np.zeros(128), []
    for x in inputs:
        projected = [x @ kernel[k] + bias[k] for k in range(3)]
        z, r = (
            np.clip(0.2 * (projected[k] + state @ recurrent[k]) + 0.5, 0, 1)
            for k in range(2)
        )
        candidate = activation(projected[2] + (r * state) @ recurrent[2])
        state = z * state + (1 - z) * candidate
        states.append(state)
    return np.array(states)


def bidirectional(inputs, layer, activation):
    weights = layer.get_weights()
    ahead = gru(inputs, weights[:3], activation)
    back = gru(inputs[::-1], weights[3:], activation)[::-1]
    return np.concatenate([ahead, back], axis=1)


def step_scores(log_mel, model, attention, means, stds):
    """Scores of each step, as the published scripts compute them."""
    maps = ((log_mel - means) / stds)[..., np.newaxis]
    frames = 1 if attention else 2
    for number in range(1, 8):
        layer = model.get_layer(f"gated_convolution_{number}")
        maps = gated_block(maps, layer)
        if number in (2, 4, 6):
            maps = max_pool(maps, frames, 2)
    maps = max_pool(maps, 1, 2)
    kernel, bias = model.get_layer("convolution").get_weights()
    maps = np.maximum(convolve(maps, kernel) + bias, 0)
    steps = max_pool(maps, 1, 4)[:, 0]
    linear = bidirectional(steps, model.get_layer("gru_linear"), lambda v: v)
    gate = bidirectional(steps, model.get_layer("gru_sigmoid"), sigmoid)
    kernel, bias = model.get_layer("localization_layer").get_weights()
    return sigmoid(linear * gate @ kernel + bias)


def clip_scores(scores, model, attention):
    if not attention:
        return scores.mean(axis=0)
    kernel, bias = model.get_layer("attention").get_weights()
    logits = np.exp(scores @ kernel + bias)
    weights = logits / logits.sum(axis=-1, keepdims=True)  # Over classes.
    return (scores * weights).sum(axis=0) / weights.sum(axis=0)


@pytest.mark.parametrize("attention", [False, True])
def test_forward_pass_against_numpy(attention):
    generator = np.random.default_rng(1)
    means, stds = generator.normal(-5, 1, 64), generator.uniform(1, 3, 64)
    model = gated_crnn.build("g", 5, attention, means, stds, seed=3)
    for variable in model.variables:  # Every one gets a value that matters.
        values = np.array(variable) + generator.normal(0, 0.02, variable.shape)
        is_variance = "variance" in variable.path
        variable.assign(np.abs(values) if is_variance else values)
    log_mel = generator.normal(-5, 3, (1, 240, 64)).astype(np.float32)

    outputs = model.predict_on_batch({"cvssp_log_mel": log_mel})

    expected = step_scores(
        log_mel[0].astype(np.float64), model, attention, means, stds
    )
    assert expected.shape == ((240, 5) if attention else (30, 5))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(outputs["step_scores"][0], expected, atol=1e-5)
    np.testing.assert_allclose(
        outputs["scores"][0], clip_scores(expected, model, attention), atol=1e-5
    )


def test_parameter_counts():
    model = systems.build("cvssp_gated_crnn_attention", 17)
    # Kernel of the first block, six blocks behind it, scales and shifts each.
    blocks = 9 * 1 * 128 + 6 * 9 * 64 * 128 + 7 * 2 * 128
    convolution = 9 * 64 * 256 + 256
    # Three gates, two directions, two layers; one bias with reset_after off.
    recurrent = 2 * 2 * 3 * (256 * 128 + 128 * 128 + 128)
    dense = 256 * 17 + 17
    attention = 17 * 17 + 17
    moving_statistics = 7 * 2 * 128
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable == blocks + convolution + recurrent + dense + attention
    assert model.count_params() == trainable + moving_statistics


def test_gates_are_those_of_keras_2():
    values = np.array([-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0], np.float32)
    gates = gated_crnn.keras_2_hard_sigmoid(values)
    np.testing.assert_allclose(gates, [0, 0, 0.3, 0.5, 0.7, 1, 1], atol=1e-7)


def test_attention_of_nothing_divides_by_the_smallest_weight():
    """A class that the softmax rules out scores nearly 0, not 0 / 0."""
    layer = gated_crnn.ClassAttention()
    scores = np.ones((1, 2, 2), np.float32)
    layer.build(scores.shape)
    layer.attention.set_weights([np.zeros((2, 2)), np.array([0.0, -200.0])])
    np.testing.assert_allclose(layer(scores), [[1, 0]], atol=1e-6)
