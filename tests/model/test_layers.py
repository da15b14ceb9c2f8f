"""The layers by hand, against NumPy, and under padding and permutation."""

from __future__ import annotations

import functools
import json

import keras
import numpy as np
import pytest

from model.layers import (
    OneStreamScoring,
    ProposalDense,
    ProposalSoftmax,
    ScoreNormalization,
    TwoStreamScoring,
    WsddnScoring,
)

SCORINGS = [TwoStreamScoring, OneStreamScoring, WsddnScoring]
MEAN = functools.partial(OneStreamScoring, pooling="mean")
ALL_SCORINGS = [*SCORINGS, pytest.param(MEAN, id="OneStreamScoring-mean")]


def softmax(logits, axis):
    shifted = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def make_bags(num_clips=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_clips, 5, 4)).astype(np.float32)


def make_scoring(kind, bags):
    """A scoring layer with weights large enough to tell it from zero."""
    layer = kind(6)
    layer(bags)
    generator = np.random.default_rng(1)
    layer.set_weights([generator.normal(size=w.shape) for w in layer.weights])
    return layer


def test_a_dense_layer_of_proposals_equals_one_of_a_single_bag():
    proposals = np.random.default_rng(0).normal(size=(3, 5, 4))
    layer = ProposalDense(2, activation="relu")
    outputs = layer(proposals.astype(np.float32))
    kernel, bias = layer.get_weights()
    expected = np.maximum(proposals @ kernel + bias, 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert layer(keras.Input((None, 4))).shape == (None, None, 2)


def test_proposal_softmax_by_hand():
    # One clip, two proposals, two classes: e^(log 3) / (e^(log 3) + e^0).
    logits = np.array([[[np.log(3.0), 0.0], [0.0, 0.0]]], np.float32)
    expected = [[[0.75, 0.5], [0.25, 0.5]]]
    np.testing.assert_allclose(ProposalSoftmax()(logits), expected, atol=1e-6)


def test_proposal_softmax_of_masked_proposals_is_zero():
    logits = make_bags(2)
    mask = np.array([[True, True, False, True, False], [False] * 5])
    weights = np.array(ProposalSoftmax()(logits, mask=mask))
    assert (weights[~mask] == 0).all()
    np.testing.assert_allclose(weights[0].sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(
        weights[0][mask[0]], softmax(logits[0][mask[0]], 0), atol=1e-6
    )


@pytest.mark.parametrize("kind", [TwoStreamScoring, WsddnScoring])
def test_two_streams_against_numpy(kind):
    bags = make_bags()
    layer = make_scoring(kind, bags)
    w_cls, b_cls, w_loc, b_loc = layer.get_weights()
    classes = bags @ w_cls + b_cls
    if kind is WsddnScoring:
        classes = softmax(classes, axis=2)
    weighted = classes * softmax(bags @ w_loc + b_loc, axis=1)
    scores, proposal_scores = layer(bags)
    np.testing.assert_allclose(proposal_scores, weighted, atol=1e-5)
    np.testing.assert_allclose(scores, weighted.sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_one_stream_is_log_sum_exp_or_log_mean_exp(pooling):
    bags = make_bags()
    layer = make_scoring(
        functools.partial(OneStreamScoring, pooling=pooling), bags
    )
    weight, bias = map(np.array, layer.get_weights())
    each = bags @ weight + bias
    scores, proposal_scores = layer(bags)
    np.testing.assert_allclose(proposal_scores, each, atol=1e-5)
    pooled = np.exp(each).sum(axis=1)
    if pooling == "mean":
        pooled /= 5
    np.testing.assert_allclose(scores, np.log(pooled), atol=1e-5)


def test_another_pooling_is_refused():
    with pytest.raises(ValueError, match="sum or mean, received 'max'"):
        OneStreamScoring(6, pooling="max")


@pytest.mark.parametrize("kind", ALL_SCORINGS)
def test_a_layer_is_made_again_from_its_config(kind):
    layer = kind(6, seed=7)
    config = json.loads(json.dumps(layer.get_config()))
    assert config["seed"] == 7
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    for one in (layer, again):
        one(make_bags())
    for first, second in zip(layer.weights, again.weights, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ALL_SCORINGS)
def test_neither_padding_nor_order_changes_a_score(kind):
    bags = make_bags()
    layer = make_scoring(kind, bags)
    scores, proposal_scores = map(np.array, layer(bags))
    order = [3, 0, 4, 1, 2]
    padded = np.concatenate([bags[:, order], 100 + make_bags(seed=5)], axis=1)
    mask = np.tile(np.arange(10) < 5, (3, 1))
    padded_scores, padded_proposals = map(np.array, layer(padded, mask=mask))
    np.testing.assert_allclose(padded_scores, scores, atol=1e-5)
    np.testing.assert_allclose(
        padded_proposals[:, :5], proposal_scores[:, order], atol=1e-5
    )
    assert (padded_proposals[:, 5:] == 0).all()


@pytest.mark.parametrize("kind", ALL_SCORINGS)
def test_empty_bag_scores_zero(kind):
    bags = make_bags()
    layer = make_scoring(kind, bags)
    mask = np.zeros((3, 5), bool)
    scores, proposal_scores = layer(bags, mask=mask)
    assert (np.array(scores) == 0).all()
    assert (np.array(proposal_scores) == 0).all()


@pytest.mark.parametrize("kind", SCORINGS)
def test_learns_in_mixed_precision(kind):
    bags, real = make_bags(), np.ones((3, 5), bool)
    inputs, mask = keras.Input((None, 4)), keras.Input((None,), dtype="bool")
    outputs = kind(6, dtype="mixed_float16")(inputs, mask=mask)
    model = keras.Model([inputs, mask], outputs[0])
    model.compile("adam", keras.losses.MeanSquaredError())
    before = model.get_weights()
    model.train_on_batch([bags, real], np.ones((3, 6)))
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_normalization_by_hand():
    scores = np.array([[3.0, -4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(
        ScoreNormalization()(scores), [[0.6, -0.8], [0, 0]], atol=1e-6
    )


def test_scoring_starts_at_the_papers_scale():
    layer = TwoStreamScoring(17, seed=3)
    layer(np.zeros((1, 2, 4096), np.float32))
    for kernel in (layer.classification.kernel, layer.localization.kernel):
        assert np.std(np.array(kernel)) == pytest.approx(0.01, rel=0.02)
    assert not np.array_equal(
        layer.classification.kernel, layer.localization.kernel
    )
