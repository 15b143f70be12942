"""Boxes around objects: one function, on the device and on the host."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranet_jax.inference import boxes
from ranet_jax.inference.boxes import host_extent, object_box

mask_boxes = jax.jit(boxes.mask_boxes)


def host_box(mask: np.ndarray) -> np.ndarray:
    return object_box(np.array(host_extent(mask)), mask.shape, xp=np)


def test_boxes_equal_the_reference(reference):
    """All of them, float32 rounding included, on the device and on the host."""
    cases = reference.notes("units/boxes")["cases"]
    assert len(cases) > 50
    masks = np.zeros((len(cases), 480, 864), bool)
    for mask, case in zip(masks, cases, strict=True):
        for y0, x0, y1, x1 in case["rectangles"]:
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
    expected = [case["box"] for case in cases]
    np.testing.assert_array_equal(mask_boxes(masks), expected)
    for mask, box in zip(masks, expected, strict=True):
        if mask.any():
            np.testing.assert_array_equal(host_box(mask), box)


@given(*[st.tuples(st.integers(0, 95), st.integers(0, 159))] * 2)
@settings(max_examples=200, deadline=None)
def test_device_and_host_agree(corner, other):
    mask = np.zeros((96, 160), bool)
    (y0, y1), (x0, x1) = (sorted(pair) for pair in zip(corner, other, strict=True))
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    assert host_extent(mask) == (y0, x0, y1, x1)
    np.testing.assert_array_equal(mask_boxes(mask[None])[0], host_box(mask))


@pytest.mark.parametrize("corner", [None, (0, 0), (0, 95), (63, 0), (63, 95)])
def test_no_object_or_one_pixel_means_the_whole_frame(corner):
    mask = np.zeros((1, 64, 96), bool)
    if corner is None:
        assert host_extent(mask[0]) is None
    else:
        mask[0][corner] = True
        np.testing.assert_array_equal(host_box(mask[0]), [0, 0, 64, 96])
    np.testing.assert_array_equal(mask_boxes(mask), [[0, 0, 64, 96]])


@given(*[st.tuples(st.integers(0, 479), st.integers(0, 863))] * 2, st.floats(0.5, 2), st.data())
def test_boxes_stay_in_the_frame_and_are_large_enough(corner, other, zoom, data):
    (y0, y1), (x0, x1) = (sorted(pair) for pair in zip(corner, other, strict=True))
    shift = data.draw(st.tuples(*[st.floats(-0.5, 0.5)] * 2))
    extent = np.array((y0, x0, y1, x1))
    top, left, bottom, right = object_box(extent, (480, 864), zoom=zoom, shift=shift, xp=np)
    assert 0 <= top < bottom <= 480 and 0 <= left < right <= 864
    assert bottom - top >= 32 and right - left >= 32


@given(st.integers(100, 300), st.integers(200, 500), st.integers(60, 150), st.integers(60, 200))
def test_jitter_moves_and_scales_the_box(y, x, height, width):
    size = (4800, 8640)
    extent = np.array([y - height // 2, x - width // 2, y + height // 2, x + width // 2])
    top, left, bottom, right = object_box(extent, size, xp=np)
    lower = object_box(extent, size, shift=(0.1, 0.0), xp=np)
    assert lower[0] >= top and abs(lower[0] - top - 0.1 * (bottom - top)) <= 1 or top == 0
    larger = object_box(extent, size, zoom=1.2, xp=np)
    assert larger[2] > bottom and larger[3] > right
