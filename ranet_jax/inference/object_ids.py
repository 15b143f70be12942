"""Checks of users' frames and masks, and object ids as slots of the network."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from ranet_jax.array_typing import HostFrame, HostMask, Size
from ranet_jax.errors import InputError

MAX_ID = 2**31 - 1
MAX_PIXELS = 8192 * 4096  # of the network's input; more than 8K video has
BUCKETS = (1, 2, 4, 8, 16)  # numbers of slots, and of tracks, that are compiled for


def bucket(count: int) -> int:
    """The smallest bucket that holds `count` slots; at most 16."""
    return next(size for size in BUCKETS if size >= count)


def object_ids(mask: HostMask) -> list[int]:
    """The ids in a mask, ascending, 0 left out.

    Raises:
        InputError: if there is none, or more than 16.
    """
    found = [int(i) for i in np.unique(mask) if i != 0]
    if not found:
        raise InputError("The mask is empty: it marks no object, so there is nothing to follow.")
    check_count(len(found))
    return found


def slot_labels(mask: HostMask, ids: Sequence[int]) -> UInt8[np.ndarray, "height width"]:
    """Ids replaced by their place among `ids` (ascending, all there are), counted from 1."""
    return np.where(mask != 0, np.searchsorted(ids, mask) + 1, 0).astype(np.uint8)


def check_count(objects: int) -> None:
    """Raises InputError for more objects than the largest bucket holds."""
    if objects > BUCKETS[-1]:
        raise InputError(
            f"There are {objects} objects; at most {BUCKETS[-1]} can be followed in one video."
        )


def check_frame(frame: HostFrame) -> None:
    """Raises InputError for anything but a uint8 array [height, width, 3]."""
    if frame is None:
        raise InputError(
            "A frame is None, which `cv2.imread` gives for a file that it cannot read: check the "
            "path."
        )
    if not isinstance(frame, np.ndarray):
        raise InputError(
            f"A frame must be a NumPy array of type uint8, not {_kind(frame)}: `numpy.asarray` "
            "makes one of an image."
        )
    if frame.dtype != np.uint8:
        raise InputError(f"A frame must be an RGB array of type uint8, not {frame.dtype}.")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InputError(
            f"A frame must have the shape [height, width, 3], not {list(frame.shape)}."
        )


def check_ids(mask: HostMask) -> None:
    """Raises InputError for anything but ids from 0, [height, width]."""
    if not isinstance(mask, np.ndarray):
        raise InputError(f"A mask must be a NumPy array of integer ids, not {_kind(mask)}.")
    if mask.dtype.kind not in "iub":
        raise InputError(f"A mask must be an array of integer object ids, not {mask.dtype}.")
    if mask.ndim != 2:
        raise InputError(f"A mask must have the shape [height, width], not {list(mask.shape)}.")
    if mask.size and mask.min() < 0:
        raise InputError("The mask has negative ids; ids count from 1, and 0 is the background.")
    if mask.size and mask.max() > MAX_ID:
        raise InputError(f"The mask has the id {mask.max()}; ids go up to {MAX_ID}: renumber it.")


def check_mask(mask: HostMask, frame: HostFrame) -> None:
    """Raises InputError for anything but ids from 0 at the frame's height and width."""
    check_ids(mask)
    if mask.shape != frame.shape[:2]:
        raise InputError(
            f"The mask is {describe_size(mask.shape)} and the frame is "
            f"{describe_size(frame.shape)}; a mask of the frame's size is needed."
        )


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def check_size(size: Size, frame_scale: int = 1) -> Size:
    """The size of the network's input, height and width, as a pair of Python's integers.

    Raises:
        InputError: it is no such pair, no multiple of 32, or larger than frames are; or
            `frame_scale` is no whole number from 1.
    """
    if not _is_whole(frame_scale) or frame_scale < 1:
        raise InputError(f"frame_scale is {frame_scale!r}; give a whole number from 1.")
    sides = list(size) if isinstance(size, Sequence | np.ndarray) else []
    if isinstance(size, str) or len(sides) != 2 or not all(map(_is_whole, sides)):
        raise InputError(f"The network's size is {size!r}; give height and width, as (480, 864).")
    height, width = map(int, sides)
    if min(height, width) < 32 or height % 32 or width % 32:
        raise InputError(f"The network's size is {height}x{width}; both must be multiples of 32.")
    if height * width * frame_scale**2 > MAX_PIXELS:
        scaled = f" at a frame_scale of {frame_scale}" if frame_scale > 1 else ""
        raise InputError(
            f"The network's size is {height}x{width}{scaled}, more than the {MAX_PIXELS:,} pixels "
            "that can be segmented; choose a smaller one."
        )
    return height, width


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_video(video: int, count: int) -> None:
    """Raises InputError for anything but the place of one of `count` videos in their batch."""
    if not _is_whole(video) or not 0 <= video < count:
        places = "0, the only video" if count == 1 else f"a whole number from 0 to {count - 1}"
        raise InputError(f"There is no video {video!r} in the batch; give {places}.")


def describe_size(shape: Sequence[int]) -> str:
    """Height and width, and whatever comes after, as width x height."""
    return f"{shape[1]}x{shape[0]}"
