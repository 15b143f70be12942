"""`ranet demo`: the network on a clip whose masks are known."""

import argparse
from pathlib import Path

from ranet_jax import extras
from ranet_jax.cli.network_arguments import add_network_arguments, segmenter_settings
from ranet_jax.cli.parsers import add_example, local_path, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet demo`."""
    add_example(parser, "ranet demo --out demo-out --objects 2")
    parser.add_argument(
        "--out", type=local_path, default=Path("demo-out"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--frames",
        type=whole_number(2, 10_000),
        default=24,
        help="length of the clip (default: %(default)s)",
    )
    parser.add_argument(
        "--objects",
        type=int,
        choices=(1, 2),
        default=1,
        help="how many objects the clip shows (default: %(default)s)",
    )
    add_network_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs `ranet demo`."""
    extras.require("demo", "The clip of ranet demo")
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.demo.demo import run_demo
    from ranet_jax.inference.segmenter import Segmenter

    model, params = checkpoint.load(args.checkpoint, precision=args.precision)
    segmenter = Segmenter(model, params, **segmenter_settings(args))
    run_demo(segmenter, args.out, frames=args.frames, objects=args.objects)
