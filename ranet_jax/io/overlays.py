"""Results for the eye: labels over their frame, and a sheet of such frames."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.palette import id_palette

_CAPTION_COLOR = (235, 235, 235)
_SHEET_COLOR = (24, 24, 24)


def overlay(
    frame: HostFrame, labels: HostMask, *, opacity: float = 0.45, contour: int = 2
) -> HostFrame:
    """Tints each object of a frame in its color (`id_palette`) and draws its contour.

    Args:
        frame: uint8 [H, W, 3].
        labels: Ids [H, W]; above 255 the colors start again.
        opacity: Weight of the color within an object, 0 to 1.
        contour: Width of the contour in pixels, inside the object; 0 draws none.

    Returns:
        A new frame, uint8 [H, W, 3].

    Raises:
        InputError: Labels and frame differ in size.
    """
    if labels.shape != frame.shape[:2]:
        raise InputError(
            f"Labels of {labels.shape[1]}x{labels.shape[0]} pixels cannot be drawn over a frame of "
            f"{frame.shape[1]}x{frame.shape[0]}; resize them to the frame (nearest neighbour)."
        )
    shown = frame.copy()
    inside = labels > 0
    # Ids 256, 512, ... would otherwise wrap round to the background's black.
    colors = id_palette()[np.where(labels > 255, 1 + (labels - 1) % 255, labels)[inside]]
    tinted = (1 - opacity) * frame[inside] + opacity * colors
    edge = _near_other_label(labels, contour)[inside]
    # Nearly white, so that a red object shows before a red wall.
    tinted[edge] = 0.35 * colors[edge] + 0.65 * 255
    shown[inside] = np.rint(tinted).astype(np.uint8)
    return shown


def _near_other_label(labels: np.ndarray, width: int) -> np.ndarray:
    """Pixels that have another label within `width` steps up, down, left or right."""
    near = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        down = labels[step:] != labels[:-step]
        right = labels[:, step:] != labels[:, :-step]
        near[step:] |= down
        near[:-step] |= down
        near[:, step:] |= right
        near[:, :-step] |= right
    return near


def contact_sheet(
    frames: Sequence[HostFrame],
    captions: Sequence[str],
    *,
    columns: int = 4,
    tile_width: int = 360,
) -> Image.Image:
    """A grid of frames, row by row, each with its caption beneath.

    Args:
        frames: uint8 [H, W, 3] each, all of one size.
        captions: One short line for each frame.
        columns: Frames beside each other.
        tile_width: Width of one frame on the sheet, in pixels; its aspect ratio is kept.

    Raises:
        InputError: There are no frames, or not one caption for each.
    """
    if not frames or len(frames) != len(captions):
        raise InputError(
            f"A contact sheet needs frames and a caption for each, not {len(frames)} frames and "
            f"{len(captions)} captions."
        )
    gap, line = 8, 24
    height, width = frames[0].shape[:2]
    tile_height = max(1, round(tile_width * height / width))
    rows = -(-len(frames) // columns)
    cell_width, cell_height = tile_width + gap, tile_height + line + gap
    size = (min(columns, len(frames)) * cell_width + gap, rows * cell_height + gap)
    sheet = Image.new("RGB", size, _SHEET_COLOR)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for index, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        left = gap + (index % columns) * cell_width
        top = gap + (index // columns) * cell_height
        tile = Image.fromarray(frame).resize((tile_width, tile_height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (left, top))
        draw.text((left + 2, top + tile_height + 3), caption, _CAPTION_COLOR, font)
    return sheet
