"""In blocks of pixels every function is what it is on plain maps, and so is its gradient."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.models import ops
from ranet_jax.models.decoder import FinestLevel, Lateral
from ranet_jax.models.pixel_blocks import (
    convolve,
    double,
    from_blocks,
    max_pool_of_blocks,
    to_blocks,
)
from ranet_jax.models.resnet import Stem

grids = st.tuples(st.integers(1, 5), st.integers(1, 5))  # of blocks: odd and even, down to one
sides = st.sampled_from([2, 4])


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_equal(plain, blocks, *inputs, rtol: float = 1e-5) -> None:
    """The values of two functions, and their gradients along a random direction."""
    expected = plain(*inputs)
    direction = array(*expected.shape, seed=9)

    def projected(function):
        return lambda *inputs: jnp.sum(function(*inputs).astype(jnp.float32) * direction)

    arguments = tuple(range(len(inputs)))
    pairs = [(expected, blocks(*inputs))]
    pairs += zip(
        *(jax.grad(projected(f), arguments)(*inputs) for f in (plain, blocks)), strict=True
    )
    for one, other in pairs:
        one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
        np.testing.assert_allclose(other, one, rtol=0, atol=rtol * max(np.abs(one).max(), 1))


@given(grids, sides, st.sampled_from([(1, 1), (3, 1), (3, 3), (3, 6)]))
@settings(max_examples=12, deadline=None)
def test_convolution(grid, block, kernel):
    size, dilation = kernel
    x = array(2, block * grid[0], block * grid[1], 3)
    weights = array(size, size, 3, 2, seed=1)

    def blocks(x, weights):
        return from_blocks(convolve(to_blocks(x, block), weights, block, 1, dilation), block)

    check_equal(lambda x, w: convolve(x, w, dilation=dilation), blocks, x, weights)


@given(grids)
@settings(max_examples=3, deadline=None)
def test_convolution_with_a_stride(grid):
    x, weights = array(1, 4 * grid[0], 4 * grid[1], 3), array(7, 7, 3, 2, seed=1)

    def blocks(x, weights):
        return from_blocks(convolve(to_blocks(x, 4), weights, 2, 2), 2)

    check_equal(lambda x, w: convolve(x, w, stride=2), blocks, x, weights)


@given(grids, sides)
@settings(max_examples=5, deadline=None)
def test_instance_norm(grid, block):
    x = array(2, block * grid[0], block * grid[1], 3)

    def blocks(x):
        return from_blocks(ops.instance_norm(to_blocks(x, block), block), block)

    check_equal(ops.instance_norm, blocks, x, rtol=1e-4)


@given(grids, st.sampled_from([1, 2, 4]))
@settings(max_examples=6, deadline=None)
def test_doubling(grid, block):
    height, width = block * grid[0], block * grid[1]
    x = array(2, height, width, 3)

    def plain(x):
        return ops.resize_align_corners(x, (2 * height, 2 * width))

    check_equal(plain, lambda x: from_blocks(double(to_blocks(x, block), block), 2 * block), x)


@given(grids)
@settings(max_examples=3, deadline=None)
def test_max_pooling(grid):
    x = array(2, 2 * grid[0], 2 * grid[1], 3)

    def plain(x):
        return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))

    check_equal(plain, lambda x: max_pool_of_blocks(to_blocks(x, 2)), x)


UNITS = {
    "stem": (Stem(4), [(2, 12, 20, 3)]),
    "lateral": (Lateral(4, block=None), [(2, 6, 10, 5)]),
    "finest level": (FinestLevel((8, 6, 4), 2), [[(1, 6, 10, 4), (1, 6, 10, 3)], (2, 6, 10, 5)]),
}


@pytest.mark.parametrize("name", UNITS)
def test_unit_of_the_network(name):
    """In blocks and for this platform what it is in plain maps; a TPU gets the blocks."""
    module, shapes = UNITS[name]
    method = "compute" if name == "stem" else "__call__"
    inputs = jax.tree.map(lambda s: array(*s), shapes, is_leaf=lambda s: isinstance(s, tuple))
    params = module.init(jax.random.key(0), *inputs, method=method)

    def computed(block, dtype=jnp.float32):
        unit = module.clone(block=block, dtype=dtype)

        def projected(params, *inputs):
            outputs = [
                x.astype(jnp.float32)
                for x in jax.tree.leaves(unit.apply(params, *inputs, method=method))
            ]
            return sum(jnp.sum(x * array(*x.shape, seed=9)) for x in outputs), outputs

        return jax.value_and_grad(projected, has_aux=True)(params, *inputs)

    plain, in_blocks, here = computed(1), computed(2), computed(None)
    check_trees(in_blocks, plain, 1e-4)
    check_trees(here, plain, 1e-6)
    (_, coarse), _ = computed(2, jnp.bfloat16)
    check_trees(coarse, plain[0][1], 0.1)

    traced = jax.jit(functools.partial(module.apply, method=method)).trace(params, *inputs)
    text = {p: traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "tpu")}
    transposes = {platform: lowered.count("transpose") for platform, lowered in text.items()}
    assert transposes["tpu"] > transposes["cpu"]


def check_trees(found, expected, tolerance: float) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        limit = tolerance * max(1, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=limit)
