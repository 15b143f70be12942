"""The demo: how well a network follows objects whose masks are known exactly."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ranet_jax.array_typing import HostFrame, HostMask
from ranet_jax.demo.clip import Clip, render_clip, write_clip
from ranet_jax.errors import InputError
from ranet_jax.inference.tracking import VideoSegmenter
from ranet_jax.inference.video import segment_video
from ranet_jax.io.atomic import make_output_folder, replacing
from ranet_jax.io.masks import read_mask
from ranet_jax.io.overlays import contact_sheet, overlay
from ranet_jax.io.result_writer import OVERLAY_NAME
from ranet_jax.io.video_reader import open_video


def run_demo(
    segmenter: VideoSegmenter,
    out: Path | str,
    *,
    frames: int = 24,
    objects: int = 1,
    height: int = 480,
    width: int = 854,
    progress: bool = True,
) -> float:
    """Renders the clip, segments it as any video is segmented, and prints how well that went.

    Written to `out`: `frames/*.jpg`, `truth/*.png`, `result/*.png` with `result/overlay.mp4`, and
    `contact_sheet.png`.

    Returns:
        Mean J over objects and frames, the given first frame left out.

    Raises:
        InputError: The output folder cannot be written to, or the clip not be rendered.
    """
    clip = render_clip(frames, height, width, objects=objects)
    out = make_output_folder(out)
    _write_clip(clip, out)
    summary = segment_video(
        segmenter,
        out / "frames",
        out / "truth" / "00000.png",
        out / "result",
        overlay=True,
        progress=progress,
    )
    shown = [read_mask(out / "result" / f"{index:05d}.png") for index in range(frames)]
    scores = [
        jaccard(found, truth, objects) for found, truth in zip(shown, clip.labels, strict=True)
    ]
    for index, score in enumerate(scores[1:], 1):
        print(f"frame {index:5d}  J {score:.3f}")
    mean = float(np.mean(scores[1:]))
    rate = summary.frames_per_second
    speed = f", {rate:.2f} frames per second" if rate else ""
    print(f"mean J {mean:.3f} over {frames - 1} frames{speed}")
    sheet = _sheet([frame for _, frame in open_video(out / "frames")], shown, scores)
    with replacing(out / "contact_sheet.png") as temporary:
        sheet.save(temporary, format="PNG")
    print(f"overlay video: {out / 'result' / OVERLAY_NAME}")
    print(f"contact sheet: {out / 'contact_sheet.png'}")
    return mean


def jaccard(found: HostMask, truth: HostMask, objects: int) -> float:
    """Mean intersection over union of the ids 1 to `objects` in [H, W]; 1 where both are empty."""
    scores = []
    for label in range(1, objects + 1):
        a, b = found == label, truth == label
        union = np.count_nonzero(a | b)
        scores.append(np.count_nonzero(a & b) / union if union else 1.0)
    return float(np.mean(scores))


def _write_clip(clip: Clip, out: Path) -> None:
    names = [f"{index:05d}" for index in range(len(clip.frames))]
    folders = [make_output_folder(out / folder) for folder in ("frames", "truth")]
    for folder in folders:
        others = sorted({file.stem for file in folder.iterdir()} - set(names))
        if others:
            raise InputError(
                f"The folder {folder} holds other files ({others[0]}, ...), maybe of a longer "
                "clip; remove it or choose another folder."
            )
    write_clip(clip, *folders)


def _sheet(
    frames: Sequence[HostFrame],
    labels: Sequence[HostMask],
    scores: Sequence[float],
    tiles: int = 12,
) -> Image.Image:
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(tiles, len(frames))).round().astype(int))
    captions = [f"frame {i}  J {scores[i]:.3f}" if i else "frame 0  given" for i in chosen]
    return contact_sheet([overlay(frames[i], labels[i]) for i in chosen], captions)
