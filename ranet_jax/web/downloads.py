"""What a session gives to keep: masks, cut-outs, an overlay, and the command that makes them."""

import shlex
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.io.frame_folder import part
from ranet_jax.io.masks import encode_mask, read_ids
from ranet_jax.io.result_writer import OVERLAY_NAME, result_writer, write_overlay
from ranet_jax.web.session import Session

_FPS = 24.0
_FRAMES, _PAINTED, _COMMAND = "frames", "painted", "command.txt"


def command_line(session: Session, network: Sequence[str]) -> str:
    """What gives the same masks: run it in the folder that the masks were unpacked to.

    Args:
        session: with a clip.
        network: arguments of `ranet web` that `ranet segment` knows, too.
    """
    clip = session.clip
    words = ["ranet", "segment", clip.source or _FRAMES, "--masks", _PAINTED, "--out", "out"]
    for frame in session.painted:
        for id_ in session.painted.removed.get(frame, ()):
            words += ["--remove", f"{id_}@{clip.names[frame]}"]
    return shlex.join([*words, *network])


def write_masks(session: Session, path: Path, network: Sequence[str]) -> None:
    """A zip file of every mask found, what was painted, and the command line.

    Frames that only the page has, an example's or a camera's, are in it, too.

    Raises:
        InputError: no mask was found yet.
    """
    clip, found = session.clip, _found(session)
    with zipfile.ZipFile(path, "w") as archive:
        for frame in found:
            name = f"{clip.names[frame]}.png"
            archive.write(session.results / name, name)
        for frame, mask in sorted(session.painted.masks.items()):
            archive.writestr(f"{_PAINTED}/{clip.names[frame]}.png", encode_mask(mask))
        if clip.source is None:
            for file in clip.video.files:
                archive.write(file, f"{_FRAMES}/{file.name}")
        archive.writestr(_COMMAND, command_line(session, network) + "\n")


def write_cutouts(session: Session, path: Path) -> None:
    """A zip file of every frame that has a mask, transparent where no object is.

    Raises:
        InputError: no mask was found yet.
    """
    found = _found(session)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        video = part(session.clip.video, found[0], found[-1] + 1)
        with closing(iter(video)) as frames, result_writer(Path(folder), rgba=True) as writer:
            for name, pixels in frames:
                labels = read_ids(session.results / f"{name}.png")
                writer.write(name, pixels, labels, {})
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((Path(folder) / "rgba").iterdir()):
                archive.write(file, file.name)


def write_movie(session: Session, path: Path) -> None:
    """The frames that have a mask with the objects tinted, as a video.

    Raises:
        InputError: no mask was found yet.
    """
    found = _found(session)
    video = part(session.clip.video, found[0], found[-1] + 1)
    write_overlay(session.results, video, session.clip.video.fps or _FPS)
    (session.results / OVERLAY_NAME).replace(path)


def _found(session: Session) -> list[int]:
    if session.clip is None or not (found := session.found):
        raise InputError("There are no masks yet: paint an object and track it first.")
    return found
