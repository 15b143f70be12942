"""Canvases: images and masks as the host hands them to the device, and boxes on them.

The *frame* is what the segmenter works on: the image letterboxed to the network's size (or a
multiple of it). A *canvas* has the frame's size, but the host does not enlarge an image on it: that
is left to the device, which samples the canvas once for warp, crop and enlargement.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from ranet_jax.array_typing import Size
from ranet_jax.inference.boxes import Extent, object_box
from ranet_jax.inference.letterbox import Letterbox

Canvas = UInt8[np.ndarray, "H W 3"]
IdCanvas = UInt8[np.ndarray, "H W"]


class CanvasGeometry(NamedTuple):
    """Where an image lies in its frame, and where on its canvas."""

    frame: Letterbox
    canvas: Letterbox

    @classmethod
    def of(cls, original: Size, size: Size) -> "CanvasGeometry":
        """The geometry of an image of `original` (height, width) for frames of `size`."""
        return cls(Letterbox.of(original, size), Letterbox.of(original, size, enlarge=False))

    @property
    def pixel_area(self) -> float:
        """Fraction of the frame that one pixel of the canvas covers."""
        enlargement = np.prod(self.frame.resized) / np.prod(self.canvas.resized)
        return float(enlargement / np.prod(self.frame.size))

    def crop_box(
        self, extent: Extent | None, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
    ) -> Int[np.ndarray, "4"]:
        """The box that the segmenter crops around an object, in pixels of the frame.

        Args:
            extent: first and last row and column of the object on the canvas; None for the box of
                the whole frame.
            zoom: jitter, see `object_box`.
            shift: jitter, see `object_box`.

        Returns:
            y0, x0, y1, x1.
        """
        size = self.frame.size
        if extent is None:
            return np.array([0, 0, *size])
        return object_box(self.frame_extent(extent), size, zoom=zoom, shift=shift, xp=np)

    def on_canvas(self, box: Int[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        """A box of the frame in pixels of the canvas: with fractions where that is to be
        enlarged."""
        frame, canvas = (
            np.array([side.start for side in geometry.window] * 2) for geometry in self
        )
        ratio = np.array(self.canvas.resized * 2) / np.array(self.frame.resized * 2)
        return ((box - frame) * ratio + canvas).astype(np.float32)

    def frame_extent(self, extent: Extent) -> np.ndarray:
        """The extent in the frame, as `letterbox_labels` enlarges, of an extent on the canvas."""
        ends = [
            (
                whole.start - (canvas.start - first) * out // n,
                whole.start - (canvas.start - last - 1) * out // n - 1,
            )
            for first, last, whole, canvas, out, n in zip(
                extent[:2],
                extent[2:],
                self.frame.window,
                self.canvas.window,
                self.frame.resized,
                self.canvas.resized,
                strict=True,
            )
        ]
        # A corrupted mask may lie beside the image, and beyond the frame once enlarged.
        return np.clip(np.array(ends).T, 0, np.array(self.frame.size) - 1).reshape(-1)
