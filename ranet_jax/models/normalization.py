"""Instance norm of maps, however they lie in their arrays."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.platforms import by_platform
from ranet_jax.models.tiling import PLAIN, Tiling


@functools.partial(jax.jit, static_argnames=("tiling", "epsilon"))
def instance_norm(
    x: FeatureMap,
    tiling: Tiling = PLAIN,
    affine: tuple[Array, Array] | None = None,
    epsilon: float = 1e-5,
) -> FeatureMap:
    """Zero mean and unit (biased) variance over each map, then scale and shift; all in float32.

    Args:
        x: [b, h, w, c], of this tiling.
        tiling: of the map.
        affine: a factor for each channel, and what is added to it.
        epsilon: added to the variance.

    Returns:
        Float32, to be rounded once: after the ReLU or the sum that follows.
    """
    mean, variance = moments(x, tiling)
    scale, bias = affine or (1, 0)
    return (x.astype(jnp.float32) - mean) * (lax.rsqrt(variance + epsilon) * scale) + bias


def moments(
    x: FeatureMap, tiling: Tiling = PLAIN
) -> tuple[Float[Array, "b 1 1 c"], Float[Array, "b 1 1 c"]]:
    """Mean and biased variance of each map, float32; on a TPU in one pass over the data."""
    return by_platform(
        x,
        tpu=functools.partial(moments_in_one_pass, tiling=tiling),
        default=functools.partial(moments_in_two_passes, tiling=tiling),
    )


def moments_in_two_passes(x: FeatureMap, tiling: Tiling) -> tuple[Array, Array]:
    """The mean, then the mean of the squared distances to it, see `moments`."""
    wide = x.astype(jnp.float32)
    mean = _mean_of_pixels(wide, tiling)
    return mean, _mean_of_pixels(jnp.square(wide - mean), tiling)


def moments_in_one_pass(x: FeatureMap, tiling: Tiling) -> tuple[Array, Array]:
    """Both sums together, see `moments`.

    In float32 the squares are those of the distance to the mean of one row, which is near enough
    to the mean of the map for the difference of two sums to keep its precision. In bfloat16 what
    that saves is less than the rounding of the map itself, and without it the sums are computed
    where the map is: together with the convolution before them.
    """
    wide = x.astype(jnp.float32)
    shift = 0.0
    if x.dtype == jnp.float32:
        middle = x.shape[1] // 2
        shift = lax.stop_gradient(_mean_of_pixels(wide[:, middle : middle + 1], tiling))
    mean = _mean_of_pixels(wide - shift, tiling)
    variance = _mean_of_pixels(jnp.square(wide - shift), tiling) - jnp.square(mean)
    return shift + mean, jnp.maximum(variance, 0)


def _mean_of_pixels(x: FeatureMap, tiling: Tiling) -> Float[Array, "b 1 1 c"]:
    block, strips = tiling
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    if strips > 1:
        mean = jnp.mean(mean.reshape(-1, strips, *mean.shape[1:]), axis=1)
    if block > 1:
        by_pixel = mean.reshape(*mean.shape[:3], block**2, -1)
        mean = jnp.tile(jnp.mean(by_pixel, axis=3), block**2)
    return mean.repeat(strips, axis=0) if strips > 1 else mean
