"""The command line: `ranet <command>`.

A command is a line of `COMMANDS` and the module of its name in this package, with a function
`add_arguments(parser)` that sets the default `run`, a function of the parsed arguments that returns
nothing. A module is imported when its command is asked for, and what is slow to import is imported
in `run`, so that `ranet --help` answers at once. A command with a default `overrides` receives
there all arguments that its parser does not know, such as `--config.key=value`.
"""

import argparse
import gc
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

from ranet_jax import __version__
from ranet_jax.cli import streams
from ranet_jax.cli.compile_cache import add_cache_argument, compile_cache
from ranet_jax.cli.parsers import new_parser
from ranet_jax.errors import explain, one_line
from ranet_jax.io.threads import signals_must_wait

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
NO_READER = 141  # 128 + SIGPIPE
# What ends a process from outside: `kill`, and a terminal that closes.
ENDING_SIGNALS = ("SIGTERM", "SIGHUP")
_AGAIN = 0.1  # seconds until an exception that was dropped is raised again
_REPEATS = hasattr(signal, "setitimer")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments after `ranet`; those of the process where None.

    Returns:
        The exit status: 0; 2 for bad input and for what the system refuses, such as a full disk;
        130 when interrupted; 141 where nobody reads the output any more.

    Raises:
        SystemExit: From argparse, for `--help` and wrong arguments, and with 143 on SIGTERM, 129 on
            SIGHUP.
    """
    streams.prepare()
    try:
        with _tidy_on_signals():
            try:
                _run(sys.argv[1:] if argv is None else argv)
            except SystemExit:  # what `--help` printed has to arrive as well
                streams.flush()
                raise
            streams.flush()
    except KeyboardInterrupt:
        streams.tell("ranet: interrupted; the files written so far are whole")
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and streams.reader_is_gone():
            streams.drop(sys.stdout)
            return NO_READER
        sentence = explain(error)
        if sentence is None:
            raise
        _flush_or_drop()
        streams.tell(f"ranet: error: {sentence}")
        return BAD_INPUT
    return 0


def _run(argv: Sequence[str]) -> None:
    parser = _parser(argv[0] if argv else None)
    args, rest = parser.parse_known_args(argv)
    if rest and "overrides" not in args:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.overrides = rest
    # Tracing makes many objects and hardly any garbage: to look through them as often as Python
    # does by itself is a twentieth of the time of a short command.
    gc.set_threshold(10_000, 10, 10)
    with compile_cache(args.cache) if "cache" in args else nullcontext():
        args.run(args)


def _flush_or_drop() -> None:
    try:
        streams.flush()
    except OSError:
        streams.drop(sys.stdout)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments on one line."""

    def error(self, message: str) -> None:
        super().error(one_line(message))

    def _print_message(self, message: str, file: TextIO | None = None) -> None:
        # argparse would take no notice of an output that is full.
        print(message, end="", file=file or sys.stderr)


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
    parser = _Parser(
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


class _Ended(SystemExit):
    """A signal has come."""


@contextmanager
def _tidy_on_signals() -> Iterator[None]:
    """Turns signals that end a process into an exception, so that every `with` and `finally`
    tidies up. A signal that is ignored already, as `nohup` does, stays ignored."""
    came = 0

    def end(signum: int, frame: object) -> None:
        nonlocal came
        came = signum
        raise_again()

    def raise_again(*_: object) -> None:
        # It may be dropped: in a finalizer, say, or by an `except` that takes everything.
        if _REPEATS:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            if signals_must_wait():
                return
        # Often two signals come, one after the other: the second would break off the tidying.
        if not _is_ending(sys.exception()):
            raise _Ended(128 + came)

    def show(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, _Ended):
            shown_before(unraisable)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: now for number, now in before.items() if now is not signal.SIG_IGN}
    handlers = dict.fromkeys(before, end)
    if _REPEATS:
        before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
        handlers[signal.SIGALRM] = raise_again
    for number, handler in handlers.items():
        signal.signal(number, handler)
    shown_before, sys.unraisablehook = sys.unraisablehook, show
    try:
        yield
    except Exception as error:
        if came:  # a library made an error of its own of the signal's
            raise _Ended(128 + came) from error
        raise
    finally:
        # First of all: from here on nothing is left to tidy.
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        if came and _REPEATS:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = shown_before
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ending(error: BaseException | None) -> bool:
    """Whether an exception came of a signal, that of a `finally` that runs for it included."""
    while error is not None and not isinstance(error, _Ended):
        error = error.__context__
    return error is not None
