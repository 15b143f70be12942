"""The one reader of images: what it makes of unusual files, and how it refuses bad ones."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image
from small_sets import encode, random_image

from ranet_jax.io.images import CorruptImageError, encode_image, image_size, read_image
from ranet_jax.io.masks import decode_ids, read_ids, read_mask


def refusal(call, *arguments) -> str:
    with pytest.raises(CorruptImageError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "cannot be read" in message and "\n" not in message and message.endswith(".")
    return message


def test_pixels_survive_the_file():
    pixels = random_image(0)
    np.testing.assert_array_equal(read_image(encode_image(pixels), "p"), pixels)


def test_files_and_their_contents_read_alike(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(random_image(0), "JPEG"))
    contents = (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), read_image(contents, "a"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(random_image(0)).save(file, "PNG", exif=exif)
    turned = read_image(file.getvalue(), "p")
    assert turned.shape[:2] == image_size(file.getvalue(), "p")
    undone = {1: turned, 3: turned[::-1, ::-1], 6: np.rot90(turned), 8: np.rot90(turned, -1)}
    if orientation in undone:
        np.testing.assert_array_equal(undone[orientation], random_image(0))


def test_16_bits_keep_their_brightness():
    values = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    pixels = read_image(encode(values), "p")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[..., 1], values >> 8)


def test_sizes_come_from_the_header():
    assert image_size(encode(random_image(0), "JPEG")[:-40], "p") == (48, 64)
    assert image_size(encode(random_image(0), "PNG"), "p") == (48, 64)
    refusal(image_size, encode(random_image(0), "PNG")[:-40], "p")
    refusal(image_size, b"nothing", "p")


def test_a_wrong_checksum_is_told_in_a_sentence(tmp_path):
    for index, data in enumerate((encode(random_image(0)), encode(random_image(0)[..., 0]))):
        broken = bytearray(data)
        broken[data.index(b"IDAT") + 8] ^= 0xFF
        path = tmp_path / f"{index}.png"
        path.write_bytes(broken)
        for call in (read_image, read_mask, read_ids):
            assert str(path) in refusal(call, path)
        refusal(decode_ids, bytes(broken), "m")


def test_an_image_of_too_many_pixels_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        path.write_bytes(encode(random_image(0), "JPEG" if name.endswith("jpg") else "PNG"))
        assert "decompression bomb" in refusal(read_image, path)
        refusal(image_size, path)


def test_a_missing_file_is_named(tmp_path):
    assert "none.jpg" in refusal(read_image, tmp_path / "none.jpg")


def test_the_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(CorruptImageError("a.jpg", "no reason")))
    assert (error.name, error.reason) == ("a.jpg", "no reason")
