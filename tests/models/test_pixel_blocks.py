"""In blocks of pixels and strips of rows every function is what it is on plain maps, and so is its
gradient."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same_function import array, check_equal

from ranet_jax.models import ops
from ranet_jax.models.convolution import convolve_columns, convolve_grid, convolve_samples
from ranet_jax.models.decoder import FinestLevel, Lateral
from ranet_jax.models.normalization import instance_norm
from ranet_jax.models.pixel_blocks import (
    convolve,
    convolve_dilated,
    double,
    from_blocks,
    max_pool_of_blocks,
    single_from_blocks,
    to_blocks,
)
from ranet_jax.models.platforms import lowering_for
from ranet_jax.models.resnet import Stem
from ranet_jax.models.tiling import (
    MIN_STRIP_ROWS,
    PLAIN,
    Tiling,
    from_strips,
    tiling_for,
    to_strips,
)

grids = st.tuples(st.integers(1, 5), st.integers(1, 5))  # of blocks: odd and even, down to one
sides = st.sampled_from([2, 4])
tilings = st.builds(Tiling, block=st.sampled_from([1, 2, 4]), strips=st.sampled_from([1, 3]))


def to_tiles(x: jax.Array, tiling: Tiling) -> jax.Array:
    return to_strips(to_blocks(x, tiling.block), tiling.strips)


def from_tiles(x: jax.Array, tiling: Tiling) -> jax.Array:
    return from_blocks(from_strips(x, tiling.strips), tiling.block)


def shape_of(grid: tuple[int, int], tiling: Tiling) -> tuple[int, int]:
    """Height and width of a map of so many blocks, or of strips of rows enough for any kernel."""
    rows = grid[0] if tiling.strips == 1 else tiling.strips * MIN_STRIP_ROWS
    return tiling.block * rows, tiling.block * grid[1]


@given(grids, tilings, st.sampled_from([(1, 1), (3, 1), (3, 3), (3, 6)]))
@settings(max_examples=16, deadline=None)
def test_convolution(grid, tiling, kernel):
    size, dilation = kernel
    x = array(2, *shape_of(grid, tiling), 3)
    weights = array(size, size, 3, 2, seed=1)

    def tiles(x, weights):
        return from_tiles(convolve(to_tiles(x, tiling), weights, tiling, 1, dilation), tiling)

    check_equal(lambda x, w: convolve(x, w, dilation=dilation), tiles, x, weights)


@given(grids, tilings)
@settings(max_examples=6, deadline=None)
def test_convolutions_of_several_dilations(grid, tiling):
    x = array(2, *shape_of(grid, tiling), 3)
    weights = array(3, 3, 3, 3, 2, seed=1)
    dilations = (1, 3, 6)

    def plain(x, weights):
        return sum(convolve(x, w, dilation=d) for w, d in zip(weights, dilations, strict=True))

    def tiles(x, weights):
        tiles = convolve_dilated(to_tiles(x, tiling), weights, dilations, tiling)
        return from_tiles(tiles, tiling)

    check_equal(plain, tiles, x, weights)


@given(
    grids,
    st.sampled_from([(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 6), (7, 2, 1)]),
    st.sampled_from([3, 8]),
)
@settings(max_examples=16, deadline=None)
def test_convolution_of_columns_and_of_samples(grid, kernel, channels):
    size, stride, dilation = kernel
    x, weights = array(2, *grid, channels), array(size, size, channels, 2, seed=1)

    def convolved(function):
        return lambda x, weights: function(x, weights, stride=stride, dilation=dilation)

    check_equal(convolved(convolve_grid), convolved(convolve_columns), x, weights)
    check_equal(convolved(convolve_grid), convolved(convolve_samples), x.repeat(4, axis=0), weights)


@given(grids)
@settings(max_examples=3, deadline=None)
def test_convolution_with_a_stride(grid):
    x, weights = array(1, 4 * grid[0], 4 * grid[1], 3), array(7, 7, 3, 2, seed=1)

    def blocks(x, weights):
        return from_blocks(convolve(to_blocks(x, 4), weights, Tiling(2), 2), 2)

    check_equal(lambda x, w: convolve(x, w, stride=2), blocks, x, weights)


@given(grids, tilings)
@settings(max_examples=6, deadline=None)
def test_instance_norm(grid, tiling):
    x = array(2, *shape_of(grid, tiling), 3)

    def tiles(x):
        return from_tiles(instance_norm(to_tiles(x, tiling), tiling), tiling)

    check_equal(instance_norm, tiles, x, rtol=1e-4)


@given(grids, tilings, st.sampled_from([2, 8]))
@settings(max_examples=10, deadline=None)
def test_doubling(grid, tiling, samples):
    height, width = shape_of(grid, tiling)
    x = array(samples, height, width, 3)
    twice = Tiling(2 * tiling.block, tiling.strips)

    def plain(x):
        return ops.resize_align_corners(x, (2 * height, 2 * width))

    check_equal(plain, lambda x: from_tiles(double(to_tiles(x, tiling), tiling), twice), x)


@pytest.mark.parametrize("block", [1, 4])
def test_single_channel_out_of_blocks(block):
    x = array(2, 3, 5, block**2)
    found = jax.jit(single_from_blocks, static_argnums=1)(x, block)
    np.testing.assert_array_equal(found, from_blocks(x, block))


@given(grids)
@settings(max_examples=3, deadline=None)
def test_max_pooling(grid):
    x = array(2, 2 * grid[0], 2 * grid[1], 3)

    def plain(x):
        return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))

    check_equal(plain, lambda x: max_pool_of_blocks(to_blocks(x, 2)), x)


UNITS = {
    "stem": (Stem(4), [(2, 12, 20, 3)]),
    "lateral": (Lateral(4, tiling=None), [(2, 6, 10, 5)]),
    "finest level": (FinestLevel((8, 6, 4), 2), [[(1, 6, 10, 4), (1, 6, 10, 3)], (2, 6, 10, 5)]),
    "finest level in strips": (
        FinestLevel((8, 6, 4), 2),
        [[(1, 64, 6, 4), (1, 64, 6, 3)], (2, 64, 6, 5)],
    ),
}


@pytest.mark.parametrize("name", UNITS)
def test_unit_of_the_network(name):
    """In tiles and for this platform what it is in plain maps; a TPU gets the tiles."""
    module, shapes = UNITS[name]
    method = "compute" if name == "stem" else "__call__"
    inputs = jax.tree.map(lambda s: array(*s), shapes, is_leaf=lambda s: isinstance(s, tuple))
    params = module.init(jax.random.key(0), *inputs, method=method)

    def computed(tiling, dtype=jnp.float32):
        unit = module.clone(tiling=tiling, dtype=dtype)

        def projected(params, *inputs):
            outputs = [
                x.astype(jnp.float32)
                for x in jax.tree.leaves(unit.apply(params, *inputs, method=method))
            ]
            return sum(jnp.sum(x * array(*x.shape, seed=9)) for x in outputs), outputs

        return jax.jit(jax.value_and_grad(projected, has_aux=True))(params, *inputs)

    tiling = tiling_for(jax.tree.leaves(inputs)[-1], 2) if "level" in name else Tiling(2)
    assert tiling.strips == (4 if "strips" in name else 1)
    plain, in_tiles, here = computed(PLAIN), computed(tiling), computed(None)
    check_trees(in_tiles, plain, 1e-4)
    check_trees(here, plain, 1e-6)
    (_, coarse), _ = computed(tiling, jnp.bfloat16)
    check_trees(coarse, plain[0][1], 0.1)

    apply = jax.jit(functools.partial(module.apply, method=method))

    def transposes(platform, traced_for):
        with lowering_for(*traced_for):
            traced = apply.trace(params, *inputs)
        return traced.lower(lowering_platforms=(platform,)).as_text().count("transpose")

    both = {platform: transposes(platform, ("cpu", "tpu")) for platform in ("cpu", "tpu")}
    assert both["tpu"] > both["cpu"]
    assert both == {platform: transposes(platform, (platform,)) for platform in both}
    assert transposes("cpu", ()) == both["cpu"], "by itself for what runs here"


def check_trees(found, expected, tolerance: float) -> None:
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        limit = tolerance * max(1, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=limit)
