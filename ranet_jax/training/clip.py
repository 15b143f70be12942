"""Sequential training: the frames of a clip one after the other, each from the network's own past.

Of the first current frame the network is shown what the data says: the crop, and a previous mask
with the errors of the augmentation. From there on it meets its own errors, as when it segments
a video: previous mask, crop and memory of each later frame are made from what it has just
predicted. The gradient stops between frames, or flows from a frame to those before it through the
memory (previous masks and crops are made of labels, which have no gradient).
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ranet_jax.array_typing import Frame, Logits, ObjectMasks, Params
from ranet_jax.inference.state import VideoState, crop_masks, follow
from ranet_jax.models.ranet import RANet
from ranet_jax.training.augment import (
    KEYS,
    VIEW,
    HostBatch,
    TrainingBatch,
    jitter_color,
    sample_bilinear,
    sample_nearest,
)
from ranet_jax.training.warps import (
    flip_sides,
    from_pixels,
    pixel_centers,
    random_view,
    slight_warp,
    to_pixels,
)


class _Past(NamedTuple):
    """What a frame passes to the next one."""

    state: VideoState  # that the frame was segmented with, in the warped frame
    logits: Logits
    pooled: Float[Array, "b k c"]


def clip_logits(
    model: RANet,
    params: Params,
    keys: PRNGKeyArray,
    batch: HostBatch,
    seen: TrainingBatch,
    augmentation: Mapping[str, Any],
    through_time: bool = False,
) -> tuple[Float[Array, "t b n H W"], Float[Array, "t b n H W"]]:
    """Logits and target masks of all current frames of the clips.

    Args:
        model: the network.
        params: its parameters.
        keys: of the examples, see `augment.augment_each`.
        batch: clips of two current frames or more.
        seen: its first frames, augmented.
        augmentation: arguments of `augment.augment_each`.
        through_time: whether the gradient of a frame reaches the frames before it.
    """
    sample = jax.vmap(functools.partial(later_frame, **augmentation), (0, 0, None, 0))
    valid = seen["valid"]

    @jax.jit  # traced once for all frames, and its gradient
    def network(params: Params, *inputs: Any) -> tuple[Logits, Float[Array, "b k c"]]:
        return model.apply({"params": params}, *inputs, method="segment_and_pool")

    def segment(state: VideoState, image: Frame, previous_masks: ObjectMasks) -> _Past:
        return _Past(state, *network(params, state.template, image, previous_masks, valid))

    def next_frame(past: _Past, number: Array) -> tuple[_Past, tuple[Logits, ObjectMasks]]:
        answer = past.logits, past.pooled
        if not through_time:
            answer = jax.lax.stop_gradient(answer)
        state, _ = follow(model, past.state, *answer)
        image, target = sample(keys, batch, number, state.boxes[:, 0])
        size = past.logits.shape[2:]
        previous_masks = crop_masks(state.labels, state.boxes, state.valid, size)
        past = segment(state, image, previous_masks)
        return past, (past.logits, target)

    state = VideoState(
        template=model.apply(
            {"params": params},
            *(seen["template_image"], seen["template_masks"]),
            method="encode_template",
        ),
        valid=valid[:, None],
        labels=jnp.zeros_like(batch["ids"]),
        boxes=batch["frame_box"][:, None],
        number=jnp.zeros(len(valid), jnp.int32),
    )
    first = segment(state, seen["image"], seen["previous_masks"])
    later = jnp.arange(1, batch["later_ids"].shape[1] + 1)
    _, rest = _scan(next_frame, first, later)
    return tuple(
        jnp.concatenate([one[None], others])
        for one, others in zip((first.logits, seen["target_masks"]), rest, strict=True)
    )


def _scan(step: Callable, past: _Past, numbers: Array) -> tuple[_Past, Any]:
    """`lax.scan`; on a CPU written out, where XLA compiles convolutions inside a loop to slow ones
    (`unroll` does not help: of a single round it makes a loop all the same)."""
    if jax.default_backend() != "cpu":
        return jax.lax.scan(step, past, numbers)
    outputs = []
    for number in numbers:
        past, output = step(past, number)
        outputs.append(output)
    return past, jax.tree.map(lambda *x: jnp.stack(x), *outputs)


def later_frame(
    key: PRNGKeyArray,
    example: HostBatch,
    number: Int[Array, ""],
    box: Int[Array, "4"],
    *,
    frame_scale: int,
    **settings: Any,
) -> tuple[Float[Array, "H W 3"], Float[Array, "n H W"]]:
    """A frame after the current one, cropped as at test time, and its masks.

    All current frames of a clip share the view that `augment_each` draws with the same key, so that
    what moves between them is the video's own. A static image moves by a slight warp, further with
    every frame. The box lies in the *warped frame*, of which `frame_box` cuts out what the network
    saw of the first one.

    Args:
        key: the example's, see `augment_each`.
        example: one of a batch of clips.
        number: 1 for the first of the later frames.
        box: y0, x0, y1, x1 in pixels of the warped frame.
        frame_scale: see `augment_each`.
        **settings: all fields of `AugmentConfig`.
    """
    keys = jax.random.split(key, KEYS)
    height, width = (side // frame_scale for side in example["ids"].shape)
    box = box.astype(jnp.float32)
    around = example["frame_box"].astype(jnp.float32)
    positions = from_pixels(to_pixels(pixel_centers(height, width), box), around)
    positions = flip_sides(keys[0], positions, settings["flip"])
    moved = jnp.where(example["is_static"], settings["previous_warp"] * number, 0.0)
    positions = slight_warp(keys[7], positions, moved)
    view = {name: settings[name] for name in VIEW}
    positions = random_view(keys[2], positions, aspect=width / height, **view)
    pixels = to_pixels(positions, example["box"])
    image = sample_bilinear(example["later_images"][number - 1], pixels)
    if settings["color"]:
        image = jitter_color(keys[6], image, settings["color"])
    ids = sample_nearest(example["later_ids"][number - 1], pixels)
    slots = jnp.arange(1, example["valid"].shape[0] + 1, dtype=ids.dtype)[:, None, None]
    return image, (ids == slots).astype(jnp.float32)
