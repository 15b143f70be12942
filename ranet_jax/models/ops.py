"""Resizing, pooling, normalizing and box crops: what `jax.numpy` lacks.

Two resizing conventions live side by side because the published network mixes them: *half-pixel*
(pixel centres at i + 0.5) and *align-corners* (the first and last pixels of input and output
coincide).
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ranet_jax.array_typing import FeatureMap, Frame, Size
from ranet_jax.models.convolution import precision_of, samples_together
from ranet_jax.models.pixel_blocks import from_blocks
from ranet_jax.models.platforms import by_platform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(frame: Frame) -> Frame:
    """Subtracts the ImageNet mean from RGB in [0, 1] and divides by its standard deviation."""
    mean, std = jnp.asarray(IMAGENET_MEAN, frame.dtype), jnp.asarray(IMAGENET_STD, frame.dtype)
    return (frame - mean) / std


def l2_normalize(x: FeatureMap, epsilon: float = 1e-12) -> FeatureMap:
    """Divides by the l2 norm over channels, at least `epsilon`; always in float32."""
    x = x.astype(jnp.float32)
    norm = jnp.sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))
    return x / jnp.maximum(norm, epsilon)


def resize_half_pixel(x: FeatureMap, size: tuple[int, int]) -> FeatureMap:
    """Bilinear resize to (height, width), half-pixel centres, no smoothing when it shrinks."""
    return _resize(x, size, _half_pixel_matrix, _half_pixel_offsets, 1)


def resize_align_corners(x: FeatureMap, size: tuple[int, int], block: int = 1) -> FeatureMap:
    """Bilinear resize to (height, width) in which the corner pixels keep their values.

    Args:
        x: any map.
        size: of the result.
        block: side of the blocks of pixels in which a TPU makes the result; it divides `size`.
            Where `to_blocks` follows, nothing is moved.
    """
    return _resize(x, size, _align_corners_matrix, _align_corners_offsets, block)


def _resize(
    x: FeatureMap,
    size: tuple[int, int],
    matrix_of: Callable[[int, int], np.ndarray],
    offsets_of: Callable[[int, int], np.ndarray],
    block: int,
) -> FeatureMap:
    matrices = [matrix_of(*lengths) for lengths in zip(x.shape[1:3], size, strict=True)]

    def on_tpu(x: FeatureMap) -> FeatureMap:
        return from_blocks(samples_together(_apply_separable(x, *matrices, block)), block)

    if factors := _whole_factors(x, size):
        return by_platform(
            x,
            tpu=on_tpu,
            default=functools.partial(_enlarge, factors=factors, offsets_of=offsets_of),
        )
    return _apply_separable(x, *matrices)


def average_pool(x: FeatureMap, size: tuple[int, int]) -> FeatureMap:
    """Mean over an even partition of the map into (height, width) cells.

    Where the sizes do not divide, cell i covers positions floor(i*in/out) to ceil((i+1)*in/out), as
    adaptive pooling does elsewhere.
    """
    if x.shape[1:3] == size:
        return x
    rows, columns = _average_matrix(x.shape[1], size[0]), _average_matrix(x.shape[2], size[1])
    return _apply_separable(x, rows, columns)


def adaptive_max_pool(x: FeatureMap, size: tuple[int, int]) -> FeatureMap:
    """Maximum over the cells of `average_pool`."""
    for axis, length in ((1, size[0]), (2, size[1])):
        if x.shape[axis] != length:
            members = _cell_members(x.shape[axis], length)
            x = jnp.max(jnp.take(x, members, axis=axis), axis=axis + 1)
    return x


def crop_bilinear(
    image: Float[Array, "H W c"], box: Int[Array, "4"], size: Size | None = None
) -> Float[Array, "h w c"]:
    """A box resized to `size`, or the image's: bilinear, half-pixel centres, clamped to the box."""
    height, width = size or image.shape[:2]
    rows = _half_pixel_taps(box[0], box[2], height)
    columns = _half_pixel_taps(box[1], box[3], width)
    return _interpolate(_interpolate(image, rows, axis=0), columns, axis=1)


def crop_nearest(
    labels: Int[Array, "H W"], box: Int[Array, "4"], size: Size | None = None
) -> Int[Array, "h w"]:
    """The box of a label map, resized to `size`, or the map's: position i reads floor(i*in/out)."""
    height, width = size or labels.shape
    rows = box[0] + jnp.arange(height) * (box[2] - box[0]) // height
    columns = box[1] + jnp.arange(width) * (box[3] - box[1]) // width
    return jnp.take(jnp.take(labels, rows, axis=0), columns, axis=1)


def uncrop(
    maps: Float[Array, "n h w"], box: Int[Array, "4"], size: Size | None = None
) -> Float[Array, "n H W"]:
    """Puts maps back into the box they were cropped from, in frames of `size` or of the maps' own:
    align-corners, zero outside."""
    height, width = size or maps.shape[1:]
    rows, inside_y = _align_corners_taps(box[0], box[2], maps.shape[1], height)
    columns, inside_x = _align_corners_taps(box[1], box[3], maps.shape[2], width)
    resized = _interpolate(_interpolate(maps, rows, axis=1), columns, axis=2)
    return jnp.where(inside_y[:, None] & inside_x[None, :], resized, 0)


# For every output position of an axis: the two input positions to read, the weight of the second.
_Taps = tuple[Int[Array, " out"], Int[Array, " out"], Float[Array, " out"]]


def _half_pixel_taps(start: Array, end: Array, size: int) -> _Taps:
    extent = (end - start).astype(jnp.float32)
    source = jnp.maximum((jnp.arange(size) + 0.5) * (extent / size) - 0.5, 0)
    low = source.astype(jnp.int32)
    return start + low, start + jnp.minimum(low + 1, end - start - 1), source - low


def _align_corners_taps(
    start: Array, end: Array, size: int, out: int
) -> tuple[_Taps, Bool[Array, " out"]]:
    position = jnp.arange(out) - start
    inside = (position >= 0) & (position < end - start)
    # One float32 scale for all positions, as published: rounding decides pixels at the threshold.
    scale = jnp.float32(size - 1) / jnp.maximum(end - start - 1, 1).astype(jnp.float32)
    source = jnp.clip(position, 0, end - start - 1).astype(jnp.float32) * scale
    low = jnp.minimum(source.astype(jnp.int32), size - 1)
    return (low, jnp.minimum(low + 1, size - 1), source - low), inside


def _interpolate(x: Array, taps: _Taps, axis: int) -> Array:
    low, high, weight = taps
    weight = weight.reshape([-1 if i == axis else 1 for i in range(x.ndim)]).astype(x.dtype)
    first, second = jnp.take(x, low, axis=axis), jnp.take(x, high, axis=axis)
    return first + (second - first) * weight


def _whole_factors(x: FeatureMap, size: tuple[int, int]) -> tuple[int, int] | None:
    """How many times larger `size` is along y and x, where both are whole numbers."""
    (rows, y_rest), (columns, x_rest) = map(divmod, size, x.shape[1:3])
    return None if y_rest or x_rest else (rows, columns)


def _half_pixel_offsets(length: int, factor: int) -> np.ndarray:
    phases = (2 * np.arange(factor) + 1 - factor) / (2 * factor)
    return np.broadcast_to(phases[:, None], (factor, length))


def _align_corners_offsets(length: int, factor: int) -> np.ndarray:
    phases, positions = np.arange(factor)[:, None], np.arange(length)
    return (phases * (length - 1) - positions * (factor - 1)) / (factor * length - 1)


def _enlarge(
    x: FeatureMap,
    factors: tuple[int, int],
    offsets_of: Callable[[int, int], np.ndarray],
) -> FeatureMap:
    """A whole number of times the height and width: output position `factor * j + phase` lies at j
    plus an offset between -1 and 1, a mix of position j and one of its neighbours.

    Weights and slices instead of interpolation matrices: for the large maps of the decoder many
    times faster.

    Args:
        offsets_of: the offsets, [factor, length], given the length and the factor.
    """
    for axis, factor in zip((1, 2), factors, strict=True):
        length = x.shape[axis]
        if factor == 1:
            continue
        along = [-1 if i == axis else 1 for i in range(4)]
        first, last = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, length - 1))
        before = jnp.concatenate([first, lax.slice_in_dim(x, 0, length - 1, axis=axis)], axis)
        after = jnp.concatenate([lax.slice_in_dim(x, 1, length, axis=axis), last], axis)
        phases = []
        for offsets in offsets_of(length, factor):
            phase = x
            for neighbour, weights in ((before, -offsets), (after, offsets)):
                if np.any(weights > 0):
                    weight = jnp.asarray(np.maximum(weights, 0), x.dtype).reshape(along)
                    phase = phase + (neighbour - x) * weight
            phases.append(phase)
        shape = tuple(factor * n if i == axis else n for i, n in enumerate(x.shape))
        x = jnp.stack(phases, axis + 1).reshape(shape)
    return x


def _apply_separable(
    x: FeatureMap, rows: np.ndarray, columns: np.ndarray, block: int = 1
) -> FeatureMap:
    """A matrix for each axis, [out, in]; the result in blocks of pixels."""
    rows, columns = (
        jnp.asarray(m.reshape(len(m) // block, block, -1), x.dtype) for m in (rows, columns)
    )
    precision = precision_of(x.dtype)
    x = jnp.einsum("yph,bhwc->bywpc", rows, x, precision=precision)
    x = jnp.einsum("xqw,bywpc->byxpqc", columns, x, precision=precision)
    return x.reshape(*x.shape[:3], -1)


@functools.cache
def _half_pixel_matrix(size: int, out: int) -> np.ndarray:
    source = np.clip((np.arange(out) + 0.5) * (size / out) - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(source[:, None] - np.arange(size)))


@functools.cache
def _align_corners_matrix(size: int, out: int) -> np.ndarray:
    source = np.arange(out) * ((size - 1) / max(out - 1, 1))
    return np.maximum(0, 1 - np.abs(source[:, None] - np.arange(size)))


@functools.cache
def _average_matrix(size: int, out: int) -> np.ndarray:
    start, end = _cells(size, out)
    positions = np.arange(size)
    member = (positions >= start[:, None]) & (positions < end[:, None])
    return member / (end - start)[:, None]


@functools.cache
def _cell_members(size: int, out: int) -> np.ndarray:
    """Positions of each cell, [out, longest]; shorter cells repeat their last position."""
    start, end = _cells(size, out)
    return np.minimum(start[:, None] + np.arange((end - start).max()), end[:, None] - 1)


def _cells(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(out)
    return index * size // out, -(-(index + 1) * size // out)
