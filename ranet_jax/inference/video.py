"""A whole video from files to files."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ranet_jax.errors import InputError
from ranet_jax.inference.both_ways import backward_frames, vanishing
from ranet_jax.inference.object_ids import check_ids
from ranet_jax.inference.tracking import Masks, Removals, TrackedFrame, VideoSegmenter, track
from ranet_jax.io.atomic import make_output_folder
from ranet_jax.io.frame_folder import extracted, frame_names, part
from ranet_jax.io.masks import read_mask
from ranet_jax.io.result_writer import result_writer, write_overlay
from ranet_jax.io.video_reader import Video, open_video

_DEFAULT_FPS = 24.0


@dataclass(frozen=True)
class Summary:
    """How a run of `segment_video` went.

    Attributes:
        frames: How many frames were written, the first included.
        seconds: From the first frame to the last file written, compilation included.
        frames_per_second: Of the frames after the second one, so that the compilation in the first
            step is left out; None where there are none.
    """

    frames: int
    seconds: float
    frames_per_second: float | None


def segment_video(
    segmenter: VideoSegmenter,
    source: Video | Path | str,
    mask: Masks | Path | str,
    out: Path | str,
    *,
    removed: Removals | None = None,
    reverse: bool = False,
    overlay: bool = False,
    probabilities: bool = False,
    rgba: bool = False,
    coco_rle: bool = False,
    fps: float | None = None,
    progress: bool = True,
) -> Summary:
    """Segments a video from masks of its frames and writes a palette PNG for every frame.

    Written to `out`: `<frame>.png`, the first being the given mask, and what is asked for. Every
    file appears whole or not at all, and those of all frames only when the run ends well.

    Args:
        segmenter: Follows the objects; see `ranet_jax.inference.segmenter.Segmenter`.
        source: An open video, a folder of frames or a video file.
        mask: Ids [H, W] of the first frame, or a mask file; or masks by frame name, see
            `tracking.track`.
        out: Folder for the results; it is made where missing.
        removed: Ids by frame name that are no longer followed from that frame on.
        reverse: Whether to go from the last mask backwards, too: a frame has the answer of the pass
            that comes from the nearer mask.
        overlay: Whether to write `overlay.mp4`, the frames with the objects tinted.
        probabilities: Whether to write `probabilities/<id>/<frame>.png` in 8-bit gray, 255 being
            certain.
        rgba: Whether to write `rgba/<frame>.png`, the frame where objects are, transparent
            elsewhere.
        coco_rle: Whether to write `coco.json`, the run lengths of every object in every frame.
        fps: Frames per second of the overlay; those of the video, or 24, if None.
        progress: Whether to show a progress bar.

    Raises:
        InputError: The video, a mask or the output folder cannot be used.
    """
    video = source if isinstance(source, Video) else open_video(source)
    masks = _read(mask)
    check_masks(masks, video, str(mask) if isinstance(mask, Path | str) else "")
    _check_names(removed or {}, video, "removal")
    if reverse and removed:
        raise InputError(
            "An object that is removed at a frame is gone after it; go through the video forwards "
            "only."
        )
    out = make_output_folder(out)
    if video.path.is_dir() and out.samefile(video.path):
        raise InputError(f"The output folder {out} holds the frames; choose another folder.")
    fps = fps or video.fps or _DEFAULT_FPS
    start, ends = time.perf_counter(), []
    with ExitStack() as stack:
        if reverse:
            video = stack.enter_context(extracted(video))
            tracked = _both_ways(segmenter, video, masks)
        else:
            frames = stack.enter_context(closing(iter(video)))
            tracked = track(segmenter, frames, masks, removed=removed)
        # In both directions frames come in no order that a video could have.
        movie_fps = fps if overlay and not reverse else None
        with (
            tqdm(total=video.length, unit="frame", disable=not progress) as bar,
            result_writer(out, overlay_fps=movie_fps, rgba=rgba, coco_rle=coco_rle) as writer,
        ):
            for name, frame, found in tracked:
                maps = segmenter.probability_maps() if probabilities else {}
                writer.write(name, frame, found, maps)
                ends.append(time.perf_counter())
                bar.update()
        if overlay and reverse:
            write_overlay(out, video, fps)
    later = len(ends) - 2
    rate = later / (ends[-1] - ends[1]) if later > 0 else None
    return Summary(len(ends), time.perf_counter() - start, rate)


def _read(mask: Masks | Path | str) -> Masks:
    if isinstance(mask, Mapping):
        return mask
    return read_mask(mask, first=True) if isinstance(mask, Path | str) else np.asarray(mask)


def check_masks(masks: Masks, video: Video, path: str = "") -> None:
    """Checks what can be known before a network is there.

    Args:
        masks: ids [H, W] of the first frame; or masks by frame name.
        video: that they are of.
        path: of the file or folder that they come from, for the error.

    Raises:
        InputError: a mask has another size, or is named as no frame.
    """
    named = masks if isinstance(masks, Mapping) else {"": masks}
    for name, labels in named.items():
        check_ids(labels)
        if labels.shape != (video.height, video.width):
            mask = " ".join(filter(None, ("mask", path, name and f"of frame {name}")))
            raise InputError(
                f"The {mask} is {labels.shape[1]}x{labels.shape[0]} pixels and the frames of "
                f"{video.path} are {video.width}x{video.height}; draw it on the "
                f"{'frame' if name else 'first frame'}."
            )
    if isinstance(masks, Mapping):
        _check_names(masks, video, "mask")


def _check_names(given: Iterable[str], video: Video, what: str) -> None:
    names = frame_names(video)
    if names and (unknown := sorted(set(given) - set(names))):
        raise InputError(
            f"No frame of {video.path} is named as the {what} {unknown[0]}: they are {names[0]} to "
            f"{names[-1]}."
        )


def _both_ways(segmenter: VideoSegmenter, video: Video, masks: Masks) -> Iterator[TrackedFrame]:
    """The frames of the pass forwards, then those of the pass backwards, each frame once."""
    names = frame_names(video)
    masks = masks if isinstance(masks, Mapping) else {names[0]: masks}
    backward = backward_frames(names, masks)
    # A mask may show new objects alone: the way back starts with all that are there.
    complete = {}
    with closing(iter(video)) as frames:
        for name, frame, found in track(segmenter, frames, masks):
            if name in masks:
                complete[name] = found
            if name not in backward:
                yield name, frame, found
    if not backward:
        return
    first, last = min(map(names.index, backward)), max(map(names.index, masks))
    with closing(iter(part(video, first, last + 1, -1))) as frames:
        gone = vanishing(masks, names)
        for name, frame, found in track(segmenter, frames, complete, removed=gone):
            if name in backward:
                yield name, frame, found
