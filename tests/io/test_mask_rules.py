"""How pixel values stand for objects, in the masks of data sets."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from small_sets import encode, random_image, square

from ranet_jax.errors import InputError
from ranet_jax.io.images import encode_image
from ranet_jax.io.masks import decode_ids, match_size

MASKS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@settings(deadline=None)
@given(MASKS.map(lambda ids: np.where(ids == 255, 0, ids)))
def test_ids_survive_the_file(ids):
    np.testing.assert_array_equal(decode_ids(encode_image(ids), "m", "ids"), ids)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1", "I;16"])
def test_a_binary_mask_reads_alike_in_every_mode(mode):
    if mode == "P":
        data = encode(square(), mode="P")
    elif mode == "I;16":
        data = encode(square().astype(np.uint16) * 65535)
    else:
        data = encode(255 * square(), mode=mode)
    for rule in ("auto", "binary"):
        np.testing.assert_array_equal(decode_ids(data, "m", rule), square())


def test_grey_edges_of_a_binary_mask_are_cut_at_half():
    mask = square(value=255)
    mask[12, 16:36] = 100
    mask[13, 16:36] = 150
    ids = decode_ids(encode(mask), "m")
    assert not ids[12].any() and ids[13, 16:36].all()


def test_grey_values_below_128_are_ids():
    mask = square(value=7)
    np.testing.assert_array_equal(decode_ids(encode(mask), "m"), mask)


def test_the_void_of_a_palette_mask_is_background():
    mask = square(value=2)
    mask[0] = 255
    np.testing.assert_array_equal(decode_ids(encode(mask, mode="P"), "m"), square(value=2))


def test_the_colors_of_davis_are_its_ids_whatever_other_objects_there_are():
    for present in ((1, 2, 3), (3,)):
        ids = np.zeros((8, 12), np.uint8)
        for i in present:
            ids[i] = i
        colors = encode(np.asarray(Image.open(io.BytesIO(encode(ids, mode="P"))).convert("RGB")))
        np.testing.assert_array_equal(decode_ids(colors, "m"), ids)


def test_other_colors_and_values_are_numbered_as_instances():
    colors = np.zeros((6, 6, 3), np.uint8)
    colors[1], colors[4] = (200, 10, 10), (10, 250, 30)
    ids = decode_ids(encode(colors), "m", "instances")
    assert ids[1].tolist() == [2] * 6 and ids[4].tolist() == [1] * 6 and ids.sum() == 18
    values = np.repeat(np.uint8([[0, 60, 120, 240]]), 3, axis=0)
    ids = decode_ids(encode(values), "m", "instances")
    assert ids[0].tolist() == [0, 1, 2, 3]


def test_a_image_is_no_mask_of_instances():
    with pytest.raises(InputError, match="distinct values"):
        decode_ids(encode(random_image(0)), "m", "instances")


@given(st.integers(-2, 2), st.integers(-2, 2))
def test_sizes_may_differ_by_two_pixels(rows, columns):
    ids = square()
    fitted = match_size(ids, 48 + rows, 64 + columns, "m")
    assert fitted.shape == (48 + rows, 64 + columns)
    np.testing.assert_array_equal(fitted[:46, :62], ids[:46, :62])


def test_a_mask_of_another_image_is_refused():
    with pytest.raises(InputError, match="m is 64x48 but its image is 64x51"):
        match_size(square(), 51, 64, "m")
