"""One iteration of learning on a first frame, from drawing the views to the optimizer's step.

Everything happens on the device: template, current frame and previous mask are all made from the
one frame, warped apart anew in every iteration.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from ranet_jax.array_typing import HostFrame, HostMask, Params
from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.inference.letterbox import Letterbox, letterbox, letterbox_labels
from ranet_jax.inference.object_ids import check_frame, check_mask, object_ids, slot_labels
from ranet_jax.models.ranet import RANet
from ranet_jax.training.augment import HostBatch, augment
from ranet_jax.training.losses import segmentation_loss
from ranet_jax.training.train_step import network_logits

Ids = UInt8[Array, "H W"]


class FirstFrame(NamedTuple):
    """A first frame on the device, at the size at which frames are kept."""

    image: UInt8[Array, "H W 3"]
    labels: Ids  # slot numbers
    count: Int[Array, ""]  # of objects


class FineTuning(NamedTuple):
    """The parameters that learn, and Adam's moments of them."""

    learned: Params
    moments: optax.OptState


class Recipe(NamedTuple):
    """The settings that the compiled program depends on; `augmentation` is sorted by name."""

    model: RANet
    slots: int
    batch_size: int
    augmentation: tuple[tuple[str, Any], ...]


class Strength(NamedTuple):
    """The settings that it does not depend on: traced, so that others compile nothing."""

    learning_rate: float
    jitter: float


def read_first_frame(frame: HostFrame, mask: HostMask, size: tuple[int, int]) -> FirstFrame | None:
    """A first frame and its mask, letterboxed into `size`; None where no object is left there.

    Raises:
        InputError: for a frame or mask that `Segmenter.init` would refuse.
    """
    check_frame(frame)
    check_mask(mask, frame)
    object_ids(mask)
    geometry = Letterbox.of(frame.shape[:2], size)
    fitted = letterbox_labels(mask, geometry)
    visible = np.unique(fitted[fitted != 0])
    if not visible.size:
        return None
    labels = slot_labels(fitted, visible)
    return FirstFrame(*jax.device_put((letterbox(frame, geometry), labels, np.int32(len(visible)))))


# At a constant rate, which is traced, so that another one is no other program.
_ADAM = optax.scale_by_adam()


@jax.jit
def begin(params: Params) -> FineTuning:
    """The state before the first iteration; the caller's parameters stay."""
    # Copies: the state is donated to every call.
    params = jax.tree.map(jnp.copy, params)
    return FineTuning(params, _ADAM.init(params))


@functools.partial(jax.jit, static_argnames="recipe", donate_argnames="state")
def iterate(
    recipe: Recipe,
    state: FineTuning,
    frozen: Params,
    first: FirstFrame,
    strength: Strength,
    key: PRNGKeyArray,
    index: int,
) -> tuple[FineTuning, Float[Array, ""]]:
    """Iteration `index`, and its loss."""

    def loss(learned: Params) -> Float[Array, ""]:
        here = jax.random.fold_in(key, index)
        return _loss(recipe, {**frozen, **learned}, first, strength.jitter, here)

    learned, moments = state
    value, gradients = jax.value_and_grad(loss)(learned)
    directions, moments = _ADAM.update(gradients, moments)
    updates = optax.tree.scale(-strength.learning_rate, directions)
    return FineTuning(optax.apply_updates(learned, updates), moments), value


def _loss(
    recipe: Recipe, params: Params, first: FirstFrame, jitter: jax.Array, key: PRNGKeyArray
) -> Float[Array, ""]:
    """The mean over the examples of a batch."""
    draw, warp = jax.random.split(key)
    batch = draw_batch(draw, first, recipe.slots, recipe.batch_size, jitter)
    seen = augment(warp, batch, **dict(recipe.augmentation))
    logits = network_logits(recipe.model, params, seen)
    losses = segmentation_loss(logits, seen["target_masks"], seen["valid"], recipe.model.mode)
    return losses.mean()


def draw_batch(
    key: PRNGKeyArray, first: FirstFrame, slots: int, batch_size: int, jitter: jax.Array
) -> HostBatch:
    """Views of the first frame: what the data pipeline would send for a static image."""
    objects_key, boxes_key = jax.random.split(key)
    ids = jnp.broadcast_to(first.labels, (batch_size, *first.labels.shape))
    count = first.count
    if slots == 1:
        chosen = jax.random.randint(objects_key, (batch_size, 1, 1), 1, count + 1)
        ids, count = (ids == chosen).astype(ids.dtype), 1
    around = mask_boxes(ids > 0)
    template_box, box = _jittered(boxes_key, around, jitter, first.labels.shape)
    images = jnp.broadcast_to(first.image, (batch_size, *first.image.shape))
    return HostBatch(
        template_image=images,
        template_ids=ids,
        template_box=template_box,
        image=images,
        ids=ids,
        previous_ids=ids,
        box=box,
        valid=jnp.broadcast_to(jnp.arange(slots) < count, (batch_size, slots)),
        is_static=jnp.ones(batch_size, bool),
    )


def _jittered(
    key: PRNGKeyArray, boxes: Int[Array, "b 4"], jitter: jax.Array, canvas: tuple[int, int]
) -> Float[Array, "2 b 4"]:
    """Two versions of every box, each of another size and place, inside the canvas."""
    draws = jax.random.uniform(key, (2, len(boxes), 3), minval=-jitter, maxval=jitter)
    corners = boxes.astype(jnp.float32).reshape(-1, 2, 2)
    sides = corners[:, 1] - corners[:, 0]
    centres = corners.mean(axis=1) + draws[..., 1:] * sides
    half = sides * (1 + draws[..., :1]) / 2
    moved = jnp.stack([centres - half, centres + half], axis=-2)
    return jnp.clip(moved, 0.0, jnp.asarray(canvas, jnp.float32)).reshape(2, -1, 4)


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Whether every number of a tree is finite."""
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all()
