"""Finds label maps whose edges were smoothed: their values are no ids any more."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ranet_jax.array_typing import HostMask

# Gray levels at least this far apart cannot be neighboring ids of one numbering by chance.
_EDGE_SPREAD = 32
# Fraction of all edges that must be soft before small ids, too, are taken for blended ones.
_SOFT_FRACTION = 0.8


def has_soft_edges(labels: HostMask, *, gray: bool, max_objects: int | None = None) -> bool:
    """Whether thin values, which nowhere fill a 3 x 3 square, look like the steps of soft edges.

    Thin objects are thin as well, so it takes more than that: gray levels far apart on both sides,
    or nearly every edge softened, or more values than there can be objects, most of them thin.

    Args:
        labels: a label map.
        gray: whether its values are gray levels, which anti-aliasing blends; not palette indices.
        max_objects: how many values there can be beside 0, if that is known.
    """
    low, high = _extremes(labels, 3)
    flat = low == high
    thin = ~np.isin(labels, np.unique(labels[flat]))
    if not thin.any():
        return False
    values = np.unique(labels)
    crowded = max_objects is not None and np.count_nonzero(values) > max_objects
    if crowded and 2 * np.unique(labels[thin]).size > values.size:
        return True
    if gray and _has_gray_steps(labels, thin):
        return True
    soft = thin & (low < labels) & (labels < high)
    return _soft_fraction(labels, soft, thin) >= _SOFT_FRACTION


def _has_gray_steps(labels: np.ndarray, thin: np.ndarray) -> bool:
    """Whether a thin value lies, for most of its pixels, near a far darker and a far lighter one.

    Near is within three pixels: JPEG scatters its wrong values a little off the edge.
    """
    low, high = _extremes(labels, 7)
    between = thin & (low < labels) & (labels < high) & (high - low >= _EDGE_SPREAD)
    total = np.bincount(labels[thin])
    return bool(np.any(2 * np.bincount(labels[between], minlength=total.size) > total))


def _soft_fraction(labels: np.ndarray, soft: np.ndarray, thin: np.ndarray) -> float:
    """Fraction of the edges between solid regions that pass through soft pixels.

    These are the thin ones whose values lie between those of their neighbors.

    A thin object between two others touches a part of their outlines; blending the ids of
    neighboring regions, as resizing does, rims nearly all of them.
    """
    hard_pairs = soft_pairs = 0
    for a, b in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        hard_pairs += np.count_nonzero((labels[a] != labels[b]) & ~thin[a] & ~thin[b])
        soft_pairs += np.count_nonzero((soft[a] & ~thin[b]) | (~thin[a] & soft[b]))
    # A soft edge is met twice, once from each of the regions it parts.
    crossings = soft_pairs / 2
    return crossings / (crossings + hard_pairs) if crossings else 0.0


def _extremes(labels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value in the square around each pixel.

    Not with scipy's filters: importing them is a tenth of the time in which a command starts.
    """
    low = high = np.pad(labels, side // 2, mode="edge")
    for axis in (0, 1):
        low = np.moveaxis(sliding_window_view(low, side, axis), -1, 0).min(axis=0)
        high = np.moveaxis(sliding_window_view(high, side, axis), -1, 0).max(axis=0)
    return low, high
