"""The state of videos being segmented, and the compiled functions that start and advance it (pure).

A video is followed by one or more *tracks*. A track has a template frame, a box and a static number
of object slots. A network for several objects follows all objects of a frame in one track; a
single-object network has a track for every object, each with its own box. Objects added at a later
frame get a track whose template is that frame. All tracks of all videos are one batch for the
network; their results meet in the frame, where they share out the pixels.

Dimension letters beyond those of `array_typing`: v videos, g tracks of a video, n slots of a track.
Slot i of track j has the label j*n + i + 1.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt8

from ranet_jax.array_typing import Frame, ObjectMasks, Params, Size
from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.models.aggregation import LabelValues, label_values, largest_label
from ranet_jax.models.memory import EncodedTemplate
from ranet_jax.models.ops import crop_bilinear, crop_nearest, uncrop
from ranet_jax.models.ranet import RANet

Frames = UInt8[Array, "v H W 3"]
VideoLabels = UInt8[Array, "v H W"]


class VideoState(NamedTuple):
    """All that is kept from frame to frame; it does not grow with their number."""

    template: EncodedTemplate  # v*g templates, tracks fastest
    valid: Bool[Array, "v g n"]
    labels: VideoLabels
    boxes: Int[Array, "v g 4"]


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
    boxes = _boxes(labels, valid)
    images = _crop_frames(frames, boxes, size)
    masks = _crop_masks(labels, boxes, valid, size)
    template = model.apply({"params": params}, images, masks, method="encode_template")
    return VideoState(template, valid, labels, boxes)


@functools.partial(jax.jit, static_argnames=("model", "size"), donate_argnames="state")
def advance(
    model: RANet, params: Params, state: VideoState, frames: Frames, size: Size | None = None
) -> tuple[VideoState, VideoLabels, LabelValues]:
    """Segments the next frame of every video.

    Each track crops the frame and the previous labels around its box and segments the crop; the
    probabilities go back to where they were cropped, zero elsewhere, the objects share out the
    pixels, and the result gives the boxes for the next frame.

    Returns:
        The next state, the labels, and the values that decided them (see
        `aggregation.label_values`).
    """
    videos, tracks, slots = state.valid.shape
    logits = model.apply(
        {"params": params},
        state.template,
        _crop_frames(frames, state.boxes, size),
        _crop_masks(state.labels, state.boxes, state.valid, size),
        state.valid.reshape(videos * tracks, slots),
        method="segment",
    )
    put_back = functools.partial(uncrop, size=frames.shape[1:3])
    probabilities = jax.vmap(put_back)(jax.nn.sigmoid(logits), state.boxes.reshape(-1, 4))
    values = label_values(
        probabilities.reshape(videos, tracks * slots, *frames.shape[1:3]),
        state.valid.reshape(videos, tracks * slots),
        model.aggregation,
    )
    labels = largest_label(values).astype(jnp.uint8)
    state = state._replace(labels=labels, boxes=_boxes(labels, state.valid))
    return state, labels, values


def join(state: VideoState, new: VideoState, video: int, first_track: int) -> VideoState:
    """Writes a one-video state into a video's empty tracks, from `first_track` on.

    Where the new labels are not 0 they replace the video's.
    """
    videos, tracks, slots = state.valid.shape
    count = new.valid.shape[1]
    added = new.labels[0]
    labels = jnp.where(added > 0, added + first_track * slots, state.labels[video])
    rows = video * tracks + first_track + jnp.arange(count)
    put = slice(first_track, first_track + count)
    return VideoState(
        jax.tree.map(lambda old, own: old.at[rows].set(own), state.template, new.template),
        state.valid.at[video, put].set(new.valid[0]),
        state.labels.at[video].set(labels.astype(jnp.uint8)),
        state.boxes.at[video, put].set(new.boxes[0]),
    )


def with_tracks(state: VideoState, tracks: int) -> VideoState:
    """The same state with room for more tracks; they are empty and see the whole frame."""
    videos, present, slots = state.valid.shape
    added = tracks - present
    whole = jnp.asarray([0, 0, *state.labels.shape[1:]], state.boxes.dtype)

    def widen(x: Array) -> Array:
        x = x.reshape(videos, present, *x.shape[1:])
        wide = jnp.pad(x, [(0, 0), (0, added)] + [(0, 0)] * (x.ndim - 2))
        return wide.reshape(videos * tracks, *x.shape[2:])

    return VideoState(
        jax.tree.map(widen, state.template),
        jnp.concatenate([state.valid, jnp.zeros((videos, added, slots), bool)], axis=1),
        state.labels,
        jnp.concatenate([state.boxes, jnp.broadcast_to(whole, (videos, added, 4))], axis=1),
    )


def _slot_labels(valid: Bool[Array, "v g n"]) -> Int[Array, "g n"]:
    _, tracks, slots = valid.shape
    return 1 + jnp.arange(tracks * slots).reshape(tracks, slots)


def _boxes(labels: VideoLabels, valid: Bool[Array, "v g n"]) -> Int[Array, "v g 4"]:
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


def _crop_masks(
    labels: VideoLabels,
    boxes: Int[Array, "v g 4"],
    valid: Bool[Array, "v g n"],
    size: Size | None,
) -> ObjectMasks:
    crop = functools.partial(crop_nearest, size=size)
    crops = jax.vmap(jax.vmap(crop, (None, 0)))(labels, boxes)
    masks = crops[:, :, None] == _slot_labels(valid)[..., None, None]
    return masks.reshape(-1, *masks.shape[2:]).astype(jnp.float32)
