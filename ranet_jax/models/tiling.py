"""How the pixels of a map lie in its array, so that a TPU's units are full.

A TPU computes 128 channels of eight samples at a time, whether they are there or not. Blocks of
pixels become channels where there are few of these (see `pixel_blocks`), and strips of rows become
samples where a batch is small. The function stays the same: norms add up over blocks and strips,
and a convolution gives each strip the rows of its neighbours that it reads.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.convolution import SIDE_BY_SIDE, samples_together
from ranet_jax.models.platforms import by_platform

MIN_STRIP_ROWS = 8  # no convolution reads beyond the strips next to its own: six rows at most


class Tiling(NamedTuple):
    """How the pixels of a map lie in its array.

    Attributes:
        block: side of the blocks of pixels that lie in the channels of a position.
        strips: strips of rows, from top to bottom, that are samples one after the other.
    """

    block: int = 1
    strips: int = 1


PLAIN = Tiling()


def tiling_for(x: FeatureMap, block: int) -> Tiling:
    """Blocks of this side, and as many strips as make the batch of a plain map a full one."""
    strips = SIDE_BY_SIDE // math.gcd(len(x), SIDE_BY_SIDE)
    rows, rest = divmod(x.shape[1], block * strips)
    fits = len(x) < SIDE_BY_SIDE and not rest and rows >= MIN_STRIP_ROWS
    return Tiling(block, strips if fits else 1)


def to_strips(x: FeatureMap, strips: int) -> FeatureMap:
    """[b, strips*h, w, c] -> [b*strips, h, w, c]."""
    if strips == 1:
        return x
    return samples_together(x.reshape(strips * len(x), -1, *x.shape[2:]))


def from_strips(x: FeatureMap, strips: int) -> FeatureMap:
    """The inverse of `to_strips`."""
    return x.reshape(len(x) // strips, -1, *x.shape[2:])


def module_by_platform(
    module: nn.Module, tiling: Tiling, *inputs: FeatureMap, method: str = "__call__"
) -> FeatureMap:
    """What a module computes: on a TPU in this tiling, elsewhere in plain maps.

    Args:
        module: has an attribute `tiling`, and takes and returns plain maps whatever it is.
        tiling: on a TPU.
        inputs: of the module.
        method: what computes it.
    """

    def tiled(tiling: Tiling) -> Callable:
        copy = module.clone(parent=None, name=None, tiling=tiling)
        return lambda params, *inputs: copy.apply({"params": params}, *inputs, method=method)

    params = module.variables["params"]
    return by_platform(params, *inputs, tpu=tiled(tiling), default=tiled(PLAIN))
