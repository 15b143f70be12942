"""Canvases of the network's size: where a picture lies on one, and which part the network sees.

The *frame* is the picture fitted to the network's input, aspect kept, centred, padded with black:
what the segmenter sees before it crops. A *canvas* has the frame's size, but a picture smaller
than the frame lies on it as it is, for enlarging it is the device's work; `Layout.scale` is by how
much the canvas is to be enlarged about its centre to become the frame.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

Canvas = UInt8[np.ndarray, "H W 3"]
IdCanvas = UInt8[np.ndarray, "H W"]
Box = tuple[int, int, int, int]  # y0, x0, y1, x1; the ends are exclusive

ENLARGEMENT = 1.5
MIN_BOX_SIDE = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a picture of `source` size (height, width) lies on a canvas of `size`."""

    source: tuple[int, int]
    size: tuple[int, int]

    @property
    def fit(self) -> float:
        """Magnification that makes the picture fill the frame."""
        return min(self.size[0] / self.source[0], self.size[1] / self.source[1])

    @property
    def placed(self) -> tuple[int, int]:
        """The picture's size on the canvas: its own, or less where it does not fit."""
        if self.fit >= 1:
            return self.source
        height, width = self.source
        return max(1, round(height * self.fit)), max(1, round(width * self.fit))

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the picture takes; black lies about it."""
        starts = [(whole - part) // 2 for whole, part in zip(self.size, self.placed, strict=True)]
        return tuple(slice(at, at + part) for at, part in zip(starts, self.placed, strict=True))

    @property
    def scale(self) -> float:
        """Magnification that turns the canvas into the frame, 1 or more."""
        return max(1.0, self.fit)

    def image(self, pixels: UInt8[np.ndarray, "height width 3"]) -> Canvas:
        """The canvas of a photograph, which may have been shrunk by its decoder already.

        The canvas shares no memory with the photograph unless that fits it exactly.
        """
        height, width = self.placed
        if pixels.shape[:2] != (height, width):
            shrunk = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(shrunk)
        return self._centre(pixels)

    def ids(self, ids: UInt8[np.ndarray, "height width"]) -> IdCanvas:
        """The canvas of a mask of the photograph's size; ids are picked, never blended."""
        height, width = self.placed
        if ids.shape != (height, width):
            rows = (2 * np.arange(height) + 1) * ids.shape[0] // (2 * height)
            columns = (2 * np.arange(width) + 1) * ids.shape[1] // (2 * width)
            ids = ids[rows[:, None], columns]
        return self._centre(ids)

    def from_frame(self, box: Box) -> Float[np.ndarray, "4"]:
        """A box of the frame in pixels of the canvas: fractions where the canvas is enlarged."""
        middle = np.array([*self.size, *self.size]) / 2
        return ((np.array(box) - middle) / self.scale + middle).astype(np.float32)

    def to_frame(self, extent: Box) -> Box:
        """First and last row and column on the canvas (y0, x0, y1, x1, inclusive), in the frame."""
        middle = np.array([*self.size, *self.size]) / 2
        return tuple(np.floor((np.array(extent) + 0.5 - middle) * self.scale + middle).astype(int))

    def _centre(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.shape[:2] == self.size:
            return pixels
        rows, columns = self.window
        canvas = np.empty(self.size + pixels.shape[2:], np.uint8)
        canvas[: rows.start], canvas[rows.stop :] = 0, 0
        canvas[rows, : columns.start], canvas[rows, columns.stop :] = 0, 0
        canvas[rows, columns] = pixels
        return canvas


def extent(mask: Bool[np.ndarray, "H W"] | IdCanvas) -> Box | None:
    """First and last row and column that hold a non-zero value: y0, x0, y1, x1, inclusive."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


def object_box(
    around: Box | None,
    height: int,
    width: int,
    *,
    zoom: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Box:
    """The part of a frame that is cropped around an object, as at test time.

    The object's extent (last minus first row and column) enlarged by 1.5 and to the aspect of the
    frame, about the middle of the object, clipped to the frame; the whole frame where there is no
    object, or where a side would be under 32 pixels. Computed in single precision: in a few cases
    rounding decides a pixel.

    Args:
        around: first and last row and column of the object (`extent`), or None.
        height: rows of the frame.
        width: columns of the frame.
        zoom: jitter of the box's size, a factor.
        shift: jitter of the box's place, down and right, in shares of its height and width.
    """
    if around is None:
        return 0, 0, height, width
    y0, x0, y1, x1 = around
    half, aspect = np.float32(ENLARGEMENT / 2), np.float32(height / width)
    reach = max(half * np.float32(y1 - y0), half * np.float32(x1 - x0) * aspect) * np.float32(zoom)
    half_height, half_width = int(reach), int(reach / aspect)
    y = (y0 + y1) // 2 + round(shift[0] * 2 * half_height)
    x = (x0 + x1) // 2 + round(shift[1] * 2 * half_width)
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    if bottom - top < MIN_BOX_SIDE or right - left < MIN_BOX_SIDE:
        return 0, 0, height, width
    return top, left, bottom, right
