"""Masks as packed bits: 64 pixels a machine word, so that one instruction works on 64 pixels.

Everything here works on *streams*: all rows of all masks of a batch, one after the other in a
single one-dimensional array of words, with enough empty bits after every row and enough empty rows
after every mask that nothing shifted out of one can reach the next. Moving a mask right or down is
then a shift of the whole stream, whatever the number of masks in it.
"""

from collections.abc import Iterator
from math import isqrt

import numpy as np
from jaxtyping import UInt8, UInt64

WORD_BITS = 64
# Bit c of a row is column c only where the first byte of a word is its lowest one.
_WORD = np.dtype("<u8")

Stream = UInt64[np.ndarray, "words"]
Planes = UInt64[np.ndarray, "planes frames rows words"]
PackedMasks = UInt64[np.ndarray, "frames rows words"]


def pack_planes(labels: UInt8[np.ndarray, "frames h w"], planes: int) -> Planes:
    """Packs the lowest bits of a label map, one plane a bit.

    The last row and the last column are repeated once (a boundary at the edge of the image is
    defined as if the image went on unchanged), so that a plane has h + 1 rows and at least w + 1
    columns.

    Args:
        labels: label maps.
        planes: how many bits a label has; with 1, every label that is not 0 counts as 1.
    """
    frames, height, width = labels.shape
    words = width // WORD_BITS + 1
    packed = np.empty((planes, frames, height + 1, words), _WORD)
    octets = packed.view(np.uint8)
    # Rows of whole words can be packed in one go, several times as fast as row by row.
    padded = np.zeros((frames, height, words * WORD_BITS), np.uint8)
    for bit in range(planes):
        wanted = np.uint8(255 if planes == 1 else 1 << bit)
        np.bitwise_and(labels, wanted, out=padded[..., :width])
        row_bytes = np.packbits(padded.reshape(-1), bitorder="little")
        octets[bit, :, :height] = row_bytes.reshape(frames, height, -1)
    (last, last_bit), (extra, extra_bit) = divmod(width - 1, 8), divmod(width, 8)
    octets[..., extra] |= ((octets[..., last] >> last_bit) & 1) << extra_bit
    packed[:, :, height] = packed[:, :, height - 1]
    return packed


def select(planes: Planes, label: int) -> PackedMasks:
    """The pixels that carry one label (at least 1, below 2 ** planes)."""
    present = [plane for bit, plane in enumerate(planes) if label >> bit & 1]
    absent = [plane for bit, plane in enumerate(planes) if not label >> bit & 1]
    chosen = present[0].copy()
    for plane in present[1:]:
        chosen &= plane
    for plane in absent:
        chosen &= ~plane
    return chosen


def valid_pixels(height: int, width: int) -> UInt8[np.ndarray, "rows bytes"]:
    """Packed mask of the pixels inside the image, without the repeated row and column."""
    words = width // WORD_BITS + 1
    row = np.packbits(np.arange(words * WORD_BITS) < width, bitorder="little")
    return np.concatenate([np.tile(row, (height, 1)), np.zeros((1, row.size), np.uint8)])


def bounding_boxes(masks: PackedMasks) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that hold every set pixel and the boundary pixels before it.

    Returns:
        boxes [frames, 4]: first row, first byte, end row, end byte (ends exclusive), and
        filled [frames]: whether the mask has any pixel (the box of an empty mask means nothing).
    """
    rows = np.bitwise_or.reduce(masks, axis=2) != 0
    columns = np.bitwise_or.reduce(masks, axis=1).view(np.uint8)
    bytes_used = columns != 0
    top = rows.argmax(axis=1)
    bottom = rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    left = bytes_used.argmax(axis=1)
    right = bytes_used.shape[1] - bytes_used[:, ::-1].argmax(axis=1)
    # A boundary pixel lies before the change it marks: in the byte before if the change is at bit
    # 0.
    left = left - (columns[np.arange(len(left)), left] & 1)
    boxes = np.stack(
        [
            np.maximum(top - 1, 0),
            np.maximum(left, 0),
            np.minimum(bottom + 1, rows.shape[1]),
            right,
        ],
        axis=1,
    )
    return boxes, rows.any(axis=1)


class Scratch:
    """Buffers that a loop over batches uses again and again: they stay in the processor's cache."""

    STREAMS = 8

    def __init__(self) -> None:
        self._buffers = np.empty((self.STREAMS, 0), _WORD)

    def __call__(self, words: int) -> Iterator[Stream]:
        """Distinct streams of this length, contents undefined."""
        if self._buffers.shape[1] < words:
            self._buffers = np.empty((self.STREAMS, words + words // 4), _WORD)
        return iter(self._buffers[:, :words])


def disk(radius: int) -> list[tuple[int, int]]:
    """A disk of pixels (x^2 + y^2 <= radius^2) as a union of rectangles around its centre.

    Returns:
        (half height, half width) of each, from the tallest to the widest.
    """
    tallest = {}
    for y in range(radius + 1):
        tallest[isqrt(radius * radius - y * y)] = y
    return [(tallest[half_width], half_width) for half_width in sorted(tallest)]


def margin(radius: int, row_words: int) -> int:
    """Words to leave before and after a stream that is to be dilated by a disk of this radius.

    Each shift leaves undefined words at an end of its result; together they move inwards by no
    more.
    """
    return (radius + 1) * row_words + 3 * radius + 4


def boundary(stream: Stream, row_words: int, out: Stream, tmp: Stream) -> None:
    """Marks the pixels whose right, lower or lower-right neighbour differs."""
    out[-1] = tmp[-1] = 0
    right = tmp
    np.right_shift(stream, 1, out=right)
    np.left_shift(stream[1:], WORD_BITS - 1, out=out[:-1])
    np.bitwise_or(right[:-1], out[:-1], out=right[:-1])
    # Of four pixels, the first differs from another if and only if they are not all alike.
    np.bitwise_xor(stream, right, out=out)
    lower = np.bitwise_xor(stream[:-row_words], stream[row_words:])
    out[:-row_words] |= lower
    np.bitwise_xor(stream[:-row_words], right[row_words:], out=lower)
    out[:-row_words] |= lower


def _spread_right(stream: Stream, bits: int, out: Stream, tmp: Stream) -> None:
    words, rest = divmod(bits, WORD_BITS)
    size = len(stream)
    np.left_shift(stream[: size - words], rest, out=tmp[words:])
    np.bitwise_or(stream[words:], tmp[words:], out=out[words:])
    if rest:
        np.right_shift(stream[: size - words - 1], WORD_BITS - rest, out=tmp[words + 1 :])
        out[words + 1 :] |= tmp[words + 1 :]


def _spread_left(stream: Stream, bits: int, out: Stream, tmp: Stream) -> None:
    words, rest = divmod(bits, WORD_BITS)
    size = len(stream)
    np.right_shift(stream[words:], rest, out=tmp[: size - words])
    np.bitwise_or(stream[: size - words], tmp[: size - words], out=out[: size - words])
    if rest:
        np.left_shift(stream[words + 1 :], WORD_BITS - rest, out=tmp[: size - words - 1])
        out[: size - words - 1] |= tmp[: size - words - 1]


def _widen(stream: Stream, run: int, by: int, spare: Stream, tmp: Stream) -> tuple[Stream, Stream]:
    """Lengthens runs of `run` set pixels or more by `by` on both sides; gives result and spare."""
    left = by
    while left:
        step = min(run, left)
        _spread_left(stream, step, spare, tmp)
        stream, spare = spare, stream
        run, left = run + step, left - step
    _spread_right(stream, by, spare, tmp)
    return spare, stream


def _heighten(stream: Stream, rows: int, row_words: int, spare: Stream) -> tuple[Stream, Stream]:
    """Spreads every pixel over `rows` rows above and below; returns (result, spare)."""
    run, up = 1, rows
    while up:
        step = min(run, up)
        words = step * row_words
        np.bitwise_or(stream[:-words], stream[words:], out=spare[:-words])
        stream, spare = spare, stream
        run, up = run + step, up - step
    words = rows * row_words
    np.bitwise_or(stream[words:], stream[:-words], out=spare[words:])
    return spare, stream


def dilate(
    stream: Stream, radius: int, row_words: int, tmp: Stream, buffers: Iterator[Stream]
) -> Stream:
    """Dilates every mask of a stream by a disk.

    The disk is a union of rectangles. Their widths grow while their heights shrink, so one pass
    does for all: the widths are built up one from the other, and the tall ones carried along, so
    that every row shift serves all rectangles that need it.
    """
    if radius == 0:
        return stream
    wide, spare, tall, tall_spare = (next(buffers) for _ in range(4))
    height, width = disk(radius)[0]
    wide[:] = stream
    tall[:] = stream
    for next_height, next_width in disk(radius)[1:]:
        wide, spare = _widen(wide, 2 * width + 1, next_width - width, spare, tmp)
        tall, tall_spare = _heighten(tall, height - next_height, row_words, tall_spare)
        tall |= wide
        height, width = next_height, next_width
    return tall
