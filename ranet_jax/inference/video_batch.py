"""The host's side of videos that are segmented together: their sizes, and whose id a slot holds."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from ranet_jax.array_typing import HostFrame, HostMask, Size
from ranet_jax.errors import InputError
from ranet_jax.inference.letterbox import (
    Letterbox,
    letterbox,
    letterbox_labels,
    unletterbox,
    unletterbox_largest,
)
from ranet_jax.inference.object_ids import check_frame, describe_size, slot_labels


@dataclass(frozen=True)
class VideoBatch:
    """What is known of the videos besides their state; never changed, so that it can be kept.

    Attributes:
        geometries: of each video, between its own size and that of the network's frames.
        ids: of each video, which user's id each slot label stands for; 0 is the background.
        slots: of a track.
        listed: whether the user gave lists, and gets lists.
    """

    geometries: tuple[Letterbox, ...]
    ids: tuple[dict[int, int], ...]
    slots: int
    listed: bool

    def with_ids(self, video: int, ids: dict[int, int]) -> "VideoBatch":
        """The same videos, with other objects in one of them."""
        changed = (*self.ids[:video], ids, *self.ids[video + 1 :])
        return dataclasses.replace(self, ids=changed)

    def without(self, video: int, slot: int) -> "VideoBatch":
        """The same videos, with an object less in one of them."""
        ids = self.ids[video]
        return self.with_ids(video, {other: ids[other] for other in ids if other != slot})

    def slots_of(self, video: int, ids: Sequence[int]) -> list[int]:
        """The slot labels of ids; raises InputError for one that is not followed."""
        found = {id_: slot for slot, id_ in self.ids[video].items()}
        if unknown := [id_ for id_ in ids if id_ not in found]:
            raise InputError(
                f"Object id {unknown[0]} is not followed; the ids are "
                f"{', '.join(map(str, sorted(found))) or 'none'}."
            )
        return [found[id_] for id_ in ids]

    def tracks_of(self, video: int, slots: Sequence[int]) -> tuple[list[int], list[int]]:
        """The tracks of slots, and the other slots in use there."""
        tracks = sorted({(slot - 1) // self.slots for slot in slots})
        there = [slot for slot in self.ids[video] if (slot - 1) // self.slots in tracks]
        return tracks, [slot for slot in there if slot not in slots]

    def corrected(
        self, video: int, labels: UInt8[np.ndarray, "H W"], mask: HostMask, ids: Sequence[int]
    ) -> UInt8[np.ndarray, "H W"]:
        """Slot labels on the canvas, those of `ids` (ascending) as a mask of them alone says."""
        slots = self.slots_of(video, ids)
        given = np.array([0, *slots], np.uint8)[slot_labels(mask, ids)]
        given = letterbox_labels(given, self.geometries[video])
        return np.where(given, given, np.where(np.isin(labels, slots), 0, labels))

    def check_frames(self, frames: Sequence[HostFrame | None]) -> None:
        """Raises InputError unless there is a frame, or None, of its size for every video."""
        if len(frames) != len(self.geometries):
            raise InputError(
                f"There are {len(frames)} frames for {len(self.geometries)} videos; "
                "give one for each."
            )
        for one, geometry in zip(frames, self.geometries, strict=True):
            if one is None:
                continue
            check_frame(one)
            if one.shape[:2] != geometry.original:
                raise InputError(
                    f"The frame is {describe_size(one.shape)} and the first one was "
                    f"{describe_size(geometry.original)}; all frames of a video need the same size."
                )

    def check_frame(self, frame: HostFrame, video: int) -> None:
        """The same of one video alone."""
        self.check_frames([frame if v == video else None for v in range(len(self.geometries))])

    def fit(
        self, frames: Sequence[HostFrame | None], size: Size
    ) -> UInt8[np.ndarray, "videos H W 3"]:
        """Frames on their canvases; black for a video that has ended."""
        black = np.zeros((*size, 3), np.uint8)
        return np.stack(
            [
                black if frame is None else letterbox(frame, geometry)
                for frame, geometry in zip(frames, self.geometries, strict=True)
            ]
        )

    def user_labels(
        self,
        video: int,
        labels: UInt8[np.ndarray, "H W"],
        values: Float[Array, "videos labels H W"],
    ) -> HostMask:
        """Ids at a video's own size.

        Args:
            video: its place in the batch.
            labels: slot labels of the video.
            values: of all videos, on the device, that decided them.
        """
        geometry, ids = self.geometries[video], self.ids[video]
        if geometry.resized == geometry.original:
            labels = labels[geometry.window]
        else:
            # Only the slots in use are worth the transfer and the resizing.
            used = np.asarray(_values_of(values, video, np.asarray([0, *ids])))
            labels = np.array([0, *ids], np.uint8)[unletterbox_largest(used, geometry)]
        table = np.zeros(256, np.int32)
        table[list(ids)] = list(ids.values())
        return table[labels]

    def user_values(
        self, video: int, values: Float[np.ndarray, "labels H W"], now: "VideoBatch"
    ) -> dict[int, Float[np.ndarray, "height width"]]:
        """Of each id the values at the video's own size.

        Args:
            video: its place in the batch.
            values: of the slots as they were in this batch.
            now: the batch as it is now; objects that joined or left since then have no values.
        """
        return {
            id_: unletterbox(values[slot], self.geometries[video])
            for slot, id_ in self.ids[video].items()
            if now.ids[video].get(slot) == id_
        }


@jax.jit  # one program: indexing is several
def _values_of(
    values: Float[Array, "videos labels H W"], video: Int[Array, ""], slots: Int[Array, " used"]
) -> Float[Array, "used H W"]:
    return values[video, slots]
