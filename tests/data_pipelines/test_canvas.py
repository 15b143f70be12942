"""Training sees an image where the segmenter would: the canvas against the frame."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import random_image

from data_pipelines.canvas import CanvasGeometry
from ranet_jax.inference.boxes import host_extent, object_box
from ranet_jax.inference.letterbox import Letterbox, letterbox, letterbox_labels

SIZE = (96, 160)
SIDES = st.integers(1, 400)


@given(SIDES, SIDES)
def test_larger_images_lie_as_in_the_frame_and_smaller_ones_keep_their_pixels(height, width):
    geometry = CanvasGeometry.of((height, width), SIZE)
    assert geometry.frame == Letterbox.of((height, width), SIZE)
    if height > 96 or width > 160:
        assert geometry.canvas == geometry.frame
    else:
        assert geometry.canvas.resized == (height, width)
    covered = letterbox(np.full((height, width, 3), 9, np.uint8), geometry.canvas)[..., 0] > 0
    ids = letterbox_labels(np.full((height, width), 3, np.uint8), geometry.canvas)
    np.testing.assert_array_equal(ids > 0, covered)
    share = np.prod(geometry.frame.resized) / np.prod(SIZE)
    np.testing.assert_allclose(covered.sum() * geometry.pixel_area, share)


def test_an_image_of_the_right_size_is_not_touched():
    pixels = random_image(0, 96, 160)
    np.testing.assert_array_equal(letterbox(pixels, Letterbox.of(SIZE, SIZE)), pixels)
    davis = random_image(0, 480, 854)
    boxed = letterbox(davis, CanvasGeometry.of((480, 854), (480, 864)).canvas)
    np.testing.assert_array_equal(boxed[:, 5:859], davis)
    assert not boxed[:, :5].any() and not boxed[:, 859:].any()


@given(st.tuples(SIDES, SIDES), st.data())
@settings(deadline=None)
def test_boxes_are_the_segmenters(original, data):
    """The extent in the frame is that of the labels the segmenter sees, wherever the canvas shows
    them at all; the box lies in the same place."""
    (y0, y1), (x0, x1) = (
        sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))))
        for n in original
    )
    mask = np.zeros(original, np.uint8)
    mask[y0 : y1 + 1, x0 : x1 + 1] = 1
    geometry = CanvasGeometry.of(original, SIZE)
    extent = host_extent(letterbox_labels(mask, geometry.canvas))
    if extent is None:
        return
    in_frame = host_extent(letterbox_labels(mask, geometry.frame))
    np.testing.assert_array_equal(geometry.frame_extent(extent), in_frame)
    box = object_box(np.array(in_frame), SIZE, xp=np)
    # From edges of the canvas's window to edges of the frame's.
    for start in (0, 1):
        frame, canvas = geometry.frame.window[start], geometry.canvas.window[start]
        enlargement = (frame.stop - frame.start) / (canvas.stop - canvas.start)
        on_canvas = geometry.on_canvas(geometry.crop_box(extent))
        place = (on_canvas[start::2] - canvas.start) * enlargement + frame.start
        np.testing.assert_allclose(place, box[start::2], atol=1e-3)


def test_a_mask_beside_the_image_has_a_box_in_the_frame():
    geometry = CanvasGeometry.of((30, 40), SIZE)
    (y0, x0), (y1, x1) = (0, 0), (SIZE[0] - 1, SIZE[1] - 1)
    whole = [0, 0, *SIZE]
    assert geometry.frame_extent((y0, x0, y1, x1)).tolist() == [y0, x0, y1, x1]
    np.testing.assert_array_equal(geometry.crop_box((y0, x0, y1, x1)), whole)


def test_ids_are_picked_not_blended_when_shrunk():
    ids = np.random.default_rng(0).integers(0, 9, (200, 300), dtype=np.uint8) * 20
    shrunk = letterbox_labels(ids, Letterbox.of((200, 300), SIZE))
    assert set(np.unique(shrunk)) <= set(np.unique(ids))
