"""Frames and masks to the network's size and results back, on the host (paper section 3.5).

A frame is scaled with its aspect kept until it fits, centred, and surrounded with black. At the
usual 854 x 480 that adds five columns on either side and changes no pixel.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from ranet_jax.array_typing import HostFrame, HostMask


class Fit(NamedTuple):
    """Where a frame of some original size lies in the network's input; all in pixels."""

    original: tuple[int, int]
    resized: tuple[int, int]
    network: tuple[int, int]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the network's input that the frame covers."""
        starts = [(n - r) // 2 for n, r in zip(self.network, self.resized, strict=True)]
        return tuple(slice(s, s + r) for s, r in zip(starts, self.resized, strict=True))


def fit(original: tuple[int, int], network: tuple[int, int]) -> Fit:
    """How a frame of `original` (height, width) fits the network's (height, width).

    Columns are added in equal numbers on both sides, so a fractional width is rounded to the parity
    of the network's; a fractional height is rounded down (as published).
    """
    scale = min(network[0] / original[0], network[1] / original[1])
    height = min(network[0], max(1, int(original[0] * scale + 1e-6)))
    columns = int((network[1] - original[1] * scale) / 2 + 1e-6)
    return Fit(tuple(original), (height, max(1, network[1] - 2 * columns)), tuple(network))


def fit_frame(frame: HostFrame, geometry: Fit) -> UInt8[np.ndarray, "H W 3"]:
    """The frame at the network's size: bilinear, smoothed where it shrinks, black around."""
    out = np.zeros((*geometry.network, 3), np.uint8)
    if geometry.resized != geometry.original:
        size = geometry.resized[::-1]
        frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    out[geometry.window] = frame
    return out


def fit_labels(labels: HostMask, geometry: Fit) -> Int[np.ndarray, "H W"]:
    """A label map at the network's size: position i reads floor(i*in/out), 0 around."""
    out = np.zeros(geometry.network, labels.dtype)
    rows, columns = (
        np.arange(r) * o // r for o, r in zip(geometry.original, geometry.resized, strict=True)
    )
    out[geometry.window] = labels[rows[:, None], columns]
    return out


def unfit_labels(labels: Int[np.ndarray, "H W"], geometry: Fit) -> HostMask:
    """A label map without the frame's surroundings; only for frames that were not resized."""
    return labels[geometry.window]


def unfit_map(values: Float[np.ndarray, "H W"], geometry: Fit) -> Float[np.ndarray, "height width"]:
    """A map of values at the frame's original size, bilinear."""
    values = np.ascontiguousarray(values[geometry.window], np.float32)
    if geometry.resized == geometry.original:
        return values
    size = geometry.original[::-1]
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def unfit_largest_label(values: Float[np.ndarray, "l H W"], geometry: Fit) -> HostMask:
    """The label of largest value at each pixel of the original frame.

    Values are resized before they are compared, which keeps outlines smooth. The background wins a
    tie, and of two objects that tie the later one, as in `models.aggregation.largest_label`.
    """
    best = unfit_map(values[0], geometry)
    labels = np.zeros(geometry.original, np.uint8)
    for label, value in enumerate(values[1:], 1):
        value = unfit_map(value, geometry)
        wins = np.where(labels > 0, value >= best, value > best)
        labels[wins], best = label, np.where(wins, value, best)
    return labels
