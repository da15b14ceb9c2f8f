"""The paper's layers over bags of proposals; padding never changes a score."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

# A logit that softmax turns into 0, finite in every float type.
_LOWEST = -6e4


def child_seeds(seed: int, count: int) -> list[int]:
    """Seeds of independent random streams, one for each random tensor.

    With `seed + 1`, `seed + 2`, ... tensors of neighboring seeds would hold
    the same numbers.
    """
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1)[0]) for child in children]


def _masked(values, mask, padding=0.0):
    """Proposals `[B, P, D]` with this number where `mask` [B, P] is False."""
    if mask is None:
        return values
    return ops.where(ops.expand_dims(mask, -1), values, padding)


class _MaskedLayer(keras.layers.Layer):
    """A layer that uses up the mask of its bag: padding scores 0."""

    def compute_mask(self, inputs, previous_mask) -> None:
        return None


@keras.saving.register_keras_serializable(package="avmil")
class ProposalDense(keras.layers.Dense):
    """A dense layer that takes the proposals of all bags as one matrix.

    Dense's results, but for the order of sums: TensorFlow would multiply bag by
    bag, and hold a gradient of the weights for each bag of the batch.

    Call arguments:
        proposals: `[B, P, D]`.

    Output shape: `[B, P, units]`.
    """

    def call(self, proposals, training=None):
        *bags_shape, size = ops.shape(proposals)
        rows = ops.reshape(proposals, (-1, size))  # [B * P, D]
        outputs = super().call(rows, training=training)  # [B * P, units]
        return ops.reshape(outputs, (*bags_shape, self.units))


@keras.saving.register_keras_serializable(package="avmil")
class ProposalSoftmax(_MaskedLayer):
    """Softmax over the proposals of a bag, for each class (Eq. 1).

    A bag without any proposal gets zeros.

    Call arguments:
        logits: `[B, P, C]`.
        mask: bool `[B, P]`, True for real proposals; None for all.

    Output shape: `[B, P, C]`, sums to 1 over the real proposals.
    """

    def call(self, logits, mask=None):
        weights = ops.softmax(_masked(logits, mask, _LOWEST), axis=1)
        return _masked(weights, mask)


class _Scoring(_MaskedLayer):
    """Classification stream over the proposals of a bag.

    `streams` looks at each proposal by itself, `combine` at all of a bag: the
    streams of a large bag can be computed in parts.

    Args:
        num_classes: Number of classes C.
        seed: Seed of the initial weights.
    """

    def __init__(self, num_classes: int, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        (stream_seed,) = child_seeds(seed, 1)
        self.classification = self._stream("classification", stream_seed)

    def _stream(self, name: str, seed: int) -> keras.layers.Dense:
        return keras.layers.Dense(
            self.num_classes,
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=0.01,  # As in WSDDN.
                seed=seed,
            ),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, proposals_shape, mask_shape=None) -> None:
        self.classification.build(proposals_shape)

    def streams(self, proposals) -> tuple:
        """The streams of each proposal, `[B, P, C]` each."""
        return (self.classification(proposals),)

    def combine(self, streams, mask=None):
        """From the streams of a bag to the layer's output."""
        raise NotImplementedError

    def call(self, proposals, mask=None):
        return self.combine(self.streams(proposals), mask)


@keras.saving.register_keras_serializable(package="avmil")
class TwoStreamScoring(_Scoring):
    """Classification stream weighted by a localization stream (section 3.2).

    D = A * softmax over proposals of B; the bag's score is the sum of D over
    proposals. The classification stream has no softmax, since a proposal may
    belong to several classes.

    Call arguments:
        proposals: `[B, P, D]`.
        mask: bool `[B, P]`, True for real proposals; None for all.

    Output shape: scores of the bag `[B, C]` and of its proposals `[B, P, C]`.
    """

    def __init__(self, num_classes: int, seed: int = 0, **kwargs) -> None:
        super().__init__(num_classes, seed, **kwargs)
        _, stream_seed = child_seeds(seed, 2)
        self.localization = self._stream("localization", stream_seed)
        self.proposal_softmax = ProposalSoftmax(dtype=self.dtype_policy)

    def build(self, proposals_shape, mask_shape=None) -> None:
        super().build(proposals_shape)
        self.localization.build(proposals_shape)

    def streams(self, proposals) -> tuple:
        """A and B of each proposal, `[B, P, C]` each."""
        return self.classification(proposals), self.localization(proposals)

    def combine(self, streams, mask=None):
        class_scores, logits = streams
        weights = self.proposal_softmax(logits, mask=mask)  # [B, P, C]
        proposal_scores = class_scores * weights  # [B, P, C]
        return ops.sum(proposal_scores, axis=1), proposal_scores


@keras.saving.register_keras_serializable(package="avmil")
class WsddnScoring(TwoStreamScoring):
    """Two streams with a softmax over classes in the classification stream.

    Bilen and Vedaldi's WSDDN, the paper's "WSDDN-Type" row; scores lie in
    [0, 1]. Arguments, call arguments and output as in `TwoStreamScoring`.
    """

    def streams(self, proposals) -> tuple:
        """A, which are probabilities, and B of each proposal."""
        logits, localization = super().streams(proposals)
        return ops.softmax(logits, axis=-1), localization


@keras.saving.register_keras_serializable(package="avmil")
class OneStreamScoring(_Scoring):
    """Classification stream only, log-sum-exp over proposals (section 4).

    Soft maximum without temperature: log of the sum of exp of the scores, or
    of their mean. A bag without any proposal scores 0. Call arguments and
    output as in `TwoStreamScoring`.

    Args:
        num_classes: Number of classes C.
        seed: Seed of the initial weights.
        pooling: `sum`, as the paper writes it, or `mean`.

    Raises:
        ValueError: for another pooling.
    """

    def __init__(
        self,
        num_classes: int,
        seed: int = 0,
        pooling: str = "sum",
        **kwargs,
    ) -> None:
        super().__init__(num_classes, seed, **kwargs)
        if pooling not in ("sum", "mean"):
            raise ValueError(
                f"Expected pooling by sum or mean, received {pooling!r}."
            )
        self.pooling = pooling

    def combine(self, streams, mask=None):
        (proposal_scores,) = streams  # [B, P, C]
        if mask is None:
            mask = ops.ones_like(proposal_scores[..., 0], dtype="bool")
        masked = _masked(proposal_scores, mask, _LOWEST)
        scores = ops.logsumexp(masked, axis=1)  # [B, C]
        count = ops.sum(ops.cast(mask, scores.dtype), axis=1, keepdims=True)
        if self.pooling == "mean":
            scores = scores - ops.log(ops.maximum(count, 1.0))
        scores = ops.where(count > 0, scores, 0.0)
        return scores, _masked(proposal_scores, mask)


@keras.saving.register_keras_serializable(package="avmil")
class LinearSoftmaxScoring(_Scoring):
    """Probabilities of each proposal, pooled by their linear softmax.

    The bag's score is sum(q^2) / sum(q) over the probabilities q of its
    proposals: each proposal is weighted by its own probability, so that a
    class that is there for a while is not thinned out, as by the mean, nor
    learned from one proposal alone, as by the maximum (Wang et al., "A
    comparison of five multiple instance learning pooling functions", ICASSP
    2019). A proposal's score is q times the bag's score. Call arguments and
    output as in `TwoStreamScoring`; scores lie in [0, 1].
    """

    def combine(self, streams, mask=None):
        (logits,) = streams
        probabilities = _masked(ops.sigmoid(logits), mask)  # [B, P, C]
        total = ops.sum(probabilities, axis=1, keepdims=True)  # [B, 1, C]
        squares = ops.sum(ops.square(probabilities), axis=1, keepdims=True)
        scores = squares / ops.maximum(total, 1e-7)
        return scores[:, 0], probabilities * scores


@keras.saving.register_keras_serializable(package="avmil")
class TemporalContext(_MaskedLayer):
    """Adds to each segment what a convolution sees of it and its neighbors.

    Args:
        units: Size D of a segment.
        seed: Seed of the initial weights.

    Call arguments:
        segments: `[B, T, D]`, in the order of time.
        mask: bool `[B, T]`, True for real segments; None for all.

    Output shape: `[B, T, D]`.
    """

    def __init__(self, units: int, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.convolution = keras.layers.Conv1D(
            units,
            kernel_size=3,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=self.dtype_policy,
            name="convolution",
        )

    def build(self, segments_shape, mask_shape=None) -> None:
        self.convolution.build(segments_shape)

    def call(self, segments, mask=None):
        segments = _masked(segments, mask)  # As before and behind the bag.
        return segments + self.convolution(segments)


@keras.saving.register_keras_serializable(package="avmil")
class MeanScores(keras.layers.Layer):
    """Mean of the modalities' scores, of those that a clip has.

    Call arguments:
        scores: Of each modality, `[B, C]`; 0 where a clip lacks it.
        masks: Of each modality's proposals, bool `[B, P]`.

    Output shape: `[B, C]`.
    """

    def call(self, scores, masks):
        counts = [
            ops.cast(ops.any(mask, axis=1, keepdims=True), scores[0].dtype)
            for mask in masks
        ]  # [B, 1] each
        return sum(scores) / ops.maximum(sum(counts), 1.0)


@keras.saving.register_keras_serializable(package="avmil")
class ScoreNormalization(keras.layers.Layer):
    """Divides the scores of each clip by their l2 norm (section 3.2).

    Scores that are all zero stay zero.

    Args:
        epsilon: Lower bound of the squared norm.

    Call arguments:
        scores: `[B, C]`.

    Output shape: `[B, C]`.
    """

    def __init__(self, epsilon: float = 1e-12, **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, scores):
        squared_norm = ops.sum(ops.square(scores), axis=-1, keepdims=True)
        return scores * ops.rsqrt(ops.maximum(squared_norm, self.epsilon))
