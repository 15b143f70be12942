"""`ranet web`: a page to paint masks, watch them being tracked, correct and keep them."""

import argparse
import functools
import secrets

from ranet_jax import extras
from ranet_jax.cli.network_arguments import add_network_arguments, segmenter_settings
from ranet_jax.cli.parsers import add_example, local_path, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `ranet web`."""
    add_example(
        parser,
        "ranet web horse.mp4",
        "It prints a link for the browser; whoever has the link can use the page.",
    )
    parser.add_argument(
        "clip",
        type=local_path,
        nargs="?",
        help="a video file, or a folder of frames, to begin with",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 lets other machines in (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        default=8000,
        help="port to listen at, 0 for any free one (default: %(default)s)",
    )
    parser.add_argument(
        "--upload-limit",
        type=whole_number(1),
        default=1024,
        metavar="MB",
        help="what a tab may send and have stored (default: %(default)s)",
    )
    add_network_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Runs `ranet web`."""
    extras.require("web", "The page of ranet web")
    from ranet_jax.checkpoints import checkpoint
    from ranet_jax.inference.segmenter import Segmenter
    from ranet_jax.io.video_reader import open_video
    from ranet_jax.web.serve import serve
    from ranet_jax.web.tabs import Settings

    if args.clip is not None:
        open_video(args.clip)
    settings = segmenter_settings(args)

    @functools.cache
    def network():
        return checkpoint.load(args.checkpoint, precision=args.precision)

    page = Settings(
        lambda: Segmenter(*network(), **settings),
        args.clip and args.clip.resolve(),
        secrets.token_urlsafe(16),
        args.upload_limit << 20,
        _network_words(args),
    )
    serve(page, args.host, args.port, lambda link: print(f"Open {link}", flush=True))


def _network_words(args: argparse.Namespace) -> list[str]:
    """The arguments about the network that were given, for `ranet segment`."""
    size = args.size and f"{args.size[0]}x{args.size[1]}"
    given = {
        "--checkpoint": None if args.checkpoint == "default" else args.checkpoint,
        "--combine": args.aggregation,
        "--memory": args.memory,
        "--max-gap": args.max_gap,
        "--precision": None if args.precision == "float32" else args.precision,
        "--size": size,
    }
    return [
        word for name, value in given.items() if value is not None for word in (name, str(value))
    ]
