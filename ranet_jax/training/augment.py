"""Augmentation on the device: random warps and crops, every pixel interpolated once (paper 3.5).

Whatever is done to an image is composed into one sampling grid before a pixel is touched: from a
position of the network's input, through flip, random crop, rotation and scale, and a thin-plate
spline, into the object's box and so to the pixels that the host sent. The images are sampled
bilinearly, the id masks by nearest neighbour; outside the source all is black background.

Positions are (x, y) with -1 and 1 at the edges of the image, as are displacements: 2 is the whole
width or height.
"""

import dataclasses
import functools
from typing import Any, NotRequired, TypedDict

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from ranet_jax.array_typing import Frame, ObjectMasks, Valid
from ranet_jax.training.config import AugmentConfig
from ranet_jax.training.warps import (
    Positions,
    flip_sides,
    pixel_centers,
    pixel_corners,
    random_view,
    slight_warp,
    to_pixels,
)

# Of each example: flip, template, current frame, second warp, coarsening, two of color, motion.
KEYS = 8
# The settings that leave the image alone.
IDENTITY = dataclasses.asdict(AugmentConfig())
VIEW = ("warp", "rotation", "scale", "crop")  # those of `random_view`
# The settings that shape the program. The others are traced: another strength, the same program.
STATIC = ("color", "coarsening", "frame_scale")

Ids = UInt8[Array, "H W"]


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
        later_images: RGB of the m frames after the current one; only in batches of clips, as what
            follows.
        later_ids: their slot numbers.
        frame_box: `box` in pixels of the frame, which the canvas becomes where an image on it is
            enlarged to fill it.
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
    later_images: NotRequired[UInt8[Array, "b m H W 3"]]
    later_ids: NotRequired[UInt8[Array, "b m H W"]]
    frame_box: NotRequired[Int[Array, "b 4"]]


class TrainingBatch(TypedDict):
    """What a training step takes: see `array_typing` for the shapes."""

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
    keys: PRNGKeyArray, batch: HostBatch, *, frame_scale: int = 1, **settings: Any
) -> TrainingBatch:
    """A random view of every example, by a key of its own (paper 3.5).

    Template and current frame each get a warp of their own; the flip is shared, for a mirrored
    object is another object. Where the example is a static image the previous mask gets a second,
    slight warp; every previous mask is coarsened, for at test time it is a network's answer.

    Args:
        keys: one for each example, so that a batch can be split without making a difference.
        batch: canvases of whatever size.
        frame_scale: how many times as large as the result the canvases are.
        **settings: fields of `AugmentConfig`; without any, the image is left alone.

    Returns:
        The batch of the training step. An object whose template mask was warped out of sight is no
        longer valid.
    """
    settings = IDENTITY | settings
    view = functools.partial(random_view, **{name: settings.pop(name) for name in VIEW})
    augment_one = functools.partial(_augment_one, view=view, frame_scale=frame_scale, **settings)
    return jax.vmap(augment_one)(keys, batch)


def _augment_one(
    key, example: HostBatch, *, view, flip, color, previous_warp, coarsening, frame_scale
) -> TrainingBatch:
    keys = jax.random.split(key, KEYS)
    height, width = (side // frame_scale for side in example["ids"].shape)
    slots = example["valid"].shape[0]
    positions = flip_sides(keys[0], pixel_centers(height, width), flip)

    strength = jnp.where(example["is_static"], previous_warp, 0.0)
    again = slight_warp(keys[3], positions, strength)
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
    fraction = masks
    for axis, window in ((1, (1, side, 1)), (2, (1, 1, side))):
        padding = [(radius, radius) if i == axis else (0, 0) for i in range(3)]
        total = jax.lax.reduce_window(fraction, 0.0, jax.lax.add, window, (1, 1, 1), padding)
        fraction = total / side
    level = jax.random.uniform(key, minval=0.3, maxval=0.7)
    strongest = fraction == fraction.max(axis=0)
    earliest = jnp.cumsum(strongest, axis=0) == 1
    coarse = ((fraction > level) & strongest & earliest).astype(masks.dtype)
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
    gray = image @ jnp.array([0.299, 0.587, 0.114])
    image = gray.mean() + (image - gray.mean()) * contrast
    gray = image @ jnp.array([0.299, 0.587, 0.114])
    image = gray[..., None] + (image - gray[..., None]) * saturation
    return jnp.clip(image, 0.0, 1.0)
