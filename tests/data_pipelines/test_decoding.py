import io

import numpy as np
import pytest
from PIL import Image
from small_sets import encode, random_image

from data_pipelines.decoding import decode_image
from ranet_jax.io.images import CorruptImageError, read_image


def test_a_grayscale_image_gets_three_equal_channels():
    grey = random_image(0)[..., 0]
    for kind in ("JPEG", "PNG"):
        pixels = decode_image(encode(grey, kind), "p")
        assert pixels.shape == (48, 64, 3)
        assert (pixels == pixels[..., :1]).all()
        np.testing.assert_allclose(pixels[..., 0], grey, atol=6)


def test_jpegs_are_what_pillow_makes_of_them():
    data = encode(random_image(1), "JPEG")
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(decode_image(data, "p") - reference).max() <= 4


def test_a_cmyk_jpeg_is_read():
    data = encode(random_image(1), "JPEG", mode="CMYK")
    assert np.abs(decode_image(data, "p").astype(int) - random_image(1)).mean() < 8


def test_large_jpegs_are_decoded_small_but_never_too_small():
    data = encode(random_image(2, 480, 640), "JPEG")
    assert decode_image(data, "p").shape == (480, 640, 3)
    for wanted in ((120, 160), (100, 130), (200, 300), (479, 639)):
        shape = decode_image(data, "p", min_size=wanted).shape
        assert shape[0] >= wanted[0] and shape[1] >= wanted[1]
    assert decode_image(data, "p", min_size=(120, 160)).shape == (120, 160, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_file_is_named(kind):
    whole = encode(random_image(0), kind)
    for data in (whole[: len(whole) // 2], whole[:20], b"", b"not an image"):
        with pytest.raises(CorruptImageError, match="a/b.jpg cannot be read") as info:
            decode_image(data, "a/b.jpg")
        assert info.value.name == "a/b.jpg"


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_turned_jpeg_is_upright_as_in_a_video(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(random_image(0)).save(file, "JPEG", exif=exif)
    pixels = decode_image(file.getvalue(), "p", min_size=(8, 8))
    np.testing.assert_array_equal(pixels, read_image(file.getvalue(), "p"))
    assert pixels.shape[:2] == ((64, 48) if orientation == 6 else (48, 64))
