"""Occlusion: something of the background in front of an object, in the current frame.

Images show their object in full, and so do most frames of few videos. A network trained on
those takes whatever stands where the object was for the object: a trunk, a pole, a sign.
"""

import numpy as np
from jaxtyping import Bool, Int

from data_pipelines.canvas import Canvas, IdCanvas
from ranet_jax.inference.boxes import host_extent

_PLACES = 8
Pixels = Int[np.ndarray, "n 2"]


def occlude(image: Canvas, ids: IdCanvas, rng: np.random.Generator) -> None:
    """Copies a piece of a frame's background in front of its objects, in place.

    The piece is a bar or an ellipse about a pixel of an object, in any direction, 0.2 to 1 times
    as wide as the objects' box (the geometric mean of its sides), and that to 4 times as long. It
    is copied from elsewhere in the frame: of some places drawn, the one with the most background.
    Where that place shows an object, or is outside the frame, the piece has a hole.

    Args:
        image: the frame's pixels.
        ids: slot numbers of the same size, at least one of them not 0; 0 under the piece, after.
        rng: draws the piece and where it is copied from.
    """
    piece = _piece(ids, rng)
    moves = rng.integers(-np.array(ids.shape), ids.shape, (_PLACES, 2))
    shown = [_is_background(piece + move, ids) for move in moves]
    best = max(range(_PLACES), key=lambda place: np.count_nonzero(shown[place]))
    front = piece[shown[best]]
    image[tuple(front.T)] = image[tuple((front + moves[best]).T)]
    ids[tuple(front.T)] = 0


def _piece(ids: IdCanvas, rng: np.random.Generator) -> Pixels:
    """Rows and columns of the pixels that something in front of an object hides."""
    y0, x0, y1, x1 = host_extent(ids)
    side = np.sqrt((y1 - y0 + 1) * (x1 - x0 + 1))
    width = side * rng.uniform(0.2, 1.0)
    length = max(width, side * rng.uniform(0.5, 4.0))
    middle = rng.choice(np.argwhere(ids))
    angle = rng.uniform(0, np.pi)
    axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
    y, x = np.ogrid[: ids.shape[0], : ids.shape[1]]
    along, across = (
        2 * np.abs(dy * (y - middle[0]) + dx * (x - middle[1])) / extent
        for (dy, dx), extent in zip(axes, (length, width), strict=True)
    )
    inside = np.maximum(along, across) if rng.random() < 0.5 else along**2 + across**2
    return np.argwhere(inside <= 1)


def _is_background(pixels: Pixels, ids: IdCanvas) -> Bool[np.ndarray, " n"]:
    within = ((pixels >= 0) & (pixels < ids.shape)).all(axis=1)
    return within & (ids[tuple(np.where(within[:, None], pixels, 0).T)] == 0)
