"""The state of videos being segmented, and the compiled functions that start and advance it (pure).

A video is followed by one or more *tracks*. A track has its templates, a box and a static number
of object slots. A network for several objects follows all objects of a frame in one track; a
single-object network has a track for every object, each with its own box. Objects added at a later
frame get a track whose template is that frame. All tracks of all videos are one batch for the
network; their results meet in the frame, where each pixel gets one label.

A network with memory slots keeps earlier frames as further templates of each track: the previous
one, and of those before it every fifth until its slot is needed again. A frame in memory lies there
as the network saw it, cropped, with the probabilities that it gave as masks: with masks of 0 and 1
its errors would count as much as what it is sure of. A single-object network that follows several
objects of a video remembers none of its frames: where one passes another, pixels wrongly taken from
it would be remembered as the object's own.

Dimension letters beyond those of `array_typing`: v videos, g tracks of a video, n slots of a track.
Slot i of track j has the label j*n + i + 1.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from ranet_jax.array_typing import Frame, Logits, ObjectMasks, Params, Size, Valid
from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.inference.parts import drop_distant_parts
from ranet_jax.models.aggregation import LabelValues, label_values, largest_label
from ranet_jax.models.memory import EncodedTemplate, remember
from ranet_jax.models.ops import crop_bilinear, crop_nearest, uncrop
from ranet_jax.models.ranet import RANet

MEMORY_INTERVAL = 5  # frames; of the memory slots beside the one of the previous frame

Frames = UInt8[Array, "v H W 3"]
VideoLabels = UInt8[Array, "v H W"]


class VideoState(NamedTuple):
    """All that is kept from frame to frame; it does not grow with their number."""

    template: EncodedTemplate  # v*g templates, tracks fastest
    valid: Bool[Array, "v g n"]
    labels: VideoLabels
    boxes: Int[Array, "v g 4"]
    number: Int[Array, " v"]  # of frames after the first one


@functools.partial(jax.jit, static_argnames=("model", "size"))
def start(
    model: RANet,
    params: Params,
    frames: Frames,
    labels: VideoLabels,
    valid: Bool[Array, "v g n"],
    size: Size | None = None,
) -> VideoState:
    """Crops and encodes the templates of all tracks.

    Args:
        model: the network.
        params: its parameters.
        frames: the template frame of each video, RGB, at the network's size or larger.
        labels: its label map.
        valid: which slots of which tracks hold an object.
        size: height and width of the network's input; the frames' if None.
    """
    boxes = track_boxes(labels, valid)
    images = _crop_frames(frames, boxes, size)
    masks = crop_masks(labels, boxes, valid, size)
    template = model.apply({"params": params}, images, masks, method="encode_template")
    return VideoState(template, valid, labels, boxes, jnp.zeros(len(frames), jnp.int32))


@functools.partial(jax.jit, static_argnames=("model", "size"), donate_argnames="state")
def advance(
    model: RANet, params: Params, state: VideoState, frames: Frames, size: Size | None = None
) -> tuple[VideoState, VideoLabels, LabelValues]:
    """Segments the next frame of every video.

    Each track crops the frame and the previous labels around its box and segments the crop; the
    probabilities go back to where they were cropped, zero elsewhere; each pixel gets one
    label, and the result gives the boxes for the next frame.

    Returns:
        The next state, the labels, and the values that decided them (see
        `aggregation.label_values`).
    """
    logits, pooled = model.apply(
        {"params": params},
        state.template,
        _crop_frames(frames, state.boxes, size),
        crop_masks(state.labels, state.boxes, state.valid, size),
        state.valid.reshape(-1, state.valid.shape[2]),
        method="segment_and_pool",
    )
    state, values = follow(model, state, logits, pooled)
    return state, state.labels, values


def follow(
    model: RANet, state: VideoState, logits: Logits, pooled: Float[Array, "b k c"]
) -> tuple[VideoState, LabelValues]:
    """Updates the state with the result of a frame, for the next one.

    Pure, and not jitted itself: training on clips calls it in its own program.

    Args:
        model: the network.
        state: what the frame was segmented with; its boxes say where the crops were.
        logits: of the crops, v*g of them, tracks fastest.
        pooled: features of the crops, from `segment_and_pool`.

    Returns:
        The state for the next frame, and the values that decided its labels.
    """
    videos, tracks, slots = state.valid.shape
    frame_size = state.labels.shape[1:]
    if model.max_gap:
        logits = drop_distant_parts(logits, state.template.masks[:, :, 0], model.max_gap)
    put_back = functools.partial(uncrop, size=frame_size)
    probabilities = jax.vmap(put_back)(jax.nn.sigmoid(logits), state.boxes.reshape(-1, 4))
    values = label_values(
        probabilities.reshape(videos, tracks * slots, *frame_size),
        state.valid.reshape(videos, tracks * slots),
        model.aggregation,
    )
    labels = largest_label(values).astype(jnp.uint8)
    number = state.number + 1
    template = state.template
    if model.memory:
        masks = _own_masks(logits, state.valid.reshape(-1, slots))
        template = _remember(template, pooled, masks, jnp.repeat(number, tracks))
        if model.mode == "single":
            alone = jnp.sum(state.valid, axis=(1, 2)) == 1
            template = _without_memory(template, ~jnp.repeat(alone, tracks))
    boxes = track_boxes(labels, state.valid)
    return VideoState(template, state.valid, labels, boxes, number), values


def _own_masks(logits: Logits, valid: Valid) -> ObjectMasks:
    """Probabilities of the objects of a track, as weights that add up to 1 at most."""
    probabilities = jnp.where(valid[..., None, None], jax.nn.sigmoid(logits), 0)
    return probabilities / jnp.maximum(jnp.sum(probabilities, axis=1, keepdims=True), 1)


def _remember(
    template: EncodedTemplate,
    pooled: Float[Array, "b k c"],
    masks: ObjectMasks,
    number: Int[Array, " b"],
) -> EncodedTemplate:
    """Frame `number` into slot 1, and every fifth frame into one of the others, in turn."""
    always = jnp.ones(number.shape, bool)
    template = remember(template, pooled, masks, 1, always)
    templates = template.filled.shape[1]
    if templates == 2:
        return template
    slot = slot_in_turn(number, templates)
    return remember(template, pooled, masks, slot, slot > 0)


def slot_in_turn(number: Int[Array, "*b"], templates: int) -> Int[Array, "*b"]:
    """The memory slot from 2 on that frame `number` goes to; 0 for one that goes to none."""
    turn, rest = jnp.divmod(number, MEMORY_INTERVAL)
    return jnp.where((rest == 0) & (turn > 0), 2 + (turn - 1) % (templates - 2), 0)


def _without_memory(template: EncodedTemplate, which: Bool[Array, " b"]) -> EncodedTemplate:
    first = jnp.arange(template.filled.shape[1]) == 0
    return template._replace(filled=template.filled & (first | ~which[:, None]))


def _slot_labels(valid: Bool[Array, "v g n"]) -> Int[Array, "g n"]:
    _, tracks, slots = valid.shape
    return 1 + jnp.arange(tracks * slots).reshape(tracks, slots)


def track_boxes(labels: VideoLabels, valid: Bool[Array, "v g n"]) -> Int[Array, "v g 4"]:
    """The box of each track: around all of its objects."""
    slots = _slot_labels(valid)
    first, last = slots[None, :, :1, None], slots[None, :, -1:, None]
    masks = (labels[:, None] >= first) & (labels[:, None] <= last)
    return mask_boxes(masks.reshape(-1, *labels.shape[1:])).reshape(*valid.shape[:2], 4)


def _crop_frames(frames: Frames, boxes: Int[Array, "v g 4"], size: Size | None) -> Frame:
    images = frames.astype(jnp.float32) / 255
    crop = functools.partial(crop_bilinear, size=size)
    crops = jax.vmap(jax.vmap(crop, (None, 0)))(images, boxes)
    return crops.reshape(-1, *crops.shape[2:])


def crop_masks(
    labels: VideoLabels,
    boxes: Int[Array, "v g 4"],
    valid: Bool[Array, "v g n"],
    size: Size | None,
) -> ObjectMasks:
    """The masks of each track's slots in its box, 0 and 1, [v*g, n, H, W].

    Args:
        labels: of each video.
        boxes: of its tracks.
        valid: which slots of which tracks hold an object; only its shape counts.
        size: height and width of the masks; the labels' if None.
    """
    crop = functools.partial(crop_nearest, size=size)
    crops = jax.vmap(jax.vmap(crop, (None, 0)))(labels, boxes)
    masks = crops[:, :, None] == _slot_labels(valid)[..., None, None]
    return masks.reshape(-1, *masks.shape[2:]).astype(jnp.float32)
