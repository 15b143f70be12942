"""A data set in the layout of DAVIS-2016, rendered: to try training where there is no real one."""

from pathlib import Path

from ranet_jax.demo.clip import Clip, render_clip, write_clip
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, replacing

TRAIN, VAL = ("astronaut", "astronaut_and_cup"), ("mirrored",)


def write_demo_dataset(
    root: Path | str, *, frames: int = 16, height: int = 240, width: int = 432
) -> Path:
    """Writes two videos to train on and one that is held out.

    The held-out one is the first of the others, mirrored and played backwards: it shows whether
    training works, and nothing about how well a network does on what it has never seen.

    Args:
        root: gets the folder `DAVIS`, with `JPEGImages`, `Annotations` and `ImageSets`.
        frames: length of each video, at least 2.
        height: of the frames, in pixels.
        width: of the frames, in pixels.

    Returns:
        The folder `DAVIS`.

    Raises:
        InputError: `root` cannot be written to, holds another data set of that name, or the videos
            cannot be rendered.
    """
    one, two = (render_clip(frames, height, width, objects=objects) for objects in (1, 2))
    mirrored = Clip(one.frames[::-1, :, ::-1], one.labels[::-1, :, ::-1])
    davis = Path(root) / "DAVIS"
    _refuse_others(davis, frames)
    for name, clip in zip((*TRAIN, *VAL), (one, two, mirrored), strict=True):
        folders = (davis / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        write_clip(clip, *folders)
    lists = make_output_folder(davis / "ImageSets" / "2016")
    for split, names in (("train", TRAIN), ("val", VAL)):
        with replacing(lists / f"{split}.txt") as temporary:
            temporary.write_text("\n".join(names) + "\n", encoding="utf-8")
    return davis


def _refuse_others(davis: Path, frames: int) -> None:
    """What is there already may be an earlier rendering of the same length, and nothing else."""
    expected = {f"{name}/{index:05d}" for name in (*TRAIN, *VAL) for index in range(frames)}
    for kind in ("JPEGImages", "Annotations"):
        folder = davis / kind / "480p"
        found = {path.relative_to(folder).with_suffix("") for path in folder.glob("*/*")}
        others = sorted(path.as_posix() for path in found if path.as_posix() not in expected)
        if others:
            raise InputError(
                f"The folder {davis} holds another data set ({others[0]}, ...): choose another "
                "folder for the rendered one."
            )
