"""Objects outlined by hand: points clicked one after another, and the mask they enclose."""

from typing import NamedTuple

import numpy as np

from ranet_jax import extras
from ranet_jax.array_typing import HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.masks import MAX_OBJECTS

Point = tuple[float, float]
_MIN_POINTS = 3
# A click this near the first point, as a fraction of the frame's longer side, closes the outline.
_CLOSING_DISTANCE = 0.015


class Outline(NamedTuple):
    """A polygon around (a part of) an object.

    Attributes:
        label: id of the object, from 1.
        points: corners (x, y) in pixels; the frame's upper left corner is (0, 0).
        closed: whether it is finished; the last point is joined with the first in any case.
    """

    label: int
    points: tuple[Point, ...] = ()
    closed: bool = False


class Outlines:
    """Outlines of several objects, of as many parts as they have; every call can be undone."""

    def __init__(self, height: int, width: int):
        """Nothing is outlined yet.

        Args:
            height: of the frame, in pixels.
            width: of the frame, in pixels.
        """
        self._size = (height, width)
        self._history: list[tuple[Outline, ...]] = [(Outline(1),)]

    @property
    def drawn(self) -> tuple[Outline, ...]:
        """All outlines with points, in the order in which they were begun."""
        return tuple(outline for outline in self._history[-1] if outline.points)

    @property
    def label(self) -> int:
        """Id of the object that the next point belongs to."""
        return self._history[-1][-1].label

    def click(self, x: float, y: float) -> None:
        """Adds a point to the open outline, or closes it if the point is near its first one.

        Args:
            x: from the left edge, in pixels; points outside the frame are moved to its edge.
            y: from the upper edge.
        """
        height, width = self._size
        point = (min(max(float(x), 0.0), float(width)), min(max(float(y), 0.0), float(height)))
        current = self._history[-1][-1]
        if len(current.points) >= _MIN_POINTS:
            distance = np.hypot(*np.subtract(point, current.points[0]))
            if distance <= _CLOSING_DISTANCE * max(self._size):
                self.close()
                return
        self._replace(current._replace(points=(*current.points, point)))

    def close(self) -> None:
        """Finishes the open outline; the next point begins another part of the same object.

        Raises:
            InputError: it has fewer than three points.
        """
        current = self._history[-1][-1]
        if len(current.points) < _MIN_POINTS:
            raise InputError(
                f"An outline takes {_MIN_POINTS} points or more, and this one has "
                f"{len(current.points)}: click around the object first."
            )
        self._replace(current._replace(closed=True), Outline(current.label))

    def next_object(self) -> None:
        """Finishes the open outline; the next point belongs to another object.

        Raises:
            InputError: the outline has one or two points, nothing was outlined for this object, or
                there are 16 objects.
        """
        current = self._history[-1][-1]
        done = any(outline.label == current.label for outline in self.drawn)
        if not done or 0 < len(current.points) < _MIN_POINTS:
            raise InputError(
                f"Object {current.label} has no finished outline yet: click {_MIN_POINTS} "
                "points or more around it first."
            )
        if current.label == MAX_OBJECTS:
            raise InputError(f"At most {MAX_OBJECTS} objects can be followed at once.")
        closed = (current._replace(closed=True),) if current.points else ()
        self._replace(*closed, Outline(current.label + 1))

    def undo(self) -> None:
        """Takes back the last point, finished outline, change of object or `clear`."""
        if len(self._history) > 1:
            self._history.pop()

    def clear(self) -> None:
        """Forgets all outlines."""
        self._history.append((Outline(1),))

    def mask(self) -> HostMask:
        """The ids that the outlines enclose, int32 [height, width]; the later object is in front.

        Raises:
            InputError: nothing is outlined, an outline has fewer than three points, or an object
                shows no pixel.
        """
        mask = rasterize(self.drawn, *self._size)
        for label in sorted({outline.label for outline in self.drawn}):
            if not np.any(mask == label):
                raise InputError(
                    f"Object {label} shows no pixel: its outline is too small, or lies behind a "
                    "later one."
                )
        return mask

    def _replace(self, *ends: Outline) -> None:
        """Another state, with these outlines in the place of the open one."""
        self._history.append((*self._history[-1][:-1], *ends))


def rasterize(outlines: tuple[Outline, ...], height: int, width: int) -> HostMask:
    """Ids, int32 [height, width]: a pixel belongs to the last outline that its centre is inside of.

    Raises:
        InputError: there is no outline, one has fewer than three points, or scikit-image is not
            installed.
    """
    extras.require("demo", "A mask of outlines")
    from skimage.draw import polygon2mask

    if not outlines:
        raise InputError("No object is outlined: click around one on the first frame.")
    mask = np.zeros((height, width), np.int32)
    for outline in outlines:
        if len(outline.points) < _MIN_POINTS:
            raise InputError(
                f"The last outline of object {outline.label} has {len(outline.points)} of at "
                f"least {_MIN_POINTS} points: click the others, or undo it."
            )
        # Pixel (0, 0) has its centre at (0.5, 0.5); polygon2mask counts from centres, rows first.
        corners = np.array(outline.points)[:, ::-1] - 0.5
        mask[polygon2mask((height, width), corners)] = outline.label
    return mask
