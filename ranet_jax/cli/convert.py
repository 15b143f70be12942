"""`ranet convert`: published weights in, a checkpoint out."""

import argparse

from ranet_jax.cli.parsers import add_example, local_path, path_or_address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet convert`."""
    add_example(parser, "ranet convert RANet_video_single.pth ranet-single --objects single")
    parser.add_argument("source", type=local_path, help=".pth, or .npz under the same names")
    parser.add_argument("out", type=path_or_address, help="folder for the checkpoint")
    parser.add_argument(
        "--objects",
        choices=("single", "multi"),
        default="single",
        help="which path the weights were trained for (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs `ranet convert`."""
    from ranet_jax.checkpoints.convert import convert

    print(convert(args.source, args.out, mode=args.objects))
