import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from small_sets import encode, photograph, square

from data_pipelines import decoding
from ranet_jax.errors import InputError

MASKS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@settings(deadline=None)
@given(MASKS.map(lambda ids: np.where(ids == 255, 0, ids)))
def test_ids_survive_the_file(ids):
    np.testing.assert_array_equal(decoding.decode_ids(decoding.encode_ids(ids), "m", "ids"), ids)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1", "I;16"])
def test_a_binary_mask_reads_alike_in_every_mode(mode):
    if mode == "P":
        data = encode(square(), mode="P")
    elif mode == "I;16":
        data = encode(square().astype(np.uint16) * 65535)
    else:
        data = encode(255 * square(), mode=mode)
    for rule in ("auto", "binary"):
        np.testing.assert_array_equal(decoding.decode_ids(data, "m", rule), square())


def test_grey_edges_of_a_binary_mask_are_cut_at_half():
    mask = square(value=255)
    mask[12, 16:36] = 100
    mask[13, 16:36] = 150
    ids = decoding.decode_ids(encode(mask), "m")
    assert not ids[12].any() and ids[13, 16:36].all()


def test_grey_values_below_128_are_ids():
    mask = square(value=7)
    np.testing.assert_array_equal(decoding.decode_ids(encode(mask), "m"), mask)


def test_the_void_of_a_palette_mask_is_background():
    mask = square(value=2)
    mask[0] = 255
    np.testing.assert_array_equal(decoding.decode_ids(encode(mask, mode="P"), "m"), square(value=2))


def test_the_colors_of_davis_are_its_ids_whatever_other_objects_there_are():
    for present in ((1, 2, 3), (3,)):
        ids = np.zeros((8, 12), np.uint8)
        for i in present:
            ids[i] = i
        colors = encode(np.asarray(Image.open(io.BytesIO(encode(ids, mode="P"))).convert("RGB")))
        np.testing.assert_array_equal(decoding.decode_ids(colors, "m"), ids)


def test_other_colors_and_values_are_numbered_as_instances():
    colors = np.zeros((6, 6, 3), np.uint8)
    colors[1], colors[4] = (200, 10, 10), (10, 250, 30)
    ids = decoding.decode_ids(encode(colors), "m", "instances")
    assert ids[1].tolist() == [2] * 6 and ids[4].tolist() == [1] * 6 and ids.sum() == 18
    values = np.repeat(np.uint8([[0, 60, 120, 240]]), 3, axis=0)
    ids = decoding.decode_ids(encode(values), "m", "instances")
    assert ids[0].tolist() == [0, 1, 2, 3]


def test_a_photograph_is_no_mask_of_instances():
    with pytest.raises(InputError, match="distinct values"):
        decoding.decode_ids(encode(photograph(0)), "m", "instances")


@given(st.integers(-2, 2), st.integers(-2, 2))
def test_sizes_may_differ_by_two_pixels(rows, columns):
    ids = square()
    fitted = decoding.match_size(ids, 48 + rows, 64 + columns, "m")
    assert fitted.shape == (48 + rows, 64 + columns)
    np.testing.assert_array_equal(fitted[:46, :62], ids[:46, :62])


def test_a_mask_of_another_picture_is_refused():
    with pytest.raises(InputError, match="m is 64x48 but its image is 64x51"):
        decoding.match_size(square(), 51, 64, "m")


def test_a_grayscale_photograph_gets_three_equal_channels():
    grey = photograph(0)[..., 0]
    for kind in ("JPEG", "PNG"):
        pixels = decoding.decode_image(encode(grey, kind), "p")
        assert pixels.shape == (48, 64, 3)
        assert (pixels == pixels[..., :1]).all()
        np.testing.assert_allclose(pixels[..., 0], grey, atol=6)


def test_jpegs_are_what_pillow_makes_of_them():
    data = encode(photograph(1), "JPEG")
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(decoding.decode_image(data, "p") - reference).max() <= 4


def test_a_cmyk_jpeg_is_read():
    data = encode(photograph(1), "JPEG", mode="CMYK")
    assert np.abs(decoding.decode_image(data, "p").astype(int) - photograph(1)).mean() < 8


def test_large_jpegs_are_decoded_small_but_never_too_small():
    data = encode(photograph(2, 480, 640), "JPEG")
    assert decoding.decode_image(data, "p").shape == (480, 640, 3)
    for wanted in ((120, 160), (100, 130), (200, 300), (479, 639)):
        shape = decoding.decode_image(data, "p", min_size=wanted).shape
        assert shape[0] >= wanted[0] and shape[1] >= wanted[1]
    assert decoding.decode_image(data, "p", min_size=(120, 160)).shape == (120, 160, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_file_is_named(kind):
    whole = encode(photograph(0), kind)
    for data in (whole[: len(whole) // 2], whole[:20], b"", b"not an image"):
        with pytest.raises(decoding.CorruptImageError, match="a/b.jpg cannot be decoded") as info:
            decoding.decode_image(data, "a/b.jpg")
        assert info.value.name == "a/b.jpg"
        with pytest.raises(decoding.CorruptImageError):
            decoding.decode_ids(data, "a/b.png")


def test_sizes_come_from_the_header():
    for kind in ("JPEG", "PNG"):
        assert decoding.image_size(encode(photograph(0), kind)[:-40], "p") == (48, 64)
    with pytest.raises(decoding.CorruptImageError):
        decoding.image_size(b"nothing", "p")
