"""Letterboxing on the host: images and masks to a fixed size, and results back (paper section 3.5).

An image is scaled with its aspect ratio kept until it fits, centered, and padded with black. At
480 x 864 the usual 480 x 854 frame gets five columns on either side and keeps every pixel. The
segmenter and the training data share this geometry, so that both see the same pixels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from ranet_jax.array_typing import HostFrame, HostMask, Size


class Letterbox(NamedTuple):
    """Where an image lies on a canvas of `size`; heights and widths in pixels."""

    original: Size
    resized: Size
    size: Size

    @classmethod
    def of(cls, original: Size, size: Size, *, enlarge: bool = True) -> "Letterbox":
        """The letterbox of an image of `original` (height, width) on a canvas of `size`.

        Columns are added in equal numbers on both sides, so a fractional width is rounded to the
        parity of the canvas; a fractional height is rounded down (as published).

        Args:
            original: of the image.
            size: of the canvas.
            enlarge: whether an image smaller than the canvas grows to fill it.
        """
        scale = min(size[0] / original[0], size[1] / original[1])
        if scale > 1 and not enlarge:
            return cls(tuple(original), tuple(original), tuple(size))
        height = min(size[0], max(1, int(original[0] * scale + 1e-6)))
        columns = int((size[1] - original[1] * scale) / 2 + 1e-6)
        return cls(tuple(original), (height, max(1, size[1] - 2 * columns)), tuple(size))

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the image covers."""
        starts = [(n - r) // 2 for n, r in zip(self.size, self.resized, strict=True)]
        return tuple(slice(s, s + r) for s, r in zip(starts, self.resized, strict=True))


def letterbox(
    image: UInt8[np.ndarray, "height width 3"], geometry: Letterbox
) -> UInt8[np.ndarray, "H W 3"]:
    """The image on its canvas: bilinear, antialiased where it shrinks, black around.

    Args:
        image: of the original size, or shrunk by its decoder already.
        geometry: where it goes.

    Returns:
        A new array, the canvas.
    """
    if image.shape[:2] != geometry.resized:
        size = geometry.resized[::-1]
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return _pad(image, geometry)


def letterbox_labels(labels: HostMask, geometry: Letterbox) -> Int[np.ndarray, "H W"]:
    """A label map on its canvas: position i reads floor(i*in/out), 0 around."""
    if labels.shape != geometry.resized:
        rows, columns = (
            np.arange(r) * n // r for n, r in zip(labels.shape, geometry.resized, strict=True)
        )
        labels = labels[rows[:, None], columns]
    return _pad(labels, geometry)


def unletterbox(
    values: Float[np.ndarray, "H W"], geometry: Letterbox
) -> Float[np.ndarray, "height width"]:
    """A map of values at the image's original size, bilinear."""
    values = np.ascontiguousarray(values[geometry.window], np.float32)
    if geometry.resized == geometry.original:
        return values
    size = geometry.original[::-1]
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def unletterbox_largest(values: Float[np.ndarray, "l H W"], geometry: Letterbox) -> HostMask:
    """The label of the largest value at each pixel of the original image.

    Values are resized before they are compared, which keeps outlines smooth. The background wins a
    tie, and of two objects that tie the later one, as in `models.aggregation.largest_label`.
    """
    best = unletterbox(values[0], geometry)
    labels = np.zeros(geometry.original, np.uint8)
    for label, value in enumerate(values[1:], 1):
        value = unletterbox(value, geometry)
        wins = np.where(labels > 0, value >= best, value > best)
        labels[wins], best = label, np.where(wins, value, best)
    return labels


def _pad(pixels: HostFrame | HostMask, geometry: Letterbox) -> np.ndarray:
    canvas = np.zeros((*geometry.size, *pixels.shape[2:]), pixels.dtype)
    canvas[geometry.window] = pixels
    return canvas
