"""Between two frames: objects join, leave or are corrected, and one can go back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.inference import edits
from ranet_jax.inference.letterbox import letterbox, letterbox_labels
from ranet_jax.inference.object_ids import (
    bucket,
    check_count,
    check_frame,
    check_mask,
    check_video,
    object_ids,
    slot_labels,
)
from ranet_jax.inference.state import VideoState
from ranet_jax.inference.video_batch import VideoBatch


class Snapshot(NamedTuple):
    """What a segmenter knew at a frame, from `EditableVideos.snapshot`."""

    kept: Mapping[str, Any]


class EditableVideos:
    """The part of `Segmenter` that changes what is followed.

    Every call is about the frame that was segmented last, and takes effect from there on.
    """

    _state: VideoState | None
    _batch: VideoBatch
    _values: Any
    _given: list[HostMask]
    _start: Any

    def followed_ids(self, video: int = 0) -> tuple[int, ...]:
        """The ids that are followed, ascending.

        Raises:
            InputError: if there was no `init`, or there is no such video.
        """
        self._require_init(video)
        return tuple(sorted(self._batch.ids[video].values()))

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
        added, present = self._check_edit(frame, mask, video), self._batch.ids[video]
        if taken := sorted(set(added) & set(present.values())):
            raise InputError(
                f"Object id {taken[0]} is followed already; give the new object another id, or "
                "correct it."
            )
        check_count(len(added) + len(present))
        used = np.asarray(self._state.valid[video]).any(axis=1)
        slots = self._batch.slots
        needed = -(-len(added) // slots)
        first = next(t for t in range(len(used) + 1) if not used[t : t + needed].any())
        if first + needed > len(used):
            self._state = edits.with_tracks(self._state, bucket(first + needed))
        labels = letterbox_labels(slot_labels(mask, added), self._batch.geometries[video])
        valid = np.arange(needed * slots).reshape(1, needed, slots) < len(added)
        new = self._start(self._fit_one(frame, video), labels[None], valid)
        self._state = edits.join(self._state, new, video, first)
        ids = present | dict(enumerate(added, first * slots + 1))
        self._batch = self._batch.with_ids(video, ids)
        self._note_given(mask, [], video)

    def correct(
        self, frame: HostFrame, mask: HostMask, ids: Sequence[int] | None = None, video: int = 0
    ) -> None:
        """Mends objects in the frame that was segmented last; what follows goes on from there.

        They get new labels and a new template from this frame. With `memory` their old template is
        kept beside it until its place is needed, without it is replaced. The objects that share a
        track with them, in a network for several objects, get a template from this frame with the
        labels that they have in it; where one of them shows no pixel, which would lose it, the
        corrected ones move to a track of their own. Nothing is compiled that `init`, or an
        earlier correction, has not compiled.

        Args:
            frame: the frame given to the last `step` (or `init`), RGB, uint8.
            mask: integer ids; where an object is in this frame. The others of `ids` alone count.
            ids: of the objects to correct; those that the mask shows if None.
            video: its place in the batch.

        Raises:
            InputError: if there was no `init`, an object is not followed, or shows no pixel, or the
                frame or mask has another type or size.
        """
        shown = self._check_edit(frame, mask, video)
        chosen = shown if ids is None else sorted(set(ids))
        slots = self._batch.slots_of(video, chosen)
        if hidden := sorted(set(chosen) - set(shown)):
            raise InputError(
                f"Object id {hidden[0]} shows no pixel in the mask; remove it if it is gone."
            )
        mask = np.where(np.isin(mask, chosen), mask, 0)
        tracks, fellows = self._batch.tracks_of(video, slots)
        labels = self._batch.corrected(video, np.asarray(self._state.labels[video]), mask, chosen)
        if not np.isin(fellows, labels).all():
            for id_ in chosen:
                self.remove(id_, video)
            self.add_object(frame, mask, video)
            return
        valid = np.asarray(self._state.valid[video])
        new = self._start(self._fit_one(frame, video), labels[None], valid[None])
        renewed = np.isin(np.arange(len(valid)), tracks)
        self._state = edits.correct(self._state, new, video, renewed)
        self._note_given(mask, chosen, video)

    def remove(self, id: int, video: int = 0) -> None:
        """Stops following an object; its pixels in the frame segmented last are background.

        Args:
            id: of the object; a later `add_object` may give it to another one.
            video: its place in the batch.

        Raises:
            InputError: if there was no `init`, or the object is not followed.
        """
        self._require_init(video)
        (slot,) = self._batch.slots_of(video, [id])
        self._state = edits.remove(self._state, video, slot)
        self._batch = self._batch.without(video, slot)
        self._note_given(np.zeros_like(self._given[video]), [id], video)

    def snapshot(self) -> Snapshot:
        """All that `step` goes on from, kept apart: a step gives its own memory away.

        Raises:
            InputError: if there was no `init`.
        """
        self._require_init()
        return Snapshot({**vars(self), "_state": edits.copy(self._state)})

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to where `snapshot` was called; the same snapshot serves again and again."""
        kept = snapshot.kept
        vars(self).update(kept, _state=edits.copy(kept["_state"]))

    def _fit_one(self, frame: HostFrame, video: int) -> np.ndarray:
        return letterbox(frame, self._batch.geometries[video])[None]

    def _check_edit(self, frame: HostFrame, mask: HostMask, video: int) -> list[int]:
        """The ids of a mask of the frame that was segmented last."""
        self._require_init(video)
        check_frame(frame)
        self._batch.check_frame(frame, video)
        check_mask(mask, frame)
        return object_ids(mask)

    def _note_given(self, mask: HostMask, ids: Sequence[int], video: int) -> None:
        """Puts a mask in the place of the pixels of `ids` in what was given of the first frame."""
        if self._values is None:
            before = self._given[video]
            before = np.where(np.isin(before, ids), 0, before)
            after = np.where(mask, mask, before)
            self._given = [*self._given[:video], after, *self._given[video + 1 :]]

    def _require_init(self, video: int = 0) -> None:
        if self._state is None:
            raise InputError("There is no video yet; call init with its first frame and mask.")
        check_video(video, len(self._batch.geometries))
