import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_sets import photograph

from data_pipelines import canvas

SIDES = st.integers(1, 400)


def test_boxes_are_those_of_the_reference(oracle_dir):
    cases = json.loads((oracle_dir / "units" / "boxes.json").read_text())["cases"]
    assert len(cases) > 50
    for case in cases:
        mask = np.zeros((480, 864), bool)
        for y0, x0, y1, x1 in case["rectangles"]:
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
        assert list(canvas.object_box(canvas.extent(mask), 480, 864)) == case["box"]


def test_no_object_or_a_tiny_one_means_the_whole_frame():
    assert canvas.extent(np.zeros((96, 160), np.uint8)) is None
    assert canvas.object_box(None, 96, 160) == (0, 0, 96, 160)
    assert canvas.object_box((40, 40, 50, 50), 96, 160) == (0, 0, 96, 160)


@given(*[st.tuples(st.integers(0, 479), st.integers(0, 863))] * 2, st.floats(0.5, 2), st.data())
def test_boxes_stay_in_the_frame_and_are_large_enough(corner, other, zoom, data):
    y0, y1 = sorted((corner[0], other[0]))
    x0, x1 = sorted((corner[1], other[1]))
    shift = data.draw(st.tuples(*[st.floats(-0.5, 0.5)] * 2))
    top, left, bottom, right = canvas.object_box((y0, x0, y1, x1), 480, 864, zoom=zoom, shift=shift)
    assert 0 <= top < bottom <= 480 and 0 <= left < right <= 864
    assert bottom - top >= 32 and right - left >= 32


@given(st.integers(100, 300), st.integers(200, 500), st.integers(60, 150), st.integers(60, 200))
def test_jitter_moves_and_scales_the_box(y, x, height, width):
    extent = y - height // 2, x - width // 2, y + height // 2, x + width // 2
    top, left, bottom, right = canvas.object_box(extent, 4800, 8640)
    lower = canvas.object_box(extent, 4800, 8640, shift=(0.1, 0.0))
    assert lower[0] >= top and abs(lower[0] - top - 0.1 * (bottom - top)) <= 1 or top == 0
    larger = canvas.object_box(extent, 4800, 8640, zoom=1.2)
    assert larger[2] > bottom and larger[3] > right


@given(SIDES, SIDES)
def test_pictures_fit_on_the_canvas_with_their_aspect(height, width):
    layout = canvas.Layout((height, width), (96, 160))
    placed = layout.placed
    assert placed[0] <= 96 and placed[1] <= 160
    assert (
        placed == (height, width) if layout.fit >= 1 else max(placed[0] / 96, placed[1] / 160) == 1
    )
    assert abs(placed[0] * width - placed[1] * height) <= max(height, width)
    pixels = np.full((height, width, 3), 9, np.uint8)
    laid = layout.image(pixels)
    assert laid.shape == (96, 160, 3)
    assert (laid[..., 0] > 0).sum() == placed[0] * placed[1]
    ids = layout.ids(np.full((height, width), 3, np.uint8))
    np.testing.assert_array_equal(ids > 0, laid[..., 0] > 0)


def test_a_picture_of_the_right_size_is_not_touched():
    pixels = photograph(0, 96, 160)
    np.testing.assert_array_equal(canvas.Layout((96, 160), (96, 160)).image(pixels), pixels)
    davis = photograph(0, 480, 854)
    laid = canvas.Layout((480, 854), (480, 864)).image(davis)
    np.testing.assert_array_equal(laid[:, 5:859], davis)
    assert not laid[:, :5].any() and not laid[:, 859:].any()


@given(st.integers(20, 200), st.integers(20, 300))
def test_a_frame_box_and_its_canvas_box_are_the_same_place(height, width):
    layout = canvas.Layout((height, width), (96, 160))
    whole = layout.from_frame((0, 0, 96, 160))
    np.testing.assert_allclose(whole[:2] + whole[2:], (96, 160), rtol=1e-5)
    np.testing.assert_allclose((whole[2:] - whole[:2]) * layout.scale, (96, 160), rtol=1e-5)
    # The picture's middle pixel is in the middle of the frame too.
    y, x, *_ = layout.to_frame((48, 80, 48, 80))
    assert 0 <= y - 48 <= layout.scale / 2 and 0 <= x - 80 <= layout.scale / 2


def test_ids_are_picked_not_blended_when_shrunk():
    ids = np.random.default_rng(0).integers(0, 9, (200, 300), dtype=np.uint8) * 20
    shrunk = canvas.Layout((200, 300), (96, 160)).ids(ids)
    assert set(np.unique(shrunk)) <= set(np.unique(ids))
