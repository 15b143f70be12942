"""The command line: `ranet <command>`.

A command is a line of `COMMANDS` and the module of its name in this package, with a function
`add_arguments(parser)` that sets the default `run`, a function of the parsed arguments that returns
nothing. A module is imported when its command is asked for, and what is slow to import is imported
in `run`, so that `ranet --help` answers at once. A command with a default `overrides` receives
there all arguments that its parser does not know, such as `--config.key=value`.
"""

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from ranet_jax import __version__
from ranet_jax.cli.compile_cache import add_cache_argument, compile_cache
from ranet_jax.cli.parsers import new_parser
from ranet_jax.errors import InputError

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
    cache = compile_cache(args.cache) if "cache" in args else nullcontext()
    try:
        with _tidy_on_sigterm(), cache:
            args.run(args)
    except InputError as error:
        print(f"ranet: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("ranet: interrupted; the files written so far are whole", file=sys.stderr)
        return INTERRUPTED
    return 0


# Every command and what it does, in the order in which `ranet --help` lists them.
COMMANDS = {
    "demo": "Render a clip with known masks, segment it and print how well that went.",
    "segment": "Follow the objects of a first mask through a video.",
    "web": "Open a page to paint masks, track, correct and download them.",
    "evaluate": "Run a checkpoint over a DAVIS split and score it, or score predictions.",
    "report": "Put results beside Tables 1 to 6 of the paper, as Markdown and as plots.",
    "train": "Train a network as a config says.",
    "data": "Build, look at and time training data.",
    "convert": "Turn published weights (RANet or a torchvision ResNet) into a checkpoint.",
    "pack": "Put a checkpoint, or the mean of several, into one small file.",
    "export": "Write both halves of segmenting, start and advance, as StableHLO.",
    "benchmark": "Time the network and the whole pipeline, and measure their memory.",
}
# Those that keep what they compile. `benchmark` does not: it tells how long that takes.
COMPILING = {"demo", "segment", "web", "evaluate", "train"}


def _parser(asked_for: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ranet", description="Fast video object segmentation: RANet in JAX and Flax."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="command", required=True)
    for name, summary in COMMANDS.items():
        command = new_parser(subparsers, name, summary)
        if name == asked_for:
            importlib.import_module(f"ranet_jax.cli.{name}").add_arguments(command)
            if name in COMPILING:
                add_cache_argument(command)
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
