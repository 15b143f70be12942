"""Instance norm: against stored numbers, and its precision."""

import jax.numpy as jnp
import numpy as np
import pytest
from oracle import compare

from ranet_jax.models.normalization import (
    instance_norm,
    moments_in_one_pass,
    moments_in_two_passes,
)
from ranet_jax.models.tiling import PLAIN


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_instance_norm_computes_in_float32():
    """Statistics of bfloat16 maps with a large mean would be lost in bfloat16."""
    x = jnp.asarray(100 + array(1, 64, 64, 1), jnp.bfloat16)
    y = instance_norm(x)
    assert y.dtype == jnp.float32, "rounded after what follows"
    wide = np.asarray(x, np.float64)
    expected = (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("moments", [moments_in_one_pass, moments_in_two_passes])
@pytest.mark.parametrize("mean", [0, 10, 1000])
def test_moments_keep_their_precision(mean, moments):
    """Means far larger than deviations, where a plain difference of two sums has no digit left."""
    x = (mean + array(2, 40, 60, 3)).astype(np.float32)
    wide = x.astype(np.float64)
    expected, variance = wide.mean((1, 2), keepdims=True), wide.var((1, 2), keepdims=True)
    found = moments(jnp.asarray(x), PLAIN)
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], variance, rtol=2e-6)


def test_instance_norm_equals_the_reference(reference):
    stored, _ = reference.stored("units/blocks")
    expected = stored["prim/norm_output"]
    limit = 1e-4 * np.abs(expected).max()
    compare("norm", instance_norm(stored["prim/norm_input"]), expected, limit)
