"""Augmentation on the device: random warps and crops, every pixel interpolated once (paper 3.5).

Whatever is done to a picture is composed into one sampling grid before a pixel is touched: from a
position of the network's input, through flip, random crop, rotation and scale, and a thin-plate
spline, into the object's box and so to the pixels that the host sent. The images are sampled
bilinearly, the id masks by nearest neighbour; outside the source all is black background.

Positions are (x, y) with -1 and 1 at the edges of the picture, as are displacements: 2 is the whole
width or height.
"""

import dataclasses
import functools
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt8

from ranet_jax.array_typing import Frame, ObjectMasks, Valid
from ranet_jax.training.config import AugmentConfig

CONTROL_POINTS = 4  # along each side
# The settings of `augment` that leave the image alone.
IDENTITY = dataclasses.asdict(AugmentConfig())
# The settings that shape the program. The others are traced: another strength, the same program.
STATIC = ("color", "coarsening", "frame_scale")

Positions = Float[Array, "*grid 2"]
Displacements = Float[Array, "16 2"]
Ids = UInt8[Array, "H W"]
Box = Float[Array, "4"]  # y0, x0, y1, x1: edges, in pixels


class HostBatch(TypedDict):
    """What the host sends: decoded pixels on a canvas of the network's size, and where to look on
    it.

    Attributes:
        template_image: RGB of the template frame.
        template_ids: slot numbers of its objects, 0 for the background.
        template_box: the part of the canvas to show the network: y0, x0, y1, x1 in pixels, possibly
            fractions.
        image: RGB of the current frame.
        ids: its slot numbers, the answer.
        previous_ids: slot numbers of a frame nearby, on the current frame's canvas.
        box: the part of the current frame's canvas to show.
        valid: slots that hold an object.
        is_static: the previous mask is the current frame's own (an image has no frame before), to
            be warped once more.
    """

    template_image: UInt8[Array, "b H W 3"]
    template_ids: UInt8[Array, "b H W"]
    template_box: Float[Array, "b 4"]
    image: UInt8[Array, "b H W 3"]
    ids: UInt8[Array, "b H W"]
    previous_ids: UInt8[Array, "b H W"]
    box: Float[Array, "b 4"]
    valid: Valid
    is_static: Bool[Array, " b"]


class TrainingBatch(TypedDict):
    """What a training step eats: see `array_typing` for the shapes."""

    template_image: Frame
    template_masks: ObjectMasks
    image: Frame
    previous_masks: ObjectMasks
    target_masks: ObjectMasks
    valid: Valid


@functools.partial(jax.jit, static_argnames=STATIC)
def augment(key: PRNGKeyArray, batch: HostBatch, **settings: Any) -> TrainingBatch:
    """A random view of every example: `augment_each` with keys split off one.

    Args:
        key: the same key and batch give the same result.
        batch: canvases of whatever size.
        **settings: of `augment_each`.

    Returns:
        The batch of the training step.
    """
    return augment_each(jax.random.split(key, batch["valid"].shape[0]), batch, **settings)


def augment_each(
    keys: PRNGKeyArray,
    batch: HostBatch,
    *,
    warp: float = 0.15,
    rotation: float = 30.0,
    scale: tuple[float, float] = (0.75, 1.25),
    crop: float = 0.2,
    flip: float = 0.5,
    color: float = 0.0,
    previous_warp: float = 0.05,
    coarsening: float = 0.01,
    frame_scale: int = 1,
) -> TrainingBatch:
    """A random view of every example, by a key of its own (paper 3.5).

    Template and current frame each get a warp of their own; the flip is shared, for a mirrored
    object is another object. Where the example is a pair of twins the previous mask gets a second,
    slight warp; every previous mask is coarsened, for at test time it is a network's answer.

    Args:
        keys: one for each example, so that a batch can be split without making a difference.
        batch: canvases of whatever size.
        warp: the largest shift of a control point of the thin-plate spline, as a share of the image
            size.
        rotation: the largest angle, degrees.
        scale: the smallest and largest magnification.
        crop: the largest share of the height and width that a random crop leaves out.
        flip: probability of mirroring left and right.
        color: strength of brightness, contrast and saturation jitter; 0.3 means factors of 0.7 to
            1.3.
        previous_warp: size of the second warp: shift of its control points and of the whole mask as
            shares of the image size, and change of scale.
        coarsening: the previous mask's boundary is smoothed and moved by up to about this share of
            the width.
        frame_scale: how many times as large as the result the canvases are.

    Returns:
        The batch of the training step. An object whose template mask was warped out of sight is no
        longer valid.
    """
    view = functools.partial(_random_view, warp=warp, rotation=rotation, scale=scale, crop=crop)
    changes = {"color": color, "previous_warp": previous_warp, "coarsening": coarsening}
    changes |= {"flip": flip, "frame_scale": frame_scale}
    return jax.vmap(functools.partial(_augment_one, view=view, **changes))(keys, batch)


@jax.jit
def identity_view(batch: HostBatch) -> TrainingBatch:
    """The batch without augmentation: the boxes of the canvases, resized to the network's input."""
    return augment(jax.random.key(0), batch, **IDENTITY)


def _augment_one(
    key, example: HostBatch, *, view, flip, color, previous_warp, coarsening, frame_scale
) -> TrainingBatch:
    keys = jax.random.split(key, 8)
    height, width = (side // frame_scale for side in example["ids"].shape)
    slots = example["valid"].shape[0]
    positions = pixel_centres(height, width)
    mirrored = jax.random.bernoulli(keys[0], flip)
    positions = positions * jnp.where(mirrored, -1.0, 1.0) ** jnp.array([1.0, 0.0])

    strength = jnp.where(example["is_static"], previous_warp, 0.0)
    again = _slight_warp(keys[3], positions, strength)
    # Template, current frame, previous mask: the last two share their view.
    starts = jnp.stack([positions, positions, again])
    grids = jax.vmap(functools.partial(view, aspect=width / height))(
        keys[jnp.array([1, 2, 2])], starts
    )

    boxes = jnp.stack([example["template_box"], example["box"], example["box"]])
    pixels = jax.vmap(to_pixels)(grids, boxes)
    ids = jnp.stack([example[name] for name in ("template_ids", "ids", "previous_ids")])
    numbers = jnp.arange(1, slots + 1, dtype=ids.dtype)[:, None, None]
    # What the network is given is read as when segmenting; the answer lies under the pixels.
    corners = jax.vmap(pixel_corners)(pixels)
    read_at = jnp.stack([corners[0], pixels[1], corners[2]])
    sampled = jax.vmap(sample_nearest)(ids, read_at)[:, None]
    template_masks, target_masks, previous_masks = (sampled == numbers).astype(jnp.float32)
    if coarsening:
        previous_masks = coarsen(keys[4], previous_masks, radius=max(1, round(coarsening * width)))

    images = jnp.stack([example["template_image"], example["image"]])
    images = jax.vmap(sample_bilinear)(images, pixels[:2])
    if color:
        images = jax.vmap(functools.partial(jitter_color, strength=color))(keys[5:7], images)
    return TrainingBatch(
        template_image=images[0],
        template_masks=template_masks,
        image=images[1],
        previous_masks=previous_masks,
        target_masks=target_masks,
        valid=example["valid"] & (template_masks > 0).any(axis=(1, 2)),
    )


def _random_view(key, positions: Positions, *, aspect, warp, rotation, scale, crop) -> Positions:
    """Positions in the box of a random warp and crop."""
    (crop_draw, right, down, turn, zoom_draw), shifts = _draws(key, 5)
    kept = 1.0 - crop * (1 + crop_draw) / 2
    positions = positions * kept + (1.0 - kept) * jnp.stack([right, down])
    zoom = scale[0] + (scale[1] - scale[0]) * (1 + zoom_draw) / 2
    positions = rotate_and_scale(positions, jnp.deg2rad(rotation) * turn, zoom, aspect)
    return thin_plate_spline(positions, 2 * warp * shifts)


def _slight_warp(key, positions: Positions, strength: jax.Array) -> Positions:
    (right, down, grow), shifts = _draws(key, 3)
    offset = 2 * strength * jnp.stack([right, down])
    return thin_plate_spline(positions / (1 + strength * grow) + offset, 2 * strength * shifts)


def _draws(key, count: int) -> tuple[jax.Array, Displacements]:
    """Numbers from -1 to 1: `count` of them, and a shift for every control point."""
    # One call: each costs as much to compile as a thin-plate spline.
    numbers = jax.random.uniform(key, (count + 2 * CONTROL_POINTS**2,), minval=-1.0, maxval=1.0)
    return numbers[:count], numbers[count:].reshape(-1, 2)


def pixel_centres(height: int, width: int) -> Float[Array, "H W 2"]:
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


def rotate_and_scale(
    positions: Positions, angle: jax.Array, zoom: jax.Array, aspect: float
) -> Positions:
    """Where to sample so that the picture appears turned by `angle` (radians) and magnified by
    `zoom` about its centre.

    `aspect` is width over height: a turn is one in pixels, not in shares of the sides.
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
        positions: (x, y), -1 to 1 over the picture.
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


def sample_bilinear(image: UInt8[Array, "H W 3"], pixels: Positions) -> Float[Array, "*grid 3"]:
    """The image in [0, 1] at (x, y), between pixels by bilinear interpolation, black outside."""
    corner = jnp.floor(pixels)
    right, lower = (pixels - corner)[..., :1], (pixels - corner)[..., 1:]
    corner = corner.astype(jnp.int32)
    x, y = corner[..., 0], corner[..., 1]
    top = _take(image, x, y) * (1 - right) + _take(image, x + 1, y) * right
    bottom = _take(image, x, y + 1) * (1 - right) + _take(image, x + 1, y + 1) * right
    return (top * (1 - lower) + bottom * lower) / 255


def sample_nearest(ids: Ids, pixels: Positions) -> UInt8[Array, "*grid"]:
    """The id of the nearest pixel to (x, y), background outside: ids are never blended."""
    nearest = jnp.floor(pixels + 0.5).astype(jnp.int32)
    return _take(ids[..., None], nearest[..., 0], nearest[..., 1])[..., 0]


def _take(image: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    height, width = image.shape[:2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    taken = image[jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)]
    return jnp.where(inside[..., None], taken, 0)


def coarsen(key: PRNGKeyArray, masks: Float[Array, "n H W"], radius: int) -> Float[Array, "n H W"]:
    """Masks with smoother outlines, grown or shrunk by up to about `radius` pixels; still 0 or 1,
    still disjoint.

    The masks are averaged over squares of (2 radius + 1) pixels and cut at a random level. An
    object too small to survive that is left as it was.
    """
    side = 2 * radius + 1
    share = masks
    for axis, window in ((1, (1, side, 1)), (2, (1, 1, side))):
        padding = [(radius, radius) if i == axis else (0, 0) for i in range(3)]
        share = jax.lax.reduce_window(share, 0.0, jax.lax.add, window, (1, 1, 1), padding) / side
    level = jax.random.uniform(key, minval=0.3, maxval=0.7)
    strongest = share == share.max(axis=0)
    earliest = jnp.cumsum(strongest, axis=0) == 1
    coarse = ((share > level) & strongest & earliest).astype(masks.dtype)
    lost = (coarse.sum(axis=(1, 2)) == 0)[:, None, None]
    untouched = jnp.where(lost, masks, 0.0)
    taken = untouched.max(axis=0)
    return jnp.where(lost, untouched, coarse * (1 - taken))


def jitter_color(
    key: PRNGKeyArray, image: Float[Array, "H W 3"], strength: float
) -> Float[Array, "H W 3"]:
    """Random brightness, contrast and saturation, each a factor in 1 - strength to 1 + strength;
    stays in [0, 1]."""
    brightness, contrast, saturation = 1 + strength * jax.random.uniform(
        key, (3,), minval=-1.0, maxval=1.0
    )
    image = image * brightness
    grey = image @ jnp.array([0.299, 0.587, 0.114])
    image = grey.mean() + (image - grey.mean()) * contrast
    grey = image @ jnp.array([0.299, 0.587, 0.114])
    image = grey[..., None] + (image - grey[..., None]) * saturation
    return jnp.clip(image, 0.0, 1.0)
