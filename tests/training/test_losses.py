"""The losses of both paths, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.training.losses import overlap, segmentation_loss, target_labels


def scene(seed, slots, size=(4, 6), examples=2):
    """Random logits, and disjoint masks of `slots` objects."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(examples, slots, *size)).astype(np.float32)
    labels = rng.integers(0, slots + 1, size=(examples, *size))
    targets = (labels[:, None] == np.arange(1, slots + 1)[:, None, None]).astype(np.float32)
    return jnp.asarray(logits), jnp.asarray(targets), labels


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_one_object_is_binary_cross_entropy(seed):
    logits, targets, _ = scene(seed, 1)
    probability = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    likelihood = np.where(targets > 0, probability, 1 - probability)
    found = segmentation_loss(logits, targets, jnp.ones((2, 1), bool), "single")
    np.testing.assert_allclose(found, -np.log(likelihood).mean(axis=(1, 2, 3)), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_several_objects_are_cross_entropy_of_soft_aggregation(seed, slots):
    """Paper 3.3: odds of the independent probabilities, the background's being their absence."""
    logits, targets, labels = scene(seed, slots)
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    background = np.prod(1 - p, axis=1, keepdims=True)
    everything = np.concatenate([background, p], axis=1)
    odds = everything / (1 - everything)
    share = np.take_along_axis(odds / odds.sum(axis=1, keepdims=True), labels[:, None], axis=1)
    found = segmentation_loss(logits, targets, jnp.ones((2, slots), bool), "multi")
    np.testing.assert_allclose(found, -np.log(share).mean(axis=(1, 2, 3)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_empty_slots_change_neither_loss_nor_gradient(mode):
    logits, targets, _ = scene(0, 3)
    valid = jnp.array([[True, False, True], [True, True, False]])

    def total(x):
        return segmentation_loss(x, targets * valid[:, :, None, None], valid, mode).sum()

    other = jnp.where(valid[:, :, None, None], logits, 50.0)
    assert total(logits) == total(other)
    gradient = jax.grad(total)(logits)
    assert np.isfinite(gradient).all()
    used = np.abs(gradient).sum(axis=(2, 3)) > 0
    np.testing.assert_array_equal(used, valid)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_an_example_without_an_object_counts_for_nothing(mode):
    logits, targets, _ = scene(1, 2)
    valid = jnp.array([[False, False], [True, True]])
    gradient = jax.grad(lambda x: segmentation_loss(x, targets, valid, mode).sum())(logits)
    assert segmentation_loss(logits, targets, valid, mode)[0] == 0
    assert not gradient[0].any()
    assert gradient[1].any()


def test_extreme_logits_stay_finite():
    _, targets, _ = scene(2, 2)
    for value in (-1e4, 1e4):
        logits = jnp.full(targets.shape, value)
        for mode in ("single", "multi"):
            loss, gradient = jax.value_and_grad(
                lambda x, m=mode: segmentation_loss(x, targets, jnp.ones((2, 2), bool), m).sum()
            )(logits)
            assert np.isfinite(loss) and np.isfinite(gradient).all()


def test_an_object_without_a_slot_is_background():
    _, targets, labels = scene(3, 3)
    valid = jnp.array([[True, False, True]] * 2)
    np.testing.assert_array_equal(target_labels(targets, valid), np.where(labels == 2, 0, labels))


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_overlap_is_one_for_the_target_itself_and_zero_beside_it(mode):
    _, targets, _ = scene(4, 2)
    valid = jnp.array([[True, True], [True, False]])
    right = overlap(targets * 20 - 10, targets, valid, mode)
    np.testing.assert_array_equal(right, valid)
    assert not overlap(10 - targets * 20, targets, valid, "single").any()
