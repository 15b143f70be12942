"""The colors of object ids."""

import functools
import itertools

import numpy as np
from jaxtyping import UInt8

Palette = UInt8[np.ndarray, "256 3"]


@functools.cache
def davis_palette() -> Palette:
    """The colors in which DAVIS and PASCAL VOC show ids; label maps in color are read by them.

    Bits 0, 1 and 2 of an id drive red, green and blue; each further group of three bits sets the
    next lower bit of the colors, so that neighboring ids look different (the color map of the
    PASCAL VOC development kit).
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for group in range(3):
        for channel in range(3):
            bit = (ids >> (3 * group + channel)) & 1
            palette[:, channel] |= (bit << (7 - group)).astype(np.uint8)
    palette.flags.writeable = False
    return palette


@functools.cache
def id_palette() -> Palette:
    """The colors in which ids are shown and stored: those of DAVIS made bright, no two alike.

    Ids 1, 8 and 9 of DAVIS are three shades of one red. Where an earlier id has the bright color
    already, an id gets the one of a grid of bright colors that is farthest from all earlier ones.
    """
    levels = np.linspace(0, 255, 9).round()
    grid = np.array([color for color in itertools.product(levels, repeat=3) if max(color) > 200])
    palette = np.zeros((256, 3), np.float32)
    distance = np.square(grid).sum(axis=1)
    for label, color in enumerate(davis_palette().astype(np.float32)[1:], 1):
        bright = np.round(255 * color / color.max())
        if (bright == palette[:label]).all(axis=1).any():
            bright = grid[distance.argmax()]
        palette[label] = bright
        distance = np.minimum(distance, np.square(grid - bright).sum(axis=1))
    palette = palette.astype(np.uint8)
    palette.flags.writeable = False
    return palette


def color_codes(colors: UInt8[np.ndarray, "*shape 3"]) -> np.ndarray:
    """Colors as 0xRRGGBB, int32 [*shape]."""
    return colors.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
