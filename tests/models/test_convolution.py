"""The gradient of a kernel on a CPU is the one that JAX derives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same_function import array, check_equal

from ranet_jax.models.convolution import (
    MANY_WEIGHTS,
    convolve_grid,
    convolve_many,
    convolve_map,
    kernel_gradient,
)

on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="it is a way of CPUs")


@given(
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.sampled_from([(1, 1), (3, 3), (1, 3), (5, 1)]),
    dilation=st.sampled_from([1, 2, 6]),
    channels=st.sampled_from([(3, 2), (2, 3), (4, 4), (5, 1)]),
)
@settings(max_examples=24, deadline=None)
def test_both_gradients_are_those_that_jax_derives(grid, size, dilation, channels):
    x, kernel = array(2, *grid, channels[0]), array(*size, *channels, seed=1)
    check_equal(
        lambda x, kernel: convolve_grid(x, kernel, 1, dilation),
        lambda x, kernel: convolve_many(x, kernel, dilation),
        x,
        kernel,
    )


def test_products_of_bfloat16_add_up_in_float32():
    """A sum in bfloat16 would stop growing at 256."""
    x = jnp.ones((1, 32, 32, 2), jnp.bfloat16)
    gradient = kernel_gradient(x, x, (1, 1), 1)
    assert gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient, np.full((1, 1, 2, 2), 32 * 32))


@on_cpu
@pytest.mark.parametrize(
    ("ins", "stride", "by_products"),
    [(MANY_WEIGHTS // 16, 1, True), (MANY_WEIGHTS // 32, 1, False), (MANY_WEIGHTS // 16, 2, False)],
    ids=["many weights", "few weights", "a stride"],
)
def test_kernels_of_many_weights_get_it_by_products(ins, stride, by_products):
    x, kernel = array(1, 4, 4, ins), array(3, 3, ins, 16, seed=1)
    gradient = jax.grad(lambda kernel: convolve_map(x, kernel, stride).sum())
    program = str(jax.make_jaxpr(gradient)(kernel))
    assert program.count("dot_general") == (len(kernel) if by_products else 0)
    check_equal(
        lambda x, kernel: convolve_map(x, kernel, stride),
        lambda x, kernel: convolve_grid(x, kernel, stride, 1),
        x,
        kernel,
        rtol=4e-6,
    )
