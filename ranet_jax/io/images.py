"""Reading images, for every purpose alike: upright, 8 bits a channel, one error for bad files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ranet_jax.array_typing import HostFrame, Size
from ranet_jax.errors import InputError
from ranet_jax.io.paths import read_bytes

_ORIENTATION = 0x0112  # the EXIF tag
_MAX_16_BITS = 65_535
_TURNED = (5, 6, 7, 8)  # its values that exchange height and width


class CorruptImageError(InputError):
    """A file that cannot be decoded. `name` is the file, `reason` one phrase from the decoder."""

    def __init__(self, name: str, reason: str):
        super().__init__(
            f"{name} cannot be read ({reason}): it may be cut off; replace it or leave it out."
        )
        self.name = name
        self.reason = reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


@contextmanager
def open_image(source: bytes | Path, name: str | None = None) -> Iterator[Image.Image]:
    """Opens an encoded image; what goes wrong with the file in the block is one error.

    Args:
        source: the file, or its contents.
        name: what to call it in the error; its path by default.

    Raises:
        CorruptImageError: it is missing, no image, cut off, damaged (a PNG's checksums tell) or
            larger than Pillow's limit (`PIL.Image.MAX_IMAGE_PIXELS`).
    """
    try:
        data = source if isinstance(source, bytes) else read_bytes(source)
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "PNG":
                # Decoding looks at no checksum of the pixels' chunks.
                image.verify()
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # every format of Pillow's has its own for damaged files
        raise CorruptImageError(name or str(source), _reason(error)) from error


def read_image(source: bytes | Path, name: str | None = None) -> HostFrame:
    """RGB pixels of an image, turned as its EXIF orientation says; 16-bit values lose their lower
    half, gray ones become three equal channels.

    Raises:
        CorruptImageError: see `open_image`.
    """
    with open_image(source, name) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            upright = Image.fromarray(_upper_half(np.asarray(upright)))
        elif upright.mode == "F":
            raise ValueError("its values are no whole numbers")
        return np.array(upright.convert("RGB"))


def image_size(source: bytes | Path, name: str | None = None) -> Size:
    """Height and width of an upright image, from its header.

    Raises:
        CorruptImageError: see `open_image`.
    """
    with open_image(source, name) as image:
        # Pillow would decode all of a PNG, looking for an orientation behind the pixels.
        exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
        turned = exif.get(_ORIENTATION) in _TURNED
        return (image.width, image.height) if turned else (image.height, image.width)


def encode_image(pixels: np.ndarray) -> bytes:
    """A PNG of uint8 values, RGB or gray.

    The lightest compression decodes in half the time of the default one and costs a few kilobytes.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _upper_half(values: np.ndarray) -> np.ndarray:
    """The upper 8 of 16 bits, which some formats store in more."""
    if values.min() < 0 or values.max() > _MAX_16_BITS:
        raise ValueError("its values have more than 16 bits")
    return (values >> 8).astype(np.uint8)


def _reason(error: Exception) -> str:
    # Pillow prints the address of an in-memory file, which differs from run to run.
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
