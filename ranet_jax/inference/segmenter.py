"""Segment videos: `init` with the first frame and its mask, then `step` with every other frame.

Frames and masks come and go at their own size, on the host; what happens in between is `state.py`.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Float

from ranet_jax.array_typing import HostFrame, HostMask, Params
from ranet_jax.checkpoints.checkpoint import load, resolve, trained_at
from ranet_jax.errors import InputError
from ranet_jax.inference import state
from ranet_jax.inference.editing import EditableVideos
from ranet_jax.inference.letterbox import Letterbox, letterbox_labels
from ranet_jax.inference.object_ids import (
    bucket,
    check_frame,
    check_mask,
    check_size,
    object_ids,
    slot_labels,
)
from ranet_jax.inference.video_batch import VideoBatch
from ranet_jax.models.aggregation import Aggregation
from ranet_jax.models.initialization import prepare_params
from ranet_jax.models.ranet import RANet

NETWORK_SIZE = (480, 864)


class Segmenter(EditableVideos):
    """Follows the objects of videos.

    One video: `init(frame, mask)`, then `step(frame)` gives its labels. Several videos in one
    batch: lists in, lists out; a video that has ended is `None` from then on. The videos may differ
    in size and in their number of objects.

    Memory does not grow with the number of frames. A step is compiled once for each bucket of 1, 2,
    4, 8 or 16 objects (and each number of videos), whatever the sizes of the frames.

    Between two steps objects can be added, corrected and removed, and one can go back to an earlier
    frame: see `EditableVideos`.
    """

    def __init__(
        self,
        model: RANet,
        params: Params,
        *,
        aggregation: Aggregation | None = None,
        memory: int | None = None,
        max_gap: float | None = None,
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
            max_gap: what of an object's mask is dropped, see `parts.drop_distant_parts`; 0 drops
                nothing; the model's own setting if None.
            size: height and width of the network's input, multiples of 32.
            frame_scale: frames are kept at so many times this size, and what the network sees is
                cut out of them: with 2, small objects stay sharp for a network of a small input.
            devices: that share the videos of a batch, as many of them as divide it evenly; the
                first local device if None.

        Raises:
            InputError: for an unknown `aggregation`, or a memory, a gap or a size that cannot be.
        """
        size = check_size(size, frame_scale)
        self._model = model.with_settings(aggregation=aggregation, memory=memory, max_gap=max_gap)
        self._params = params
        self._size, self._frame_scale = size, int(frame_scale)
        self._frame_size = size[0] * frame_scale, size[1] * frame_scale
        self._devices = list(devices or jax.local_devices()[:1])
        self._state = None

    @classmethod
    def load(
        cls, checkpoint: Path | str = "default", *, precision: str = "float32", **settings: Any
    ) -> Self:
        """A segmenter with the network of a checkpoint, and with the settings it was trained at.

        Args:
            checkpoint: see `checkpoints.checkpoint.load`; `default` is the default model.
            precision: what convolutions compute in, `float32` or `bfloat16`.
            **settings: arguments of the class that replace the checkpoint's `size`, `frame_scale`,
                `aggregation`, `memory` and `max_gap`, and `devices`.

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
        listed = isinstance(frame, Sequence)
        if listed and not isinstance(mask, Sequence | np.ndarray):
            raise InputError("For a list of first frames a list of masks is needed, one for each.")
        frames, masks = (list(frame), list(mask)) if listed else ([frame], [mask])
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
        tracks, slots = (most, 1) if self._model.mode == "single" else (1, most)
        self._batch = VideoBatch(
            tuple(Letterbox.of(f.shape[:2], self._frame_size) for f in frames),
            tuple(dict(enumerate(found, 1)) for found in ids),
            slots,
            listed,
        )
        self._share_devices(len(frames))
        labels = [
            letterbox_labels(slot_labels(m, i), g)
            for m, i, g in zip(masks, ids, self._batch.geometries, strict=True)
        ]
        used = np.array([[slot < len(i) for slot in range(tracks * slots)] for i in ids])
        fitted = self._batch.fit(frames, self._frame_size)
        valid = used.reshape(len(frames), tracks, slots)
        self._state = self._start(fitted, np.stack(labels), valid)
        self._values, self._valued, self._given = None, self._batch, masks

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
        if not self._batch.listed:
            check_frame(frame)  # None ends a video of a batch alone
        elif not isinstance(frame, Sequence):
            raise InputError("For a batch of videos a list of frames is needed, one for each.")
        frames = list(frame) if self._batch.listed else [frame]
        self._batch.check_frames(frames)
        fitted = jax.device_put(self._batch.fit(frames, self._frame_size), self._by_video)
        with jax.transfer_guard("disallow"):  # one frame goes there, its labels come back
            self._state, labels, self._values = state.advance(
                self._model, self._params, self._state, fitted, self._size
            )
            labels = jax.device_get(labels)
        self._valued = self._batch
        results = [
            None if f is None else self._batch.user_labels(video, labels[video], self._values)
            for video, f in enumerate(frames)
        ]
        return results if self._batch.listed else results[0]

    def probability_maps(self, video: int = 0) -> dict[int, Float[np.ndarray, "height width"]]:
        """For each id the value in [0, 1] that it has at every pixel of the latest frame.

        With `softmax` these are probabilities that add up to 1 with the background's; with
        `argmax` each object's own. Of the first frame they are the given mask: 0 or 1. Objects that
        joined in the latest frame have none.

        Raises:
            InputError: if there was no `init`, or there is no such video.
        """
        self._require_init(video)
        if self._values is None:
            mask = self._given[video]
            return {id_: np.float32(mask == id_) for id_ in self._batch.ids[video].values()}
        return self._valued.user_values(video, np.asarray(self._values[video]), self._batch)

    def _share_devices(self, videos: int) -> None:
        """Splits the batch axis of frames and state over the devices; all have all parameters."""
        count = math.gcd(videos, len(self._devices))
        mesh = jax.sharding.Mesh(np.array(self._devices[:count]), ("video",))
        self._by_video = NamedSharding(mesh, PartitionSpec("video"))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        params = prepare_params(self._params, self._model.dtype)
        self._params = jax.device_put(params, self._everywhere)

    def _start(self, frames, labels, valid) -> state.VideoState:
        """Encodes first frames, on the host and fitted, with slot labels and slots in use."""
        # One video of a batch cannot be split; every device starts it.
        whole = len(frames) == len(self._batch.geometries)
        inputs = jax.device_put(
            (frames, labels, valid), self._by_video if whole else self._everywhere
        )
        return state.start(self._model, self._params, *inputs, self._size)
