"""`ranet segment`: a video and masks of some of its frames in, a mask for every frame out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ranet_jax.cli.network_arguments import (
    add_network_arguments,
    add_online_arguments,
    make_segmenter,
)
from ranet_jax.cli.parsers import add_example, local_path
from ranet_jax.errors import InputError

if TYPE_CHECKING:
    from ranet_jax.inference.tracking import Masks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet segment`."""
    add_example(parser, "ranet segment horse.mp4 --mask horse-first.png --out out --overlay")
    parser.add_argument(
        "input", type=local_path, nargs="+", help="a video file, or a folder of frames"
    )
    _add_mask_arguments(parser)
    parser.add_argument("--out", type=local_path, required=True, help="folder for a PNG per frame")
    _add_output_arguments(parser)
    add_network_arguments(parser)
    add_online_arguments(parser)
    parser.set_defaults(run=run)


def _add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mask",
        type=local_path,
        help="mask of the first frame: an image whose pixel values are object ids, 0 background",
    )
    parser.add_argument(
        "--masks",
        type=local_path,
        metavar="FOLDER",
        help="masks named as their frames, at any of them: the first frame that has one starts, a "
        "later one corrects the objects that it shows and adds new ones",
    )
    parser.add_argument(
        "--remove",
        type=_removal,
        action="append",
        default=[],
        metavar="ID@FRAME",
        help="stop following an object from a frame on, for example 2@00012; may be repeated",
    )
    parser.add_argument(
        "--reverse",
        action="store_true",
        help="from the last mask backwards, too: frames before the first mask get one, and a frame "
        "between two masks that of the nearer one",
    )


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overlay", action="store_true", help="also write overlay.mp4")
    parser.add_argument(
        "--fps",
        type=_fps,
        help="frames per second of the overlay (default: the video's, for a folder 24)",
    )
    parser.add_argument(
        "--rgba",
        action="store_true",
        help="also write the objects cut out, with alpha, rgba/<frame>.png",
    )
    parser.add_argument(
        "--coco-rle",
        action="store_true",
        help="also write coco.json, the run lengths of all objects in the format of COCO",
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also write each object's probability maps, probabilities/<id>/<frame>.png",
    )


def run(args: argparse.Namespace) -> None:
    """Runs `ranet segment`."""
    source = _one_input(args.input)
    _check_mask_arguments(args)
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.inference.video import check_masks, segment_video
    from ranet_jax.io.locks import locked
    from ranet_jax.io.video_reader import open_video

    # Bad paths are found before the weights are loaded, which takes far longer.
    video, masks = open_video(source), _read_masks(args)
    check_masks(masks, video, str(args.mask or args.masks))
    with locked(args.out):
        model, params = checkpoint.load(args.checkpoint, precision=args.precision)
        segmenter = make_segmenter(args, model, params)
        removed = {}
        for id_, name in args.remove:
            removed.setdefault(name, []).append(id_)
        summary = segment_video(
            segmenter,
            video,
            masks,
            args.out,
            removed=removed,
            reverse=args.reverse,
            overlay=args.overlay,
            probabilities=args.probabilities,
            rgba=args.rgba,
            coco_rle=args.coco_rle,
            fps=args.fps,
        )
    rate = summary.frames_per_second
    speed = f", {rate:.2f} frames per second after the first step" if rate else ""
    if args.online:
        print(f"{args.online} iterations of online learning in {segmenter.online_seconds:.1f} s")
    print(f"{summary.frames} frames in {summary.seconds:.1f} s{speed}: {args.out}")


def _one_input(paths: list[Path]) -> Path:
    """The video; a shell makes a list of files of `clip/*.jpg`."""
    if len(paths) == 1:
        return paths[0]
    folders = {path.parent for path in paths}
    folder = folders.pop() if len(folders) == 1 else None
    raise InputError(
        f"There are {len(paths)} inputs ({paths[0]}, {paths[1]}, ...); give one video file, or the "
        + (f"folder of the frames: {folder}." if folder else "one folder that holds the frames.")
    )


def _check_mask_arguments(args: argparse.Namespace) -> None:
    if args.mask and args.masks:
        raise InputError("--mask and --masks are both given; put the first mask into the folder.")
    if not args.mask and not args.masks:
        raise InputError(
            "There is no mask to start from: give --mask FIRST.png, where the pixels of each "
            "object have its id, or --masks FOLDER; `ranet web` opens a page to paint one."
        )
    if args.fps and not args.overlay:
        raise InputError("--fps changes nothing without --overlay: give it too.")


def _read_masks(args: argparse.Namespace) -> "Masks":
    from ranet_jax.io.masks import read_mask, read_masks

    return read_mask(args.mask, first=True) if args.mask else read_masks(args.masks)


def _fps(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1 <= fps <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 120")
    return fps


def _removal(text: str) -> tuple[int, str]:
    id_, _, frame = text.partition("@")
    if not id_.isdecimal() or not frame:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID@FRAME, for example 2@00012")
    return int(id_), frame
