"""Encoded bytes of photographs and masks to arrays, whatever a dataset made of them.

JPEG goes through libjpeg-turbo directly (`simplejpeg`), about twice as fast as through Pillow;
everything else, and every mask, through Pillow, which keeps the indices of palette PNGs.
"""

import functools
import io
import threading

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from ranet_jax.errors import InputError

MASK_RULES = ("auto", "ids", "binary", "instances")
_JPEG = b"\xff\xd8"
_VOID = 255
_MAX_INSTANCES = 64
_LOCAL = threading.local()

HostImage = UInt8[np.ndarray, "height width 3"]
HostIds = UInt8[np.ndarray, "height width"]


class CorruptImageError(InputError):
    """A file that cannot be decoded. `name` is the file, `reason` one phrase from the decoder."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name} cannot be decoded ({reason}): replace the file or leave it out.")
        self.name = name
        self.reason = reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


def decode_image(
    data: bytes, name: str, *, min_size: tuple[int, int] = (0, 0), borrow: bool = False
) -> HostImage:
    """RGB pixels of an encoded photograph; a grayscale one gets three equal channels.

    Args:
        data: the file's bytes: JPEG, or anything Pillow reads.
        name: what to call the file in an error.
        min_size: height and width that suffice. A JPEG larger than that is decoded at a fraction of
            its size by the decoder's own scaling (which saves most of the work), never below
            `min_size`; (0, 0) decodes every pixel.
        borrow: the pixels may lie in memory that this thread's next call uses again. A caller that
            copies them at once saves the operating system a megabyte of fresh pages, a sixth of
            the decoding time.

    Raises:
        CorruptImageError: the bytes are no readable image.
    """
    if data[:2] == _JPEG:
        try:
            height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
            if colorspace not in ("CMYK", "YCCK"):
                wanted = min_size if height > min_size[0] and width > min_size[1] else (0, 0)
                return simplejpeg.decode_jpeg(
                    data,
                    "RGB",
                    min_height=wanted[0],
                    min_width=wanted[1],
                    buffer=_scratch(3 * height * width) if borrow else None,
                )
        except ValueError as error:
            raise CorruptImageError(name, str(error)) from None
    return np.array(_open(data, name, convert="RGB"))


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width of an encoded image, from its header.

    Raises:
        CorruptImageError: the bytes are no readable image.
    """
    try:
        if data[:2] == _JPEG:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            return height, width
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise CorruptImageError(name, _reason(error)) from None


def decode_ids(data: bytes, name: str, rule: str = "auto") -> HostIds:
    """Object ids of an encoded mask, 0 for the background.

    Args:
        data: the file's bytes.
        name: what to call the file in an error.
        rule: how pixel values stand for objects.
            `auto`: palette indices are ids (255, the customary void, is background); grey values
            are ids unless one of them reaches 128, then the mask is a binary one, cut at 128;
            colors are `instances`.
            `ids`: the values are ids, 255 is background.
            `binary`: 1 where the value, or a channel of a color, is 128 or more (any index but 0
            and 255 in a palette mask).
            `instances`: each distinct value or color but 0 (black) is one object, numbered in
            ascending order.
            Colors that all come from the palette of PASCAL VOC, which DAVIS uses, are its indices
            whatever the rule, so that an object keeps its id in every frame.
    An alpha channel is ignored.

    Raises:
        CorruptImageError: the bytes are no readable image.
        InputError: the mask has more objects than ids (or, for `instances`, so many that it cannot
            be a mask).
    """
    image = _open(data, name)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB") and not image.mode.startswith("I"):
        image = image.convert("RGB")
    values = np.array(image)
    if image.mode in ("LA", "PA"):
        values = values[..., 0]
    if values.ndim == 3:
        if (values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all():
            values = values[..., 0]
        elif rule == "binary":
            return (values.max(axis=-1) >= 128).astype(np.uint8)
        else:
            return _colors_to_ids(values, name)
    if image.mode == "1":
        return values.astype(np.uint8)
    if rule == "instances":
        return _number(values, name)
    palette = image.mode in ("P", "PA")
    if rule == "binary":
        return _binary_palette(values) if palette else (values >= 128).astype(np.uint8)
    peak = int(values.max(initial=0))
    if rule == "auto" and not palette and peak >= 128:
        return (values >= 128).astype(np.uint8)
    if peak > _VOID:
        raise InputError(f"{name} holds object id {peak}; ids go from 1 to 254: renumber the mask.")
    return (
        np.where(values == _VOID, 0, values).astype(np.uint8)
        if peak == _VOID
        else values.astype(np.uint8)
    )


def encode_ids(ids: HostIds) -> bytes:
    """An 8-bit grey PNG whose values are the ids.

    The lightest compression decodes in half the time of the default one and costs a few kilobytes.
    """
    buffer = io.BytesIO()
    Image.fromarray(ids).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def encode_image(pixels: HostImage) -> bytes:
    """An RGB PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def match_size(ids: HostIds, height: int, width: int, name: str) -> HostIds:
    """The mask at its image's size: cut, or its last row and column repeated, where they differ by
    two pixels at most.

    Published sets hold pairs that differ by a pixel. A larger difference means that the two do not
    belong together.

    Raises:
        InputError: the sizes differ by more than two pixels.
    """
    if ids.shape == (height, width):
        return ids
    if abs(ids.shape[0] - height) > 2 or abs(ids.shape[1] - width) > 2:
        raise InputError(
            f"{name} is {ids.shape[1]}x{ids.shape[0]} but its image is {width}x{height}: "
            "check that the two belong together."
        )
    ids = ids[:height, :width]
    missing = (0, height - ids.shape[0]), (0, width - ids.shape[1])
    return np.pad(ids, missing, mode="edge")


def _scratch(size: int) -> np.ndarray:
    held = getattr(_LOCAL, "scratch", None)
    if held is None or held.size < size:
        _LOCAL.scratch = held = np.empty(size, np.uint8)
    return held


def _open(data: bytes, name: str, convert: str | None = None) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        return image.convert(convert) if convert and image.mode != convert else image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptImageError(name, _reason(error)) from None


def _reason(error: Exception) -> str:
    # Pillow prints the address of the in-memory file, which differs from run to run.
    return "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)


def _binary_palette(values: np.ndarray) -> HostIds:
    return ((values != 0) & (values != _VOID)).astype(np.uint8)


def _number(values: np.ndarray, name: str) -> HostIds:
    levels, inverse = np.unique(values, return_inverse=True)
    if len(levels) > _MAX_INSTANCES:
        raise InputError(
            f"{name} has {len(levels)} distinct values, too many for a mask of instances: "
            "is it a photograph, or was it saved as JPEG?"
        )
    ids = np.cumsum(levels != 0) * (levels != 0)
    return ids.astype(np.uint8)[inverse.reshape(values.shape)]


def _colors_to_ids(pixels: np.ndarray, name: str) -> HostIds:
    red, green, blue = (pixels[..., c].astype(np.int32) for c in range(3))
    colors = (red << 16) + (green << 8) + blue
    palette = _voc_palette()
    present = np.unique(colors)
    if len(present) <= len(palette) and np.isin(present, palette).all():
        order = np.argsort(palette)
        return order[np.searchsorted(palette, colors, sorter=order)].astype(np.uint8)
    return _number(colors, name)


@functools.cache
def _voc_palette() -> np.ndarray:
    """The 255 colors of PASCAL VOC (the void left out), as 0xRRGGBB: bits 0, 3, 6 of an index are
    red's top bits, 1, 4, 7 green's."""
    indices = np.arange(_VOID)
    channels = [
        sum(((indices >> (3 * bit + c)) & 1) << (7 - bit) for bit in range(3)) for c in range(3)
    ]
    return (channels[0] << 16) + (channels[1] << 8) + channels[2]
