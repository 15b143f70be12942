"""`ranet convert`: published weights in, a checkpoint out."""

import argparse

from ranet_jax.cli.parsers import local_path, new_parser, path_or_address


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `ranet convert`."""
    parser = new_parser(
        subparsers,
        "convert",
        "Turn published weights (RANet or a torchvision ResNet) into a checkpoint.",
        "ranet convert RANet_video_single.pth ranet-single --objects single",
    )
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
