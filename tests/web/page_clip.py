"""The clip that the page's tests open."""

from pathlib import Path

from PIL import Image
from small_videos import make_video

from ranet_jax.demo.clip import render_clip
from ranet_jax.io.masks import write_mask

HEIGHT, WIDTH, FRAMES = 96, 160, 8
LIMIT = 4 << 20  # bytes that a page may send


def write_clip(folder: Path) -> None:
    """As `clip.mp4`, as images in `frames/`, and the masks of all frames in `truth/`."""
    clip = render_clip(FRAMES, HEIGHT, WIDTH)
    make_video(folder / "clip.mp4", clip.frames)
    (folder / "frames").mkdir()
    (folder / "truth").mkdir()
    for index, (frame, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        Image.fromarray(frame).save(folder / "frames" / f"{index:05d}.png")
        write_mask(folder / "truth" / f"{index:05d}.png", labels)
