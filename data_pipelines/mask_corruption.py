"""Errors in the previous mask, such as a network makes and hands on to itself.

A network that only ever sees previous masks that are right, or slightly off, believes all of it: a
piece of background once taken for the object stays in every later mask and draws the next crop
towards it, and what was lost is not looked for elsewhere.
"""

import numpy as np
from jaxtyping import UInt8

from data_pipelines.canvas import IdCanvas
from ranet_jax.inference.boxes import host_extent

MAX_PIECES = 3


def corrupt_mask(
    ids: IdCanvas,
    rng: np.random.Generator,
    extra_region_prob: float,
    missing_region_prob: float,
) -> IdCanvas:
    """The mask, with either kind of error, each with its probability.

    Args:
        ids: slot numbers, at least one of them not 0.
        rng: draws the errors.
        extra_region_prob: the probability of `add_extra_regions`.
        missing_region_prob: the probability of `remove_regions`.
    """
    found = ids
    if missing_region_prob and rng.random() < missing_region_prob:
        found = remove_regions(ids, rng)
    if extra_region_prob and rng.random() < extra_region_prob:
        # A piece that covers the object does not bring back what was lost.
        found = np.where(ids == 0, add_extra_regions(ids, rng), found)
    return found


def add_extra_regions(ids: IdCanvas, rng: np.random.Generator) -> IdCanvas:
    """The mask with one to three pieces of background taken for an object.

    A piece has the shape of an object of the mask, 0.2 to 1 times as large, mirrored or not, and
    touches that object or lies anywhere.

    Args:
        ids: slot numbers, at least one of them not 0.
        rng: draws the pieces.
    """
    corrupted = ids.copy()
    for _ in range(rng.integers(1, MAX_PIECES + 1)):
        slot = int(rng.choice(np.unique(ids[ids > 0])))
        y0, x0, y1, x1 = host_extent(ids == slot)
        piece = _resized(ids[y0 : y1 + 1, x0 : x1 + 1] == slot, rng.uniform(0.2, 1.0))
        piece = piece[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        size, found = np.array(piece.shape), np.array([y1 - y0, x1 - x0])
        middle = rng.uniform((0, 0), ids.shape)
        if rng.random() < 0.5:
            middle = np.array([y0 + y1, x0 + x1]) / 2 + rng.uniform(-0.5, 0.5, 2) * (found + size)
        _paste(corrupted, piece, slot, np.round(middle - size / 2).astype(int))
    return corrupted


def remove_regions(ids: IdCanvas, rng: np.random.Generator) -> IdCanvas:
    """The mask without what lies in a rectangle: a part of the objects, or all of them.

    Args:
        ids: slot numbers, at least one of them not 0.
        rng: draws the rectangle, about a pixel of an object; its sides are half to twice those of
            the objects' box.
    """
    y0, x0, y1, x1 = host_extent(ids)
    sides = np.array([y1 - y0, x1 - x0]) + 1
    middle = np.argwhere(ids)[rng.integers(np.count_nonzero(ids))] + 0.5
    reach = sides * rng.uniform(0.5, 2.0) / 2
    top, left = np.maximum(middle - reach, 0).astype(int)
    bottom, right = np.ceil(middle + reach).astype(int)
    corrupted = ids.copy()
    corrupted[top:bottom, left:right] = 0
    return corrupted


def _resized(shape: np.ndarray, zoom: float) -> np.ndarray:
    height, width = (max(1, round(side * zoom)) for side in shape.shape)
    rows = np.arange(height) * shape.shape[0] // height
    return shape[rows[:, None], np.arange(width) * shape.shape[1] // width]


def _paste(ids: UInt8[np.ndarray, "H W"], piece: np.ndarray, slot: int, corner: np.ndarray) -> None:
    """Writes `slot` where the piece lies with its first pixel at `corner`; the rest is cut off."""
    start = np.maximum(corner, 0)
    stop = np.minimum(corner + piece.shape, ids.shape)
    if (stop <= start).any():
        return
    inside = piece[tuple(slice(*pair) for pair in zip(start - corner, stop - corner, strict=True))]
    ids[start[0] : stop[0], start[1] : stop[1]][inside] = slot
