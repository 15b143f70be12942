"""How objects become one label a pixel."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.models.aggregation import label_logits, label_values, largest_label


def logits(n=3, seed=0) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(seed).normal(0, 3, (2, n, 4, 5)).astype(np.float32))


def everything(n) -> jnp.ndarray:
    return jnp.ones((2, n), bool)


@given(st.integers(1, 4), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_training_and_segmenting_aggregate_alike(n, seed):
    """The softmax over label logits is the aggregation of the probabilities."""
    x = logits(n, seed)
    values = label_values(jax.nn.sigmoid(x), everything(n), "softmax")
    np.testing.assert_allclose(
        jax.nn.softmax(label_logits(x, everything(n)), axis=1), values, atol=1e-4
    )
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


def test_one_object_is_a_threshold_at_a_half():
    x = logits(1)
    for aggregation in ("softmax", "argmax"):
        labels = largest_label(label_values(jax.nn.sigmoid(x), everything(1), aggregation))
        np.testing.assert_array_equal(labels, (x[:, 0] > 0).astype(int))


def test_argmax_takes_the_largest_above_a_half():
    x = logits()
    p = np.asarray(jax.nn.sigmoid(x))
    expected = np.where(p.max(axis=1) > 0.5, p.argmax(axis=1) + 1, 0)
    labels = largest_label(label_values(jnp.asarray(p), everything(3), "argmax"))
    np.testing.assert_array_equal(labels, expected)


def test_ties():
    """At exactly 0.5 the background wins; of two equal objects the later one."""
    p = jnp.asarray([[0.5, 0.5], [0.8, 0.8], [0.9, 0.8]]).T.reshape(1, 2, 1, 3)
    valid = jnp.ones((1, 2), bool)
    assert largest_label(label_values(p, valid, "argmax")).tolist() == [[[0, 2, 1]]]


def test_unused_slots_never_win():
    p = jnp.full((1, 2, 1, 1), 0.9).at[0, 1].set(0.99)
    valid = jnp.asarray([[True, False]])
    for aggregation in ("softmax", "argmax"):
        assert largest_label(label_values(p, valid, aggregation)).item() == 1
    x = jnp.asarray([2.0, 9.0]).reshape(1, 2, 1, 1)
    assert jax.nn.softmax(label_logits(x, valid), axis=1)[0, 2].item() == 0


def test_extreme_logits_stay_finite():
    x = jnp.asarray([-200.0, -30.0, 0.0, 30.0, 200.0]).reshape(1, 1, 1, 5)
    gradient = jax.grad(lambda x: jnp.sum(label_logits(x, jnp.ones((1, 1), bool))))(x)
    assert np.isfinite(label_logits(x, jnp.ones((1, 1), bool))).all()
    assert np.isfinite(gradient).all()
