"""Region similarity J and boundary accuracy F, as the DAVIS evaluations define them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016, and Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation".
Definitions: J is the intersection over union (1 where both masks are empty); F is the F-measure of
the boundary pixels, each boundary matched within a small distance of the other.
"""

from collections.abc import Sequence
from math import ceil, hypot
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from ranet_jax.errors import InputError
from ranet_jax.evaluation import bitmasks

BOUNDARY_TOLERANCE = 0.008  # fraction of the image diagonal
# A batch of masks should fit, with its working copies, into the second-level cache of a core.
_BATCH_WORDS = 6144
_FRAMES_AT_ONCE = 8


class Statistics(NamedTuple):
    """What the DAVIS evaluations say of a measure over the frames of a sequence."""

    mean: float
    recall: float  # fraction of the frames above 0.5
    decay: float  # mean of the first quarter less the mean of the last


def boundary_radius(height: int, width: int, tolerance: float = BOUNDARY_TOLERANCE) -> int:
    """Largest distance in pixels at which two boundary pixels match.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tolerance: fraction of the image diagonal, rounded up to whole pixels; from 1 on, a number
            of pixels.
    """
    return ceil(tolerance if tolerance >= 1 else tolerance * hypot(height, width))


def statistics(values: Float[np.ndarray, " t"] | Sequence[float]) -> Statistics:
    """Mean, recall and decay of one measure over time.

    Frames without a value (NaN) are left out of means and count as a miss in the recall. The four
    quarters of the decay share their end frames. Without any value, all three are NaN.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).any():
        return Statistics(np.nan, np.nan, np.nan)
    first, last = quarter_means(values)
    recall = float(np.mean(np.nan_to_num(values) > 0.5))
    return Statistics(_nanmean(values), recall, first - last)


def quarter_means(values: Float[np.ndarray, " t"]) -> tuple[float, float]:
    """Means of the first and of the last quarter of the frames; their difference is the decay."""
    ends = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    return _nanmean(values[: ends[1] + 1]), _nanmean(values[ends[3] :])


def _nanmean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else np.nan


def j_and_f(
    ground_truth: Int[np.ndarray, "t h w"],
    prediction: Int[np.ndarray, "t h w"],
    objects: Sequence[int],
    tolerance: float = BOUNDARY_TOLERANCE,
) -> tuple[Float[np.ndarray, "n t"], Float[np.ndarray, "n t"]]:
    """J and F of every object in every frame.

    Objects are matched by id. An id that one side does not have is an empty mask there; labels
    that are not among `objects` are background.

    Args:
        ground_truth: label maps.
        prediction: label maps of the same shape.
        objects: the ids to score, each at least 1.
        tolerance: see `boundary_radius`.
    Returns:
        J and F, both [objects, frames], float64 in [0, 1].
    Raises:
        InputError: for shapes that differ, labels that are not whole numbers, or ids below 1.
    """
    _check(ground_truth, prediction, objects)
    labels, ids = _in_bytes([ground_truth, prediction], objects)
    frames, height, width = ground_truth.shape
    radius = boundary_radius(height, width, tolerance)
    valid = bitmasks.valid_pixels(height, width)
    scratch = bitmasks.Scratch()
    j, f = np.ones((2, len(ids), frames))
    for start in range(0, frames, _FRAMES_AT_ONCE):
        chunk = slice(start, start + _FRAMES_AT_ONCE)
        pair = _packed([side[chunk] for side in labels], ids)
        for index, label in enumerate(ids):
            masks = [bitmasks.select(planes, label) for planes in pair]
            scores = _score_object(masks, valid, radius, scratch)
            j[index, chunk], f[index, chunk] = scores
    return j, f


def _check(ground_truth: np.ndarray, prediction: np.ndarray, objects: Sequence[int]) -> None:
    if ground_truth.shape != prediction.shape or ground_truth.ndim != 3 or 0 in ground_truth.shape:
        raise InputError(
            f"Ground truth of shape {ground_truth.shape} and a prediction of shape "
            f"{prediction.shape} cannot be compared: give label maps of the same frames, height "
            "and width."
        )
    for labels in (ground_truth, prediction):
        if labels.dtype != np.bool_ and not np.issubdtype(labels.dtype, np.integer):
            raise InputError(f"Label maps hold whole numbers, not {labels.dtype}: give the ids.")
    if len(set(objects)) != len(objects) or any(label < 1 for label in objects):
        raise InputError(f"Objects {list(objects)} cannot be scored: give distinct ids from 1.")


def _in_bytes(
    sides: Sequence[np.ndarray], objects: Sequence[int]
) -> tuple[list[UInt8[np.ndarray, "t h w"]], Sequence[int]]:
    """Label maps with a byte a pixel, and the ids the objects have in them.

    Where ids need more than a byte, the objects are renumbered 1.. and all else becomes background.
    """
    if all(side.dtype.itemsize == 1 and side.dtype != np.int8 for side in sides) or (
        min(side.min() for side in sides) >= 0
        and max(side.max() for side in sides) <= 255
        and max(objects, default=0) <= 255
    ):
        return [side.astype(np.uint8, copy=False) for side in sides], objects
    if len(objects) > 255:
        raise InputError(f"{len(objects)} objects cannot be scored at once: give at most 255.")
    known = np.sort(objects)
    slots = np.searchsorted(known, objects) + 1
    return [_renumbered(side, known) for side in sides], [int(slot) for slot in slots]


def _renumbered(labels: np.ndarray, known: np.ndarray) -> UInt8[np.ndarray, "t h w"]:
    places = np.searchsorted(known, labels)
    found = known[np.minimum(places, len(known) - 1)] == labels
    return np.where(found, places + 1, 0).astype(np.uint8)


def _packed(
    sides: Sequence[UInt8[np.ndarray, "t h w"]], ids: Sequence[int]
) -> list[bitmasks.Planes]:
    largest = max(*(int(side.max()) for side in sides), *ids)
    return [bitmasks.pack_planes(side, largest.bit_length()) for side in sides]


def _score_object(
    pair: Sequence[bitmasks.PackedMasks],
    valid: UInt8[np.ndarray, "rows bytes"],
    radius: int,
    scratch: bitmasks.Scratch,
) -> tuple[np.ndarray, np.ndarray]:
    """J and F of one object in the frames of a chunk; both are 1 where both masks are empty."""
    boxes, filled = bitmasks.bounding_boxes(pair[0] | pair[1])
    j, f = np.ones((2, len(boxes)))
    for frames in _batches(boxes, np.flatnonzero(filled)):
        j[frames], f[frames] = _score_batch(pair, valid, boxes, frames, radius, scratch)
    return j, f


def _batches(boxes: np.ndarray, frames: np.ndarray) -> list[np.ndarray]:
    """Splits frames into parts whose boxes, all as large as the largest, fit into the cache."""
    if not len(frames):
        return []
    height, width = (boxes[frames, 2:] - boxes[frames, :2]).max(axis=0)
    words = 2 * height * (width // 8 + 1)
    return np.array_split(frames, min(len(frames), ceil(len(frames) * words / _BATCH_WORDS)))


def _score_batch(
    pair: Sequence[bitmasks.PackedMasks],
    valid: UInt8[np.ndarray, "rows bytes"],
    boxes: np.ndarray,
    frames: np.ndarray,
    radius: int,
    scratch: bitmasks.Scratch,
) -> tuple[np.ndarray, np.ndarray]:
    height, width = (boxes[frames, 2:] - boxes[frames, :2]).max(axis=0)
    row_words = int(width * 8 + radius) // bitmasks.WORD_BITS + 1
    shape = (len(frames), 2, int(height) + radius, row_words)
    size = int(np.prod(shape))
    margin = bitmasks.margin(radius, row_words)
    buffers = scratch(size + 2 * margin)
    masks, inside, edges, tmp = (next(buffers) for _ in range(4))

    def cells(stream: bitmasks.Stream) -> np.ndarray:
        return stream[margin : margin + size].reshape(shape)

    masks[:] = 0
    inside[:] = 0
    _cut(pair, valid, boxes, frames, cells(masks), cells(inside))
    bitmasks.boundary(masks, row_words, edges, tmp)
    masks &= inside
    edges &= inside
    near = bitmasks.dilate(edges, radius, row_words, tmp, buffers)

    areas = _count(cells(masks)).sum(axis=1)
    intersection = _count(cells(masks)[:, 0] & cells(masks)[:, 1])
    matched = _count(cells(edges) & cells(near)[:, ::-1])
    return intersection / (areas - intersection), _f_measure(matched, _count(cells(edges)))


def _cut(
    pair: Sequence[bitmasks.PackedMasks],
    valid: UInt8[np.ndarray, "rows bytes"],
    boxes: np.ndarray,
    frames: np.ndarray,
    masks: np.ndarray,
    inside: np.ndarray,
) -> None:
    """Copies the box of every frame of both sides into its cell, and which of its pixels count."""
    ground_truth, prediction = (side.view(np.uint8) for side in pair)
    masks, inside = masks.view(np.uint8), inside.view(np.uint8)
    for cell, frame in enumerate(frames):
        top, left, bottom, right = boxes[frame]
        place = (slice(bottom - top), slice(right - left))
        masks[cell, 0][place] = ground_truth[frame, top:bottom, left:right]
        masks[cell, 1][place] = prediction[frame, top:bottom, left:right]
        inside[cell, :][(slice(None), *place)] = valid[top:bottom, left:right]


def _count(cells: np.ndarray) -> np.ndarray:
    """Set pixels of each cell: [..., rows, words] -> [...]."""
    bits = np.bitwise_count(cells)
    return bits.reshape(*cells.shape[:-2], -1).sum(axis=-1, dtype=np.int32)


def _f_measure(matched: Int[np.ndarray, "t 2"], sizes: Int[np.ndarray, "t 2"]) -> np.ndarray:
    """F from the boundary pixels of both sides and how many of them the other side matches.

    An empty boundary has nothing unmatched; against a filled one, though, the other fraction is 0.
    """
    fractions = np.where(sizes > 0, matched / np.maximum(sizes, 1), 1.0)
    total = fractions.sum(axis=1)
    return 2 * fractions.prod(axis=1) / np.where(total > 0, total, 1.0)
