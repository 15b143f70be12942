"""Masks as files: images whose pixel values are object ids, 0 being the background."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from ranet_jax.array_typing import HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing

MAX_OBJECTS = 16
_MAX_ID = 65535  # what a 16-bit PNG holds

_GREY_MODES = {"L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_ID_MODES = {"1", "P", "PA"} | _GREY_MODES

# Grey levels at least this far apart cannot be neighbouring ids of one numbering by chance.
_EDGE_SPREAD = 32
# Share of all edges that must be soft before small ids, too, are taken for blended ones.
_SOFT_SHARE = 0.8


def davis_palette() -> np.ndarray:
    """The 256 colors, uint8 [256, 3], in which DAVIS and PASCAL VOC show ids.

    Bits 0, 1 and 2 of an id drive red, green and blue; each further group of three bits sets the
    next lower bit of the colors, so that neighbouring ids look different (the color map of the
    PASCAL VOC development kit).
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for group in range(3):
        for channel in range(3):
            bit = (ids >> (3 * group + channel)) & 1
            palette[:, channel] |= (bit << (7 - group)).astype(np.uint8)
    return palette


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
    path = Path(path)
    labels, mode = _read_ids(path)
    objects = np.unique(labels[labels != 0])
    crowded = first and objects.size > MAX_OBJECTS
    if _is_smoothed(labels, grey=mode in _GREY_MODES, crowded=crowded):
        raise InputError(
            f"The mask {path} has smoothed edges: some of its {objects.size} values besides 0 lie "
            "only between other regions, as anti-aliasing, resizing or JPEG leave them; save it "
            "with hard edges, one value an object."
        )
    if first and objects.size == 0:
        raise InputError(
            f"The mask {path} is empty: give every pixel of an object its id, 1 or more "
            "(0 is the background)."
        )
    if crowded:
        raise InputError(
            f"The mask {path} shows {objects.size} objects, and at most {MAX_OBJECTS} can be "
            "followed at once; split them over several runs."
        )
    return labels


def write_mask(path: Path | str, labels: HostMask) -> None:
    """Writes ids [H, W] as a palette PNG in the DAVIS colors; 16-bit grey if an id exceeds 255.

    The file appears whole or not at all.

    Raises:
        InputError: An id is negative or above 65535.
    """
    labels = np.asarray(labels)
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
        image.putpalette(davis_palette().tobytes())
    with replacing(Path(path)) as temporary:
        image.save(temporary, format="PNG")


def _read_ids(path: Path) -> tuple[np.ndarray, str]:
    if not path.is_file():
        raise InputError(f"There is no mask file {path}; check the path.")
    try:
        with Image.open(path) as image:
            mode, kind = image.mode, image.format
            values = np.asarray(image)
    except Image.UnidentifiedImageError as error:
        raise InputError(f"The mask {path} is not an image; save it as a PNG.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"The mask {path} cannot be read to its end ({error}); save it again as a PNG."
        ) from error
    if mode not in _ID_MODES:
        raise InputError(
            f"The mask {path} is a color image (mode {mode}); save it as a palette or grayscale "
            "PNG whose pixel values are the object ids."
        )
    if kind == "JPEG":
        raise InputError(f"The mask {path} is a JPEG, which blurs ids; save it as a PNG.")
    if values.ndim == 3:
        values = values[..., 0]
    labels = values.astype(np.int32)
    if labels.min() < 0 or labels.max() > _MAX_ID:
        raise InputError(f"The mask {path} holds ids outside 0 to {_MAX_ID}; renumber its objects.")
    return labels, mode


def _is_smoothed(labels: np.ndarray, *, grey: bool, crowded: bool) -> bool:
    """Whether thin values, which nowhere fill a 3 x 3 square, look like the steps of soft edges.

    Thin objects are thin as well, so it takes more than that: grey levels far apart on both sides,
    or nearly every edge softened, or more values than there can be objects, most of them thin.
    """
    flat = ndimage.minimum_filter(labels, 3) == ndimage.maximum_filter(labels, 3)
    thin = ~np.isin(labels, np.unique(labels[flat]))
    if not thin.any():
        return False
    if crowded and 2 * np.unique(labels[thin]).size > np.unique(labels).size:
        return True
    return (grey and _has_grey_steps(labels, thin)) or _soft_share(labels, thin) >= _SOFT_SHARE


def _has_grey_steps(labels: np.ndarray, thin: np.ndarray) -> bool:
    """Whether a thin value lies, for most of its pixels, near a far darker and a far lighter one.

    Near is within three pixels: JPEG scatters its wrong values a little off the edge.
    """
    low, high = ndimage.minimum_filter(labels, 7), ndimage.maximum_filter(labels, 7)
    between = thin & (low < labels) & (labels < high) & (high - low >= _EDGE_SPREAD)
    total = np.bincount(labels[thin])
    return bool(np.any(2 * np.bincount(labels[between], minlength=total.size) > total))


def _soft_share(labels: np.ndarray, thin: np.ndarray) -> float:
    """Share of the edges between solid regions that pass through thin in-between values.

    A thin object between two others touches a part of their outlines; blending the ids of
    neighbouring regions, as resizing does, rims nearly all of them.
    """
    low, high = ndimage.minimum_filter(labels, 3), ndimage.maximum_filter(labels, 3)
    soft = thin & (low < labels) & (labels < high)
    hard_pairs = soft_pairs = 0
    for a, b in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        hard_pairs += np.count_nonzero((labels[a] != labels[b]) & ~thin[a] & ~thin[b])
        soft_pairs += np.count_nonzero((soft[a] & ~thin[b]) | (~thin[a] & soft[b]))
    # A soft edge is met twice, once from each of the regions it parts.
    crossings = soft_pairs / 2
    return crossings / (crossings + hard_pairs) if crossings else 0.0
