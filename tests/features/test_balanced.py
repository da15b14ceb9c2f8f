"""The balanced sampler against the generator that the paper cites."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest

from avmil.features import balanced
from avmil.features.balanced import BalancedSampler, label_frequencies


def one_hot(counts):
    return np.repeat(np.eye(len(counts), dtype=int), counts, axis=0)


def take(sampler, count):
    return [batch.tolist() for batch in itertools.islice(sampler, count)]


def test_slots_by_hand():
    labels = one_hot([1, 999, 1000, 1999, 2000, 3999, 4000, 9000, 0])
    slots = np.bincount(balanced.label_slots(labels), minlength=9)
    assert slots.tolist() == [1, 1, 2, 2, 3, 4, 5, 5, 0]


def test_dcase_label_list_has_43_entries(shared_data):
    with open(shared_data / "dcase2017" / "training_set.csv") as file:
        rows = [row[3].replace(", ", "|") for row in csv.reader(file)]
    names = sorted({name for row in rows for name in row.split(",")})
    labels = np.array(
        [[name in row.split(",") for name in names] for row in rows], int
    )
    assert labels.shape == (51172, 17)
    slots = balanced.label_slots(labels)
    assert len(slots) == 43
    counts = dict(zip(names, np.bincount(slots).tolist(), strict=True))
    assert counts["Car"] == counts["Truck"] == 5
    assert counts["Car alarm"] == counts["Air horn|truck horn"] == 1
    assert counts["Bicycle"] == counts["Skateboard"] == 2


def test_batches_are_full_and_classes_follow_their_slots():
    labels = one_hot([30, 1500, 7])
    sampler = BalancedSampler(labels, batch_size=8, seed=3)
    batches = take(sampler, 100)
    assert {len(batch) for batch in batches} == {8}
    drawn = labels[np.concatenate(batches)].sum(axis=0)
    # The list is (1 + 2 + 1) slots; 800 draws go through it 200 times.
    assert drawn.tolist() == [200, 400, 200]


def test_each_class_is_used_up_before_it_starts_again():
    labels = one_hot([5, 3])
    batches = take(BalancedSampler(labels, 2, seed=0), 15)
    drawn = np.concatenate(batches)
    first = drawn[drawn < 5]
    assert len(first) == 15
    for start in (0, 5, 10):
        assert sorted(first[start : start + 5]) == [0, 1, 2, 3, 4]


def test_clips_without_labels_are_never_drawn():
    labels = np.array([[1, 0], [0, 0], [0, 1]])
    drawn = np.concatenate(take(BalancedSampler(labels, 4), 50))
    assert set(drawn.tolist()) == {0, 2}


def test_multi_label_clips_are_drawn_for_each_of_their_classes():
    labels = np.array([[1, 1], [1, 0]])
    drawn = np.concatenate(take(BalancedSampler(labels, 2), 100))
    # Clip 0 fills all slots of class 1 and half of those of class 0.
    assert np.bincount(drawn).tolist() == [150, 50]


def test_same_seed_same_batches_other_seed_others():
    labels = one_hot([20, 20])
    first, again, other = (
        take(BalancedSampler(labels, 6, seed), 10) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("num_batches", [0, 1, 17, 200])
def test_restored_sampler_goes_on_alike(num_batches):
    labels = one_hot([9, 4, 1200])
    sampler = BalancedSampler(labels, 5, seed=7)
    take(sampler, num_batches)
    state = sampler.state()
    expected = take(sampler, 30)
    restored = BalancedSampler(labels, 5, seed=7)
    take(restored, 3)
    restored.restore(state)
    assert take(restored, 30) == expected


def test_state_of_another_sampler_is_refused():
    labels = one_hot([4, 4])
    state = BalancedSampler(labels, 2, seed=0).state()
    for other, name in (
        (BalancedSampler(labels, 3, seed=0), "batch_size"),
        (BalancedSampler(labels, 2, seed=1), "seed"),
        (BalancedSampler(labels[::-1], 2, seed=0), "labels_sha256"),
    ):
        with pytest.raises(ValueError, match=name):
            other.restore(state)


@pytest.mark.parametrize(
    "labels", [np.zeros((3, 2)), np.full((3, 2), 2), np.ones(3)]
)
def test_unusable_labels_are_refused(labels):
    with pytest.raises(ValueError, match="Expected label"):
        BalancedSampler(labels, 2)


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch size above 0"):
        BalancedSampler(np.ones((2, 2)), 0)


def test_label_frequencies_are_those_of_the_drawn_clips():
    generator = np.random.default_rng(0)
    labels = (generator.random((60, 5)) < (0.05, 0.1, 0.3, 0.5, 0)).astype(int)
    sampler = BalancedSampler(labels, 10, seed=1)
    drawn = labels[np.concatenate([next(sampler) for _ in range(2000)])]
    np.testing.assert_allclose(
        label_frequencies(labels), drawn.mean(axis=0), atol=0.01
    )
