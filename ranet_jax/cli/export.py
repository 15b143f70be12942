"""`ranet export`: a checkpoint as programs that run with JAX alone."""

import argparse

from ranet_jax.cli.network_arguments import (
    REPLACEABLE,
    add_segmenter_arguments,
    segmenter_settings,
)
from ranet_jax.cli.parsers import add_example, local_path, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet export`."""
    add_example(
        parser,
        "ranet export default exported --platforms cpu,tpu --objects 2",
        "They run with JAX alone; the folder says what goes in and what comes out.",
    )
    parser.add_argument("checkpoint", help="a checkpoint, the folder of a run, or `default`")
    parser.add_argument("out", type=local_path, help="folder to make")
    parser.add_argument(
        "--platforms",
        type=lambda text: list(dict.fromkeys(part.strip() for part in text.split(","))),
        default=["cpu", "cuda", "tpu"],
        help="to run on: cpu, cuda, rocm, tpu, with commas (default: cpu,cuda,tpu)",
    )
    parser.add_argument(
        "--objects",
        type=whole_number(1),
        default=1,
        help="how many it can follow (default: %(default)s)",
    )
    parser.add_argument(
        "--videos", type=whole_number(1), default=1, help="how many at once (default: %(default)s)"
    )
    add_segmenter_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Exports, and says what was written.

    Raises:
        InputError: see `checkpoint.load` and `export.export`.
    """
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.inference.export import export

    path = checkpoint.resolve(args.checkpoint)
    args.checkpoint = path  # once for both: the best checkpoint of a run may change
    settings = segmenter_settings(args)
    model, params = checkpoint.load(path, args.precision)
    chosen = {name: settings.pop(name) for name in REPLACEABLE}
    export(
        model.with_settings(**chosen),
        params,
        args.out,
        platforms=args.platforms,
        objects=args.objects,
        videos=args.videos,
        **settings,
    )
    written = sum(file.stat().st_size for file in args.out.iterdir())
    print(
        f"{args.out}: start and advance for {', '.join(args.platforms)}, "
        f"{args.objects} object{'s' * (args.objects > 1)}, {written / 1e6:.0f} MB"
    )
