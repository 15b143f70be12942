"""What one tab of a browser works on: its clip, what is painted, and the masks that are found.

Everything here runs in the thread that owns the device, between two frames, but for what says
otherwise. Encoding and writing have a thread of their own, so that the device waits for neither.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ranet_jax.array_typing import HostMask
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import bucket
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.inference.tracking import track
from ranet_jax.io.atomic import replacing
from ranet_jax.io.frame_folder import part
from ranet_jax.io.masks import encode_mask, read_ids
from ranet_jax.web.clip import Budget, Clip, add_camera_frame
from ranet_jax.web.mask_queue import MaskQueue
from ranet_jax.web.messages import decode_mask, pack_mask
from ranet_jax.web.painted import Painted
from ranet_jax.web.snapshots import Snapshots

_RATE_OVER = 10  # frames
_CAMERA_WAITING = 2  # frames; older ones are dropped


class Session:
    """See the module. What the page is told goes through `send`, which must not block."""

    _job: Iterator | None = None  # what `advance` goes on with

    def __init__(
        self,
        segmenter: Callable[[], Segmenter],
        send: Callable[[dict[str, Any] | bytes], None],
        folder: Path,
        compiled: set[int],
        budget: Budget,
    ):
        """Nothing is opened yet.

        Args:
            segmenter: makes one, in the thread of the device.
            send: takes messages for the page.
            folder: of its own, for files.
            compiled: buckets of objects that need no compiling any more, of all sessions.
            budget: bytes that it may put there.
        """
        self._make_segmenter, self._send, self.folder = segmenter, send, folder
        self._compiled, self._budget = compiled, budget
        self._segmenter: Segmenter | None = None
        self._masks = MaskQueue(self._void_from)
        self._camera: deque[tuple[int, bytes]] = deque(maxlen=_CAMERA_WAITING)
        self.clip: Clip | None = None
        self.painted = Painted()
        self._forget()

    @property
    def results(self) -> Path:
        """Folder of the masks found."""
        return self.folder / "results"

    @property
    def found(self) -> list[int]:
        """The frames whose masks follow from what is painted."""
        return sorted(frame for frame in self._edited if frame <= self._valid)

    def open(self, clip: Clip) -> None:
        """Starts anew with a clip."""
        self._forget()
        self.clip, self.painted = clip, Painted()
        if clip.video.files:  # a camera's come later
            self._tell_clip()

    def know(self, masks: dict[int, HostMask]) -> None:
        """Takes masks to compare with, by the number of their frame."""
        self.clip = self._need_clip().with_truth(masks)
        self._masks.settle()
        scores = {}
        for frame in self.found:
            scores |= self._score(frame, self._read_result(frame))
        self._send({"type": "scores", "scores": scores, "known": sorted(masks)})

    def paint(self, frame: int, data: bytes) -> None:
        """Takes how a frame looks after it was painted; what was found after it is void."""
        clip = self._need_clip()
        if not 0 <= frame < len(clip.video.files):
            raise InputError(f"There is no frame {frame}; the clip has {len(clip.video.files)}.")
        labels = decode_mask(data, frame, clip.video.height, clip.video.width)
        try:
            self.pause()
        finally:  # a mask that could not be written changes nothing of what is painted
            self._paint(frame, labels)

    def _paint(self, frame: int, labels: HostMask) -> None:
        shown = self._read_result(frame) if frame in self._edited else None
        self.painted.put(frame, labels, shown, self._edited.get(frame, False))
        still_shown = {n: edited for n, edited in self._edited.items() if n == frame}
        self._void_from(frame)
        self._edited |= still_shown
        self._send({"type": "scores", "scores": self._score(frame, labels)})
        self._tell_painted()

    def _void_from(self, frame: int) -> None:
        """What was found there and later is to be found again."""
        self._valid = min(self._valid, frame - 1)
        self._snapshots.drop_from(frame)
        self._edited = {n: edited for n, edited in self._edited.items() if n < frame}

    def track(self) -> None:
        """Goes on from the first frame whose mask is not known yet."""
        clip = self._need_clip()
        first = self.painted.first
        if first is None:
            raise InputError("Nothing is painted yet: paint an object on a frame first.")
        if self._segmenter is None:
            self._send({"type": "progress", "state": "loading"})
            self._segmenter = self._make_segmenter()
        self._stop_job()
        self._masks.settle()
        state = self._snapshots.nearest(self._valid)
        names = clip.names
        given = {
            "masks": {names[n]: mask for n, mask in self.painted.masks.items()},
            "removed": {names[n]: ids for n, ids in self.painted.removed.items()},
        }
        self._next = first if state is None else state[0]
        frames = self._frames(self._next)
        if state is None:
            self._job = track(self._segmenter, frames, **given)
        else:
            self._segmenter.restore(state[1])
            resumed = self._read_result(self._next).astype(np.int32)
            self._job = track(self._segmenter, frames, **given, resumed=resumed)
            next(self._job)
            self._next += 1
        self._times.clear()
        ids = {i for mask in self.painted.masks.values() for i in np.unique(mask) if i}
        self._bucket = bucket(min(len(ids), 16))
        self._steps = 0
        self._tell_progress()

    def pause(self) -> None:
        """Stops after the frame that was found last."""
        if self._job is not None:
            self._end("paused")

    def ready(self) -> bool:
        """Whether there is a frame to segment: of a camera, only what has come."""
        if self._job is None:
            return False
        waiting = self._next < len(self.clip.video.files) or self._camera
        return bool(waiting) or not self.clip.live

    def advance(self) -> None:
        """Segments a frame."""
        try:
            name, _, labels = next(self._job)
        except StopIteration:
            self._end("done")
            return
        made = 1000 * time.time()
        frame, self._next = self._next, self._next + 1
        if frame > self._valid:
            self._valid = frame
            self._edited[frame] = frame in self.painted
        self._snapshots.add(frame, self._segmenter.snapshot())
        self._steps += 1
        if self._steps == 2:
            self._compiled.add(self._bucket)
        if self._steps > 1:
            self._times.append(time.perf_counter())
        self._tell_progress()
        self._masks.put(frame, self._deliver, frame, name, labels, made, self._counts.get(frame))

    def camera_frame(self, count: int, data: bytes) -> None:
        """Takes a frame of the camera; called in any thread. Of several the latest ones count."""
        self._camera.append((count, data))

    def take_still(self, data: bytes) -> None:
        """Takes the camera's first frame, to be painted on."""
        clip = self._need_clip()
        if clip.live and not clip.video.files:
            self.camera_frame(0, data)
            self._add_camera_frame()
            self._tell_clip()

    def camera_off(self) -> None:
        """No more frames come; those that have are a clip like any other."""
        if self.clip is not None and self.clip.live:
            self._camera.clear()
            self.clip = Clip(self.clip.video, None, self.clip.truth)
            self._tell_clip(again=True)

    def fail(self, message: str) -> None:
        """Tells the page what went wrong, and stops."""
        with suppress(Exception):  # one sentence is enough
            self._masks.settle()
        self.pause()
        self._send({"type": "error", "message": message})

    def close(self) -> None:
        """Ends the work; the folder is for its owner to delete."""
        self._stop_job()
        self._masks.close()

    def _forget(self) -> None:
        """Without a clip, nothing is known."""
        self._stop_job()
        with suppress(Exception):
            self._masks.settle()
        self._valid, self._next, self._steps, self._bucket = -1, 0, 0, 1
        self._edited: dict[int, bool] = {}  # by frame, whether its result has what is painted
        self._counts: dict[int, int] = {}  # of the camera, by frame
        self._snapshots, self._times = Snapshots(), deque(maxlen=_RATE_OVER + 1)
        self._camera.clear()

    def _frames(self, first: int) -> Iterator:
        """The frames there are, then those that the camera brings."""
        with closing(iter(part(self.clip.video, first, len(self.clip.video.files)))) as frames:
            yield from frames
        while self.clip.live:
            yield self._add_camera_frame()

    def _add_camera_frame(self):
        count, data = self._camera.popleft()
        self._budget.take(len(data))
        self.clip, pixels = add_camera_frame(self.clip, data, self.folder)
        frame = len(self.clip.video.files) - 1
        self._counts[frame] = count
        return self.clip.video.files[frame].stem, pixels

    def _stop_job(self) -> None:
        if self._job is not None:
            self._job.close()
            self._job = None

    def _end(self, state: str) -> None:
        self._masks.settle()
        self._stop_job()
        self._camera.clear()
        self._send({"type": "progress", "state": state, "valid": self._valid})

    def _deliver(self, frame: int, name: str, labels: HostMask, made: float, count: int | None):
        """Writes a mask, and sends it."""
        png = encode_mask(labels)
        self.results.mkdir(exist_ok=True)
        with replacing(self.results / f"{name}.png") as temporary:
            temporary.write_bytes(png)
        self._send(pack_mask(frame, png, made, count))
        if scores := self._score(frame, labels):
            self._send({"type": "scores", "scores": scores})

    def _read_result(self, frame: int) -> HostMask:
        return read_ids(self.results / f"{self.clip.names[frame]}.png").astype(np.int32)

    def _score(self, frame: int, labels: HostMask) -> dict[int, dict[int, float]]:
        """J of every known object of a frame."""
        if (truth := self.clip.truth.get(frame)) is None:
            return {}
        scores = {}
        for id_ in np.unique(truth[truth > 0]).tolist():
            a, b = labels == id_, truth == id_
            scores[id_] = np.count_nonzero(a & b) / np.count_nonzero(a | b)
        return {frame: scores}

    def _need_clip(self) -> Clip:
        if self.clip is None:
            raise InputError("There is no clip yet: open one first.")
        return self.clip

    def _tell_clip(self, again: bool = False) -> None:
        video = self.clip.video
        self._send(
            {
                "type": "clip",
                "again": again,
                "height": video.height,
                "width": video.width,
                "names": self.clip.names,
                "live": self.clip.live,
                "known": sorted(self.clip.truth),
            }
        )

    def _tell_painted(self) -> None:
        self._send({"type": "painted", "frames": list(self.painted), "valid": self._valid})

    def _tell_progress(self) -> None:
        spent = self._times[-1] - self._times[0] if len(self._times) > 1 else 0
        rate = (len(self._times) - 1) / spent if spent else None
        left = len(self.clip.video.files) - self._next
        compiling = self._steps < 2 and self._bucket not in self._compiled
        self._send(
            {
                "type": "progress",
                "state": "compiling" if compiling else "tracking",
                "valid": self._valid,
                "rate": rate,
                "left": left / rate if rate and not self.clip.live else None,
            }
        )
