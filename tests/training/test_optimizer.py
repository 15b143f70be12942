"""Adam's surroundings: schedule, clipping, and the backbone's own rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ranet_jax.training.config import OptimizerConfig
from ranet_jax.training.optimizer import make_optimizer, make_schedule

PARAMS = {"backbone": {"conv": jnp.ones(3)}, "merge": {"conv": jnp.ones(3)}}
GRADIENTS = {"backbone": {"conv": jnp.full(3, 2.0)}, "merge": {"conv": jnp.full(3, -4.0)}}


def updates(**settings):
    optimizer = make_optimizer(OptimizerConfig(learning_rate=0.1, **settings), steps=10)
    return optimizer.update(GRADIENTS, optimizer.init(PARAMS), PARAMS)


def test_the_default_is_adam():
    found, _ = updates()
    adam = optax.adam(0.1)
    expected, _ = adam.update(GRADIENTS, adam.init(PARAMS))
    for part in PARAMS:
        np.testing.assert_allclose(found[part]["conv"], expected[part]["conv"], rtol=1e-6)


def test_a_frozen_backbone_stays_and_has_no_moments():
    found, state = updates(backbone_lr_multiplier=0)
    assert not found["backbone"]["conv"].any()
    np.testing.assert_allclose(found["merge"]["conv"], 0.1, rtol=1e-5)
    moments = [leaf for leaf in jax.tree.leaves(state) if jnp.shape(leaf) == (3,)]
    assert len(moments) == 2  # the first and the second, of the other parameters


def test_a_slower_backbone():
    found, _ = updates(backbone_lr_multiplier=0.1)
    np.testing.assert_allclose(found["backbone"]["conv"], -0.01, rtol=1e-5)
    np.testing.assert_allclose(found["merge"]["conv"], 0.1, rtol=1e-5)


def test_clipping_is_by_the_joint_norm():
    optimizer = make_optimizer(OptimizerConfig(learning_rate=0.1, clip_norm=1.0), steps=10)
    _, state = optimizer.update(GRADIENTS, optimizer.init(PARAMS), PARAMS)
    first_moment = optax.tree.get(state, "mu")
    expected = 0.1 * np.array([2, 2, 2, -4, -4, -4]) / float(optax.tree.norm(GRADIENTS))
    np.testing.assert_allclose(first_moment, expected, rtol=1e-5)


def test_warm_up_and_cosine():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10, schedule="cosine")
    rates = np.array([make_schedule(config, 100)(step) for step in range(101)])
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert rates.max() == 1 and abs(rates[55] - 0.5) < 1e-6 and abs(rates[100]) < 1e-6
    assert make_schedule(OptimizerConfig(learning_rate=0.5), 100)(3) == 0.5


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 1, 17])
def test_the_rate_of_every_step(schedule, warmup):
    """By the formula: the first step of w warm-up steps has the share 1 / (w + 1) of the rate."""
    config = OptimizerConfig(learning_rate=3e-4, warmup_steps=warmup, schedule=schedule)
    step = np.arange(81)
    expected = 3e-4 * np.minimum(1, (step + 1) / (warmup + 1))
    if schedule == "cosine":
        done = np.clip((step - warmup) / (80 - warmup), 0, 1)
        expected *= (1 + np.cos(np.pi * done)) / 2
    found = jax.vmap(make_schedule(config, 80))(step)
    np.testing.assert_allclose(np.broadcast_to(found, step.shape), expected, rtol=2e-6, atol=1e-10)
