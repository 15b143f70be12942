"""`ranet segment`: a video and the mask of its first frame in, a mask for every frame out."""

import argparse

from ranet_jax.cli.network_arguments import (
    add_network_arguments,
    add_online_arguments,
    make_segmenter,
)
from ranet_jax.cli.parsers import add_example, local_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet segment`."""
    add_example(parser, "ranet segment horse.mp4 --mask horse-first.png --out out --overlay")
    parser.add_argument("input", type=local_path, help="a video file, or a folder of frames")
    parser.add_argument(
        "--mask",
        type=local_path,
        required=True,
        help="mask of the first frame: an image whose pixel values are object ids, 0 background",
    )
    parser.add_argument("--out", type=local_path, required=True, help="folder for a PNG per frame")
    parser.add_argument("--overlay", action="store_true", help="also write overlay.mp4")
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also write each object's probability maps, probabilities/<id>/<frame>.png",
    )
    add_network_arguments(parser)
    add_online_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs `ranet segment`."""
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.inference.video import segment_video
    from ranet_jax.io.atomic import make_output_folder
    from ranet_jax.io.masks import read_mask
    from ranet_jax.io.video_reader import open_video

    # Bad paths are found before the weights are loaded, which takes far longer.
    video, mask = open_video(args.input), read_mask(args.mask, first=True)
    make_output_folder(args.out)
    model, params = checkpoint.load(args.checkpoint, precision=args.precision)
    segmenter = make_segmenter(args, model, params)
    summary = segment_video(
        segmenter,
        video,
        mask,
        args.out,
        overlay=args.overlay,
        probabilities=args.probabilities,
    )
    rate = summary.frames_per_second
    speed = f", {rate:.2f} frames per second after the first step" if rate else ""
    if args.online:
        print(f"{args.online} iterations of online learning in {segmenter.online_seconds:.1f} s")
    print(f"{summary.frames} frames in {summary.seconds:.1f} s{speed}: {args.out}")
