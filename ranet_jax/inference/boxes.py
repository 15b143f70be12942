"""The part of a frame that the network sees: a box around the objects (paper supplement).

A box is y0, x0, y1, x1 in pixels; its ends are exclusive. An *extent* is the first and last row and
column of an object in the same order, inclusive. The segmenter computes boxes on the device, the
training data on the host; both call `object_box`.
"""

import functools
from collections.abc import Sequence
from types import ModuleType

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ranet_jax.array_typing import Boxes, Size

ENLARGEMENT = 1.5  # of the object's extent
MIN_SIDE = 32  # pixels; a smaller box is replaced by the whole frame

Extent = tuple[int, int, int, int]


def object_box(
    extent: Int[Array, "*b 4"] | Int[np.ndarray, "*b 4"],
    size: Size,
    *,
    zoom: Array | np.ndarray | float = 1.0,
    shift: Sequence[Array | np.ndarray | float] = (0.0, 0.0),
    xp: ModuleType = jnp,
) -> Array | np.ndarray:
    """The box to crop: 1.5 times the object's extent, at the frame's aspect ratio, inside it.

    The extent is last minus first (not plus one) and the center is rounded down. A box with a side
    under 32 pixels becomes the whole frame (published code; paper supplement).

    Args:
        extent: of the objects; that of the whole frame gives the whole frame.
        size: height and width of the frame.
        zoom: jitter of the box's size, a factor.
        shift: jitter of its position, down and right, as fractions of its height and width.
        xp: `jax.numpy` or `numpy`.

    Returns:
        Boxes, int32 [*b, 4].
    """
    height, width = size
    (tall_y, tall_x), (wide_y, wide_x) = (map(xp.asarray, t) for t in _half_sides(height, width))
    y0, x0, y1, x1 = (extent[..., i] for i in range(4))
    rows, columns = y1 - y0, x1 - x0
    half_height = (xp.maximum(tall_y[rows], wide_y[columns]) * zoom).astype(np.int32)
    half_width = (xp.maximum(tall_x[rows], wide_x[columns]) * zoom).astype(np.int32)
    y = (y0 + y1) // 2 + xp.round(shift[0] * 2 * half_height).astype(np.int32)
    x = (x0 + x1) // 2 + xp.round(shift[1] * 2 * half_width).astype(np.int32)
    top, bottom = xp.maximum(y - half_height, 0), xp.minimum(y + half_height, height)
    left, right = xp.maximum(x - half_width, 0), xp.minimum(x + half_width, width)
    usable = (bottom - top >= MIN_SIDE) & (right - left >= MIN_SIDE)
    whole = xp.asarray([0, 0, height, width], np.int32)
    return xp.where(usable[..., None], xp.stack([top, left, bottom, right], axis=-1), whole)


def mask_boxes(masks: Bool[Array, "b H W"]) -> Boxes:
    """The box around the True pixels of each mask; the whole frame where there are none."""
    y0, y1 = _first_and_last(jnp.any(masks, axis=2))
    x0, x1 = _first_and_last(jnp.any(masks, axis=1))
    return object_box(jnp.stack([y0, x0, y1, x1], axis=-1), masks.shape[1:])


def host_extent(mask: Bool[np.ndarray, "H W"] | Int[np.ndarray, "H W"]) -> Extent | None:
    """First and last row and column that hold a non-zero value, or None."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def _first_and_last(present: Bool[Array, "b length"]) -> tuple[Int[Array, " b"], Int[Array, " b"]]:
    """First and last True position; those of the whole row where there is none."""
    return jnp.argmax(present, axis=1), present.shape[1] - 1 - jnp.argmax(present[:, ::-1], axis=1)


@functools.cache
def _half_sides(height: int, width: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Half sides (height, width) of the box of every object extent along y, then along x.

    Tabulated on the host: the published boxes depend on float32 rounding, which a compiler is free
    to change.
    """
    aspect, factor = np.float32(height / width), np.float32(ENLARGEMENT / 2)
    by_height = factor * np.arange(height, dtype=np.float32)
    by_width = factor * np.arange(width, dtype=np.float32) * aspect
    return (by_height, by_height / aspect), (by_width, by_width / aspect)
