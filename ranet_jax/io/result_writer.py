"""Writes results to disk, in threads beside the network."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import replacing
from ranet_jax.io.coco_rle import CocoResults
from ranet_jax.io.masks import read_ids, write_mask
from ranet_jax.io.overlays import overlay
from ranet_jax.io.threads import ThreadPool
from ranet_jax.io.video_reader import Video

OVERLAY_NAME = "overlay.mp4"
_PENDING = 8
# The first that the installed FFmpeg has: H.264 plays everywhere, MPEG-4 is always built in.
_CODECS = (("libx264", {"crf": "20", "preset": "veryfast"}), ("mpeg4", {"b": "4000000"}))


@contextmanager
def result_writer(
    out: Path, *, overlay_fps: float | None = None, rgba: bool = False, coco_rle: bool = False
) -> Iterator["ResultWriter"]:
    """Yields a `ResultWriter`; the context ends when everything is on disk.

    When the block raises, an interrupt included, writes that have not begun are dropped and the
    files of all frames are not kept; files under their final names are whole all the same.

    Args:
        out: An existing folder.
        overlay_fps: Frames per second of the overlay video; None writes none.
        rgba: Whether to write `rgba/<frame>.png`, the objects cut out.
        coco_rle: Whether to write `coco.json` at the end.
    """
    with ExitStack() as files:
        movie = None
        if overlay_fps is not None:
            temporary = files.enter_context(replacing(out / OVERLAY_NAME))
            movie = files.enter_context(_movie(temporary, overlay_fps))
        coco = CocoResults() if coco_rle else None
        writer = ResultWriter(out, movie, rgba=rgba, coco=coco)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class ResultWriter:
    """Writes the results of a video in threads; made by `result_writer`.

    At most eight writes wait for their turn: then `write` blocks. What goes wrong in a thread is
    raised by a later `write`, or at the end.
    """

    def __init__(
        self,
        out: Path,
        movie: Callable[[HostFrame], None] | None,
        *,
        rgba: bool = False,
        coco: CocoResults | None = None,
    ):
        self._out = out
        self._movie, self._rgba, self._coco = movie, rgba, coco
        self._pending: deque[Future] = deque()
        self._images = ThreadPool(2, "write-images")
        # One thread only, since the frames of a video have an order.
        self._video = ThreadPool(1, "write-video")

    def write(
        self,
        name: str,
        frame: HostFrame,
        labels: HostMask,
        probabilities: Mapping[int, np.ndarray],
    ) -> None:
        """Queues the results of one frame for writing; the arrays must not be changed afterwards.

        Args:
            name: Name of the frame, without a suffix.
            frame: uint8 [H, W, 3]; only the overlay and the cut-outs need it.
            labels: Ids [H, W].
            probabilities: Of each id, float [H, W] in [0, 1]; may be empty.

        Raises:
            InputError: An earlier result could not be written.
        """
        self._submit(self._images, write_mask, self._out / f"{name}.png", labels)
        for label, values in probabilities.items():
            path = self._out / "probabilities" / str(label) / f"{name}.png"
            self._submit(self._images, _write_probability, path, values)
        if self._rgba:
            path = self._out / "rgba" / f"{name}.png"
            self._submit(self._images, _write_cutout, path, frame, labels)
        if self._coco is not None:
            self._submit(self._video, self._coco.add, name, labels)
        if self._movie is not None:
            self._submit(self._video, self._append_overlay, frame, labels)

    def finish(self) -> None:
        """Waits until everything is written.

        Raises:
            InputError: A result could not be written.
        """
        if self._coco is not None:
            self._submit(self._video, self._coco.write, self._out)
        self._drain(0)

    def close(self) -> None:
        """Ends the threads; writes that have not begun are dropped."""
        for pool in (self._images, self._video):
            pool.shutdown(cancel_futures=True)

    def _append_overlay(self, frame: HostFrame, labels: HostMask) -> None:
        self._movie(overlay(frame, labels))

    def _submit(self, pool: Executor, write: Callable[..., None], *args: object) -> None:
        self._pending.append(pool.submit(write, *args))
        self._drain(_PENDING)

    def _drain(self, left: int) -> None:
        while len(self._pending) > left:
            try:
                self._pending.popleft().result()
            except OSError as error:
                raise InputError(
                    f"Cannot write to {self._out} ({error.strerror or error}); free some space or "
                    "choose another folder."
                ) from error


def write_overlay(out: Path, video: Video, fps: float) -> None:
    """Writes `overlay.mp4` beside the masks that lie in `out`, of the frames that have one."""
    with (
        closing(iter(video)) as frames,
        replacing(out / OVERLAY_NAME) as temporary,
        _movie(temporary, fps) as append,
    ):
        for name, frame in frames:
            if (path := out / f"{name}.png").is_file():
                append(overlay(frame, read_ids(path)))


def _write_probability(path: Path, values: np.ndarray) -> None:
    gray = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    _write_image(path, gray)


def _write_cutout(path: Path, frame: HostFrame, labels: HostMask) -> None:
    inside = np.where(labels > 0, np.uint8(255), np.uint8(0))
    _write_image(path, np.dstack([frame, inside]))


def _write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


@contextmanager
def _movie(path: Path, fps: float) -> Iterator[Callable[[HostFrame], None]]:
    """Yields a function that appends uint8 [H, W, 3] to an mp4; its size is that of the first."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = None

        def append(image: HostFrame) -> None:
            nonlocal stream
            height, width = image.shape[:2]
            # Chroma is stored at half the size, which an odd size does not have.
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if stream is None:
                stream = _add_stream(container, even.shape[0], even.shape[1], fps)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

        yield append
        if stream is not None:
            container.mux(stream.encode(None))


def _add_stream(container, height: int, width: int, fps: float):
    rate = Fraction(min(max(fps, 1.0), 120.0)).limit_denominator(1001)
    name, options = next(codec for codec in _CODECS if _has_encoder(codec[0]))
    stream = container.add_stream(name, rate=rate, options=options)
    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
    return stream


def _has_encoder(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except ValueError:  # av.codec.codec.UnknownCodecError among them
        return False
    return True
