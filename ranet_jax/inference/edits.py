"""What changes the state of videos between two frames: objects that join, leave or are corrected.

Pure; the dimension letters are those of `state.py`. Each is one program, compiled once for a shape.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ranet_jax.inference.state import VideoState, slot_in_turn, track_boxes
from ranet_jax.models.memory import EncodedTemplate


@jax.jit
def join(
    state: VideoState, new: VideoState, video: Int[Array, ""], first_track: Int[Array, ""]
) -> VideoState:
    """Writes a one-video state into a video's empty tracks, from `first_track` on.

    Where the new labels are not 0 they replace the video's.
    """
    videos, tracks, slots = state.valid.shape
    added = new.labels[0]
    labels = jnp.where(added > 0, added + first_track * slots, state.labels[video])
    put = first_track + jnp.arange(new.valid.shape[1])
    rows = video * tracks + put
    return VideoState(
        jax.tree.map(lambda old, own: old.at[rows].set(own), state.template, new.template),
        state.valid.at[video, put].set(new.valid[0]),
        state.labels.at[video].set(labels.astype(jnp.uint8)),
        state.boxes.at[video, put].set(new.boxes[0]),
        state.number,
    )


@functools.partial(jax.jit, static_argnames="tracks")
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
        state.number,
    )


@functools.partial(jax.jit, donate_argnames="state")
def correct(
    state: VideoState, new: VideoState, video: Int[Array, ""], tracks: Bool[Array, " g"]
) -> VideoState:
    """Labels and boxes of a video from another state of it, and the templates of some tracks.

    With memory an old template is kept beside the new one, in the slots that hold the corrected
    frame with what was wrong in it, until these are needed again.

    Args:
        state: of all videos.
        new: one video with the tracks of `state`, started from the corrected frame.
        video: its place.
        tracks: whose templates are taken over.
    """
    count = len(tracks)
    rows = video * count + jnp.arange(count)

    def put(old: Array, own: Array) -> Array:
        chosen = tracks.reshape(-1, *[1] * (own.ndim - 1))
        return old.at[rows].set(jnp.where(chosen, own, old[rows]))

    old = jax.tree.map(lambda x: x[rows], state.template)
    first = jnp.arange(old.filled.shape[1]) == 0
    wrong = _holding(state.number[video], len(first))
    own = EncodedTemplate(
        _write(old.features, old.features[:, :1], new.template.features, wrong, first, 1),
        _write(old.masks, old.masks[:, :, :1], new.template.masks, wrong, first, 2),
        old.filled | wrong,
    )
    return VideoState(
        jax.tree.map(put, state.template, own),
        state.valid,
        state.labels.at[video].set(new.labels[0]),
        state.boxes.at[video].set(new.boxes[0]),
        state.number,
    )


def _holding(number: Int[Array, ""], templates: int) -> Bool[Array, " t"]:
    """Which templates of a track are of frame `number`, its first one left out."""
    slots = jnp.arange(templates)
    holding = (slots == 1) & (number > 0)
    if templates > 2:
        holding |= (slots > 1) & (slots == slot_in_turn(number, templates))
    return holding


def _write(old: Array, first: Array, new: Array, wrong: Array, at_first: Array, axis: int) -> Array:
    """Along the axis of the templates: the old first one where `wrong`, then the new first one."""
    shape = [-1 if place == axis else 1 for place in range(old.ndim)]
    kept = jnp.where(wrong.reshape(shape), first, old)
    return jnp.where(at_first.reshape(shape), new, kept)


@functools.partial(jax.jit, donate_argnames="state")
def remove(state: VideoState, video: Int[Array, ""], slot: Int[Array, ""]) -> VideoState:
    """The state without an object: its slot is free, its pixels are background.

    Args:
        state: of all videos.
        video: its place.
        slot: the label of the object.
    """
    slots = state.valid.shape[2]
    labels = state.labels[video]
    labels = jnp.where(labels == slot, jnp.zeros_like(labels), labels)
    valid = state.valid.at[video, (slot - 1) // slots, (slot - 1) % slots].set(False)
    boxes = track_boxes(labels[None], valid[video][None])
    return state._replace(
        valid=valid,
        labels=state.labels.at[video].set(labels),
        boxes=state.boxes.at[video].set(boxes[0]),
    )


@jax.jit
def copy(state: VideoState) -> VideoState:
    """The same state in memory of its own, which a later step does not take."""
    return jax.tree.map(jnp.copy, state)
