"""Where to look: positions of the network's input, through random warps, to pixels of a canvas.

Positions are (x, y) with -1 and 1 at the edges of the image, as are displacements: 2 is the whole
width or height.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

CONTROL_POINTS = 4  # along each side

Positions = Float[Array, "*grid 2"]
Displacements = Float[Array, "16 2"]
Box = Float[Array, "4"]  # y0, x0, y1, x1: edges, in pixels


def flip_sides(key: PRNGKeyArray, positions: Positions, probability: float) -> Positions:
    """Positions mirrored left and right, with that probability."""
    mirrored = jax.random.bernoulli(key, probability)
    return positions * jnp.where(mirrored, -1.0, 1.0) ** jnp.array([1.0, 0.0])


def random_view(
    key: PRNGKeyArray,
    positions: Positions,
    *,
    aspect: float,
    warp: float,
    rotation: float,
    scale: tuple[float, float],
    crop: float,
) -> Positions:
    """Positions in the box of a random warp and crop.

    Args:
        key: of the draws.
        positions: of the network's input.
        aspect: width over height.
        warp: see `augment.augment_each`, as for all that follow.
    """
    (crop_draw, right, down, turn, zoom_draw), shifts = _draws(key, 5)
    kept = 1.0 - crop * (1 + crop_draw) / 2
    positions = positions * kept + (1.0 - kept) * jnp.stack([right, down])
    zoom = scale[0] + (scale[1] - scale[0]) * (1 + zoom_draw) / 2
    positions = rotate_and_scale(positions, jnp.deg2rad(rotation) * turn, zoom, aspect)
    return thin_plate_spline(positions, 2 * warp * shifts)


def slight_warp(key: PRNGKeyArray, positions: Positions, strength: jax.Array) -> Positions:
    """Positions after a random shift, change of size and thin-plate spline, each proportional to
    `strength`."""
    (right, down, grow), shifts = _draws(key, 3)
    offset = 2 * strength * jnp.stack([right, down])
    return thin_plate_spline(positions / (1 + strength * grow) + offset, 2 * strength * shifts)


def _draws(key, count: int) -> tuple[jax.Array, Displacements]:
    """Numbers from -1 to 1: `count` of them, and a shift for every control point."""
    # One call: each costs as much to compile as a thin-plate spline.
    numbers = jax.random.uniform(key, (count + 2 * CONTROL_POINTS**2,), minval=-1.0, maxval=1.0)
    return numbers[:count], numbers[count:].reshape(-1, 2)


def pixel_centers(height: int, width: int) -> Float[Array, "H W 2"]:
    """Positions (x, y) of the centres of the pixels."""
    x = (2 * jnp.arange(width) + 1) / width - 1
    y = (2 * jnp.arange(height) + 1) / height - 1
    return jnp.stack(jnp.meshgrid(x, y), axis=-1)


def to_pixels(positions: Positions, box: Box) -> Positions:
    """Positions in a box as (x, y) on its canvas, where a pixel's centre has whole coordinates."""
    low, high = box[1::-1], box[3:1:-1]
    return low + (positions + 1) / 2 * (high - low) - 0.5


def pixel_corners(pixels: Positions) -> Positions:
    """From the samples at the centers of a grid's pixels those at their upper left corners.

    When segmenting, position i of a cropped mask reads floor(i*in/out) (`models.ops.crop_nearest`):
    the mask at the corner of the output pixel. Exact for affine grids.
    """
    down, right = (
        jnp.diff(pixels, axis=axis, prepend=2 * first - second)
        for axis, first, second in (
            (0, pixels[:1], pixels[1:2]),
            (1, pixels[:, :1], pixels[:, 1:2]),
        )
    )
    # A little less than half: a corner is often an edge of the source's pixels, and the one inside
    # is to be read, on a mirrored grid too.
    return pixels - 0.4995 * (down + right)


def from_pixels(pixels: Positions, box: Box) -> Positions:
    """What `to_pixels` undoes."""
    low, high = box[1::-1], box[3:1:-1]
    return (pixels + 0.5 - low) / (high - low) * 2 - 1


def rotate_and_scale(
    positions: Positions, angle: jax.Array, zoom: jax.Array, aspect: float
) -> Positions:
    """Where to sample so that the image appears turned by `angle` (radians) and magnified by
    `zoom` about its centre.

    `aspect` is width over height: a turn is one in pixels, not in fractions of the sides.
    """
    cos, sin = jnp.cos(angle) / zoom, jnp.sin(angle) / zoom
    x, y = positions[..., 0], positions[..., 1]
    return jnp.stack([cos * x + sin * y / aspect, cos * y - sin * x * aspect], axis=-1)


def control_points() -> Float[np.ndarray, "16 2"]:
    """The regular 4 x 4 grid from edge to edge, row by row."""
    side = np.linspace(-1.0, 1.0, CONTROL_POINTS)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def thin_plate_spline(positions: Positions, shifts: Displacements) -> Positions:
    """Moves positions by the smoothest field that shifts the 16 control points as asked (Bookstein
    1989).

    The field is affine plus a sum of r^2 log r about the control points, with the least bending
    energy among those that interpolate. It is evaluated exactly at every position, not interpolated
    between nodes.

    Args:
        positions: (x, y), -1 to 1 over the image.
        shifts: the shift of each point of `control_points()`.
    """
    coefficients = jnp.asarray(_spline_inverse(), jnp.float32) @ shifts
    x, y = positions[..., 0], positions[..., 1]
    affine = coefficients[16:, :]
    moved_x = x + affine[0, 0] + x * affine[1, 0] + y * affine[2, 0]
    moved_y = y + affine[0, 1] + x * affine[1, 1] + y * affine[2, 1]
    # One control point after the other: the compiler makes a single loop over the pixels of it,
    # twenty times as fast on a CPU as a [pixels, 16] array and a product.
    for point, weight in zip(control_points(), coefficients[:16], strict=True):
        squared = jnp.square(x - np.float32(point[0])) + jnp.square(y - np.float32(point[1]))
        kernel = _thin_plate_kernel(squared)
        moved_x += kernel * weight[0]
        moved_y += kernel * weight[1]
    return jnp.stack([moved_x, moved_y], axis=-1)


def _thin_plate_kernel(squared_distance):
    # Not where(d > 0, d * log(d), 0): the log of the untaken branch would be infinite.
    return 0.5 * squared_distance * jnp.log(jnp.maximum(squared_distance, 1e-30))


@functools.cache
def _spline_inverse() -> Float[np.ndarray, "19 16"]:
    """Shifts to coefficients: the control points never move, so the system is solved once, in
    double precision."""
    points = control_points()
    squared = np.square(points[:, None] - points).sum(axis=-1)
    kernel = 0.5 * squared * np.log(np.maximum(squared, 1e-30))
    affine = np.concatenate([np.ones((16, 1)), points], axis=1)
    system = np.block([[kernel, affine], [affine.T, np.zeros((3, 3))]])
    return np.linalg.inv(system)[:, :16]
