"""Packed bits against the same operations on plain arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.evaluation import bitmasks


def unpack(words, width):
    return np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")[..., :width]


@pytest.mark.parametrize("width", [1, 8, 63, 64, 65, 100])
def test_planes_hold_the_labels_and_repeat_the_edge(width):
    labels = np.random.default_rng(width).integers(0, 8, (3, 11, width), np.uint8)
    planes = bitmasks.pack_planes(labels, 3)
    edged = np.pad(labels, ((0, 0), (0, 1), (0, 1)), mode="edge")
    for label in range(1, 8):
        np.testing.assert_array_equal(
            unpack(bitmasks.select(planes, label), width + 1), edged == label
        )


def test_one_plane_counts_every_label():
    labels = np.array([[[0, 1, 2, 128, 255, 0]]], np.uint8)
    mask = bitmasks.select(bitmasks.pack_planes(labels, 1), 1)
    np.testing.assert_array_equal(unpack(mask, 6)[0, 0], [0, 1, 1, 1, 1, 0])


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 9, 49])
def test_rectangles_make_up_the_disk(radius):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    covered = np.zeros(y.shape, bool)
    for half_height, half_width in bitmasks.disk(radius):
        covered |= (abs(y) <= half_height) & (abs(x) <= half_width)
    np.testing.assert_array_equal(covered, y**2 + x**2 <= radius**2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 70), st.integers(1, 4))
def test_dilation_is_the_union_of_disks(seed, radius, masks):
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, 20)), int(rng.integers(1, 90))
    pixels = rng.random((masks, height, width)) < 0.02
    row_words = (width + radius) // 64 + 1
    margin = bitmasks.margin(radius, row_words)
    cells = np.zeros((masks, height + radius, row_words * 64), np.uint8)
    cells[:, :height, :width] = pixels
    words = np.packbits(cells, axis=-1, bitorder="little").view("<u8").reshape(-1)
    scratch = bitmasks.Scratch()
    # What an earlier batch left in the buffers must not matter.
    for buffer in scratch(words.size + 2 * margin):
        buffer[:] = np.uint64(2**64 - 1)
    buffers = scratch(words.size + 2 * margin)
    stream, tmp = next(buffers), next(buffers)
    stream[:] = 0
    stream[margin : margin + words.size] = words
    grown = bitmasks.dilate(stream, radius, row_words, tmp, buffers)
    grown = grown[margin : margin + words.size].reshape(masks, height + radius, row_words)
    y, x = np.mgrid[:height, :width]
    for index in range(masks):
        wanted = np.zeros((height, width), bool)
        for py, px in np.argwhere(pixels[index]):
            wanted |= (y - py) ** 2 + (x - px) ** 2 <= radius**2
        np.testing.assert_array_equal(unpack(grown[index, :height], width), wanted)


def test_boxes_hold_the_pixels_and_their_boundary():
    labels = np.zeros((3, 40, 200), np.uint8)
    labels[0, 10:12, 64:70] = 1  # at bit 0 of a byte: its boundary starts in the byte before
    labels[1, 0, 0] = 1
    mask = bitmasks.select(bitmasks.pack_planes(labels, 1), 1)
    boxes, filled = bitmasks.bounding_boxes(mask)
    np.testing.assert_array_equal(filled, [True, True, False])
    np.testing.assert_array_equal(boxes[0], [9, 7, 13, 9])
    np.testing.assert_array_equal(boxes[1], [0, 0, 2, 1])
