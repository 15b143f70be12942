"""Maps of few channels and many pixels as maps of many channels and few pixels.

A TPU computes 128 channels at a time, whether a map has them or not. A map of 16 channels is
computed in an eighth of the time when blocks of 4 x 4 of its pixels become channels of one position
(space to depth). The function stays the same: kernels are expanded when the network is traced, so
that parameters do not know of blocks, and norms add up their statistics over the pixels of a block.

The channels of a block are ordered (row, column, channel); a block of side 1 is the plain map.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.convolution import (
    SIDE_BY_SIDE,
    Kernel,
    convolve_map,
    precision_of,
    shifted,
)
from ranet_jax.models.tiling import PLAIN, Tiling

BlockMap = Float[Array, "b h w bbc"]


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


def single_from_blocks(x: BlockMap, block: int) -> FeatureMap:
    """`from_blocks` for a map of one channel.

    A product puts the columns of the blocks next to each other: single numbers are what a TPU moves
    worst.
    """
    if block == 1:
        return x
    b, h, w, _ = x.shape
    places = jnp.asarray(np.eye(block * w).reshape(w, block, block * w), x.dtype)
    x = x.reshape(b, h, w, block, block)
    x = jnp.einsum("bhwpq,wqx->bhpx", x, places, precision=precision_of(x.dtype))
    return x.reshape(b, block * h, block * w, 1)


def convolve(
    x: BlockMap, kernel: Kernel, tiling: Tiling = PLAIN, stride: int = 1, dilation: int = 1
) -> BlockMap:
    """Convolution of pixels, padded with zeros to keep their number (over the stride).

    Args:
        x: in blocks of `stride * block`; plain if `block` is 1. The type is what is computed in.
        kernel: of pixels, square, of odd side.
        tiling: of the output; in strips the stride is 1.
        stride: from one output pixel to the next.
        dilation: from one tap of the kernel to the next.
    """
    kernel = kernel.astype(x.dtype)
    if tiling.block > 1:
        kernel, dilation = expand_kernel(kernel, tiling.block, stride, dilation)
        stride = 1
    return convolve_map(x, kernel, stride, dilation, tiling.strips)


def convolve_parts(
    parts: Sequence[BlockMap], kernels: Sequence[Kernel], tiling: Tiling
) -> BlockMap:
    """Convolution of the concatenation of maps, each with its part of the kernel.

    In blocks the kernels are put together instead of the maps, whose channels would interleave.
    """
    kernels = [kernel.astype(parts[0].dtype) for kernel in kernels]
    if tiling.block > 1:
        kernels = [expand_kernel(kernel, tiling.block)[0] for kernel in kernels]
    kernel = jnp.concatenate(kernels, axis=2)
    return convolve_map(jnp.concatenate(parts, axis=-1), kernel, strips=tiling.strips)


def convolve_dilated(
    x: BlockMap, kernels: Sequence[Kernel], dilations: Sequence[int], tiling: Tiling = PLAIN
) -> BlockMap:
    """Sum of convolutions of one map, each with its kernel and dilation.

    In blocks, those whose taps are as far apart as each other are one convolution.
    """
    kernels = [kernel.astype(x.dtype) for kernel in kernels]
    convolved = functools.partial(convolve_map, x, strips=tiling.strips)
    if tiling.block == 1:
        return sum(convolved(k, dilation=d) for k, d in zip(kernels, dilations, strict=True))
    by_step: dict[int, Kernel] = {}
    for kernel, dilation in zip(kernels, dilations, strict=True):
        kernel, step = expand_kernel(kernel, tiling.block, dilation=dilation)
        small, large = sorted((kernel, by_step.get(step, kernel[:0])), key=len)
        if len(small):
            edge = 2 * [((len(large) - len(small)) // 2,) * 2]
            large += jnp.pad(small, [*edge, (0, 0), (0, 0)])
        by_step[step] = large
    return sum(convolved(kernel, dilation=step) for step, kernel in by_step.items())


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
    rows, source = taps.shape[1:3]
    ins, outs = kernel.shape[2:]
    # Whole lanes of numbers from the start, where a product over small axes would take ten times as
    # long. No sum has more than one term that is not zero.
    along_y = taps.repeat(block * outs, axis=3)[:, :, :, None, None]
    along_x = np.tile(taps.repeat(outs, axis=3), (1, 1, 1, block))[:, None, :, :, None]
    expanded = repeat_channels(kernel, block)
    expanded = jnp.sum(jnp.asarray(along_y, kernel.dtype) * expanded[:, None, None], axis=0)
    # Rows of blocks and of their pixels in one axis: XLA 0.10 and 0.11 crash on CPUs in a sum over
    # one of seven axes (jax issue 39257).
    expanded = expanded.reshape(rows * source, *expanded.shape[2:]).swapaxes(0, 1)[:, :, None, None]
    expanded = jnp.sum(jnp.asarray(along_x, kernel.dtype) * expanded, axis=0)
    expanded = expanded.reshape(rows, source, rows, source * ins, -1).swapaxes(1, 2)
    return expanded.reshape(rows, rows, source**2 * ins, block**2 * outs), step


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


def double(x: BlockMap, tiling: Tiling) -> BlockMap:
    """Twice the height and width, in blocks twice as large; bilinear, align-corners.

    Output pixel 2f + q (q = 0, 1) of an axis lies between pixels f and f + 2q - 1 of the input.
    Convolutions with kernels of 0, 1 and -1 put the pixel and its difference to the neighbour into
    their places in the block; the share of the difference is linear in the position. A batch that
    fills a TPU is one convolution, of the map and of the map times the position.
    """
    block = tiling.block
    channels = x.shape[3] // block**2
    pixel, difference = _doubling_taps(block)
    # How many channels lie outside and inside of the axis in a block.
    for axis, outer, inner in ((0, 1, block * channels), (1, 2 * block, channels)):
        strips = 1 if axis else tiling.strips
        length = strips * x.shape[1 + axis]
        middle, slope = _doubling_shares(length, block)
        if len(x) < SIDE_BY_SIDE and tiling.strips == 1:
            shares = middle + slope * _from_middle(length)
            shares = np.tile(shares.repeat(inner, axis=1), (1, outer))
            kernels = (_between(taps, axis, outer, inner) for taps in (pixel, difference))
            own, to_neighbour = (convolve_map(x, jnp.asarray(k, x.dtype)) for k in kernels)
            x = own + jnp.asarray(np.expand_dims(shares, 1 - axis), x.dtype) * to_neighbour
            continue
        moving = slope * difference
        fixed = middle * difference - _from_middle(3)[:, None] * moving
        fixed[1] += pixel[0]
        kernels = [_between(taps, axis, outer, inner) for taps in (fixed, moving)]
        positions = np.expand_dims(_from_middle(length), 1 - axis)
        if strips > 1:
            positions = np.tile(positions.reshape(strips, -1, 1, 1), (len(x) // strips, 1, 1, 1))
        place = jnp.asarray(positions, x.dtype)
        kernel = jnp.asarray(np.concatenate(kernels, axis=2), x.dtype)
        x = convolve_map(jnp.concatenate([x, place * x], axis=3), kernel, strips=tiling.strips)
    return x


def _between(taps: np.ndarray, axis: int, outer: int, inner: int) -> np.ndarray:
    """Taps [m, p, q] of an axis as a kernel from outer*p*inner to outer*q*inner channels."""
    kernel = np.einsum("mpq,xy,cd->mxpcyqd", taps, np.eye(outer), np.eye(inner))
    kernel = kernel.reshape(len(taps), outer * taps.shape[1] * inner, -1)
    return np.expand_dims(kernel, 1 - axis)


def _from_middle(length: int) -> np.ndarray:
    """Positions along an axis, [length, 1]; small numbers keep their precision."""
    return np.arange(length)[:, None] - (length - 1) / 2


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


def _doubling_shares(blocks: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of the neighbour in output pixel (q) of a block: in the middle of the axis, and how
    much more of it from block to block."""
    q = np.arange(2 * block)
    last = blocks * block - 1
    in_first = np.where(q % 2, last - q // 2, q // 2) / (2 * last + 1)
    slope = np.where(q % 2, -block, block) / (2 * last + 1)
    return in_first + slope * (blocks - 1) / 2, slope


def max_pool_of_blocks(x: BlockMap) -> FeatureMap:
    """3x3 max pooling of stride 2, padded by one, of a map in blocks of 2 x 2: [b, h, w, c]."""
    for axis in (1, 2):
        first, second = jnp.split(x, 2, axis=-1)
        # A TPU copies a half that is to be shifted, but no half of what is shifted.
        before = jnp.split(shifted(x, -1, axis, -np.inf), 2, axis=-1)[1]
        x = jnp.maximum(jnp.maximum(first, second), before)
    return x
