"""Binary messages between the page and the server, both ways over one WebSocket.

A message is a header of fixed size, little-endian, and an encoded image: its kind, the number of a
frame, and when it was made, in milliseconds since 1970 (`Date.now()` in the page).
"""

import struct
from typing import NamedTuple

import numpy as np

from ranet_jax.array_typing import HostMask
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import describe_size
from ranet_jax.io.images import open_image

MASK = 1  # ids of a frame: from the server a palette PNG, from the page a gray one
CAMERA_FRAME = 2  # from the page: an image of the camera, by its own count
CAMERA_MASK = 3  # from the server: a mask, and after the header the camera's count, a u32

_HEADER = struct.Struct("<BId")
_COUNT = struct.Struct("<I")


class Message(NamedTuple):
    """A message without its time.

    Attributes:
        kind: `MASK` or `CAMERA_FRAME`.
        frame: number of the frame, from 0.
        image: encoded.
    """

    kind: int
    frame: int
    image: bytes


def pack_mask(frame: int, png: bytes, made: float, count: int | None = None) -> bytes:
    """A mask for the page.

    Args:
        frame: its number.
        png: ids as a palette PNG.
        made: when the labels were computed, milliseconds since 1970.
        count: the camera's number of the frame, if it comes from there.
    """
    if count is None:
        return _HEADER.pack(MASK, frame, made) + png
    return _HEADER.pack(CAMERA_MASK, frame, made) + _COUNT.pack(count) + png


def unpack(data: bytes) -> Message:
    """What the page sent.

    Raises:
        InputError: it is no message.
    """
    if len(data) < _HEADER.size or data[0] not in (MASK, CAMERA_FRAME):
        raise InputError("The page sent a message that is not known here; reload it.")
    kind, frame, _ = _HEADER.unpack_from(data)
    return Message(kind, frame, data[_HEADER.size :])


def decode_mask(data: bytes, frame: int, height: int, width: int) -> HostMask:
    """Ids of a painted mask, in the red channel of an image.

    Raises:
        CorruptImageError: it cannot be read.
        InputError: it has another size than the frame.
    """
    name = f"The mask of frame {frame}"
    with open_image(data, name) as image:
        shape = (image.height, image.width)
        if shape != (height, width):
            raise InputError(
                f"{name} is {describe_size(shape)} pixels and the frame is "
                f"{describe_size((height, width))}; paint it on the frame."
            )
        values = np.asarray(image if image.mode in ("L", "P") else image.convert("RGB"))
    return (values if values.ndim == 2 else values[..., 0]).astype(np.int32)
