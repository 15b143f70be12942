"""The command line: `ranet <command>`.

A command is a function `add_parser(subparsers)` that adds its parser and sets the default `run`, a
function of the parsed arguments that returns nothing. Whatever is slow to import is imported in
`run`, and a command that lives in another module is imported when it is asked for, so that
`ranet --help` answers at once. A command with a default `overrides` is handed there whatever its
parser does not know, such as `--config.key=value`.
"""

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ranet_jax.errors import InputError
from ranet_jax.network_arguments import (
    add_network_arguments,
    add_online_arguments,
    make_segmenter,
    segmenter_settings,
)

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
TERMINATED = 143  # 128 + SIGTERM


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments after `ranet`; those of the process where None.

    Returns:
        The exit status: 0, 2 for bad input, 130 when interrupted.

    Raises:
        SystemExit: From argparse, for `--help` and wrong arguments, and with 143 on SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser(argv[0] if argv else None)
    args, rest = parser.parse_known_args(argv)
    if rest and "overrides" not in args:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.overrides = rest
    try:
        with _tidy_on_sigterm():
            args.run(args)
    except InputError as error:
        print(f"ranet: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("ranet: interrupted; the files written so far are whole", file=sys.stderr)
        return INTERRUPTED
    return 0


def add_segment_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `ranet segment`."""
    parser = new_parser(
        subparsers,
        "segment",
        "Follow the objects of a first mask through a video.",
        "ranet segment horse.mp4 --mask horse-first.png --out out --overlay",
    )
    parser.add_argument("input", type=Path, help="a video file, or a folder of frames")
    parser.add_argument(
        "--mask",
        type=Path,
        required=True,
        help="mask of the first frame: an image whose pixel values are object ids, 0 background",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for a PNG per frame")
    parser.add_argument("--overlay", action="store_true", help="also write overlay.mp4")
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also write each object's probability maps, probabilities/<id>/<frame>.png",
    )
    add_network_arguments(parser)
    add_online_arguments(parser)
    parser.set_defaults(run=_segment)


def add_convert_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `ranet convert`."""
    parser = new_parser(
        subparsers,
        "convert",
        "Turn published weights (RANet or a torchvision ResNet) into a checkpoint.",
        "ranet convert RANet_video_single.pth ranet-single --objects single",
    )
    parser.add_argument("source", type=Path, help=".pth, or .npz under the same names")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument(
        "--objects",
        choices=("single", "multi"),
        default="single",
        help="which path the weights were trained for (default: %(default)s)",
    )
    parser.set_defaults(run=_convert)


def add_demo_parser(subparsers: argparse._SubParsersAction) -> None:
    """Adds `ranet demo`."""
    parser = new_parser(
        subparsers,
        "demo",
        "Render a clip with known masks, segment it and print how well that went.",
        "ranet demo --out demo-out --objects 2",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--frames", type=int, default=24, help="length of the clip (default: %(default)s)"
    )
    parser.add_argument(
        "--objects",
        type=int,
        choices=(1, 2),
        default=1,
        help="how many objects the clip shows (default: %(default)s)",
    )
    add_network_arguments(parser)
    parser.set_defaults(run=_demo)


# Commands in the order in which `ranet --help` lists them.
COMMANDS: tuple[Callable[[argparse._SubParsersAction], None], ...] = (
    add_demo_parser,
    add_segment_parser,
    add_convert_parser,
)

# Commands of other modules: what they do, and the module with their `add_parser`.
COMMANDS_ELSEWHERE = {
    "evaluate": ("Score a checkpoint or predictions on DAVIS.", "ranet_jax.evaluation.command"),
    "report": ("Put results beside the tables of the paper.", "ranet_jax.evaluation.report"),
    "train": ("Train a network as a config says.", "ranet_jax.experiment.command"),
    "benchmark": ("Time the network and the whole pipeline.", "ranet_jax.benchmark_command"),
    "pack": ("Put a checkpoint into one small file.", "ranet_jax.pack_command"),
    "data": ("Build, look at and time training data.", "data_pipelines.command"),
}


def new_parser(
    subparsers: argparse._SubParsersAction, name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    """The parser of a command, whose help ends with one example of its use."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _segment(args: argparse.Namespace) -> None:
    from ranet_jax import checkpoint
    from ranet_jax.files import make_output_folder
    from ranet_jax.masks import read_mask
    from ranet_jax.video import open_video, segment_video

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


def _convert(args: argparse.Namespace) -> None:
    from ranet_jax.convert import convert

    print(convert(args.source, args.out, objects=args.objects))


def _demo(args: argparse.Namespace) -> None:
    from ranet_jax import checkpoint
    from ranet_jax.demo import run_demo
    from ranet_jax.segmenter import Segmenter

    model, params = checkpoint.load(args.checkpoint, precision=args.precision)
    segmenter = Segmenter(model, params, **segmenter_settings(args))
    run_demo(segmenter, args.out, frames=args.frames, objects=args.objects)


def _parser(asked_for: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ranet", description="Fast video object segmentation: RANet in JAX and Flax."
    )
    subparsers = parser.add_subparsers(title="commands", metavar="command", required=True)
    for add_parser in COMMANDS:
        add_parser(subparsers)
    for name, (summary, module) in COMMANDS_ELSEWHERE.items():
        if name == asked_for:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


@contextmanager
def _tidy_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM into an exception, which lets every `with` and `finally` tidy up."""

    def terminate(signum: int, frame: object) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
