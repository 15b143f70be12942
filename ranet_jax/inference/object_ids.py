"""Checks of users' frames and masks, and object ids as slots of the network."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError

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
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise InputError(f"A frame must be an RGB array of type uint8, not {kind}.")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InputError(
            f"A frame must have the shape [height, width, 3], not {list(frame.shape)}."
        )


def check_mask(mask: HostMask, frame: HostFrame) -> None:
    """Raises InputError for anything but ids from 0 at the frame's height and width."""
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "iub":
        kind = getattr(mask, "dtype", type(mask).__name__)
        raise InputError(f"A mask must be an array of integer object ids, not {kind}.")
    if mask.ndim != 2:
        raise InputError(f"A mask must have the shape [height, width], not {list(mask.shape)}.")
    if mask.shape != frame.shape[:2]:
        raise InputError(
            f"The mask is {describe_size(mask.shape)} and the frame is "
            f"{describe_size(frame.shape)}; a mask of the frame's size is needed."
        )
    if mask.size and mask.min() < 0:
        raise InputError("The mask has negative ids; ids count from 1, and 0 is the background.")


def describe_size(shape: Sequence[int]) -> str:
    """Height and width, and whatever comes after, as width x height."""
    return f"{shape[1]}x{shape[0]}"
