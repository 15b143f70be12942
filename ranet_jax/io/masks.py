"""Masks as files: images whose pixel values are object ids, 0 being the background."""

import io
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from ranet_jax.array_typing import HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing
from ranet_jax.io.images import open_image
from ranet_jax.io.palette import color_codes, davis_palette, id_palette
from ranet_jax.io.paths import local
from ranet_jax.io.soft_edges import has_soft_edges

MAX_OBJECTS = 16
MaskRule = Literal["auto", "ids", "binary", "instances"]

VOID = 255  # the customary label of pixels that belong to nobody
_MAX_ID = 65535  # what a 16-bit PNG holds
_MAX_INSTANCES = 64
_MASK_SUFFIXES = {".bmp", ".png", ".tif", ".tiff", ".webp"}
_PALETTE_MODES = ("P", "PA")

HostIds = UInt8[np.ndarray, "height width"]


class _Pixels(NamedTuple):
    """Values of a mask file, [height, width], or [height, width, 3] where it is in color."""

    values: np.ndarray
    mode: str
    format: str | None


def read_mask(path: Path | str, *, first: bool = False) -> HostMask:
    """Reads a mask, keeping the ids that its author gave.

    Args:
        path: An image of mode 1, L, LA, P, PA, I;16 or I, whose alpha is ignored. The object of a
            {0, 255} mask has the id 255.
        first: Whether this is the mask that starts a video, which must show 1 to 16 objects.

    Returns:
        Ids, int32 [H, W].

    Raises:
        InputError: The file is missing, not an image, cut off, in color, a JPEG or smoothed along
            its edges; or, with `first`, it shows no object or more than 16.
    """
    path = local(path)
    if not path.is_file():
        raise InputError(f"There is no mask file {path}; check the path.")
    pixels = _read(path, f"The mask {path}")
    _refuse_colors(pixels, path)
    if pixels.format == "JPEG":
        raise InputError(f"The mask {path} is a JPEG, which blurs ids; save it as a PNG.")
    labels = pixels.values.astype(np.int32)
    if labels.min() < 0 or labels.max() > _MAX_ID:
        raise InputError(f"The mask {path} holds ids outside 0 to {_MAX_ID}; renumber its objects.")
    count = np.count_nonzero(np.unique(labels))
    gray = pixels.mode != "1" and pixels.mode not in _PALETTE_MODES
    if has_soft_edges(labels, gray=gray, max_objects=MAX_OBJECTS if first else None):
        raise InputError(
            f"The mask {path} has smoothed edges: some of its {count} values besides 0 lie "
            "only between other regions, as anti-aliasing, resizing or JPEG leave them; save it "
            "with hard edges, one value an object."
        )
    if first and not count:
        raise InputError(
            f"The mask {path} is empty: give every pixel of an object its id, 1 or more "
            "(0 is the background)."
        )
    if first and count > MAX_OBJECTS:
        raise InputError(
            f"The mask {path} shows {count} objects, and at most {MAX_OBJECTS} can be "
            "followed at once; split them over several runs."
        )
    return labels


def read_masks(folder: Path) -> dict[str, HostMask]:
    """The masks in a folder by the names of their frames, that is, of the files without suffix.

    Raises:
        InputError: There is no such folder, it holds no images, a mask shows no object, or what
            `read_mask` raises.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}; give one with masks that are named as their frames."
        )
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _MASK_SUFFIXES)
    if not files:
        raise InputError(f"The folder {folder} holds no masks; give one with PNG files.")
    masks = {file.stem: read_mask(file) for file in files}
    for file in files:
        if not masks[file.stem].any():
            raise InputError(
                f"The mask {file} is empty: give every pixel of an object its id, or leave out the "
                "file."
            )
    return masks


def read_ids(path: Path) -> Int[np.ndarray, "h w"]:
    """Values of a label map file as they are, a byte a pixel where the file has no more.

    Whole data sets pass through here, so nothing is checked beyond what a label map must be.

    Raises:
        InputError: The file cannot be read, or is in color.
    """
    pixels = _read(path, f"The mask {path}")
    _refuse_colors(pixels, path)
    values = pixels.values
    if values.dtype.itemsize > 2 and not 0 <= values.min() <= values.max() <= _MAX_ID:
        raise InputError(f"The mask {path} holds ids outside 0 to {_MAX_ID}; renumber its objects.")
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def decode_ids(data: bytes, name: str, rule: MaskRule = "auto") -> HostIds:
    """Object ids of an encoded mask, whatever a data set made of it.

    Args:
        data: The file's bytes; an alpha channel is ignored.
        name: What to call the file in an error.
        rule: How pixel values stand for objects.
            `auto`: palette indices are ids (255, the customary void, is background); gray values
            are ids unless one of them reaches 128, then the mask is a binary one, cut at 128;
            colors are `instances`.
            `ids`: the values are ids, 255 is background.
            `binary`: 1 where the value, or a channel of a color, is 128 or more (any index but 0
            and 255 in a palette mask).
            `instances`: each distinct value or color but 0 (black) is one object, numbered in
            ascending order.
            Colors that all come from the palette of PASCAL VOC, which DAVIS uses, or all from ours,
            are its indices whatever the rule, so that an object keeps its id in every frame.

    Raises:
        CorruptImageError: The bytes are no readable image.
        InputError: The mask has more objects than ids (or, for `instances`, so many that it cannot
            be a mask).
    """
    values, mode, _ = _read(data, name)
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim == 3:
        if rule == "binary":
            return (values.max(axis=-1) >= 128).astype(np.uint8)
        return _colors_to_ids(values, name)
    if mode == "1":
        return values.astype(np.uint8)
    if rule == "instances":
        return _number(values, name)
    indexed = mode in _PALETTE_MODES
    if rule == "binary" and indexed:
        return ((values != 0) & (values != VOID)).astype(np.uint8)
    peak = int(values.max(initial=0))
    if rule == "binary" or (rule == "auto" and not indexed and peak >= 128):
        return (values >= 128).astype(np.uint8)
    if peak > VOID:
        raise InputError(f"{name} holds object id {peak}; ids go from 1 to 254: renumber the mask.")
    return np.where(values == VOID, 0, values).astype(np.uint8)


def match_size(ids: HostIds, height: int, width: int, name: str) -> HostIds:
    """The mask at its image's size: cut, or its last row and column repeated, where they differ by
    two pixels at most.

    Published sets hold pairs that differ by a pixel. A larger difference means that the two do not
    belong together.

    Raises:
        InputError: The sizes differ by more than two pixels.
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


def write_mask(path: Path | str, labels: HostMask) -> None:
    """Writes ids [H, W] as a palette PNG in the colors of overlays; 16-bit gray if one exceeds 255.

    The file appears whole or not at all.

    Raises:
        InputError: An id is negative or above 65535, or those are no ids.
    """
    data = encode_mask(labels)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(data)


def encode_mask(labels: HostMask) -> bytes:
    """The PNG that `write_mask` writes; it raises the same."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in "iub":
        raise InputError(
            f"A mask is an array of integer ids, [height, width], not {labels.dtype} "
            f"{list(labels.shape)}."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > _MAX_ID:
        raise InputError(
            f"A mask file holds the ids 0 to {_MAX_ID}, and these are {low} to {high}; renumber "
            "the objects."
        )
    if high > 255:
        image = Image.fromarray(labels.astype(np.uint16))
    else:
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(id_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _read(source: bytes | Path, name: str) -> _Pixels:
    with open_image(source, name) as image:
        mode, kind = image.mode, image.format
        if mode not in ("1", "L", "LA", "P", "PA", "RGB") and not mode.startswith("I"):
            image = image.convert("RGB")
        values = np.array(image)
    if values.ndim == 3 and values.shape[2] == 2:
        values = values[..., 0]
    return _Pixels(values, mode, kind)


def _refuse_colors(pixels: _Pixels, path: Path) -> None:
    if pixels.values.ndim == 3:
        raise InputError(
            f"The mask {path} is a color image (mode {pixels.mode}); save it as a palette or "
            "grayscale PNG whose pixel values are the object ids."
        )


def _number(values: np.ndarray, name: str) -> HostIds:
    levels, inverse = np.unique(values, return_inverse=True)
    if len(levels) > _MAX_INSTANCES:
        raise InputError(
            f"{name} has {len(levels)} distinct values, too many for a mask of instances: "
            "is it an image of the scene, or was it saved as JPEG?"
        )
    ids = np.cumsum(levels != 0) * (levels != 0)
    return ids.astype(np.uint8)[inverse.reshape(values.shape)]


def _colors_to_ids(pixels: np.ndarray, name: str) -> HostIds:
    codes = color_codes(pixels)
    present = np.unique(codes)
    for colors in (davis_palette(), id_palette()):
        palette = color_codes(colors[:VOID])
        if len(present) <= len(palette) and np.isin(present, palette).all():
            order = np.argsort(palette)
            return order[np.searchsorted(palette, codes, sorter=order)].astype(np.uint8)
    return _number(codes, name)
