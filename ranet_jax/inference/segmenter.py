"""Segment videos: `init` with the first frame and its mask, then `step` with every other frame.

Frames and masks come and go at their own size, on the host; what happens in between is `state.py`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Float

from ranet_jax.array_typing import HostFrame, HostMask, Params
from ranet_jax.checkpoints.checkpoint import load, resolve, trained_at
from ranet_jax.errors import InputError
from ranet_jax.inference import state
from ranet_jax.inference.letterbox import (
    Letterbox,
    letterbox,
    letterbox_labels,
    unletterbox,
    unletterbox_largest,
)
from ranet_jax.inference.object_ids import (
    bucket,
    check_count,
    check_frame,
    check_mask,
    describe_size,
    object_ids,
    slot_labels,
)
from ranet_jax.models.aggregation import Aggregation
from ranet_jax.models.ranet import RANet

NETWORK_SIZE = (480, 864)


class Segmenter:
    """Follows the objects of videos.

    One video: `init(frame, mask)`, then `step(frame)` gives its labels. Several videos in one
    batch: lists in, lists out; a video that has ended is `None` from then on. The videos may differ
    in size and in their number of objects.

    Memory does not grow with the number of frames. A step is compiled once for each bucket of 1, 2,
    4, 8 or 16 objects (and each number of videos), whatever the sizes of the frames.
    """

    def __init__(
        self,
        model: RANet,
        params: Params,
        *,
        aggregation: Aggregation | None = None,
        memory: int | None = None,
        size: tuple[int, int] = NETWORK_SIZE,
        frame_scale: int = 1,
        devices: Sequence[jax.Device] | None = None,
    ):
        """Prepares to segment; nothing is computed yet.

        Args:
            model: the network; one for a single object follows several by running once for each.
            params: its parameters.
            aggregation: how objects become one label a pixel, `softmax` (paper) or `argmax`
                (published code); the model's own setting if None.
            memory: number of earlier frames that are matched beside the first one, the previous
                frame first; the model's own setting if None.
            size: height and width of the network's input, multiples of 32.
            frame_scale: frames are kept at so many times this size, and what the network sees is
                cut out of them: with 2, small objects stay sharp for a network of a small input.
            devices: that share the videos of a batch, as many of them as divide it evenly; the
                first local device if None.

        Raises:
            InputError: for an unknown `aggregation`, or a memory or a size that cannot be.
        """
        if min(size) < 32 or any(side % 32 for side in size):
            raise InputError(
                f"The network's size is {size[0]}x{size[1]}; both must be multiples of 32."
            )
        if frame_scale < 1 or int(frame_scale) != frame_scale:
            raise InputError(f"frame_scale is {frame_scale}; give a whole number from 1.")
        chosen = {"aggregation": aggregation, "memory": memory}
        self._model = model.clone(**{name: v for name, v in chosen.items() if v is not None})
        self._params = params
        self._size, self._frame_scale = tuple(size), frame_scale
        self._frame_size = size[0] * frame_scale, size[1] * frame_scale
        self._devices = list(devices or jax.local_devices()[:1])
        self._state: state.VideoState | None = None
        self._values, self._given = None, []

    @classmethod
    def load(
        cls, checkpoint: Path | str = "default", *, precision: str = "float32", **settings: Any
    ) -> Self:
        """A segmenter with the network of a checkpoint, and with the settings it was trained at.

        Args:
            checkpoint: see `checkpoints.checkpoint.load`; `default` is the default model.
            precision: what convolutions compute in, `float32` or `bfloat16`.
            **settings: arguments of the class that replace the checkpoint's `size`, `frame_scale`,
                `aggregation` and `memory`, and `devices`.

        Raises:
            InputError: as `checkpoints.checkpoint.load` does, and for impossible settings.
        """
        # Once for both: the best checkpoint of a run that is still going may be another one later.
        path = resolve(checkpoint)
        model, params = load(path, precision)
        return cls(model, params, **(trained_at(path) | settings))

    def init(
        self, frame: HostFrame | Sequence[HostFrame], mask: HostMask | Sequence[HostMask]
    ) -> None:
        """Starts a video, or a batch of videos, from the first frame and its mask.

        Args:
            frame: RGB, uint8, [height, width, 3]; or one for each video.
            mask: integer ids, [height, width], 0 for background, of at most 16 objects; or one for
                each video.

        Raises:
            InputError: if a frame or mask has another type or size, or a mask is empty or has too
                many objects.
        """
        self._batched = not isinstance(frame, np.ndarray)
        frames, masks = (list(frame), list(mask)) if self._batched else ([frame], [mask])
        if len(frames) != len(masks) or not frames:
            raise InputError(
                f"There are {len(frames)} first frames for {len(masks)} masks; give as many of "
                "both."
            )
        for one_frame, one_mask in zip(frames, masks, strict=True):
            check_frame(one_frame)
            check_mask(one_mask, one_frame)
        ids = [object_ids(m) for m in masks]
        most = bucket(max(map(len, ids)))
        count, self._slots = (most, 1) if self._model.mode == "single" else (1, most)
        self._geometries = [Letterbox.of(f.shape[:2], self._frame_size) for f in frames]
        self._share_devices(len(frames))
        # Which user's id each slot label stands for; label 0 is the background.
        self._ids = [dict(enumerate(found, 1)) for found in ids]
        self._state = self._start(frames, masks, ids, self._geometries, count)
        self._values, self._given = None, masks

    def step(
        self, frame: HostFrame | Sequence[HostFrame | None]
    ) -> HostMask | list[HostMask | None]:
        """Segments the next frame of the video, or of every video.

        Args:
            frame: RGB, uint8, of the first frame's size; in a batch one for each video, None for
                one that has ended.

        Returns:
            Integer ids at the frame's size, with the ids of the masks; in a batch a list.

        Raises:
            InputError: if there was no `init`, or a frame has another type or size.
        """
        self._require_init()
        frames = list(frame) if self._batched else [frame]
        self._check_frames(frames)
        fitted = np.stack(
            [
                np.zeros((*self._frame_size, 3), np.uint8) if f is None else letterbox(f, geometry)
                for f, geometry in zip(frames, self._geometries, strict=True)
            ]
        )
        fitted = jax.device_put(fitted, self._by_video)
        with jax.transfer_guard("disallow"):  # one frame goes there, its labels come back
            self._state, labels, self._values = state.advance(
                self._model, self._params, self._state, fitted, self._size
            )
            labels = jax.device_get(labels)
        results = [
            None if f is None else self._result(video, labels[video])
            for video, f in enumerate(frames)
        ]
        return results if self._batched else results[0]

    def add_object(self, frame: HostFrame, mask: HostMask, video: int = 0) -> None:
        """Starts following further objects from the frame that was segmented last.

        They get a template of their own, from this frame, and take their pixels from the objects
        already there.

        Args:
            frame: the frame given to the last `step` (or `init`), RGB, uint8.
            mask: integer ids of the new objects alone, 0 elsewhere.
            video: its place in the batch.

        Raises:
            InputError: if there was no `init`, an id is in use, the objects are more than 16 in
                all, or the frame or mask has another type or size.
        """
        self._require_init()
        self._check_frames([frame if v == video else None for v in range(len(self._geometries))])
        check_mask(mask, frame)
        added, present = object_ids(mask), self._ids[video]
        if taken := sorted(set(added) & set(present.values())):
            raise InputError(
                f"Object id {taken[0]} is followed already; give the new object another id."
            )
        check_count(len(added) + len(present))
        valid = np.asarray(self._state.valid[video])
        first = int(np.flatnonzero(valid.any(axis=1))[-1]) + 1
        needed = -(-len(added) // self._slots)
        if first + needed > valid.shape[0]:
            self._state = state.with_tracks(self._state, bucket(first + needed))
        new = self._start([frame], [mask], [added], [self._geometries[video]], needed)
        self._state = state.join(self._state, new, video, first)
        self._ids[video] = present | dict(enumerate(added, first * self._slots + 1))

    def probability_maps(self, video: int = 0) -> dict[int, Float[np.ndarray, "height width"]]:
        """For each id the value in [0, 1] that it has at every pixel of the latest frame.

        With `softmax` these are probabilities that add up to 1 with the background's; with
        `argmax` each object's own. Of the first frame they are the given mask: 0 or 1.

        Raises:
            InputError: if there was no `init`.
        """
        self._require_init()
        if self._values is None:
            mask = self._given[video]
            return {id_: np.float32(mask == id_) for id_ in self._ids[video].values()}
        values, geometry = np.asarray(self._values[video]), self._geometries[video]
        # An object added since then has no slot in these values yet.
        followed = {slot: id_ for slot, id_ in self._ids[video].items() if slot < len(values)}
        return {id_: unletterbox(values[slot], geometry) for slot, id_ in followed.items()}

    def _share_devices(self, videos: int) -> None:
        """Splits the batch axis of frames and state over the devices; all have all parameters."""
        count = math.gcd(videos, len(self._devices))
        mesh = jax.sharding.Mesh(np.array(self._devices[:count]), ("video",))
        self._by_video = NamedSharding(mesh, PartitionSpec("video"))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._params = jax.device_put(self._params, self._everywhere)

    def _start(
        self, frames, masks, ids, geometries: list[Letterbox], count: int
    ) -> state.VideoState:
        """Encodes first frames: `count` tracks in each video, slots filled with `ids` in order."""
        labels = [
            letterbox_labels(slot_labels(m, i), g)
            for m, i, g in zip(masks, ids, geometries, strict=True)
        ]
        fitted = [letterbox(image, g) for image, g in zip(frames, geometries, strict=True)]
        used = np.array([[slot < len(i) for slot in range(count * self._slots)] for i in ids])
        valid = used.reshape(len(frames), count, self._slots)
        # One video added to a batch cannot be split; every device starts it.
        placement = self._by_video if len(frames) == len(self._geometries) else self._everywhere
        inputs = jax.device_put((np.stack(fitted), np.stack(labels), valid), placement)
        return state.start(self._model, self._params, *inputs, self._size)

    def _require_init(self) -> None:
        if self._state is None:
            raise InputError("There is no video yet; call init with its first frame and mask.")

    def _check_frames(self, frames: list[HostFrame | None]) -> None:
        """A frame, or None, for every video, of the size of its first frame."""
        if len(frames) != len(self._geometries):
            raise InputError(
                f"There are {len(frames)} frames for {len(self._geometries)} videos; "
                "give one for each."
            )
        for one, geometry in zip(frames, self._geometries, strict=True):
            if one is None:
                continue
            check_frame(one)
            if one.shape[:2] != geometry.original:
                raise InputError(
                    f"The frame is {describe_size(one.shape)} and the first one was "
                    f"{describe_size(geometry.original)}; all frames of a video need the same size."
                )

    def _result(self, video: int, labels: np.ndarray) -> HostMask:
        geometry, ids = self._geometries[video], self._ids[video]
        if geometry.resized == geometry.original:
            labels = labels[geometry.window]
        else:
            # Only the slots in use are worth the transfer and the resizing.
            values = np.asarray(self._values[video, jnp.asarray([0, *ids])])
            labels = np.array([0, *ids], np.uint8)[unletterbox_largest(values, geometry)]
        table = np.zeros(256, np.int32)
        table[list(ids)] = list(ids.values())
        return table[labels]
