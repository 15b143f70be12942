"""Maps of few channels and many pixels as maps of many channels and few pixels.

A TPU computes 128 channels at a time, whether a map has them or not. A map of 16 channels is
computed in an eighth of the time when blocks of 4 x 4 of its pixels become channels of one position
(space to depth). The function stays the same: kernels are expanded when the network is traced, so
that parameters do not know of blocks, and norms add up their statistics over the pixels of a block.

The channels of a block are ordered (row, column, channel); a block of side 1 is the plain map.
"""

import functools
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap

BlockMap = Float[Array, "b h w bbc"]
Kernel = Float[Array, "ky kx ci co"]


def precision_of(dtype: jnp.dtype) -> lax.Precision | None:
    """Highest precision of products in float32, where TPUs and GPUs would truncate factors."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def to_blocks(x: FeatureMap, block: int) -> BlockMap:
    """[b, block*h, block*w, c] -> [b, h, w, block*block*c]; the sides must be multiples."""
    if block == 1:
        return x
    b, height, width, c = x.shape
    x = x.reshape(b, height // block, block, width // block, block, c)
    return x.swapaxes(2, 3).reshape(b, height // block, width // block, block * block * c)


def from_blocks(x: BlockMap, block: int) -> FeatureMap:
    """The inverse of `to_blocks`."""
    if block == 1:
        return x
    b, h, w, channels = x.shape
    x = x.reshape(b, h, w, block, block, channels // block**2)
    return x.swapaxes(2, 3).reshape(b, block * h, block * w, -1)


def convolve(
    x: BlockMap, kernel: Kernel, block: int = 1, stride: int = 1, dilation: int = 1
) -> BlockMap:
    """Convolution of pixels, padded with zeros to keep their number (over the stride).

    Args:
        x: in blocks of `stride * block`; plain if `block` is 1. The type is what is computed in.
        kernel: of pixels, square, of odd side.
        block: side of the output's blocks.
        stride: from one output pixel to the next.
        dilation: from one tap of the kernel to the next.
    """
    if block > 1:
        kernel, dilation = expand_kernel(kernel, block, stride, dilation)
        stride = 1
    return _apply(x, kernel, stride, dilation)


def convolve_parts(parts: Sequence[BlockMap], kernels: Sequence[Kernel], block: int) -> BlockMap:
    """Convolution of the concatenation of maps, each with its part of the kernel.

    In blocks the kernels are put together instead of the maps, whose channels would interleave.
    """
    if block > 1:
        kernels = [expand_kernel(kernel, block)[0] for kernel in kernels]
    return _apply(jnp.concatenate(parts, axis=-1), jnp.concatenate(kernels, axis=2))


def _apply(x: BlockMap, kernel: Kernel, stride: int = 1, dilation: int = 1) -> BlockMap:
    reach = [dilation * (side // 2) for side in kernel.shape[:2]]
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        window_strides=(stride, stride),
        padding=[(r, r) for r in reach],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision_of(x.dtype),
    )


def expand_kernel(
    kernel: Kernel, block: int, stride: int = 1, dilation: int = 1
) -> tuple[Kernel, int]:
    """The kernel that does to blocks what `kernel` does to pixels.

    Args:
        kernel: square, of odd side, centred on the output pixel.
        block: side of the output's blocks; those of the input are `stride` times as large.
        stride: of the convolution of pixels; that of blocks has none.
        dilation: of the convolution of pixels.

    Returns:
        The kernel, and the dilation with which it is applied to blocks.
    """
    taps, step = _taps(kernel.shape[0], block, stride, dilation)
    taps = jnp.asarray(taps, kernel.dtype)
    expanded = jnp.einsum(
        "tuio,tmqp,unrs->mnqripso", kernel, taps, taps, precision=lax.Precision.HIGHEST
    )
    rows, columns = expanded.shape[:2]
    ins, outs = (block * stride) ** 2 * kernel.shape[2], block**2 * kernel.shape[3]
    return expanded.reshape(rows, columns, ins, outs), step


@functools.cache
def _taps(size: int, block: int, stride: int, dilation: int) -> tuple[np.ndarray, int]:
    """Along one axis: which tap (t) joins which pixel (q) of which block (m) to which output (p).

    Output pixel p of a block reads, for tap t, pixel q of the block `step * m - reach` further on.
    """
    source = block * stride
    offsets = stride * np.arange(block) + dilation * (np.arange(size)[:, None] - size // 2)
    blocks, pixels = np.divmod(offsets, source)
    step = int(np.gcd.reduce(blocks.ravel())) or 1
    reach = int(np.abs(blocks).max())
    taps = np.zeros((size, 2 * reach // step + 1, source, block), np.float32)
    t, p = np.indices(offsets.shape)
    taps[t, (blocks + reach) // step, pixels, p] = 1
    return taps, step


def repeat_channels(x: Array, block: int) -> Array:
    """Values of channels, [..., c], for every pixel of a block, [..., block*block*c]."""
    return jnp.tile(x, block**2) if block > 1 else x


def double(x: BlockMap, block: int) -> BlockMap:
    """Twice the height and width, in blocks twice as large; bilinear, align-corners.

    Output pixel 2f + q (q = 0, 1) of an axis lies between pixels f and f + 2q - 1 of the input.
    Convolutions with kernels of 0, 1 and -1 put the pixel and its difference to the neighbour into
    their places in the block; the share of the difference depends on the position.
    """
    channels = x.shape[3] // block**2
    # How many channels lie outside and inside of the axis in a block.
    for axis, outer, inner in ((0, 1, block * channels), (1, 2 * block, channels)):
        shares = _doubling_shares(x.shape[1 + axis], block)
        shares = np.tile(shares.repeat(inner, axis=1), (1, outer))
        shares = np.expand_dims(shares, 1 - axis)
        pixel, difference = (
            jnp.asarray(np.expand_dims(_between(taps, outer, inner), 1 - axis), x.dtype)
            for taps in _doubling_taps(block)
        )
        x = _apply(x, pixel) + jnp.asarray(shares, x.dtype) * _apply(x, difference)
    return x


def _between(taps: np.ndarray, outer: int, inner: int) -> np.ndarray:
    """Taps [m, p, q] of an axis as a kernel [m, outer*p*inner, outer*q*inner] of all channels."""
    kernel = np.einsum("mpq,xy,cd->mxpcyqd", taps, np.eye(outer), np.eye(inner))
    return kernel.reshape(len(taps), outer * taps.shape[1] * inner, -1)


@functools.cache
def _doubling_taps(block: int) -> tuple[np.ndarray, np.ndarray]:
    """Along one axis: which pixel (p) of which block (m) joins output pixel (q) of the block."""
    pixel = np.zeros((1, block, 2 * block))
    difference = np.zeros((3, block, 2 * block))
    for q in range(2 * block):
        own, (to, neighbour) = q // 2, divmod(q // 2 + 2 * (q % 2) - 1, block)
        pixel[0, own, q] = 1
        difference[1, own, q] -= 1
        difference[1 + to, neighbour, q] += 1
    return pixel, difference


def _doubling_shares(blocks: int, block: int) -> np.ndarray:
    """Share of the neighbour in the output pixels of an axis, [blocks, 2 * block]."""
    length = blocks * block
    position = np.arange(length)
    shares = np.stack([position, length - 1 - position], axis=1) / (2 * length - 1)
    return shares.reshape(blocks, 2 * block)


def _shifted(x: BlockMap, step: int, axis: int, beyond: float = 0) -> BlockMap:
    """Position i of the result holds i + step of the map, or what is `beyond` it."""
    edges = [(-step, step, 0) if i == axis else (0, 0, 0) for i in range(4)]
    return lax.pad(x, np.asarray(beyond, x.dtype), edges)


def max_pool_of_blocks(x: BlockMap) -> FeatureMap:
    """3x3 max pooling of stride 2, padded by one, of a map in blocks of 2 x 2: [b, h, w, c]."""
    for axis in (1, 2):
        first, second = jnp.split(x, 2, axis=-1)
        before = _shifted(second, -1, axis, -np.inf)
        x = jnp.maximum(jnp.maximum(first, second), before)
    return x


def by_platform(
    module: nn.Module, block: int, *inputs: FeatureMap, method: str = "__call__"
) -> FeatureMap:
    """What a module computes: on a TPU in blocks of this side, elsewhere in plain maps.

    The choice falls when a program is lowered, by the device it is lowered for: also when that
    device is not there, and for each platform of a program that is exported for several.

    Args:
        module: has an attribute `block`, and takes and returns plain maps whatever it is.
        block: side of the blocks on a TPU.
        inputs: of the module.
        method: what computes it.
    """

    def of_side(block: int) -> Callable:
        copy = module.clone(parent=None, name=None, block=block)
        return lambda params, *inputs: copy.apply({"params": params}, *inputs, method=method)

    return lax.platform_dependent(
        module.variables["params"], *inputs, tpu=of_side(block), default=of_side(1)
    )
